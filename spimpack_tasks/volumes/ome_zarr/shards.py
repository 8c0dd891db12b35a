"""Shards of Zarr v3: the chunks one after the other, then an index of where each begins.

The index has two 64-bit numbers for each chunk, offset and length, and a CRC-32C behind them; a
missing chunk has all bits set (Zarr v3 specification, sharding codec 1.0). A shard gets its name
when it is whole and on the disk: a resumed conversion need not make it again.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.files.places import Parts, Place

_MISSING = 2**64 - 1
"""The specification of Zarr's sharding: offset and length of a chunk that is not stored."""
_CRC = 4
"""Bytes of the CRC-32C behind the index."""


def shard_pieces(chunks: Iterable[Parts | None]) -> Iterator[Parts]:
    """Yield the bytes of a shard as they follow one another, nothing where no chunk is there.

    Parameters
    ----------
    chunks
        The encoded bytes of each chunk, in parts; `None` for one that is missing.
    """
    import google_crc32c

    index, offset = [], 0
    for parts in chunks:
        if parts is None:
            index += [_MISSING, _MISSING]
            continue
        yield parts
        length = sum(map(len, parts))
        index += [offset, length]
        offset += length
    if offset:
        table = struct.pack(f"<{len(index)}Q", *index)
        yield table, struct.pack("<I", google_crc32c.value(table))


def read_shard(place: Place, key: str, count: int) -> Iterator[bytes | None]:
    """Yield the encoded bytes of each of the `count` chunks of a shard that is there."""

    def ranges(tail: bytes) -> Iterator[tuple[int, int] | None]:
        index = struct.unpack_from(f"<{2 * count}Q", tail)
        for offset, length in zip(index[::2], index[1::2], strict=True):
            yield (offset, length) if offset != _MISSING else None

    yield from place.read_ranges(key, 16 * count + _CRC, ranges)
