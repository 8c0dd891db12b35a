"""How large the pictures are that a JPEG, JPEG 2000 or PNG says it holds, before it is decoded.

In a TIFF each tile may be such a picture, and its size is not that of the tile but what its own
header says. Facts: ITU-T T.81 (frame header), T.800 (marker SIZ), ISO/IEC 15948 (IHDR).
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.limits import as_size
from spimpack_tasks.volumes.unpacking import UnpackingError

if TYPE_CHECKING:
    from collections.abc import Callable

_JPEG = frozenset({6, 7, 33007, 34892})
_JPEG_2000 = frozenset({33003, 33004, 33005, 34712})
_PNG = frozenset({34933})
_OTHERS = frozenset({22610, 34887, 34934, 34927, 50001, 50002, 52546, 48124, 65000, 65001, 65002})
"""JPEG XR, LERC, WebP, JPEG XL, Jetraw and EER, whose sizes are not looked at here."""
_STARTS_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
"""Markers without a length."""
_SLACK = 2**20
"""Bytes that a decoder may use besides the plane."""


def bound_page(page: Any) -> None:
    """Let a page of tifffile decode no tile or strip to much more than its size.

    tifffile decodes other data to that size at the most.
    """
    number = int(page.compression)
    if number in _OTHERS:
        message = f"it is compressed by method {number} of TIFF, which is not read"
        raise UnpackingError(message)
    measure = next((m for numbers, m in _MEASURES.items() if number in numbers), None)
    if measure is None or getattr(vars(page).get("decode"), "is_bounded", False):
        return
    decode, most = page.decode, _SLACK + 2 * math.prod(page.chunks) * page.dtype.itemsize

    def bounded(data: Any, *arguments: Any, **settings: Any) -> Any:
        if data is not None:
            check_picture(bytes(data), measure, most)
        return decode(data, *arguments, **settings)

    bounded.is_bounded = True  # type: ignore[attr-defined]
    vars(page)["decode"] = bounded


def check_picture(data: bytes, measure: Callable[[bytes], int], most: int) -> None:
    """Refuse a picture of more than `most` bytes.

    Raises
    ------
    UnpackingError
        It is larger, or says nothing of its size.
    """
    try:
        size = measure(data)
    except (struct.error, IndexError) as error:
        message = "a picture in it is damaged"
        raise UnpackingError(message) from error
    if size > most:
        raise UnpackingError(
            f"a picture in it takes {as_size(size)}, of {as_size(most)} at the most"
        )


def size_of_jpeg(data: bytes) -> int:
    """Return the bytes of all samples of a JPEG."""
    place = 2
    while True:
        if data[place] != 0xFF:
            raise IndexError(place)
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _STARTS_FRAME:
            bits, height, width, samples = struct.unpack_from(">BHHB", data, place + 4)
            return int(height * width * samples * (2 if bits > 8 else 1))
        else:
            place += 2 + int(struct.unpack_from(">H", data, place + 2)[0])


def size_of_jpeg_2000(data: bytes) -> int:
    """Return the bytes of all samples of a JPEG 2000, in a file or alone."""
    place = data.find(b"\xff\x4f\xff\x51")
    if place < 0:
        raise IndexError(place)
    width, height, left, top = struct.unpack_from(">IIII", data, place + 8)
    (samples,) = struct.unpack_from(">H", data, place + 40)
    bits = max(1 + (data[place + 42 + 3 * n] & 0x7F) for n in range(samples))
    return int((width - left) * (height - top) * samples * -(-bits // 8))


def size_of_png(data: bytes) -> int:
    """Return the bytes of all samples of a PNG."""
    width, height, bits, colours = struct.unpack_from(">IIBB", data, 16)
    samples = {0: 1, 3: 3, 2: 3, 4: 2}.get(colours, 4)
    return int(width * height * samples * (2 if bits > 8 else 1))


_MEASURES = {_JPEG: size_of_jpeg, _JPEG_2000: size_of_jpeg_2000, _PNG: size_of_png}
