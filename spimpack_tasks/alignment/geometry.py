"""Grids of voxels in the body, in ITK's coordinates: LPS in millimetres, index axes x, y, z.

The *base frame* has its origin at the first voxel of the full level. The *pipeline frame* is the
one in which the SmartSPIM pipeline registered its images: other versions of its importer wrote
other spacings and origins, and its transformations are only right in their own frame.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Vector = tuple[float, float, float]
    Index = tuple[int, int, int]

_LPS = {
    "L": (1.0, 0.0, 0.0),
    "R": (-1.0, 0.0, 0.0),
    "P": (0.0, 1.0, 0.0),
    "A": (0.0, -1.0, 0.0),
    "S": (0.0, 0.0, 1.0),
    "I": (0.0, 0.0, -1.0),
}
ANCHORED_FROM = (0, 0, 18)
"""First version of the importer that places a corner of the brain."""
SPACED_UNTIL = (0, 0, 32)
"""First version of the importer that writes the true spacing again."""
REGISTERED_LEVEL = 3
"""The level that the pipeline registers, 8 times coarser than the full one."""
_WRITTEN_SPACING_MM_LPS = (0.0144, 0.0144, 0.016)
_CORNER_MM_LPS = (-1.5114, -1.5, 1.5)
_TOWARDS_CORNER = (-1.0, -1.0, 1.0)
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Box:
    """A box along the axes of the body, by its least and largest places, LPS in mm."""

    low: Vector
    high: Vector

    @staticmethod
    def around(places_mm_lps: Sequence[Sequence[float]]) -> Box:
        """Return the smallest box with some places in it."""
        return Box(
            tuple_of(min(place[axis] for place in places_mm_lps) for axis in range(3)),
            tuple_of(max(place[axis] for place in places_mm_lps) for axis in range(3)),
        )

    def corners(self) -> Iterator[Vector]:
        """Yield the eight corners."""
        for number in range(8):
            yield tuple_of((self.low, self.high)[number >> axis & 1][axis] for axis in range(3))

    def widened(self, by: Box) -> Box:
        """Return the box of all places of this one that are moved by a vector in another box."""
        ends = ((self.low, by.low), (self.high, by.high))
        low, high = (tuple_of(a + b for a, b in zip(*each, strict=True)) for each in ends)
        return Box(low, high)


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of voxels: place = origin + direction @ (spacing * index)."""

    size_xyz: tuple[int, int, int]
    spacing_mm_xyz: Vector
    origin_mm_lps: Vector
    direction: tuple[float, ...]
    """3 x 3, row by row; each column is the unit vector of an index axis in LPS."""

    def place(self, index_xyz: Sequence[float]) -> Vector:
        """Return the place of a continuous index, LPS in mm; whole numbers are voxel centres."""
        return _shift(self.origin_mm_lps, self.direction, self.spacing_mm_xyz, index_xyz)

    def index(self, place_mm_lps: Sequence[float]) -> Vector:
        """Return the continuous index of a place."""
        away = [p - o for p, o in zip(place_mm_lps, self.origin_mm_lps, strict=True)]
        x, y, z = (
            sum(self.direction[3 * row + column] * away[row] for row in range(3))
            / self.spacing_mm_xyz[column]
            for column in range(3)
        )
        return x, y, z

    def part(self, low: Index, high: Index) -> Grid:
        """Return the grid of the voxels from index `low` to before `high`."""
        x, y, z = (b - a for a, b in zip(low, high, strict=True))
        return replace(self, size_xyz=(x, y, z), origin_mm_lps=self.place(low))

    def bounds(self) -> Box:
        """Return the box around the centres of all voxels."""
        zero: Vector = (0.0, 0.0, 0.0)
        last = tuple_of(n - 1.0 for n in self.size_xyz)
        return Box.around([self.place(corner) for corner in Box(zero, last).corners()])

    def cover(self, box: Box) -> tuple[Index, Index] | None:
        """Return the indices, first and past the last, of all voxels that values in a box need.

        There is one voxel more on each side, since places are rounded. There is `None` where the
        box is outside.
        """
        found = Box.around([self.index(corner) for corner in box.corners()])
        low = [max(math.floor(v) - 1, 0) for v in found.low]
        ends = zip(found.high, self.size_xyz, strict=True)
        high = [min(math.ceil(v) + 2, n) for v, n in ends]
        if any(a >= b for a, b in zip(low, high, strict=True)):
            return None
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])


