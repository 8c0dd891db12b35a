"""Doubts about an alignment: the place of the atlas, the order of points, the space on the disk.

They are told by `spimpack align --validate-only` and before a run. None reads a voxel.
"""

from __future__ import annotations

import math
import os
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.atlas import read_atlas_grid, read_structures
from spimpack_tasks.alignment.neuroglancer import TrackPoints
from spimpack_tasks.alignment.picks import ccf_to_bregma_um
from spimpack_tasks.alignment.transforms import AtlasFileError
from spimpack_tasks.alignment.warps import point_map
from spimpack_tasks.errors import Place, Problem, Severity, size_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.alignment.chain import Chain

VOXEL_BYTES = 8
"""Bytes of a voxel on the disk, before compression: two channels and template of 2, labels of 4,
less what compression saves."""
CCF_BOUNDS_MM_LPS = ((-11.5, 0.1), (-0.1, 13.3), (-8.1, 0.1))
"""The Allen CCF, 11.4 x 13.2 x 8 mm, with a voxel of 100 µm around it."""


def check_atlas(path: str, key: str, *, is_ccf: bool = True) -> Iterator[Problem]:
    """Yield why a volume of the atlas does not lie where the CCF lies.

    A volume whose axes run the other way has wrong signs, and tracks would end up outside.
    """
    try:
        grid = read_atlas_grid(path)
    except AtlasFileError as error:
        yield Problem("alignment.atlas", Place(path), key, str(error), "copy it again")
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


def check_disk(free: int, needed: int, folder: str) -> Iterator[Problem]:
    """Yield an error where less is free than the results need, a warning below twice of it."""
    if free < 2 * needed:
        severity = Severity.ERROR if free < needed else Severity.WARNING
        message = f"has {size_in_words(free)} free, the volumes need {size_in_words(needed)}"
        hint = "choose another disk, or a larger desired_voxel_size_um"
        place = Place(folder)
        yield Problem("alignment.machine", place, "results_root", message, hint, severity)


def needed_bytes(chain: Chain) -> int:
    """Return an upper estimate of the bytes of all volumes."""
    level = chain.brain.levels[chain.brain.level]
    extra = max(len(chain.brain.channels) - 2, 0)
    return math.prod(level.size_xyz) * (VOXEL_BYTES + 2 * extra)


def free_disk(folder: str) -> int:
    """Return the free bytes of the disk that a folder is on, or will be made on."""
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def check_order(chain: Chain) -> Iterator[Problem]:
    """Yield tracks that do not go down: the GUI takes the first points for the surface."""
    with point_map(chain.brain.pairs) as transformation:
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


def find_doubts(chain: Chain) -> Iterator[Problem]:
    """Yield what is wrong or odd about inputs that can be read, and about the disk."""
    choices = chain.choices
    for key in ("ccf_template", "ccf_labels"):
        yield from check_atlas(getattr(choices, key), key, is_ccf=not choices.has_own_bregma)
    try:
        read_structures(choices.structures)
    except AtlasFileError as error:
        place, hint = Place(choices.structures), "give a file of the regions of this atlas"
        yield Problem("alignment.atlas", place, "structures", str(error), hint)
    folder = chain.choices.results_root
    yield from check_disk(free_disk(folder), needed_bytes(chain), folder)
    if not choices.is_registered_here:
        yield from check_order(chain)
