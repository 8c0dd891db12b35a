"""Voxels that lie in a file as they would lie in a shard of Zarr.

A file followed by the index of a shard (offset and length of each chunk, and a CRC-32C) is a shard:
its chunks are found by their offsets, and what lies between them is never read (Zarr v3, sharding
codec 1.0). So a file of raw, zstd or zlib blocks of one size becomes the full level of an OME-Zarr
by a copy and an index, and remains what it was for readers of its own format.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.arrays.grid import LevelGrid
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.in_place.zstd_frames import is_one_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.arrays.grid import Shape

    Range = tuple[int, int]
    """Offset and length of a block in its file."""

MISSING = 2**64 - 1, 2**64 - 1
"""Stands in the index of a shard for a chunk of zeros that is not there."""
UNVERIFIED = "zlib"
"""Codec that the standard of Zarr v3 has not got, so that not all programs read its chunks."""
MOST_BYTES = 2**20
"""Bytes of a chunk of rows where a plane lies in one piece: what a viewer reads in one go."""


class NotInPlaceError(Exception):
    """The voxels of a source do not lie as in a shard; the message says why."""


class ShardIndex(NamedTuple):
    """The bytes that make a shard of a file when they are put behind it."""

    size: int
    """Bytes of the file."""
    data: bytes
    """Offset and length of each chunk, and a CRC-32C."""


@dataclass(frozen=True, slots=True)
class StoredBlocks:
    """Where the voxels of an image lie, plane by plane."""

    shape: Shape
    """Sizes along t, c, z, y, x."""
    dtype: Any
    """Data type of numpy, in the byte order of the files."""
    block_zyx: tuple[int, int, int]
    """Planes, rows and columns of a block; blocks at the edge are as large."""
    codec: str
    """`none`, `zstd` or `zlib`."""
    files: tuple[str, ...]
    """The one file, or one for each plane in the order of t, c, z."""
    ranges: Callable[[int, int, int], list[Range]]
    """Returns where the blocks of a layer of blocks lie in its file, row by row of blocks:
    time point, channel, number of the layer. `MISSING` stands for a block of zeros."""

    indexes: dict[Shape, ShardIndex] = field(default_factory=dict)
    """The indexes that were composed, by the place of their shard."""

    @property
    def level(self) -> LevelGrid:
        """The full level: a chunk is a block, a shard is a file."""
        chunk = (1, 1, *self.block_zyx)
        grid = LevelGrid(self.shape, chunk).grid
        planes = grid[:3] if len(self.files) == 1 else (1, 1, 1)
        return LevelGrid(self.shape, chunk, shard_chunks=(*planes, *grid[3:]))

    def file_of(self, shard: Shape) -> str:
        """Return the file that is a shard."""
        if len(self.files) == 1:
            return self.files[0]
        t, c, z = shard[:3]
        return self.files[(t * self.shape[1] + c) * self.shape[2] + z]

    def index_all(self) -> None:
        """Find where all blocks lie, before one is written.

        Raises
        ------
        NotInPlaceError
            A block does not lie in its file, or is not as long as its voxels are.
        OSError
            A file cannot be read.
        """
        for shard in self.level.shards():
            self.index_of(shard)

    def index_of(self, shard: Shape) -> ShardIndex:
        """Return the index of a shard, by its place in the grid of shards.

        Raises
        ------
        NotInPlaceError, OSError
            As of `index_all`.
        """
        import google_crc32c

        if shard not in self.indexes:
            size = os.stat(self.file_of(shard)).st_size
            table = self._table_of(shard, size)
            numbers = (number for each in table for number in each)
            data = struct.pack(f"<{2 * len(table)}Q", *numbers)
            checksum = struct.pack("<I", google_crc32c.value(data))
            self.indexes[shard] = ShardIndex(size, data + checksum)
        return self.indexes[shard]

    def _table_of(self, shard: Shape, size: int) -> list[Range]:
        """Return the offset and length of each chunk of a shard, whose file has a size."""
        level = self.level
        raw = math.prod(self.block_zyx) * int(self.dtype.itemsize)
        times, channels, layers = (
            range(place * count, (place + 1) * count)
            for place, count in zip(shard[:3], level.shard[:3], strict=True)
        )
        table: list[Range] = []
        count = math.prod(level.shard[3:])
        for t in times:
            for c in channels:
                for z in layers:
                    found = self.ranges(t, c, z)
                    if len(found) != count:
                        message = f"layer {z} has {len(found)} blocks instead of {count}"
                        raise NotInPlaceError(message)
                    table += found
        for offset, length in table:
            if (offset, length) == MISSING:
                continue
            is_sound = length == raw if self.codec == "none" else 0 < length <= 2 * raw + 1024
            if not is_sound or offset < 0 or offset + length > size:
                message = f"a block at byte {offset:,} does not lie whole in the file"
                raise NotInPlaceError(message)
        if self.codec == "zstd":
            self._check_frames(self.file_of(shard), table, raw)
        return table

    def _check_frames(self, path: str, table: list[Range], size: int) -> None:
        """Refuse blocks that are more than one frame of zstd, or of another size."""
        with open_regular(path) as file:
            for offset, length in table:
                is_stored = (offset, length) != MISSING
                if is_stored and not is_one_frame(file.fileno(), offset, length, size):
                    message = (
                        f"the block at byte {offset:,} is not one frame of zstd of {size:,} bytes, "
                        "which not all programs read"
                    )
                    raise NotInPlaceError(message)


def rows_of(height: int, width: int, itemsize: int) -> int:
    """Return how many rows of a plane in one piece are a chunk; they divide its height."""
    row = width * itemsize
    fitting = (n for n in range(height, 0, -1) if height % n == 0 and n * row <= MOST_BYTES)
    return next(fitting, 1)


def rows_as_blocks(offset: int, height: int, rows: int, row_bytes: int) -> list[Range]:
    """Return where the chunks of a plane in one piece lie."""
    length = rows * row_bytes
    return [(offset + number * length, length) for number in range(height // rows)]
