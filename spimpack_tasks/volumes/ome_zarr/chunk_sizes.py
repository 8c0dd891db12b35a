"""Sizes of chunks and shards that a user chooses, as texts and as numbers, and their rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.pyramid import is_cut
from spimpack_tasks.files.limits import LARGEST_BLOCK, MOST_CHUNKS_OF_SHARD, allowed, as_size

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape

_SMALL_CHUNK = 16 * 2**10
"""Bytes of a chunk below which most of the work is to find it: a disk reads 4 KiB at once."""
_MOST_SMALL = 2**18
"""Chunks of that kind that a channel may have; of 16 KiB they hold 4 GiB."""


def parse_sizes(text: str) -> Shape:
    """Return the sizes along z, y and x that a text gives, such as `64,128,128`.

    Raises
    ------
    ValueError
        They are not three positive whole numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() for part in parts):
        message = f"{text!r} is not three sizes; write them along z, y and x, such as 64,128,128"
        raise ValueError(message)
    return tuple(map(int, parts))


def describe_sizes(
    ngff: str, size_zyx: Shape, itemsize: int, chunk_zyx: Shape, shard_zyx: Shape
) -> str:
    """Return what is wrong with sizes of chunks and shards, empty if nothing is.

    Parameters
    ----------
    ngff
        Version of OME-Zarr.
    size_zyx
        Voxels of the full level along z, y and x.
    itemsize
        Bytes of a voxel.
    chunk_zyx, shard_zyx
        The sizes; nothing where they are to be chosen.
    """
    for word, sizes in (("chunk", chunk_zyx), ("shard", shard_zyx)):
        if sizes and (len(sizes) != 3 or min(sizes) < 1):
            return f"the sizes of a {word} are {sizes}; give three, of 1 at the least"
    size = math.prod(chunk_zyx) * itemsize
    if chunk_zyx and size > allowed(LARGEST_BLOCK):
        most = as_size(allowed(LARGEST_BLOCK))
        return f"a chunk of {_text(chunk_zyx)} takes {as_size(size)}; choose one of {most} at most"
    count = math.prod(-(-n // side) for n, side in zip(size_zyx, chunk_zyx, strict=False))
    if chunk_zyx and size < _SMALL_CHUNK and count > allowed(_MOST_SMALL):
        kind = "a file" if ngff == "0.4" else "an entry of an index"
        return (
            f"chunks of {_text(chunk_zyx)} are so small that each channel would have {count:,}, "
            f"each {kind}; choose chunks of {as_size(_SMALL_CHUNK)} at the least"
        )
    return _describe_shard(ngff, size_zyx, chunk_zyx, shard_zyx) if shard_zyx else ""


def _describe_shard(ngff: str, size_zyx: Shape, chunk_zyx: Shape, shard_zyx: Shape) -> str:
    if ngff == "0.4":
        return "OME-Zarr 0.4 has no shards; leave out the sizes of a shard, or choose 0.5"
    if not chunk_zyx:
        return "the sizes of a shard are multiples of those of a chunk; give these as well"
    pairs = [*zip(shard_zyx, chunk_zyx, strict=True)]
    if any(n % side for n, side in pairs):
        near = _text(tuple(max(round(n / side), 1) * side for n, side in pairs))
        return (
            f"a shard of {_text(shard_zyx)} cannot be cut into chunks of {_text(chunk_zyx)}; "
            f"{near} can"
        )
    if any(map(is_cut, shard_zyx, size_zyx)):
        near = _text(
            tuple(n + n * is_cut(n, size) for n, size in zip(shard_zyx, size_zyx, strict=True))
        )
        return (
            f"a shard of {_text(shard_zyx)} cuts pairs of voxels that become one of the next "
            f"level; {near} does not"
        )
    count = math.prod(n // side for n, side in pairs)
    if count > MOST_CHUNKS_OF_SHARD:
        return f"a shard of {count:,} chunks has too long an index; {MOST_CHUNKS_OF_SHARD:,} can be"
    return ""


def _text(sizes: Shape) -> str:
    return ",".join(map(str, sizes))
