"""Writes shards of Zarr v3: the chunks one after the other, then an index of where each begins.

The index has two 64-bit numbers for each chunk, offset and length, and a CRC-32C behind them; a
missing chunk has all bits set (Zarr v3 specification, sharding codec 1.0). A shard is whole under a
temporary name, and on the disk, before it gets its own: whoever finds it need not make it again.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.transcoding.codecs import Parts

_MISSING = 2**64 - 1
_TOGETHER = 8 * 2**20
"""Bytes that are written at once."""


def write_shard(path: str, chunks: Iterable[Parts | None]) -> int:
    """Write a shard, and return its size; without a chunk there is no file, and the size is 0.

    Parameters
    ----------
    path
        Where the shard belongs. Its folder is made if need be.
    chunks
        The encoded bytes of each chunk, in parts; `None` for one that is missing.
    """
    import google_crc32c

    aside = f"{path}.part"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    index, offset = [], 0
    with open(aside, "wb", buffering=_TOGETHER) as file:
        for parts in chunks:
            length = sum(map(file.write, parts)) if parts is not None else 0
            index += [offset, length] if parts is not None else [_MISSING, _MISSING]
            offset += length
        if not offset:
            os.unlink(aside)
            return 0
        table = struct.pack(f"<{len(index)}Q", *index)
        file.write(table)
        file.write(struct.pack("<I", google_crc32c.value(table)))
        file.flush()
        os.fdatasync(file.fileno())
        size = file.tell()
    os.rename(aside, path)
    return size
