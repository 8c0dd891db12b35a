"""Slabs: the frames that go into the same shards, laid out chunk by chunk.

A slab holds all shards along y and x at one place of t, c and z in the grid of shards. Frames are
copied into it once, to where their chunks need them. So a whole slab is written without another
copy, for any chunks.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.arrays.grid import LevelGrid, Region, Shape, Voxels
    from spimpack_tasks.streams.memory import Memory
    from spimpack_tasks.streams.router import PlaneAt

SlabKey: TypeAlias = tuple[int, int, int]
"""Place along t, c and z in the grid of shards."""
ABSENT, PRESENT, SKIPPED = 0, 1, 2
"""States of a plane of a slab, as bytes."""


class SlabGrid:
    """How the planes of a level are divided into slabs.

    Parameters
    ----------
    level
        The level.
    dtype
        Type of its voxels.
    """

    def __init__(self, level: LevelGrid, dtype: Any) -> None:
        self.level, self.dtype = level, dtype
        self.sides = t, c, z = level.shard_voxels[:3]
        """Planes of a slab along t, c and z."""
        self._count = t * c * z
        self.size_yx = level.shape[3:]
        """Pixels of a plane along y and x."""
        chunk = level.chunk[3:]
        self.padded_yx = tuple(n * size for n, size in zip(level.grid[3:], chunk, strict=True))
        """The same, up to whole chunks."""
        self.chunks_yx = level.grid[3:]
        """Chunks of a plane along y and x."""
        self.shape = (*level.shard[:3], *self.chunks_yx, *level.chunk)
        """Shape of the buffer of a slab: chunks along t, c, z, y, x, then voxels of a chunk."""
        self.pieces = [*self._find_pieces()]
        """Place along y and x of each shard, and where it is in the buffer."""
        itemsize = int(dtype.itemsize)
        self.bytes = prod(self.shape) * itemsize
        """Bytes of a slab."""
        self.frame_bytes = prod(self.size_yx) * itemsize

    def _find_pieces(self) -> Iterator[tuple[Shape, Region]]:
        level = self.level
        for place in product(*map(range, level.shard_grid[3:])):
            along = zip(place, level.shard[3:], self.chunks_yx, strict=True)
            where = (slice(at * n, min((at + 1) * n, most)) for at, n, most in along)
            yield place, (slice(None), slice(None), slice(None), *where)

    def key_of(self, at: PlaneAt) -> SlabKey:
        """Return the slab that a plane belongs to."""
        (t, c, z), (dt, dc, dz) = at, self.sides
        return t // dt, c // dc, z // dz

    def planes_of(self, key: SlabKey) -> Iterator[tuple[int, PlaneAt]]:
        """Yield number in its slab and place of each plane of a slab inside the image."""
        ends = self.level.shape[:3]
        inner = product(*map(range, self.sides))
        for number, steps in enumerate(inner):
            t, c, z = (k * n + step for k, n, step in zip(key, self.sides, steps, strict=True))
            if t < ends[0] and c < ends[1] and z < ends[2]:
                yield number, (t, c, z)

    def number_of(self, at: PlaneAt) -> int:
        """Return the number of a plane in its slab."""
        (t, c, z), (dt, dc, dz) = at, self.sides
        return ((t % dt) * dc + c % dc) * dz + z % dz

    def count_planes(self, key: SlabKey) -> int:
        """Return how many planes of a slab lie inside the image."""
        along = zip(key, self.sides, self.level.shape, strict=False)
        return prod(min(n, end - k * n) for k, n, end in along)

    @property
    def count(self) -> int:
        """Number of planes of a slab."""
        return self._count


class Slab:
    """Planes that wait for the others of their shards.

    Parameters
    ----------
    grid
        The level.
    key
        Place in the grid of shards.
    """

    def __init__(self, grid: SlabGrid, key: SlabKey) -> None:
        self.grid, self.key = grid, key
        self.states = bytearray(grid.count)
        """`ABSENT`, `PRESENT` or `SKIPPED` for each plane."""
        self.open = grid.count_planes(key)
        """Number of planes that are absent."""
        self.buffer: Voxels | None = None
        """The planes, chunk by chunk; `None` where they are in a file."""
        self.spooled: set[int] = set()
        """Numbers of planes that are in a file."""

    def hold(self, memory: Memory) -> None:
        """Get a buffer of bytes that are taken already."""
        self.buffer = memory.buffer(self.grid.shape, self.grid.dtype)

    def mark(self, at: PlaneAt, state: int) -> None:
        """Note that a plane is there, or never comes."""
        number = self.grid.number_of(at)
        self.open -= not self.states[number]
        self.states[number] = state

    def plane(self, at: PlaneAt) -> Voxels:
        """Return a plane that is held, along y and x."""
        import numpy as np

        plane: Voxels = np.empty(self.grid.padded_yx, self.grid.dtype)
        if self.buffer is not None:
            as_chunks(self.grid, plane)[...] = plane_in(self.grid, self.buffer, at)
        y, x = self.grid.size_yx
        return plane[:y, :x]

    def clear_absent(self) -> None:
        """Fill planes that are not there with zeros."""
        if self.buffer is None:
            return
        for number, state in enumerate(self.states):
            if state != PRESENT:
                _, dc, dz = self.grid.sides
                at = number // (dc * dz), number // dz % dc, number % dz
                plane_in(self.grid, self.buffer, at)[...] = 0


def plane_in(grid: SlabGrid, buffer: Voxels, at: PlaneAt) -> Voxels:
    """Return a plane in the buffer of a slab: chunks along y and x, then pixels; a view."""
    (t, c, z), (dt, dc, dz) = at, grid.sides
    nt, nc, nz = grid.level.chunk[:3]
    t, c, z = t % dt, c % dc, z % dz
    inner: Voxels = buffer[t // nt, c // nc, z // nz, :, :, t % nt, c % nc, z % nz]
    return inner


def as_chunks(grid: SlabGrid, plane: Voxels) -> Voxels:
    """Return a plane of whole chunks as chunks along y and x, then pixels; a view."""
    (rows, columns), (height, width) = grid.chunks_yx, grid.level.chunk[3:]
    return plane.reshape(rows, height, columns, width).swapaxes(1, 2)
