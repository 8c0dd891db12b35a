"""Doubts about tracks in the space of the atlas: their places, and their order."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.neuroglancer import TrackPoints
from spimpack_tasks.alignment.picks import ccf_to_bregma_um
from spimpack_tasks.errors import Place, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.geometry import Grid, Vector
    from spimpack_tasks.alignment.manifest import ProbeRow
    from spimpack_tasks.alignment.warps import Transformation

FARTHEST_UM = 30_000.0
"""From bregma: twice as far as the farthest corner of the Allen CCF, so no place in a mouse."""


def check_tracks(chain: Chain, transformation: Transformation) -> Iterator[Problem]:
    """Yield tracks that end up off the atlas, and tracks that do not go down.

    Raises
    ------
    AtlasFileError
        A transformation has displacements that are no finite numbers, or the template is damaged.
    """
    grid = chain.brain.registered(0)
    for row in chain.good_rows:
        track = chain.track(row)
        assert isinstance(track, TrackPoints)  # noqa: S101  # the row is good
        places = transformation.points(grid.place((x, y, z)) for z, y, x in track.index_zyx)
        yield from check_places(chain, row, places)
        yield from check_order(chain, row, places)


def check_places(chain: Chain, row: ProbeRow, places: Sequence[Vector]) -> Iterator[Problem]:
    """Yield that the points of a track, LPS in mm, are outside of the atlas or far from it."""
    choices, count = chain.choices, len(places)
    files = ", ".join(pair.affine for pair in chain.brain.pairs)
    hint = f"look at the registration ({files}) and its frame, and at the orientation of the image"
    where = Place(choices.manifest, row.line)
    bregma = ccf_to_bregma_um(places, choices.bregma_um)
    farthest = max(math.hypot(*point) for point in bregma)
    outside = [n for n, place in enumerate(places, 1) if not _is_inside(chain.atlas_grid, place)]
    if len(outside) == count:
        message = f"no point of {row.track_id!r} lies in {choices.ccf_template}; the first is at "
        message += f"{_in_words(bregma[0])} from bregma"
        yield Problem("alignment.transform", where, "probe_id", message, hint)
    elif farthest > FARTHEST_UM and not choices.has_own_bregma:
        message = f"{row.track_id!r} has a point {farthest / 1000:.1f} mm from bregma"
        yield Problem("alignment.transform", where, "probe_id", message, hint)
    elif outside:
        message = f"{len(outside)} of {count} points of {row.track_id!r} lie outside of the atlas: "
        message += ", ".join(map(str, outside))
        hint = "they get label 0; look at them and at the registration in qc.html"
        kind = Severity.WARNING
        yield Problem("alignment.row", where, "probe_id", message, hint, kind)


def _is_inside(grid: Grid, place: Vector) -> bool:
    index = grid.index(place)
    return all(-0.5 <= i <= n - 0.5 for i, n in zip(index, grid.size_xyz, strict=True))


def _in_words(point_um: Sequence[float]) -> str:
    right, front, up = (value / 1000 for value in point_um)
    return f"{right:.1f} mm to the right, {front:.1f} to the front and {up:.1f} up"


def check_order(chain: Chain, row: ProbeRow, places: Sequence[Vector]) -> Iterator[Problem]:
    """Yield that a track does not go down: the GUI takes the first points for the surface."""
    heights = [point[2] for point in ccf_to_bregma_um(places)]
    if any(b > a for a, b in pairwise(heights)):
        place = Place(chain.choices.manifest, row.line)
        message = f"the points of {row.track_id!r} do not go down from the surface"
        hint = "annotate from the surface to the tip"
        kind = Severity.WARNING
        yield Problem("alignment.row", place, "probe_id", message, hint, kind)
