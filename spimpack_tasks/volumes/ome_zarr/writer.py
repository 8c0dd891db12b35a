"""Writes an OME-Zarr, block by block, in any order and from any thread.

A block is a shard of the full level. Threads encode its chunks while the caller goes on, and its
halves go into the shard of the next level, which is written when all its blocks were there. A shard
that waits for blocks keeps what it has in memory. Where that becomes too much, the memory is given
up, and the blocks are read back when the last of them is there. So memory does not grow with the
image, in any order of blocks, and the bytes that are written do not depend on the order.

A resumed writer reads blocks back as well, from the shards that are there, not from the source. A
shard of zeros alone has no object, so it cannot be told from one that was not written: it is
missing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from threading import RLock
from typing import TYPE_CHECKING, Literal

from spimpack_tasks.arrays.contrast import find_window
from spimpack_tasks.arrays.grid import shape_of
from spimpack_tasks.arrays.pyramid import halve
from spimpack_tasks.volumes.blocks import Block, IncompleteVolumeError, as_block, check_place
from spimpack_tasks.volumes.ome_zarr.families import Family, PyramidPart, plan_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import LevelGrid, Shape, Voxels
    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.files.places import Parts
    from spimpack_tasks.volumes.ome_zarr.stores import Store
    from spimpack_tasks.volumes.spec import VolumeSpec

MOST_HELD = 256 * 2**20
"""Bytes of shards of smaller levels that wait in memory for blocks."""


@dataclass(slots=True)
class _Waiting:
    """A shard of a smaller level of which not all blocks are there."""

    missing: set[Shape]
    """Shards of the level before that are not written yet."""
    on_disk: set[Shape]
    """Those that are written, but whose halves are not in `voxels`."""
    voxels: Voxels | None = None
    """Along t, c, z, y, x."""
    held: set[Shape] = field(default_factory=set)
    """Shards whose halves are in `voxels`."""


class OmeZarrWriter:
    """An OME-Zarr that is being written. All methods but `finish` are for several threads at once.

    Parameters
    ----------
    store
        Where it is written, and in which version.
    spec
        What is known of the image. How bright a channel is shown is found out where it is unknown.
    codec
        How chunks are encoded.
    pool
        The threads that encode and write. The bytes that are written do not depend on their number.
    makes_levels
        Whether smaller levels are made of the blocks; if not, all levels are given by
        `write_encoded`.
    """

    order: Literal["any"] = "any"

    def __init__(
        self,
        store: Store,
        spec: VolumeSpec,
        codec: Codec,
        pool: WorkPool,
        *,
        makes_levels: bool = True,
    ) -> None:
        self.spec, self.levels, self.codec = spec, store.levels, codec
        self._store, self._pool = store, pool
        self._makes_levels = makes_levels
        pairs = zip(self.levels, self.levels[1:], strict=False) if makes_levels else ()
        self._families = [Family(level, above) for level, above in pairs]
        self._top = len(self._families)
        self._part: PyramidPart | None = None
        self._written: set[tuple[int, Shape]] = set()
        self._waiting: OrderedDict[tuple[int, Shape], _Waiting] = OrderedDict()
        self._lock = RLock()

    def limit_to_part(self, part: tuple[int, int]) -> None:
        """Have this writer make one part of the image, and other writers the other ones.

        It ends by `finish_part`; when all parts are there, a writer of no part ends by `finish`.

        Parameters
        ----------
        part
            Number of the part, from 0 on, and number of parts.
        """
        self._part = plan_part(self.levels, part)
        self._top = self._part.top

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether a shard of a level is there, by this writer or an earlier one."""
        return (level, shard) in self._written or self._store.has(level, shard)

    def missing(self) -> Iterator[Block]:
        """Yield the blocks that are not there, those together that make one shard."""
        for block in self.blocks():
            if not self.has(0, block.place):
                yield block

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks, or those of the part, whether they are there or not."""
        for shard in self._shards(0):
            yield Block(shard, self.levels[0].region_of(shard))

    def _shards(self, wanted: int) -> Iterator[Shape]:
        """Yield the shards of a level that this writer makes."""
        part, top = self._part, max(self._top, wanted)
        for shard in part.tops(self.levels) if part else self.levels[top].shards():
            yield from self._below(top, shard, wanted)

    def _below(self, level: int, shard: Shape, wanted: int) -> Iterator[Shape]:
        """Yield the shards of a level that a shard of a smaller level is made of."""
        if level == wanted:
            yield shard
            return
        for child in self._families[level - 1].children(shard):
            yield from self._below(level - 1, child, wanted)

    def write(self, block: Block, voxels: Voxels) -> None:
        """Write a block. The voxels must not be changed afterwards.

        Parameters
        ----------
        block
            One of `missing`.
        voxels
            Along t, c, z, y, x, of the shape of the block and the type of the image, in any byte
            order.

        Raises
        ------
        ValueError
            Shape or type are others, or the block is not one of `missing`.
        OSError
            The place does not take the block, or did not take an earlier one.
        """
        voxels = as_block(self.spec, block, voxels)
        check_place(self.levels[0], block)
        if self.has(0, block.place):  # smaller levels may be made of it
            message = f"the block at {block.place} is there already"
            raise ValueError(message)
        self._put(0, block.place, voxels)
        if self._makes_levels:
            self._hand_up(0, block.place, voxels)

    def write_encoded(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write a shard of any level whose chunks are encoded already, in this thread.

        Parameters
        ----------
        level
            Number of the level.
        shard
            Place in the grid of shards.
        chunks
            The bytes of each chunk in the order of `LevelGrid.chunks_of`; `None` for one that is
            all zero, or beyond the edge.
        """
        self._store.write(level, shard, chunks)
        self._written.add((level, shard))

    def finish(self, *, fill_missing: bool = False) -> None:
        """Wait for what is being written, make smaller levels whole, and write the metadata.

        Parameters
        ----------
        fill_missing
            Whether blocks that were not written count as zeros.

        Raises
        ------
        IncompleteVolumeError
            Blocks are missing, and are not to be filled.
        OSError
            The place does not take it.
        """
        self._pool.settle()
        if not fill_missing:
            self._require_whole()
        if self._makes_levels:
            self._make_levels_whole()
            self._finish_metadata()
        else:
            self._store.finish(self.spec, self.codec)

    def finish_part(self) -> None:
        """Wait for what is being written, and make the smaller levels of the part whole.

        Raises
        ------
        OSError
            The place does not take it.
        """
        self._pool.settle()
        self._make_levels_whole()

    def finish_with_voxels(self) -> None:
        """Write the metadata of an image whose voxels are there already, such as linked files."""
        if self._makes_levels:
            self._finish_metadata()
        else:
            self._store.finish(self.spec, self.codec)

    def _finish_metadata(self) -> None:
        channels = tuple(
            channel if channel.window else replace(channel, window=self._find_window(number))
            for number, channel in enumerate(self.spec.channels)
        )
        self._store.finish(replace(self.spec, channels=channels), self.codec)

    def _require_whole(self) -> None:
        levels = self.levels[:1] if self._makes_levels else self.levels
        count = sum(
            not self.has(number, shard)
            for number, level in enumerate(levels)
            for shard in level.shards()
        )
        if count:
            raise IncompleteVolumeError(count)

    def _put(self, level: int, shard: Shape, voxels: Voxels) -> None:
        """Have a shard encoded and written."""
        grid = self.levels[level]
        chunks = [
            self._pool.submit(_encode_chunk, self.codec, grid, shard, place, voxels)
            if place is not None
            else None
            for place in grid.chunks_of(shard)
        ]
        encoded = (chunk.result() if chunk else None for chunk in chunks)
        self._pool.write(voxels.nbytes, self._store.write, level, shard, encoded)
        self._written.add((level, shard))

    def _hand_up(self, level: int, shard: Shape, voxels: Voxels) -> None:
        """Put the halves of a shard into the shard above, and write that if it is whole."""
        while level < self._top:  # what is above a part is not of this writer
            above = level + 1, self._families[level].parent(shard)
            half = halve(voxels[0, 0], self._families[level].steps)
            with self._lock:
                waiting = self._waiting.get(above)
                if waiting is None:
                    if self.has(*above):  # of an earlier writer, and of the same voxels
                        return
                    waiting = self._waiting[above] = self._begin(*above)
                self._insert(above, waiting, shard, half)
                if waiting.missing:
                    self._give_up_memory()
                    return
                del self._waiting[above]
                self._written.add(above)  # by nobody else
            level, shard = above
            try:
                voxels = self._complete(level, shard, waiting)
                self._put(level, shard, voxels)
            except BaseException:
                self._written.discard(above)  # so `finish` makes it
                raise

    def _begin(self, level: int, shard: Shape) -> _Waiting:
        children = set(self._families[level - 1].children(shard))
        there = {child for child in children if self._store.has(level - 1, child)}
        return _Waiting(missing=children - there, on_disk=there)

    def _insert(
        self, above: tuple[int, Shape], waiting: _Waiting, shard: Shape, half: Voxels
    ) -> None:
        if waiting.voxels is None:
            waiting.voxels = self._empty(*above)
        self._place_half(above, waiting.voxels, shard, half)
        waiting.missing.discard(shard)
        waiting.on_disk.discard(shard)
        waiting.held.add(shard)

    def _give_up_memory(self) -> None:
        """Have the shards that have waited longest read back, until the others fit in memory."""
        held = sum(each.voxels.nbytes for each in self._waiting.values() if each.voxels is not None)
        for each in self._waiting.values():
            if held <= MOST_HELD:
                return
            if each.voxels is not None:
                held -= each.voxels.nbytes
                each.voxels = None
                each.on_disk |= each.held
                each.held = set()

    def _complete(self, level: int, shard: Shape, waiting: _Waiting) -> Voxels:
        """Return a shard of a smaller level, of which all blocks are there."""
        voxels = waiting.voxels if waiting.voxels is not None else self._empty(level, shard)
        if waiting.on_disk:
            self._pool.settle()
        for child in sorted(waiting.on_disk):
            # No name keeps a shard that was read while the next one is.
            half = halve(self._read_back(level - 1, child)[0, 0], self._families[level - 1].steps)
            self._place_half((level, shard), voxels, child, half)
        return voxels

    def _make_levels_whole(self) -> None:
        """Make the shards of smaller levels that other writers of the image have left out."""
        for level in range(1, self._top + 1):
            for shard in self._shards(level):
                if self.has(level, shard):
                    continue
                children = set(self._families[level - 1].children(shard))
                if any(self.has(level - 1, child) for child in children):
                    waiting = _Waiting(missing=set(), on_disk=children)
                    self._put(level, shard, self._complete(level, shard, waiting))
                else:  # all of them are zeros, and so is the shard
                    self.write_encoded(level, shard, [None] * prod(self.levels[level].shard))
            self._pool.settle()

    def _find_window(self, channel: int) -> tuple[float, float]:
        """Return the values that a channel is shown between.

        The first time point of the smallest level, as it is there, decides.
        """
        import numpy as np

        last = len(self.levels) - 1
        inner = product(*map(range, self.levels[last].shard_grid[2:]))
        shards = [self._read_back(last, (0, channel, *place)) for place in inner]
        return find_window(np.concatenate([shard.ravel() for shard in shards]))

    def _empty(self, level: int, shard: Shape) -> Voxels:
        import numpy as np

        return np.empty(shape_of(self.levels[level].region_of(shard)), self.spec.dtype)

    def _place_half(
        self, above: tuple[int, Shape], voxels: Voxels, shard: Shape, half: Voxels
    ) -> None:
        """Put the halves of a shard where they belong in the shard of the next level."""
        level, parent = above
        starts = self._families[level - 1].starts(shard)
        first = [part.start for part in self.levels[level].region_of(parent)[2:]]
        where = zip(starts, first, half.shape, strict=True)
        voxels[0, 0][tuple(slice(s - f, s - f + n) for s, f, n in where)] = half

    def _read_back(self, level: int, shard: Shape) -> Voxels:
        """Return a shard that was written, along t, c, z, y, x."""
        import numpy as np

        grid = self.levels[level]
        voxels = np.zeros(shape_of(grid.region_of(shard)), self.spec.dtype)
        size = grid.chunk_voxels * voxels.itemsize
        chunks = self._store.read(level, shard)
        for place, chunk in zip(grid.chunks_of(shard), chunks, strict=True):
            if place is not None and chunk is not None:
                data = np.frombuffer(self.codec.decode(chunk, size), voxels.dtype)
                part = voxels[_inside(grid, shard, place)]
                part[:] = data.reshape(grid.chunk)[tuple(slice(n) for n in part.shape)]
        return voxels


def _inside(grid: LevelGrid, shard: Shape, place: Shape) -> tuple[slice, ...]:
    """Return where in its shard a chunk lies."""
    axes = zip(place, shard, grid.shard, grid.chunk, strict=True)
    starts = ((at - of * count) * size for at, of, count, size in axes)
    return tuple(slice(start, start + n) for start, n in zip(starts, grid.chunk, strict=True))


def _encode_chunk(
    codec: Codec, grid: LevelGrid, shard: Shape, place: Shape, voxels: Voxels
) -> Parts | None:
    """Return a chunk of a shard, filled up with zeros, in parts; `None` if all of it is zero."""
    import numpy as np

    part = voxels[_inside(grid, shard, place)]
    if part.shape == grid.chunk:
        chunk = np.ascontiguousarray(part)
    else:
        chunk = np.zeros(grid.chunk, voxels.dtype)
        chunk[tuple(slice(n) for n in part.shape)] = part
    # Bits count: a negative zero is none.
    if not chunk.view(f"u{chunk.itemsize}").any():
        return None
    return codec.encode(chunk.data.cast("B"))
