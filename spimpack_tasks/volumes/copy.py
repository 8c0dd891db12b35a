"""Copies the voxels of an open image into a writer, in the order in which they are read quickest.

Voxels are read in slabs: all planes that the blocks of one height lie in, so that each plane is
decoded once. Where a slab would not fit into memory, each block is read by itself, as a box.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING, Protocol

from spimpack_tasks.arrays.codecs import DamagedChunkError
from spimpack_tasks.arrays.grid import shape_of
from spimpack_tasks.arrays.pyramid import LARGEST_SLAB
from spimpack_tasks.files.limits import as_size, memory_at_most
from spimpack_tasks.files.noted_parts import bounds_of_part
from spimpack_tasks.volumes.errors import HeaderError, UnreadableVoxelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import LevelGrid, Region, Shape, Voxels
    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.files.places import Parts
    from spimpack_tasks.volumes.blocks import Block
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.spec import VolumeSpec
    from spimpack_tasks.volumes.volume import Level, Volume
    from spimpack_tasks.volumes.writer import LevelsWriter, VolumeWriter

_SLABS_IN_MEMORY = 4
"""One that is read, and what waits to be written or for the next level."""

_WHOLE = (0, 1)
"""The only part of an image that one process copies."""
_PIECE = 8 * 2**20
"""Bytes of voxels that a library is asked for at once; it may hold twice as much meanwhile."""


class EncodedLevels(Protocol):
    """Levels whose chunks can be had encoded, without or with decoding them."""

    @property
    def levels(self) -> Sequence[LevelGrid]:
        """The levels, the full one first."""

    def encoded(self, level: int, place: Shape, codec: Codec) -> Parts | None:
        """Return the chunk at a place of a level's grid, in parts; `None` if all of it is zero."""


class EncodedSource(EncodedLevels, Protocol):
    """An image that is open for reading, whose chunks can be had encoded."""

    @property
    def spec(self) -> VolumeSpec:
        """The image without its voxels, as its file has it."""

    @property
    def header(self) -> Header:
        """The header of the image."""


def copy_levels(
    source: EncodedLevels,
    writer: LevelsWriter,
    advance: Callable[[int], None],
    pool: WorkPool,
    part: tuple[int, int] = _WHOLE,
) -> None:
    """Copy all levels of an image, chunk by chunk; what is there already is passed over.

    Parameters
    ----------
    source
        Has the levels of the writer.
    writer
        Where they are written.
    advance
        Told the number of bytes of voxels after each shard.
    pool
        The threads that shards are made by.
    part
        Number of the part that is copied, from 0 on, and number of parts: each has its share of the
        shards of each level.
    """
    itemsize = int(writer.spec.dtype.itemsize)

    def make(level: int, shard: Shape) -> int:
        grid = writer.levels[level]
        if not writer.has(level, shard):
            places = grid.chunks_of(shard)
            chunks = (
                source.encoded(level, at, writer.codec) if at is not None else None for at in places
            )
            writer.write_encoded(level, shard, chunks)
        return grid.count_voxels(shard) * itemsize

    shards = (
        (n, shard)
        for n, grid in enumerate(writer.levels)
        for shard in islice(grid.shards(), *bounds_of_part(math.prod(grid.shard_grid), part))
    )
    pool.run((partial(make, *each) for each in shards), advance)


