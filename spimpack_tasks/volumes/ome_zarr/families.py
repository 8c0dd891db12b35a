"""Which shards of a pyramid belong together: parents and children, and parts of several makers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from spimpack_tasks.files.noted_parts import bounds_of_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.arrays.grid import LevelGrid, Shape

_ROWS_OF_A_PART = 2
"""Rows of shards that a part has at the least, where there are as many: fewer would make the
largest part twice the smallest, and more would leave more levels to the one who finishes."""


class Family:
    """Which shards of a level become which shard of the next one."""

    def __init__(self, level: LevelGrid, above: LevelGrid) -> None:
        sizes = [*zip(level.shape[2:], above.shape[2:], strict=True)]
        self.steps = tuple(2 if larger > smaller else 1 for larger, smaller in sizes)
        """How many voxels become one along z, y and x."""
        self._sides = level.shard_voxels[2:]
        self._counts, self._most = level.shard_grid[2:], above.shard_grid[2:]
        sides = zip(self.steps, above.shard_voxels[2:], strict=True)
        self._spans = tuple(step * larger for step, larger in sides)
        """How many voxels of the level lie along the side of a shard of the next one."""

    def parent(self, shard: Shape) -> Shape:
        """Return the shard of the next level that the halves of a shard belong to."""
        along = zip(shard[2:], self._sides, self._spans, self._most, strict=True)
        # Of what is left over at an odd edge nothing is made; it belongs to the last shard.
        inner = (min(at * side // span, most - 1) for at, side, span, most in along)
        return *shard[:2], *inner

    def children(self, shard: Shape) -> Iterator[Shape]:
        """Yield the shards whose halves make one of the next level."""
        # A file may promise any number of shards: they are computed, and never listed.
        along = []
        facts = zip(shard[2:], self._sides, self._spans, self._counts, self._most, strict=True)
        for wanted, side, span, count, most in facts:
            first = -(-wanted * span // side)
            end = count if wanted == most - 1 else -(-(wanted + 1) * span // side)
            along.append(range(first, end))
        for inner in product(*along):
            yield *shard[:2], *inner

    def starts(self, shard: Shape) -> list[int]:
        """Return where the halves of a shard begin in the next level, along z, y and x."""
        inner = zip(shard[2:], self._sides, self.steps, strict=True)
        return [at * side // step for at, side, step in inner]


@dataclass(frozen=True, slots=True)
class PyramidPart:
    """The shards that one of several makers of an image makes: some planes with what is above.

    No two parts have a shard in common. Shards of the levels above `top` belong to none.
    """

    top: int
    """The smallest level of which the part has shards."""
    first: int
    end: int
    """Bounds of its rows of shards of that level, each of one t, c and z."""

    def tops(self, levels: Sequence[LevelGrid]) -> Iterator[Shape]:
        """Yield its shards of the level `top`, along t, c, z, y, x."""
        _, channels, depth, *sides = levels[self.top].shard_grid
        for row in range(self.first, self.end):
            above, z = divmod(row, depth)
            for inner in product(*map(range, sides)):
                yield *divmod(above, channels), z, *inner


def plan_part(levels: Sequence[LevelGrid], part: tuple[int, int]) -> PyramidPart:
    """Return the shards of one of several parts of an image.

    Parameters
    ----------
    levels
        The full one first.
    part
        Number of the part, from 0 on, and number of parts. Where these are more than there are
        rows of shards, some parts have none.
    """
    rows = [prod(level.shard_grid[:3]) for level in levels]
    wanted = _ROWS_OF_A_PART * part[1]
    fitting = [number for number, count in enumerate(rows) if number and count >= wanted]
    # At the least with level 1: else every voxel would be read again to make it.
    top = max(fitting, default=min(1, len(levels) - 1))
    return PyramidPart(top, *bounds_of_part(rows[top], part))
