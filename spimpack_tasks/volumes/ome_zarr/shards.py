"""Writes shards of Zarr v3: the chunks one after the other, then an index of where each begins.

The index has two 64-bit numbers for each chunk, offset and length, and a CRC-32C behind them; a
missing chunk has all bits set (Zarr v3 specification, sharding codec 1.0). A shard is whole under a
temporary name, and on the disk, before it gets its own: whoever finds it need not make it again.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.files.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.arrays.codecs import Parts

_MISSING = 2**64 - 1


def write_shard(path: str, chunks: Iterable[Parts | None]) -> None:
    """Write a shard; without a chunk there is no file.

    Parameters
    ----------
    path
        Where the shard belongs. Its folder is made if need be.
    chunks
        The encoded bytes of each chunk, in parts; `None` for one that is missing.
    """
    aside = f"{path}.part"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(aside, "wb", buffering=0) as file:
            size = _write_chunks(file.fileno(), chunks)
        if size:
            os.rename(aside, path)
    finally:
        with suppress(FileNotFoundError):  # it has its own name, or there was no room for it
            os.unlink(aside)


def _write_chunks(file: int, chunks: Iterable[Parts | None]) -> int:
    """Write chunks and index, and return how many bytes there are."""
    import google_crc32c

    index, offset = [], 0
    for parts in chunks:
        length = _write(file, parts) if parts is not None else 0
        index += [offset, length] if parts is not None else [_MISSING, _MISSING]
        offset += length
    if not offset:
        return 0
    table = struct.pack(f"<{len(index)}Q", *index)
    offset += _write(file, (table, struct.pack("<I", google_crc32c.value(table))))
    os.fdatasync(file)
    return offset


def _write(file: int, parts: Parts) -> int:
    """Write the parts of a chunk as they are, without joining them, and return their length."""
    length = sum(map(len, parts))
    written = os.writev(file, parts)
    if written < length:  # by a signal, or because the disk is all but full
        rest = memoryview(b"".join(parts))[written:]
        while rest:
            rest = rest[os.write(file, rest) :]
    return length


def read_shard(path: str, count: int) -> Iterator[bytes | None]:
    """Yield the encoded bytes of each of the `count` chunks of a shard that `write_shard` wrote."""
    with open_regular(path) as file:
        file.seek(-16 * count - 4, os.SEEK_END)
        index = struct.unpack(f"<{2 * count}Q", file.read(16 * count))
        for offset, length in zip(index[::2], index[1::2], strict=True):
            if offset == _MISSING:
                yield None
            else:
                file.seek(offset)
                yield file.read(length)