def copy_volume(
    volume: Volume,
    writer: VolumeWriter,
    advance: Callable[[int], None],
    pool: WorkPool,
    size: int = 0,
) -> None:
    """Copy the voxels of an image, as far as the writer lacks them.

    Parameters
    ----------
    volume
        What is read.
    writer
        Where it is written.
    advance
        Told the number of bytes of voxels after each piece, `size` in all.
    pool
        The threads that read, where a format can be read by several.
    size
        Bytes of the voxels that the writer has when it lacks none, those of the image if not given.

    Raises
    ------
    DamagedChunkError
        A plane cannot be read; the message names it.
    HeaderError
        The image does not fit into memory as it is stored.
    """
    level = check_dtype(volume)
    reader = PlaneReader(level)
    missing = sorted(writer.missing(), key=_slab)
    slabs = [_Slab(level, [*blocks]) for _, blocks in groupby(missing, _slab)]
    if slabs:
        _check_memory(volume.path, level, slabs[0])
    advance((size or writer.spec.size) - sum(slab.size for slab in slabs))
    for slab in slabs:
        if slab.is_read_at_once:
            voxels = _read_region(reader, slab.region, advance, pool)
            for block in slab.blocks:
                _, _, _, rows, columns = block.region
                writer.write(block, voxels[:, :, :, rows, columns])
        else:
            for block in slab.blocks:
                box = _read_region(reader, block.region, advance, pool)
                writer.write(block, box)
                del box  # before the next one is read
    finish_reading(level)


class _Slab:
    """The planes that some blocks of one height lie in."""

    def __init__(self, level: Level, blocks: list[Block]) -> None:
        self.blocks = blocks
        y, x = (slice(0, n) for n in level.shape[3:])
        self.region = (*blocks[0].region[:3], y, x)
        itemsize = int(level.dtype.itemsize)
        whole = math.prod(shape_of(self.region)) * itemsize
        # Where whole rows are stored together, boxes would decode each of them many times.
        are_rows_whole = level.chunk[4] >= level.shape[4]
        most = memory_at_most() // _SLABS_IN_MEMORY if are_rows_whole else 0
        # A box of whole chunks decodes nothing twice.
        are_whole = all(_has_whole_chunks(level, block.region) for block in blocks)
        least = 0 if are_whole and not are_rows_whole else 2 * LARGEST_SLAB
        self.is_read_at_once = whole <= max(least, most)
        read = [self.region] if self.is_read_at_once else [block.region for block in blocks]
        self.size = sum(math.prod(shape_of(each)) for each in read) * itemsize
        """Bytes of the voxels that are read."""
        boxes = (math.prod(shape_of(block.region)) for block in blocks)
        self.largest_block = max(boxes) * itemsize
        """Bytes of the block of the most voxels."""


def _has_whole_chunks(level: Level, region: Region) -> bool:
    bounds = zip(region, level.chunk, level.shape, strict=True)
    return all(
        part.start % side == 0 and (part.stop % side == 0 or part.stop == size)
        for part, side, size in bounds
    )


def check_dtype(volume: Volume) -> Level:
    """Return the full level of an image whose voxels are numbers that can be written.

    Raises
    ------
    HeaderError
        They are complex, or of more than 8 bytes.
    """
    level = volume.levels[0]
    if level.dtype.kind not in "uif" or level.dtype.itemsize > 8:
        what = f"has voxels of type {level.dtype}, which cannot be converted"
        raise HeaderError(volume.path, what)
    return level


def finish_reading(level: Level) -> None:
    """Have a level checked to its very end, when all voxels were read.

    Raises
    ------
    DamagedChunkError
        It is damaged.
    """
    try:
        level.finish()
    except UnreadableVoxelsError as error:
        raise DamagedChunkError(str(error)) from error


def _slab(block: Block) -> Shape:
    return block.place[:3]


def _check_memory(path: str, level: Level, slab: _Slab) -> None:
    """Refuse an image of which the voxels that are in memory together do not fit into it."""
    held = slab.size if slab.is_read_at_once else max(LARGEST_SLAB, slab.largest_block)
    needed = math.prod(level.chunk) * int(level.dtype.itemsize) + _SLABS_IN_MEMORY * held
    most = memory_at_most()
    if needed > most:
        chunk = " x ".join(map(str, level.chunk[2:]))
        what = f"has {chunk} voxels (z, y, x) that are stored together, so it needs"
        raise HeaderError(path, f"{what} {as_size(needed)} of memory; there are {as_size(most)}")


