"""How the voxels of a multiscale image are cut into chunks and shards.

All axes are t, c, z, y, x. A chunk holds one time point of one channel, except where users of
streams choose otherwise. A shard is what one thread
makes as a whole: a file in OME-Zarr 0.5, a group of files in 0.4 (see `stores`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    Voxels: TypeAlias = NDArray[np.generic[Any]]

Shape: TypeAlias = tuple[int, ...]
Region: TypeAlias = tuple[slice, ...]
"""One slice with bounds and without a step along each of t, c, z, y, x."""

SHARD_SIDE = 512
"""A shard has at most so many voxels a side, and one chunk at least."""
SLAB_CHUNKS = 8
"""The same of a shard that is one chunk high, in chunks: 64 MiB of voxels."""


@dataclass(frozen=True)
class LevelGrid:
    """One resolution level, cut into chunks and shards."""

    shape: Shape
    """Sizes along t, c, z, y, x."""
    chunk: Shape
    """Sizes of a chunk, `(1, 1, z, y, x)` except in streams of frames."""
    is_slabs: bool = False
    """Whether a shard is one chunk high, so that it can be written as soon as its planes are there;
    it is as wide as `SLAB_CHUNKS`."""
    shard_chunks: Shape = ()
    """Number of chunks along each axis of a shard, where it is not chosen here."""

    @cached_property
    def grid(self) -> Shape:
        """Number of chunks along each axis."""
        return tuple(-(-n // size) for n, size in zip(self.shape, self.chunk, strict=True))

    @cached_property
    def shard(self) -> Shape:
        """Number of chunks along each axis of a shard."""
        if self.shard_chunks:
            return self.shard_chunks
        if self.is_slabs:
            y, x = (min(count, SLAB_CHUNKS) for count in self.grid[3:])
            return 1, 1, 1, y, x
        return tuple(
            1 if size == 1 and axis < 2 else min(count, max(SHARD_SIDE // size, 1))
            for axis, (count, size) in enumerate(zip(self.grid, self.chunk, strict=True))
        )

    @property
    def shard_grid(self) -> Shape:
        """Number of shards along each axis."""
        return tuple(-(-n // size) for n, size in zip(self.grid, self.shard, strict=True))

    @property
    def chunk_voxels(self) -> int:
        """Number of voxels of a chunk."""
        return math.prod(self.chunk)

    @property
    def shard_voxels(self) -> Shape:
        """Sizes of a shard along t, c, z, y, x, in voxels."""
        return tuple(n * size for n, size in zip(self.shard, self.chunk, strict=True))

    def region_of(self, shard: Shape) -> Region:
        """Return where a shard lies, as far as the image goes."""
        sides = zip(shard, self.shard_voxels, self.shape, strict=True)
        return tuple(slice(at * side, min((at + 1) * side, n)) for at, side, n in sides)

    def shards(self) -> Iterator[Shape]:
        """Yield the place of each shard in the grid of shards."""
        yield from product(*map(range, self.shard_grid))

    def count_voxels(self, shard: Shape) -> int:
        """Return how many voxels of a shard lie inside the image."""
        return math.prod(shape_of(self.region_of(shard)))

    def chunks_of(self, shard: Shape) -> Iterator[Shape | None]:
        """Yield the place of each chunk of a shard, `None` for one beyond the image's edge."""
        starts = [place * size for place, size in zip(shard, self.shard, strict=True)]
        for inner in product(*map(range, self.shard)):
            place = tuple(start + step for start, step in zip(starts, inner, strict=True))
            inside = all(at < count for at, count in zip(place, self.grid, strict=True))
            yield place if inside else None


def shape_of(region: Region) -> Shape:
    """Return the sizes of a region."""
    return tuple(part.stop - part.start for part in region)
