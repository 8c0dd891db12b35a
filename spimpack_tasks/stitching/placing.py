"""Places tiles on the grid of one volume, and finds which voxels each of them covers.

Voxel z, y, x of the grid shows column z - oz, row y - oy and frame x - ox - shear * column of a
tile whose first sample lies at the voxel oz, oy, ox, which need not be whole. A sample covers half
a voxel to each side, so tiles that abut leave no gap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.stitching.tiles import turned_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.stitching.tiles import Geometry, Sizes, TileSet, Vector

_LARGEST_SKEW = 0.25
"""Frames by which a shear may miss 1 at the deepest column and still count as 1."""
_MOST_EMPTY = 10_000
"""Voxels of a volume for each sample of its tiles, at most. A tile of one frame of 2,048 columns
alone has 2,048; four tiles whose places are in nanometres have more than 100,000."""
_TINY = 1e-6
"""Voxels that come from rounding, not from a place."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One tile on the grid of a volume."""

    origin_zyx: Vector
    """Voxel of frame 0, row 0, column 0."""
    shape_crf: Sizes
    """Columns, rows and frames: sizes along z, y and along the frames."""
    shear: float
    """Voxels along x of one column."""

    @property
    def low_zyx(self) -> Sizes:
        """First voxel that may be covered, along each axis."""
        z, y, x = self.origin_zyx
        lean = min(0.0, self.shear * (self.shape_crf[0] - 1))
        return first_covered(z), first_covered(y), first_covered(x + lean)

    @property
    def high_zyx(self) -> Sizes:
        """End of the voxels that may be covered, along each axis."""
        z, y, x = self.origin_zyx
        depth, rows, frames = self.shape_crf
        lean = max(0.0, self.shear * (depth - 1))
        return first_covered(z + depth), first_covered(y + rows), first_covered(x + frames + lean)


@dataclass(frozen=True, slots=True)
class Canvas:
    """The grid of a volume, with all tiles on it."""

    shape_zyx: Sizes
    spacing_um_zyx: Vector
    origin_um_zyx: Vector
    """Where voxel 0, 0, 0 lies."""
    placements: tuple[Placement, ...]
    """One for each tile of the set, in its order."""


class PlacesRefusedError(SpimpackError):
    """Tiles lie so far apart that no volume holds them."""

    exit_code = ExitCode.BAD_INPUT


def require_near(path: str, canvas: Canvas) -> None:
    """Refuse tiles that fill next to nothing of the volume that would hold them.

    Places in another unit make such volumes, of which no disk and no patience sees the end.

    Parameters
    ----------
    path
        The file that has the places.
    canvas
        The grid of the volume.

    Raises
    ------
    PlacesRefusedError
        They do.
    """
    samples = sum(math.prod(placement.shape_crf) for placement in canvas.placements)
    if math.prod(canvas.shape_zyx) <= _MOST_EMPTY * samples:
        return
    z, y, x = (n * um for n, um in zip(canvas.shape_zyx, canvas.spacing_um_zyx, strict=True))
    message = f"{path}: tiles fill less than 1 of {_MOST_EMPTY} voxels of the volume that holds"
    message = f"{message} them, of {z:.6g} x {y:.6g} x {x:.6g} µm (z, y, x)"
    raise PlacesRefusedError(f"{message}; are places, pitch and step in micrometres?")


def settle_shear(shear: float, depth: int) -> float:
    """Return the shear, as exactly 1 where a stack of that depth does not show the difference."""
    return 1.0 if abs(shear - 1) * depth < _LARGEST_SKEW else shear


def first_covered(place: float) -> int:
    """Return the first voxel whose centre lies half a voxel before a place, or behind that."""
    return math.ceil(place - 0.5 - _TINY)


def place_tiles(
    tiles: TileSet, positions_um_zyx: Sequence[Vector], geometry: Geometry | None = None
) -> Canvas:
    """Place tiles on the smallest grid that holds all of them.

    Parameters
    ----------
    tiles
        The tiles.
    positions_um_zyx
        Where the first sample of each lies: on the stage, or as it was aligned.
    geometry
        That of the tiles if not given; an alignment may know the distance of pixels better.
    """
    geometry = geometry or tiles.geometry
    spacing = geometry.spacing_um_zyx
    first: Vector = (
        min(p[0] for p in positions_um_zyx),
        min(p[1] for p in positions_um_zyx),
        min(p[2] for p in positions_um_zyx),
    )
    placements = []
    for tile, position in zip(tiles.tiles, positions_um_zyx, strict=True):
        z, y, x = (_tidy((p - f) / s) for p, f, s in zip(position, first, spacing, strict=True))
        frames, rows, columns = turned_shape(tile.shape_frc, geometry)
        depth = columns
        if not geometry.is_oblique:  # frames are planes, so columns lie along x
            depth, frames = frames, columns
        shear = settle_shear(geometry.shear, depth) if geometry.is_oblique else 0.0
        placements.append(Placement((z, y, x), (depth, rows, frames), shear))
    return _cut_to_size(placements, spacing, first)


def _cut_to_size(placements: list[Placement], spacing: Vector, first: Vector) -> Canvas:
    low = [min(p.low_zyx[axis] for p in placements) for axis in range(3)]
    z, y, x = (max(p.high_zyx[axis] for p in placements) - low[axis] for axis in range(3))
    moved = []
    for placement in placements:
        oz, oy, ox = (o - n for o, n in zip(placement.origin_zyx, low, strict=True))
        moved.append(replace(placement, origin_zyx=(oz, oy, ox)))
    oz, oy, ox = (f + n * s for f, n, s in zip(first, low, spacing, strict=True))
    return Canvas((z, y, x), spacing, (oz, oy, ox), tuple(moved))


def _tidy(voxels: float) -> float:
    """Return a whole number where only rounding keeps it from being one."""
    near = round(voxels)
    return float(near) if abs(voxels - near) < _TINY else voxels


def place_alone(tiles: TileSet, number: int) -> Canvas:
    """Place one tile by itself, on the grid on which it is deskewed.

    Along x it has `frames + ceil(|shear| * (columns - 1))` voxels.
    """
    tile = tiles.tiles[number]
    alone = replace(tiles, tiles=(tile,))
    placement = place_tiles(alone, [tile.position_um_zyx]).placements[0]
    depth, rows, frames = placement.shape_crf
    lean = placement.shear * (depth - 1)
    first = max(math.ceil(-lean - _TINY), 0)
    width = frames + math.ceil(abs(lean) - _TINY)
    dz, dy, dx = tiles.geometry.spacing_um_zyx
    z, y, x = tile.position_um_zyx
    return Canvas(
        (depth, rows, width),
        (dz, dy, dx),
        (z, y, x - first * dx),
        (replace(placement, origin_zyx=(0.0, 0.0, float(first))),),
    )
