"""Sizes of chunks and shards that a user chooses, as texts and as numbers, and their rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.pyramid import is_cut
from spimpack_tasks.files.limits import (
    LARGEST_BLOCK,
    MOST_BLOCKS,
    MOST_CHUNKS_OF_SHARD,
    REMEDY,
    allowed,
    as_size,
)
from spimpack_tasks.volumes.errors import HeaderError

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.spec import VolumeSpec

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
    return _describe_shard(ngff, size_zyx, chunk_zyx, shard_zyx) if shard_zyx else ""


def describe_small_chunks(ngff: str, size_zyx: Shape, itemsize: int, chunk_zyx: Shape) -> str:
    """Return what is wrong with sizes of chunks that an image would have too many of.

    Parameters
    ----------
    ngff, size_zyx, itemsize, chunk_zyx
        As of `describe_sizes`.
    """
    if not chunk_zyx or math.prod(chunk_zyx) * itemsize >= _SMALL_CHUNK:
        return ""
    count = math.prod(-(-n // side) for n, side in zip(size_zyx, chunk_zyx, strict=True))
    if count <= allowed(_MOST_SMALL):
        return ""
    kind = "a file" if ngff == "0.4" else "an entry of an index"
    return (
        f"chunks of {_text(chunk_zyx)} are so small that each channel would have {count:,}, "
        f"each {kind}; choose chunks of {as_size(_SMALL_CHUNK)} at the least"
    )


def check_chunks(path: str, ngff: str, spec: VolumeSpec, chunk_zyx: Shape) -> None:
    """Refuse an image that would have too many small chunks.

    Raises
    ------
    HeaderError
        It would; the message names the source.
    """
    size_zyx, itemsize = spec.shape_tczyx[2:], int(spec.dtype.itemsize)
    if fault := describe_small_chunks(ngff, size_zyx, itemsize, chunk_zyx):
        raise HeaderError(path, f"cannot be stored like that: {fault}")


def check_count(path: str, blocks: int) -> None:
    """Refuse an image of more blocks than can be planned; a header may promise any number.

    Raises
    ------
    HeaderError
        It is such.
    """
    most = allowed(MOST_BLOCKS)
    if blocks > most:
        what = f"has {blocks:,} blocks of voxels; at the most {most:,} are written"
        raise HeaderError(path, what, REMEDY)


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
