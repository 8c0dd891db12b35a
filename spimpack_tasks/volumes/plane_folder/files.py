"""Headers of files with one plane: TIFF, PNG or JPEG 2000, of one value a pixel.

The first bytes of a file tell its format. Facts: TIFF 6.0; PNG (ISO/IEC 15948), `IHDR`; JPEG
2000 (ISO/IEC 15444-1), the box `ihdr`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import read_start
from spimpack_tasks.volumes.tiff.directory import LENGTH, SAMPLES, WIDTH, TiffFile
from spimpack_tasks.volumes.tiff.pages import check_first_page, page_dtype

_TIFF = (".tif", ".tiff")
_PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_JP2_HEAD = b"\0\0\0\x0cjP  \r\n\x87\n"
_FIRST_BYTES = 4096
"""Headers of PNG and JPEG 2000, and most directories of TIFF, lie in them."""


class Page(NamedTuple):
    """The header of a file with one plane."""

    height: int
    width: int
    dtype: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.width} x {self.height} pixels of {self.dtype}"


def inspect_plane(path: str) -> Page:
    """Return the header of a file with one plane.

    Raises
    ------
    HeaderError
        It is damaged, or holds colours or several planes.
    """
    if path.lower().endswith(_TIFF):
        return _inspect_tiff(path)
    try:
        start = read_start(path, _FIRST_BYTES)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    if path.lower().endswith(".png"):
        width, height, samples, bits = _read_png(path, start)
        signed = False
    else:
        width, height, samples, told = _read_jp2(path, start)
        bits, signed = (told & 0x7F) + 1, bool(told & 0x80)
    if samples != 1:
        raise HeaderError(path, "has colours", "give planes of one channel")
    if not (width and height and 0 < bits <= 16):
        raise HeaderError(path, f"has {width} x {height} pixels of {bits} bits")
    return Page(height, width, f"{'' if signed else 'u'}int{8 if bits <= 8 else 16}")


def _inspect_tiff(path: str) -> Page:
    with TiffFile(path) as file:
        tags, following = file.directory(file.first_directory)
        check_first_page(file, tags)
        if following:
            raise HeaderError(path, f"has {file.page_count()} pages", "convert it by itself")
        if file.number(tags.get(SAMPLES), 1) != 1:
            raise HeaderError(path, "has colours", "give planes of one channel")
        height, width = (file.number(tags.get(tag), 0) for tag in (LENGTH, WIDTH))
        return Page(height, width, page_dtype(file, tags))


def _read_png(path: str, start: bytes) -> tuple[int, int, int, int]:
    """Return width, height, samples and bits."""
    if not start.startswith(_PNG_HEAD) or len(start) < 26:
        raise HeaderError(path, "does not begin as PNG files do")
    width, height, bits, colours = struct.unpack_from(">IIBB", start, len(_PNG_HEAD))
    # Fewer than 8 bits stand for shades between black and white, not for numbers.
    return width, height, 1 if colours == 0 else 3, bits if bits >= 8 else 0


def _read_jp2(path: str, start: bytes) -> tuple[int, int, int, int]:
    """Return width, height, samples, and bits less one with the sign in the highest bit."""
    at = start.find(b"ihdr")
    if not start.startswith(_JP2_HEAD) or not 0 < at <= len(start) - 15:
        raise HeaderError(path, "does not begin as JPEG 2000 files do")
    height, width, samples, told = struct.unpack_from(">IIHB", start, at + 4)
    return width, height, samples, told
