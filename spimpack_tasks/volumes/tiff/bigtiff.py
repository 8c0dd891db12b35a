"""Composes the directories of a BigTIFF whose pixels are in it already.

A program that does not know how many planes follow writes pixels first, and directories when all
are there. Facts: TIFF 6.0, BigTIFF (the same with 64-bit offsets), and the tag SubIFDs of TIFF's
supplement 1. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.tiff.layout import TILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.arrays.grid import Shape

HEADER = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0)
"""The header of a BigTIFF without a directory."""
FIRST_DIRECTORY = 8
"""Where the header has the offset of the first directory."""
_ASCII, _SHORT, _LONG, _RATIONAL, _LONG8, _IFD8 = 2, 3, 4, 5, 16, 18
_FORMATS = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _LONG8: "Q", _IFD8: "Q"}
_STRIP = 2**18
"""Bytes of a strip: TIFF 6.0 wants small ones, and each costs 16 bytes of its directory."""
_COMPRESSIONS = {"none": 1, "zlib": 8, "zstd": 50000}
"""Numbers of compressions."""
_SAMPLES = {"u": 1, "i": 2, "f": 3}
"""Numbers of formats of samples."""


@dataclass(frozen=True, slots=True)
class StoredPlane:
    """The pixels of a plane in a file."""

    size_yx: Shape
    offset: int
    """Of the plane, or of its first tile."""
    tiles: tuple[int, ...] = ()
    """Bytes of each tile, which follow one another; nothing for a plane in one piece."""
    is_one_tile: bool = False
    """Whether all tiles are the same one."""


@dataclass(frozen=True, slots=True)
class PlaneKind:
    """Properties that all planes of a file share."""

    dtype: Any
    """Data type of numpy."""
    compression: str
    """`none`, `zlib` or `zstd`."""
    resolution: tuple[float, float] | None = None
    """Pixels along x and y in a centimetre."""


def compose_directories(
    kind: PlaneKind, planes: Sequence[Sequence[StoredPlane]], description: bytes, start: int
) -> Iterator[bytes]:
    """Yield the directories of all planes, which follow one another from an offset on.

    Parameters
    ----------
    kind
        What planes share.
    planes
        The levels of each plane, the full one first.
    description
        The text of the first directory.
    start
        Where they begin in the file, an even number.
    """
    for number, levels in enumerate(planes):
        text = description if not number else b""
        unknown = [0] * (len(levels) - 1)
        size = len(_compose(_tags(kind, levels[0], text=text, subs=unknown), 0, 0))
        offsets = []
        end = start + size
        for level in levels[1:]:
            offsets.append(end)
            end += len(_compose(_tags(kind, level, is_smaller=True), 0, 0))
        following = end if number + 1 < len(planes) else 0
        yield _compose(_tags(kind, levels[0], text=text, subs=offsets), start, following)
        for level, offset in zip(levels[1:], offsets, strict=True):
            yield _compose(_tags(kind, level, is_smaller=True), offset, 0)
        start = end


def _tags(
    kind: PlaneKind,
    plane: StoredPlane,
    *,
    is_smaller: bool = False,
    text: bytes = b"",
    subs: Sequence[int] = (),
) -> list[tuple[int, int, Any]]:
    """Return number, type and values of each tag, in the order of their numbers."""
    height, width = plane.size_yx
    tags: list[tuple[int, int, Any]] = [
        (254, _LONG, [int(is_smaller)]),
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [8 * kind.dtype.itemsize]),
        (259, _SHORT, [_COMPRESSIONS[kind.compression]]),
        (262, _SHORT, [1]),
        (277, _SHORT, [1]),
        (339, _SHORT, [_SAMPLES[kind.dtype.kind]]),
        *_where(kind, plane),
    ]
    if text:
        tags.append((270, _ASCII, text + b"\0"))
    if not is_smaller:
        tags.append((305, _ASCII, f"spimpack_tasks {__version__}\0".encode()))
    if kind.resolution and not is_smaller:
        x, y = (_ratio(value) for value in kind.resolution)
        tags += [(282, _RATIONAL, x), (283, _RATIONAL, y), (296, _SHORT, [3])]
    if kind.compression != "none":
        tags.append((317, _SHORT, [3 if kind.dtype.kind == "f" else 2]))
    if subs:
        tags.append((330, _IFD8, list(subs)))
    return sorted(tags)


def _where(kind: PlaneKind, plane: StoredPlane) -> list[tuple[int, int, Any]]:
    """Return the tags of strips or tiles."""
    height, width = plane.size_yx
    if plane.tiles:
        offsets, at = [], plane.offset
        for size in plane.tiles:
            offsets.append(at)
            at += 0 if plane.is_one_tile else size
        sides = [(322, _LONG, [TILE]), (323, _LONG, [TILE])]
        return [*sides, (324, _LONG8, offsets), (325, _LONG8, list(plane.tiles))]
    row = width * kind.dtype.itemsize
    rows = min(max(_STRIP // row, 1), height)
    count = ceil(height / rows)
    sizes = [rows * row] * (count - 1) + [(height - rows * (count - 1)) * row]
    starts = [plane.offset + number * rows * row for number in range(count)]
    return [(273, _LONG8, starts), (278, _LONG, [rows]), (279, _LONG8, sizes)]


def _ratio(value: float) -> list[int]:
    """Return a positive number as a fraction of 32-bit numbers."""
    scale = 10**6
    while value * scale >= 2**32:
        scale //= 10
    return [round(value * scale), max(scale, 1)]


def _compose(tags: list[tuple[int, int, Any]], offset: int, following: int) -> bytes:
    """Return a directory, and what does not fit into its entries, of an even length."""
    behind = offset + 8 + 20 * len(tags) + 8
    entries, outside = [], b""
    for number, kind, values in tags:
        is_text = kind == _ASCII
        data = values if is_text else struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)
        count = len(values) // (2 if kind == _RATIONAL else 1)
        if len(data) <= 8:
            inline = data.ljust(8, b"\0")
        else:
            inline = struct.pack("<Q", behind + len(outside))
            outside += data + b"\0" * (len(data) % 2)
        entries.append(struct.pack("<HHQ", number, kind, count) + inline)
    head = struct.pack("<Q", len(tags))
    whole = head + b"".join(entries) + struct.pack("<Q", following) + outside
    return whole + b"\0" * (-len(whole) % 8)
