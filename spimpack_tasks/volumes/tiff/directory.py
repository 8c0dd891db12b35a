"""The first image file directory of a TIFF or BigTIFF file, and the numbers in it.

Only what headers need: no pixel is read, and of the other directories only the sizes. Facts: TIFF
6.0, and the BigTIFF design of libtiff. Every offset and count is compared with the file's size, so
that a damaged file ends in an error and not in a loop or a full memory.
"""

from __future__ import annotations

import os
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Self

from spimpack_tasks.files.limits import LARGEST_XML, REMEDY, allowed, as_size
from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import open_for_reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

WIDTH, LENGTH, BITS, DESCRIPTION = 256, 257, 258, 270
MAKE, MODEL, STRIP_OFFSETS, SAMPLES, STRIP_COUNTS = 271, 272, 273, 277, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT = 282, 283, 284, 296
SOFTWARE, TILE_OFFSETS, TILE_COUNTS, SUB_IFDS, SAMPLE_FORMAT = 305, 324, 325, 330, 339
SECOND_DESCRIPTION = -DESCRIPTION
"""Micro-Manager writes two: OME-XML for those who read the first, and that of ImageJ."""

_TYPES = {
    1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 8: "h", 9: "i", 10: "ii",
    11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
_SIZES = {code: struct.calcsize(f"={code}") for code in _TYPES.values()}
"""Bytes of one value."""

_FIRST_BYTES = 4096
"""Read at once with the header; the first directory often lies in them."""
_MOST_TAGS = 4096
"""TIFF has some hundred tags; a directory with more is damaged."""
_MOST_VALUES = 65536
"""Values of a tag; more are read by the library alone."""
_CHUNK = 65536
"""Bytes of a text read at once."""


@lru_cache(64)
def _read_entries(word: str, start: int, entries: bytes) -> tuple[dict[int, Tag], list[int]]:
    """Return the tags of a directory, and where the values end that lie elsewhere.

    Parameters
    ----------
    word
        Layout of an offset, for `struct`.
    start
        Where the entries lie.
    entries
        Their bytes: images of one study often have the same.
    """
    step, field = (20, 12) if word[1] == "Q" else (12, 8)
    tags: dict[int, Tag] = {}
    ends = []
    layout = _layout(f"{word[0]}HH{2 * word[1]}")
    for index, entry in enumerate(layout.iter_unpack(entries)):
        number, kind, values, place = entry
        code = _TYPES.get(kind)
        if code is None:
            continue
        size, first = values * _SIZES[code], None
        if size > step - field:
            ends.append(place + size)
        else:  # the values are in the entry
            place = index * step + field
            if values and code not in "sfd":
                first = _layout(word[0] + code).unpack_from(entries, place)[0]
            place += start
        if number in tags and number == DESCRIPTION:
            number = SECOND_DESCRIPTION
        tags.setdefault(number, Tag(code, values, place, first))
    return tags, ends


@lru_cache(256)
def _layout(text: str) -> struct.Struct:
    return struct.Struct(text)


class Tag(NamedTuple):
    """One entry of a directory; the bytes of its values lie at `offset`."""

    code: str
    """Characters of `struct`, one or two for a value."""
    values: int
    """How many."""
    offset: int
    first: int | None = None
    """The first value, where it is a whole number that lies in the entry itself."""


class TiffFile:
    """A TIFF file open for reading its directories; a context manager."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._descriptor, self.size = open_for_reading(path)
        except OSError as error:
            raise UnreadableHeaderError(path, error) from error
        try:
            self._read_magic()
        except HeaderError:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        os.close(self._descriptor)

    @property
    def beginning_told(self) -> tuple[int, bytes] | None:
        """Size and first bytes of the file; `None` if bytes behind them were asked for as well."""
        return None if self._has_read_on else (self.size, self._head)

    def _read_magic(self) -> None:
        self._head, self._has_read_on = b"", False
        self._head = self.bytes_at(0, min(self.size, _FIRST_BYTES))
        self._has_read_on = False
        order = {b"II": "<", b"MM": ">"}.get(self._head[:2], "")
        version = _layout(f"{order}H").unpack_from(self._head, 2)[0] if len(self._head) > 8 else 0
        if not order or version not in {42, 43}:
            raise HeaderError(self.path, "does not begin as TIFF files do")
        self.order, self.is_big, self.beginning = order, version == 43, self._head[:4]
        word = "Q" if self.is_big else "I"
        self._word = f"{order}{word}"
        if self.is_big and (len(self._head) < 16 or self._number(4, "HH", 0) != 8):
            raise HeaderError(self.path, "does not begin as BigTIFF files do")
        self.first_directory = self._number(8 if self.is_big else 4, word, 0)

    def bytes_at(self, offset: int, count: int) -> bytes:
        """Return exactly `count` bytes.

        Raises
        ------
        HeaderError
            The file ends before, or cannot be read.
        """
        if offset + count <= len(self._head):
            return self._head[offset : offset + count]
        if offset + count > self.size:
            raise self.truncated(offset + count)
        self._has_read_on = True
        try:
            content = os.pread(self._descriptor, count, offset)
        except OSError as error:
            raise UnreadableHeaderError(self.path, error) from error
        if len(content) < count:
            raise self.truncated(offset + count)
        return content

    def truncated(self, wanted: int) -> HeaderError:
        """Return the error for a place behind the end."""
        what = f"is cut off or damaged: it has {self.size} bytes, but names byte {wanted}"
        return HeaderError(self.path, what)

    def _number(self, offset: int, code: str, index: int) -> int:
        layout = _layout(self.order + code)
        if offset + layout.size <= len(self._head):
            return int(layout.unpack_from(self._head, offset)[index])
        return int(layout.unpack(self.bytes_at(offset, layout.size))[index])

    def directory(self, offset: int) -> tuple[dict[int, Tag], int]:
        """Return the tags of the directory at an offset, and the offset of the next, or 0.

        Of a tag that is there twice the first counts, as for most readers.
        """
        count, start = self._entries(offset)
        length = count * (20 if self.is_big else 12)
        tags, ends = _read_entries(self._word, start, self.bytes_at(start, length))
        for end in ends:
            if end > self.size:
                raise self.truncated(end)
        return dict(tags), self._number(start + length, self._word[1], 0)

    def entries(self, offset: int, numbers: frozenset[int]) -> bytes:
        """Return the entries of some tags of the directory at an offset, as they are written."""
        count, start = self._entries(offset)
        step = 20 if self.is_big else 12
        layout = _layout(f"{self.order}H{step - 2}s")
        found = layout.iter_unpack(self.bytes_at(start, count * step))
        return b"".join(b"%d " % tag + rest for tag, rest in found if tag in numbers)

    def _entries(self, offset: int) -> tuple[int, int]:
        """Return the number of entries of a directory, and where they begin."""
        count = self._number(offset, "Q" if self.is_big else "H", 0)
        if not 0 < count <= _MOST_TAGS:
            raise HeaderError(self.path, f"has a damaged directory of {count} tags")
        return count, offset + (8 if self.is_big else 2)

    def directory_offsets(self) -> Iterator[int]:
        """Yield where each directory of the chain is; none is read.

        Raises
        ------
        HeaderError
            The chain leads out of the file, or back into itself (Brent's cycle detection).
        """
        step = 20 if self.is_big else 12
        offset, pages, checkpoint, patience = self.first_directory, 0, 0, 1
        while offset:
            if offset == checkpoint:
                raise HeaderError(self.path, "has a chain of directories that runs in a loop")
            if pages == patience:
                checkpoint, patience = offset, 2 * patience
            pages += 1
            count, start = self._entries(offset)
            yield offset
            offset = self._number(start + count * step, self._word[1], 0)

    def page_count(self) -> int:
        """Return the number of directories in the chain."""
        return sum(1 for _ in self.directory_offsets())

    def numbers(self, tag: Tag | None, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the values of a tag; two for each rational."""
        if tag is None or tag.code in "sfd":
            return default
        count = min(tag.values, _MOST_VALUES) * len(tag.code)
        layout = _layout(f"{self.order}{count}{tag.code[0]}")
        return layout.unpack(self.bytes_at(tag.offset, layout.size))

    def number(self, tag: Tag | None, default: int) -> int:
        """Return the first value of a tag."""
        if tag is None or tag.code in "sfd" or not tag.values:
            return default
        return self._number(tag.offset, tag.code, 0) if tag.first is None else tag.first

    def text(self, tag: Tag | None) -> bytes:
        """Return the bytes of a text, up to its first zero byte, at most 64 KiB."""
        return next(self.chunks(tag), b"")

    def chunks(self, tag: Tag | None) -> Iterator[bytes]:
        """Yield the bytes of a text, up to its first zero byte, 64 KiB at a time."""
        if tag is None or tag.code not in "sB":
            return
        if tag.values > LARGEST_XML and tag.values > allowed(LARGEST_XML):
            what = f"has a text of {as_size(tag.values)} in its first directory"
            raise HeaderError(self.path, what, REMEDY)
        for start in range(0, tag.values, _CHUNK):
            chunk = self.bytes_at(tag.offset + start, min(_CHUNK, tag.values - start))
            text, zero, _ = chunk.partition(b"\0")
            yield text
            if zero:
                return
