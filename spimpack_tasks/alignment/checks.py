"""Doubts about an alignment: the place of the atlas, the order of points, the machine.

They are told by `spimpack align --validate-only` and before a run. None reads a voxel, but
packed files with odd ends are unpacked.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.affines import inverse_affine
from spimpack_tasks.alignment.atlas import read_atlas_grid, read_structures
from spimpack_tasks.alignment.choices import NONE
from spimpack_tasks.alignment.fields import open_field, read_field_header
from spimpack_tasks.alignment.machine import find_machine_doubts
from spimpack_tasks.alignment.neuroglancer import TrackPoints
from spimpack_tasks.alignment.track_checks import check_tracks
from spimpack_tasks.alignment.transforms import AtlasFileError, read_label_ids, turned_grid
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
_SAME_PLACE = 0.51
"""Voxels by which labels may lie off the template: some count from a corner, and numbers are
rounded."""


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


def check_labels(template: str, labels: str) -> Iterator[Problem]:
    """Yield why labels do not lie on the voxels of the template; both may have their own axes."""
    grid, other = (turned_grid(read_atlas_grid(path)) for path in (template, labels))
    steps = list(zip(grid.spacing_mm_xyz, other.spacing_mm_xyz, strict=True))
    ends = zip(grid.origin_mm_lps, other.origin_mm_lps, strict=True)
    away = max(abs(a - b) for a, b in ends)
    turned = max(abs(a - b) for a, b in zip(grid.direction, other.direction, strict=True))
    if (
        grid.size_xyz == other.size_xyz
        and all(abs(a / b - 1) <= _SAME_STEP for a, b in steps)
        and away <= _SAME_PLACE * min(grid.spacing_mm_xyz)
        and turned <= _SAME_STEP
    ):
        return
    told = [
        f"{' x '.join(map(str, each.size_xyz))} voxels of "
        f"{' x '.join(f'{1000 * n:g}' for n in each.spacing_mm_xyz)} µm from "
        f"{', '.join(f'{n:.3f}' for n in each.origin_mm_lps)} mm on"
        for each in (other, grid)
    ]
    message = f"has {told[0]}, the template {template} has {told[1]} (down, right, back; LPS)"
    hint = "give the labels of this template, on the same voxels"
    yield Problem("alignment.atlas", Place(labels), "ccf_labels", message, hint)


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


def check_registrations(chain: Chain, *, has_atlas: bool = True) -> Iterator[Problem]:
    """Yield files of registrations that are damaged, or else tracks that are odd by them.

    Tracks need the grid of the template, whose faults are told elsewhere.
    """
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
        if is_made or damaged or not has_atlas:
            yield from damaged
            return
        try:
            yield from [*check_tracks(chain, Transformation(tuple(steps)))]
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
        yield from check_labels(choices.ccf_template, choices.ccf_labels)
        yield from find_machine_doubts(chain)
    yield from check_steps(chain)
    yield from check_registrations(chain, has_atlas=not in_atlas)
