"""Doubts about an alignment: the place of the atlas, the order of points, the machine.

They are told by `spimpack align --validate-only` and before a run. None reads a voxel, but
packed files with odd ends are unpacked.
"""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.affines import inverse_affine
from spimpack_tasks.alignment.atlas import read_atlas_grid, read_structures
from spimpack_tasks.alignment.choices import NONE
from spimpack_tasks.alignment.fields import open_field, read_field_header
from spimpack_tasks.alignment.machine import find_machine_doubts
from spimpack_tasks.alignment.neuroglancer import TrackPoints
from spimpack_tasks.alignment.picks import ccf_to_bregma_um
from spimpack_tasks.alignment.transforms import AtlasFileError, read_label_ids
from spimpack_tasks.alignment.warps import Transformation
from spimpack_tasks.alignment.whole_files import check_whole
from spimpack_tasks.errors import Place, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.alignment.chain import Chain

CCF_BOUNDS_MM_LPS = ((-11.5, 0.1), (-0.1, 13.3), (-8.1, 0.1))
"""The Allen CCF, 11.4 x 13.2 x 8 mm, with a voxel of 100 µm around it."""

_SAME_STEP = 0.01
"""Share by which sizes of voxels may differ: states round them."""


def check_atlas(path: str, key: str, *, is_ccf: bool = True) -> Iterator[Problem]:
    """Yield why a volume of the atlas is not whole, or does not lie where the CCF lies.

    A volume whose axes run the other way has wrong signs, and tracks would end up outside.
    """
    try:
        grid = read_atlas_grid(path)
        check_whole(path)
    except AtlasFileError as error:
        yield error.as_problem("alignment.atlas", key)
        return
    if not is_ccf:
        return
    last = [n - 1 for n in grid.size_xyz]
    corners = (grid.place((0, 0, 0)), grid.place(last))
    for axis, (low, high) in enumerate(CCF_BOUNDS_MM_LPS):
        ends = sorted(corner[axis] for corner in corners)
        if ends[0] < low or ends[1] > high:
            message = f"lies at {ends[0]:.2f} to {ends[1]:.2f} mm along {'LPS'[axis]}, "
            message += f"the Allen CCF at {low} to {high}"
            hint = (
                "give a volume whose header has the place and direction of the CCF, or bregma_um "
            )
            hint += "of another atlas"
            yield Problem("alignment.atlas", Place(path), key, message, hint)


def check_order(chain: Chain, transformation: Transformation) -> Iterator[Problem]:
    """Yield tracks that do not go down: the GUI takes the first points for the surface."""
    for row in chain.good_rows:
        track = chain.track(row)
        assert isinstance(track, TrackPoints)  # noqa: S101  # the row is good
        grid = chain.brain.registered(0)
        places = transformation.points(grid.place((x, y, z)) for z, y, x in track.index_zyx)
        heights = [point[2] for point in ccf_to_bregma_um(places)]
        if any(b > a for a, b in pairwise(heights)):
            place = Place(chain.choices.manifest, row.line)
            message = f"the points of {row.track_id!r} do not go down from the surface"
            hint = "annotate from the surface to the tip"
            kind = Severity.WARNING
            yield Problem("alignment.row", place, "probe_id", message, hint, kind)


def check_steps(chain: Chain) -> Iterator[Problem]:
    """Yield tracks that count other voxels than those of the image.

    Their points are taken as voxels of the full resolution all the same, as the GUI takes them.
    """
    spacing = [1000 * size for size in chain.brain.levels[0].spacing_mm_xyz[::-1]]
    for row in chain.good_rows:
        track = chain.track(row)
        steps = track.step_um_zyx if isinstance(track, TrackPoints) else ()
        if any(abs(a / b - 1) > _SAME_STEP for a, b in zip(steps, spacing, strict=False)):
            counted, there = (" x ".join(f"{n:g}" for n in sizes) for sizes in (steps, spacing))
            message = f"the layer {row.track_id!r} counts voxels of {counted} µm (z, y, x), the "
            message += f"image has {there}"
            hint = "annotate the image at its full resolution, and save the state again"
            place = Place(chain.choices.manifest, row.line)
            yield Problem("alignment.row", place, "probe_id", message, hint, Severity.WARNING)


def check_registrations(chain: Chain) -> Iterator[Problem]:
    """Yield files of registrations that are damaged, or else tracks that do not go down."""
    is_made, damaged = chain.choices.is_registered_here, []
    steps: list[Any] = []
    with ExitStack() as opened:
        for pair in chain.brain.pairs[int(is_made) :]:
            try:
                affine = inverse_affine(pair.affine)
                if chain.choices.qc:
                    read_field_header(pair.warp)
                    check_whole(pair.warp)
                field = open_field(pair.inverse_warp)
            except AtlasFileError as error:
                damaged.append(error.as_problem("alignment.transform", ""))
                continue
            opened.enter_context(field.file)
            steps += [affine, field]
        if is_made or damaged:
            yield from damaged
            return
        try:
            yield from [*check_order(chain, Transformation(tuple(steps)))]
        except AtlasFileError as error:
            yield error.as_problem("alignment.transform", "")


def find_doubts(chain: Chain) -> Iterator[Problem]:
    """Yield what is wrong or odd about inputs that can be read, and about the machine."""
    choices = chain.choices
    in_atlas = [
        problem
        for key in ("ccf_template", "ccf_labels")
        for problem in check_atlas(getattr(choices, key), key, is_ccf=not choices.has_own_bregma)
    ]
    if choices.is_registered_here and choices.template:
        in_atlas += check_atlas(choices.template, "template", is_ccf=False)
    yield from in_atlas
    try:
        read_structures(choices.structures)
        if choices.label_ids != NONE:
            read_label_ids(choices.label_ids)
    except AtlasFileError as error:
        yield error.as_problem("alignment.atlas", "")
    if not in_atlas:
        yield from find_machine_doubts(chain)
    yield from check_steps(chain)
    yield from check_registrations(chain)