class PlaneReader:
    """Reads a level; what is stored together and wanted in parts is decoded once."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.together = level.chunk[2]
        """Number of planes that are stored together."""
        self._last: tuple[Region, Voxels] | None = None

    def read(self, region: Region) -> Voxels:
        """Return the voxels of a region of one time point and channel.

        Raises
        ------
        DamagedChunkError
            A plane cannot be read; the message names it.
        """
        time, channel, planes, *rest = region
        try:
            return self.level.read(region)
        except UnreadableVoxelsError as error:
            if planes.stop - planes.start > 1:  # which one is it?
                for z in range(planes.start, planes.stop):
                    self.read((time, channel, slice(z, z + 1), *rest))
            message = f"time point {time.start}, channel {channel.start}, plane {planes.start}"
            raise DamagedChunkError(f"{message}: {error}") from error

    def read_planes(self, region: Region, read: Callable[[Region], Voxels] | None = None) -> Voxels:
        """Return whole planes, and remember the last that are stored together.

        Parameters
        ----------
        region
            Planes of one time point and channel.
        read
            Reads planes that are stored together; `self.read` if not given.
        """
        time, channel, planes, *rest = region
        start = planes.start // self.together * self.together
        stop = min(start + self.together, self.level.shape[2])
        if planes.stop > stop or planes.stop - planes.start == stop - start:
            return self.read(region)
        wanted = (time, channel, slice(start, stop), *rest)
        if self._last is None or self._last[0] != wanted:
            self._last = None  # before the next ones are read
            self._last = wanted, (read or self.read)(wanted)
        return self._last[1][:, :, planes.start - start : planes.stop - start]


def _read_region(
    reader: PlaneReader, region: Region, advance: Callable[[int], None], pool: WorkPool
) -> Voxels:
    """Return voxels in the byte order of the machine, read by one or by several threads.

    They are read by rows of what is stored together: a library holds twice what it is asked for.
    """
    import numpy as np

    level = reader.level
    voxels = np.empty(shape_of(region), level.dtype.newbyteorder("="))
    first = [part.start for part in region]

    def put(piece: Region, read: Callable[[Region], Voxels]) -> int:
        here = (slice(part.start - n, part.stop - n) for part, n in zip(piece, first, strict=True))
        part = voxels[tuple(here)]
        part[:] = read(piece)
        return int(part.nbytes)

    def read_layer(planes: Region) -> Voxels:
        return _read_region(reader, planes, lambda _: None, pool)

    side_by_side = []
    for piece in _pieces_of(level, region):
        if _is_part_of_layer(level, piece):
            # Planes that are stored with these are wanted next, and are kept.
            advance(put(piece, partial(reader.read_planes, read=read_layer)))
        elif level.sequential:
            advance(put(piece, reader.read))
        else:
            side_by_side.append(partial(put, piece, reader.read))
    for size in pool.results(iter(side_by_side)):
        advance(size)
    return voxels


def _pieces_of(level: Level, region: Region) -> Iterator[Region]:
    """Yield the parts of a region that are read at once, of `_PIECE` bytes at the least."""
    time, channel, planes, rows, columns = region
    for start, stop in _cut(planes.start, planes.stop, level.chunk[2]):
        part = (time, channel, slice(start, stop))
        if _is_part_of_layer(level, (*part, rows, columns)):
            yield (*part, rows, columns)  # what is stored with it is not decoded for each row
            continue
        row = math.prod(shape_of((*part, columns))) * int(level.dtype.itemsize)
        step = -(-_PIECE // (row * level.chunk[3])) * level.chunk[3]
        for first, last in _cut(rows.start, rows.stop, step):
            yield (*part, slice(first, last), columns)


def _is_part_of_layer(level: Level, region: Region) -> bool:
    """Tell whether a region is some whole planes, and more are stored together with them."""
    planes, together = region[2], level.chunk[2]
    stored = min(together, level.shape[2] - planes.start // together * together)
    return shape_of(region)[3:] == level.shape[3:] and planes.stop - planes.start < stored


def _cut(first: int, last: int, together: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of what lies between two places, cut where what is stored together ends."""
    starts = [first, *range((first // together + 1) * together, last, together)]
    yield from zip(starts, [*starts[1:], last], strict=True)
