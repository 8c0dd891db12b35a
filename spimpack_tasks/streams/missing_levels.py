"""Makes the shards of smaller levels that are not there, from the level below, in parallel."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.pyramid import halve
from spimpack_tasks.streams.pyramid import steps_between
from spimpack_tasks.streams.slabs import plane_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.streams.reader import SlabReader
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.slabs import SlabKey
    from spimpack_tasks.streams.zarr_level import LevelWriter


def make_missing(levels: list[LevelWriter], reader: SlabReader, pool: WorkPool) -> None:
    """Make the shards of smaller levels that are not there.

    Parameters
    ----------
    levels
        All levels of an image in its final size, the full one first.
    reader
        Reads what is written.
    pool
        The threads, which have nothing else to do.
    """
    for below, level in pairwise(levels):
        keys = sorted({*_keys_above(level, below)} - level.done.keys())
        pool.run(_jobs(level, keys, below, reader), lambda _: None)
        level.done.update((key, []) for key in keys)


def _keys_above(level: LevelWriter, below: LevelWriter) -> Iterator[SlabKey]:
    """Yield the slabs of a level that are made of others than zeros."""
    step = steps_between(below.grid.level, level.grid.level)[0]
    height = level.grid.level.shape[2]
    for key in below.done:
        for _, (t, c, z) in below.grid.planes_of(key):
            if z // step < height:
                yield level.grid.key_of((t, c, z // step))


def sources_of(at: PlaneAt, level: LevelWriter, below: LevelWriter) -> list[PlaneAt]:
    """Return the planes of the level below that a plane is made of."""
    t, c, z = at
    step = steps_between(below.grid.level, level.grid.level)[0]
    return [(t, c, z * step + number) for number in range(step)]


def _jobs(
    level: LevelWriter, keys: list[SlabKey], below: LevelWriter, reader: SlabReader
) -> Iterator[Callable[[], int]]:
    for key in keys:
        for number in range(len(level.grid.pieces)):
            yield partial(_make_piece, level, key, number, _Below(level, below, reader))


def _make_piece(level: LevelWriter, key: SlabKey, number: int, below: _Below) -> int:
    """Make and write a shard, and return 0."""
    import numpy as np

    grid = level.grid
    rows, columns = grid.pieces[number][1][3:]
    height, width = grid.level.chunk[3:]
    y, x = grid.size_yx
    where = (
        slice(rows.start * height, min(rows.stop * height, y)),
        slice(columns.start * width, min(columns.stop * width, x)),
    )
    counts = rows.stop - rows.start, columns.stop - columns.start
    piece: Voxels = np.zeros((*grid.shape[:3], *counts, *grid.level.chunk), grid.dtype)
    padded = np.zeros((counts[0] * height, counts[1] * width), grid.dtype)
    depth = grid.level.chunk[2]
    for t, c, z in {(t, c, z - z % depth) for _, (t, c, z) in grid.planes_of(key)}:
        planes = below.halved((t, c, z), depth, where)
        for step, plane in enumerate(planes):
            padded[: plane.shape[0], : plane.shape[1]] = plane
            chunks = padded.reshape(counts[0], height, counts[1], width).swapaxes(1, 2)
            plane_in(grid, piece, (t, c, z + step))[...] = chunks
    level.write_piece(key, number, piece)
    return 0


class _Below:
    """The level below, read in voxels of the level that is made of it."""

    def __init__(self, level: LevelWriter, below: LevelWriter, reader: SlabReader) -> None:
        self._steps = steps_between(below.grid.level, level.grid.level)
        self._height, self._number, self._reader = level.grid.level.shape[2], below.level, reader

    def halved(self, at: PlaneAt, depth: int, where: tuple[slice, slice]) -> Voxels:
        """Return a part of some planes, from a place on."""
        t, c, z = at
        parts = (slice(z, min(z + depth, self._height)), *where)
        sides = zip(parts, self._steps, strict=True)
        region = tuple(slice(part.start * step, part.stop * step) for part, step in sides)
        return halve(self._reader.box(self._number, (t, c), region), self._steps)
