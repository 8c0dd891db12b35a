"""Unpacks what is compressed to no more than it should be.

Most libraries take as much memory as the compressed data ask for. Here a stream is unpacked up to a
limit, and of other forms the size is read that stands in their headers. Facts: RFC 1950, 1952 and
8878 (Zstandard), the frame of Blosc 1, numcodecs (LZ4).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from spimpack_tasks.files.limits import as_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Data: TypeAlias = Any
"""Bytes, or an array that gives them."""

_GZIP = 16 + zlib.MAX_WBITS
_DICTIONARY = 256 * 2**20
"""Bytes that LZMA may keep of what it has unpacked; its strongest preset keeps 64 MiB."""
ZSTD_FRAME, _ZSTD_SKIPPED = 0xFD2FB528, 0x184D2A50
_ZSTD_BLOCK = 128 * 2**10
"""A block of Zstandard unpacks to no more."""
REPEATED, _COMPRESSED = 1, 2
"""Kinds of blocks: one byte many times, and compressed; those of others are as they are."""
_UNTOLD = 256 * 2**20
"""Bytes that frames may unpack to, at the most, which do not tell their size."""
_CUT_OFF = "the compressed data are cut off"


class UnpackingError(ValueError):
    """Compressed data are damaged, or hold more than they should."""


class _Stream(Protocol):
    """A decompressor of the standard library."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    def decompress(self, data: Any, max_length: int, /) -> bytes:
        """Return at most so many bytes."""


def unpack(name: str, data: Data, most: int, settings: Mapping[str, Any]) -> Data:
    """Return what compressed data hold.

    Parameters
    ----------
    name
        One of `COMPRESSORS`.
    data
        The compressed data.
    most
        How many bytes they may hold.
    settings
        Those of numcodecs; only LZMA needs any.

    Raises
    ------
    UnpackingError
        They hold more, or are damaged.
    """
    try:
        unpacked = _UNPACKERS[name](data, most, settings)
    except (struct.error, IndexError) as error:
        raise UnpackingError(_CUT_OFF) from error
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise UnpackingError(f"the compressed data are damaged: {error}") from error
    if memoryview(unpacked).nbytes > most:
        raise _too_large(most)
    return unpacked


def check_size(name: str, data: Data, most: int) -> None:
    """Refuse compressed data that hold too much, by what they tell, or by unpacking them.

    Raises
    ------
    UnpackingError
        They hold more than `most` bytes, or are damaged.
    """
    if name in _TELLERS:
        _check_told(name, data, most)
    else:
        unpack(name, data, most, {})


def _too_large(most: int) -> UnpackingError:
    what = f"the compressed data hold more than the {as_size(most)} that they should"
    return UnpackingError(what)


def _read_stream(stream: _Stream, data: Data, most: int) -> bytes:
    """Return what the one stream holds that data consist of."""
    unpacked = stream.decompress(data, most + 1)
    if len(unpacked) > most:
        raise _too_large(most)
    if not stream.eof:
        raise UnpackingError(_CUT_OFF)
    return unpacked


def _ungzip(data: Data, most: int) -> bytes:
    stream = zlib.decompressobj(_GZIP)
    unpacked = _read_stream(stream, data, most)
    if stream.unused_data.strip(b"\0"):
        # There may be several streams one behind the other.
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(most + 1)
    return unpacked


def _unlzma(data: Data, most: int, settings: Mapping[str, Any]) -> bytes:
    form = settings.get("format", lzma.FORMAT_XZ)
    filters = settings.get("filters")
    for each in filters or ():
        if each.get("dict_size", 0) > _DICTIONARY:
            raise UnpackingError(f"LZMA is to keep {as_size(each['dict_size'])}")
    if form == lzma.FORMAT_RAW:
        stream = lzma.LZMADecompressor(form, None, filters)
    else:
        stream = lzma.LZMADecompressor(form, 2 * _DICTIONARY)
    return _read_stream(stream, data, most)


def _by_library(name: str, data: Data, most: int) -> Data:
    from importlib import import_module  # noqa: PLC0415

    _check_told(name, data, most)
    unpacked: Data = import_module(f"numcodecs.{name}").decompress(data)
    return unpacked


def _check_told(name: str, data: Data, most: int) -> None:
    if _TELLERS[name](memoryview(data).cast("B"), most) > most:
        raise _too_large(most)


def _size_of_blosc(data: memoryview, _: int) -> int:
    """Return the size that the head tells, of a chunk that is all there.

    The library is not told where the data end: it reads on behind them. Bytes behind a chunk do
    no harm; z5 appends 16 bytes.
    """
    size, _, length = struct.unpack_from("<III", data, 4)
    if length > len(data):
        raise UnpackingError(_CUT_OFF)
    return int(size)


def _size_of_lz4(data: memoryview, _: int) -> int:
    return int(struct.unpack_from("<I", data)[0])


def _size_of_lz4_in_hdf5(data: memoryview, _: int) -> int:
    return int(struct.unpack_from(">Q", data)[0])


def _size_of_zstd(data: memoryview, most: int) -> int:
    """Return how much frames hold; of those that do not tell, whether it is too much."""
    total = untold = place = 0
    while place < len(data) and total <= most:
        (magic,) = struct.unpack_from("<I", data, place)
        if magic & ~0xF == _ZSTD_SKIPPED:
            place += 8 + struct.unpack_from("<I", data, place + 4)[0]
        elif magic == ZSTD_FRAME:
            size, place, tail = begin_frame(data, place + 4)
            for bound, end in _blocks(data, place):
                place = end
                if size is None:
                    untold += bound
                if untold > max(4 * most, _UNTOLD):
                    return most + 1
            total, place = total + (size or 0), place + tail
        else:
            break  # the library will say what it is
    return total


def begin_frame(data: memoryview, place: int) -> tuple[int | None, int, int]:
    """Return the size that the header of a frame tells, where it ends, and how long the tail is."""
    told = data[place]
    is_single = bool(told & 0x20)
    place += 1 if is_single else 2
    place += (0, 1, 2, 4)[told & 3]
    length = (int(is_single), 2, 4, 8)[told >> 6]
    size = int.from_bytes(data[place : place + length], "little") if length else None
    if size is not None and length == 2:
        size += 256
    return size, place + length, told & 4


def _blocks(data: memoryview, place: int) -> Iterator[tuple[int, int]]:
    """Yield how much each block of a frame holds at the most, and where it ends."""
    is_last = False
    while not is_last:
        head = int.from_bytes(data[place : place + 3], "little")
        is_last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        place += 3 + (1 if kind == REPEATED else size)
        if place > len(data):
            raise UnpackingError(_CUT_OFF)
        yield _ZSTD_BLOCK if kind == _COMPRESSED else size, place


_UNPACKERS: dict[str, Callable[[Data, int, Mapping[str, Any]], Data]] = {
    "zlib": lambda data, most, _: _read_stream(zlib.decompressobj(), data, most),
    "gzip": lambda data, most, _: _ungzip(data, most),
    "bz2": lambda data, most, _: _read_stream(bz2.BZ2Decompressor(), data, most),
    "lzma": _unlzma,
    "blosc": lambda data, most, _: _by_library("blosc", data, most),
    "lz4": lambda data, most, _: _by_library("lz4", data, most),
    "zstd": lambda data, most, _: _by_library("zstd", data, most),
}
_TELLERS = {
    "blosc": _size_of_blosc,
    "lz4": _size_of_lz4,
    "lz4 in HDF5": _size_of_lz4_in_hdf5,
    "zstd": _size_of_zstd,
}
COMPRESSORS = frozenset(_UNPACKERS)