@dataclass(frozen=True, slots=True)
class LevelSize:
    """Size and spacing of one level of a pyramid."""

    size_xyz: tuple[int, int, int]
    spacing_mm_xyz: Vector


def direction_of(code_xyz: str) -> tuple[float, ...]:
    """Return the direction matrix, row by row, of a code such as `RPI`.

    Parameters
    ----------
    code_xyz
        The side of the body towards which the x, y and z index increase.
    """
    columns = [_LPS[letter] for letter in code_xyz]
    return tuple(columns[column][row] for row in range(3) for column in range(3))


def _shift(
    origin: Sequence[float],
    direction: Sequence[float],
    lengths: Sequence[float],
    counts: Sequence[float],
) -> Vector:
    x, y, z = (
        origin[row] + sum(direction[3 * row + k] * lengths[k] * counts[k] for k in range(3))
        for row in range(3)
    )
    return x, y, z


def base_grid(levels: Sequence[LevelSize], number: int, code_xyz: str) -> Grid:
    """Return the grid of a level in the base frame.

    The first voxel of a smaller level covers several ones of the full level, so its centre lies
    half the difference of the spacings further.
    """
    level, full, direction = levels[number], levels[0], direction_of(code_xyz)
    half = [(a - b) / 2 for a, b in zip(level.spacing_mm_xyz, full.spacing_mm_xyz, strict=True)]
    origin = _shift((0.0, 0.0, 0.0), direction, half, (1, 1, 1))
    return Grid(level.size_xyz, level.spacing_mm_xyz, origin, direction)


def pipeline_grid(
    levels: Sequence[LevelSize], number: int, code_xyz: str, version: tuple[int, int, int]
) -> Grid:
    """Return the grid of a level in the frame of the SmartSPIM pipeline.

    Parameters
    ----------
    levels
        Those of the image, the full one first; at least four.
    number
        Of the level.
    code_xyz
        The orientation code.
    version
        Of the importer of the pipeline.

    Raises
    ------
    ValueError
        There are fewer than four levels.
    """
    base = base_grid(levels, number, code_xyz)
    if version < ANCHORED_FROM:
        return base
    if len(levels) <= REGISTERED_LEVEL:
        message = f"has {len(levels)} levels; the frame of the pipeline needs 4"
        raise ValueError(message)
    direction, third = base.direction, levels[REGISTERED_LEVEL]
    spacing = third.spacing_mm_xyz
    if version < SPACED_UNTIL:
        spacing = tuple_of(
            sum(abs(direction[3 * r + k]) * _WRITTEN_SPACING_MM_LPS[r] for r in range(3))
            for k in range(3)
        )
    towards = [
        sum(direction[3 * row + k] * _TOWARDS_CORNER[row] for row in range(3)) for k in range(3)
    ]
    corner = [n - 1 if t > 0 else 0 for n, t in zip(third.size_xyz, towards, strict=True)]
    minus = [-s for s in spacing]
    origin = _shift(_CORNER_MM_LPS, direction, minus, corner)
    full = tuple_of(s / 2**REGISTERED_LEVEL for s in spacing)
    origin = _shift(origin, direction, [s - f for s, f in zip(spacing, full, strict=True)], _HALF)
    wanted = tuple_of(
        f * a / b
        for f, a, b in zip(
            full, levels[number].spacing_mm_xyz, levels[0].spacing_mm_xyz, strict=True
        )
    )
    half = [(a - b) / 2 for a, b in zip(wanted, full, strict=True)]
    return replace(
        base, spacing_mm_xyz=wanted, origin_mm_lps=_shift(origin, direction, half, (1, 1, 1))
    )


_HALF = (-0.5, -0.5, -0.5)


def tuple_of(numbers: Iterable[float]) -> Vector:
    """Return three numbers as a tuple."""
    x, y, z = numbers
    return x, y, z


def choose_level(levels: Sequence[LevelSize], wanted_um: float) -> int:
    """Return the coarsest level whose finest axis is not above the wanted voxel size."""
    finest = [min(level.spacing_mm_xyz) * 1000 for level in levels]
    rounded = [round(each, 9) for each in finest]
    return max(bisect_right(rounded, wanted_um) - 1, 0)


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Return the three numbers of a version such as `0.0.31`, `None` if it is none."""
    match = _VERSION.match(text.strip())
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None
