"""Reads planes and boxes of an image that is being written, from shards that are there already."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import LevelGrid, Region, Shape, Voxels
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.slabs import SlabGrid
    from spimpack_tasks.volumes.ome_zarr.stores import Store


class SlabReader:
    """Reads what is written of an image. All methods are for several threads at once.

    Parameters
    ----------
    store
        Where it is.
    grids
        How the planes of each level are divided.
    codec
        How chunks are encoded.
    """

    def __init__(self, store: Store, grids: list[SlabGrid], codec: Codec) -> None:
        self._store, self._grids, self._codec = store, grids, codec

    def plane(self, level: int, at: PlaneAt) -> Voxels:
        """Return a plane, along y and x; zeros where no shard is."""
        t, c, z = at
        y, x = self._grids[level].size_yx
        plane: Voxels = self.box(level, (t, c), (slice(z, z + 1), slice(0, y), slice(0, x)))[0]
        return plane

    def box(self, level: int, tc: tuple[int, int], zyx: Region) -> Voxels:
        """Return a box of a level, along z, y and x; zeros where no shard is.

        Parameters
        ----------
        level
            Number of the level.
        tc
            Time point and channel.
        zyx
            Where the box lies.
        """
        import numpy as np

        grid = self._grids[level].level
        region = (*(slice(at, at + 1) for at in tc), *zyx)
        found = np.zeros(tuple(part.stop - part.start for part in region), self._grids[level].dtype)
        sides = zip(region, grid.shard_voxels, strict=True)
        shards = (range(part.start // n, -(-part.stop // n)) for part, n in sides)
        for shard in product(*shards):
            self._read(level, shard, region, found)
        voxels: Voxels = found[0, 0]
        return voxels

    def _read(self, level: int, shard: Shape, region: Region, found: Voxels) -> None:
        """Put the part of a shard that lies in a region into an array of that region."""
        import numpy as np

        grid = self._grids[level].level
        size = grid.chunk_voxels * found.itemsize
        chunks = self._store.read(level, shard)
        for start, data in zip(_starts(grid, shard), chunks, strict=True):
            along = [*zip(start, grid.chunk, region, strict=True)]
            ends = [(max(at, part.start), min(at + n, part.stop)) for at, n, part in along]
            if data is None or any(first >= end for first, end in ends):
                continue
            voxels = np.frombuffer(self._codec.decode(data, size), found.dtype).reshape(grid.chunk)
            pairs = [*zip(ends, start, region, strict=True)]
            into = tuple(slice(a - part.start, b - part.start) for (a, b), _, part in pairs)
            found[into] = voxels[tuple(slice(a - at, b - at) for (a, b), at, _ in pairs)]


def _starts(grid: LevelGrid, shard: Shape) -> Iterator[Shape]:
    """Yield where each chunk of a shard begins, in voxels."""
    firsts = [at * n for at, n in zip(shard, grid.shard, strict=True)]
    for inner in product(*map(range, grid.shard)):
        along = zip(firsts, inner, grid.chunk, strict=True)
        yield tuple((first + step) * n for first, step, n in along)
