"""The layout of a DCIMG file: where its frames lie, and the pixels that are kept apart.

Hamamatsu has not published the format. Facts: the readers `dcimg` of LENS and spimstitch (both
MIT). Numbers are little endian. Behind a file header stands one session with its own header, and
behind that the frames. From version 0x1000000 on, each frame has a footer with its number and time;
in version 0x7 one footer of the session has those of all frames.

The first eight bytes of one line of each frame are not in the image but in the footer: of the line
that shows line 1023 of the sensor, or line 0 from version 0x2000000 on. Files of USB cameras, and
regions of the sensor without that line, have no such pixels.

Nothing here is read beyond headers; what does not add up is refused.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

from spimpack_tasks.files.limits import LARGEST_BLOCK, REMEDY, allowed, as_size
from spimpack_tasks.volumes.errors import HeaderError

SIGNATURE = b"DCIMG\0\0\0"
_OLD, _NEW, _NEWEST = 0x7, 0x1000000, 0x2000000
_VERSIONS = (_OLD, _NEW, _NEWEST)
_FILE_HEADER = 0x48
"""Bytes that are read of the header of the file."""
_NEW_SESSION, _OLD_SESSION = 720, 80
"""Bytes that are read of the header of a session."""
KEPT_BYTES = 8
"""Bytes of a line that lie elsewhere."""
_SENSOR_LINE = 1023
"""Line of the sensor whose first bytes lie in the footer (version 0x1000000)."""
_USB_FOOTER, _LINK_FOOTER, _LONG_FOOTER = 16, 32, 512
"""Bytes of footers: the first kind keeps no pixels, the others do; the last is the least size."""
_KEPT_IN_FOOTER = 12
"""Where the kept bytes begin in the footer of a frame."""
_SECOND_PART, _COUNTERS = 112, 272
"""Bytes of the second part of the footer of a session, and where counters begin in the footer."""
_TYPES = {1: "uint8", 2: "uint16"}


@dataclass(frozen=True, slots=True)
class Series:
    """Values of all frames: where that of frame 0 lies, and the distance to the next."""

    offset: int
    stride: int

    def of(self, frame: int) -> int:
        """Return where the value of a frame lies."""
        return self.offset + frame * self.stride


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes and places in a file; all of them lie within it."""

    version: int
    frames: int
    height: int
    width: int
    dtype: str
    """As numpy names it."""
    row_bytes: int
    """From one row to the next."""
    images: Series
    counters: Series
    times: Series
    """Of two numbers of 32 bits: seconds, and millionths of a second."""
    kept: Series | None = None
    """Of the eight bytes that belong to `kept_line`."""
    kept_line: int = -1

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Numbers of frames, rows and columns."""
        return self.frames, self.height, self.width


@dataclass(frozen=True, slots=True)
class _Told:
    """Numbers in the headers, as they are."""

    version: int
    sessions: int
    file_frames: int
    session: int
    """Offset of the session."""
    file_size: int
    frames: int
    depth: int
    width: int
    height: int
    row_bytes: int
    image_bytes: int
    data_offset: int
    """From the session on."""
    footer: int
    """Of each frame; nothing in version 0x7."""
    data_size: int
    """Bytes from the session to its footer; version 0x7 only."""
    region: tuple[int, int, int, int]
    """Column, width, line and height on the sensor; zeros in version 0x7."""


def read_layout(path: str, descriptor: int) -> Layout:
    """Return the layout of an open file.

    Raises
    ------
    HeaderError
        It is no DCIMG file, it is cut off, or what its headers say does not add up.
    """
    size = os.fstat(descriptor).st_size
    told = _read_headers(path, descriptor, size)
    _check_counts(path, told)
    _check_sizes(path, told)
    stride = told.image_bytes + told.footer
    first = told.session + told.data_offset
    needed = max(first + told.frames * stride, told.file_size)
    if size < needed:
        what = f"is cut off: it has {size:,} bytes of {needed:,}"
        raise HeaderError(path, what, "copy it again, or take the part that is whole elsewhere")
    images = Series(first, stride)
    if told.version == _OLD:
        return _with_session_footer(path, descriptor, size, told, images)
    line = _line_of(path, told)
    footers = Series(first + told.image_bytes, stride)
    return Layout(
        version=told.version,
        frames=told.frames,
        height=told.height,
        width=told.width,
        dtype=_TYPES[told.depth],
        row_bytes=told.row_bytes,
        images=images,
        counters=footers,
        times=Series(footers.offset + 4, stride),
        kept=Series(footers.offset + _KEPT_IN_FOOTER, stride) if line >= 0 else None,
        kept_line=line,
    )


def _read_headers(path: str, descriptor: int, size: int) -> _Told:
    head = os.pread(descriptor, _FILE_HEADER, 0)
    if not head.startswith(SIGNATURE[: max(len(head), 1)]):
        raise HeaderError(path, "does not begin as a DCIMG file does")
    if len(head) < _FILE_HEADER:
        raise HeaderError(path, f"is cut off: it has {size:,} bytes, fewer than its header")
    (version,) = struct.unpack_from("<I", head, 0x08)
    if version not in _VERSIONS:
        known = ", ".join(f"{each:#x}" for each in _VERSIONS)
        raise HeaderError(path, f"is of version {version:#x} of DCIMG; {known} are read")
    sessions, frames, session = struct.unpack_from("<3I", head, 0x20)
    (file_size,) = struct.unpack_from("<Q", head, 0x30)
    length = _OLD_SESSION if version == _OLD else _NEW_SESSION
    data = os.pread(descriptor, length, session)
    if session < _FILE_HEADER or len(data) < length:
        what = f"is cut off or damaged: it has {size:,} bytes, and no whole header at {session:,}"
        raise HeaderError(path, what)
    read = _read_old_session if version == _OLD else _read_new_session
    return _Told(version, sessions, frames, session, file_size, **read(data))


def _read_new_session(data: bytes) -> dict[str, Any]:
    frames, depth = struct.unpack_from("<2I", data, 60)
    width, height, row_bytes, image_bytes = struct.unpack_from("<4I", data, 72)
    (offset,) = struct.unpack_from("<Q", data, 96)
    (footer,) = struct.unpack_from("<I", data, 124)
    return {
        "frames": frames,
        "depth": depth,
        "width": width,
        "height": height,
        "row_bytes": row_bytes,
        "image_bytes": image_bytes,
        "data_offset": offset,
        "footer": footer,
        "data_size": 0,
        "region": struct.unpack_from("<4H", data, 712),
    }


def _read_old_session(data: bytes) -> dict[str, Any]:
    frames, depth = struct.unpack_from("<2I", data, 32)
    width, row_bytes, height, image_bytes = struct.unpack_from("<4I", data, 44)
    (offset,) = struct.unpack_from("<I", data, 68)
    (data_size,) = struct.unpack_from("<Q", data, 72)
    return {
        "frames": frames,
        "depth": depth,
        "width": width,
        "height": height,
        "row_bytes": row_bytes,
        "image_bytes": image_bytes,
        "data_offset": offset,
        "footer": 0,
        "data_size": data_size,
        "region": (0, 0, 0, 0),
    }


def _check_counts(path: str, told: _Told) -> None:
    """Refuse a file of none or several sessions, or whose numbers of frames differ."""
    if told.sessions != 1:
        what = f"holds {told.sessions:,} sessions of recording; files of one are read"
        hint = "record again" if not told.sessions else "save each session to a file of its own"
        raise HeaderError(path, what, hint)
    if told.file_frames != told.frames:
        what = f"has {told.file_frames:,} frames by its header, but {told.frames:,} by its session"
        raise HeaderError(path, what, "take a copy of it that is whole")
    if not told.frames:
        raise HeaderError(path, "holds no frame: its recording was not finished")


def _check_sizes(path: str, told: _Told) -> None:
    """Refuse sizes of frames that do not add up, and those that no camera has."""
    shown = f"{told.height:,} x {told.width:,} pixels of {told.depth} bytes"
    if told.depth not in _TYPES or not (told.height and told.width):
        raise HeaderError(path, f"has frames of {shown}, which no camera writes")
    is_sound = told.row_bytes >= told.width * told.depth
    if not is_sound or told.image_bytes != told.row_bytes * told.height:
        what = f"has frames of {shown}, which rows of {told.row_bytes:,} bytes and frames of "
        raise HeaderError(path, f"{what}{told.image_bytes:,} bytes do not fit")
    if told.image_bytes > allowed(LARGEST_BLOCK):
        raise HeaderError(path, f"has frames of {as_size(told.image_bytes)}", REMEDY)
    least = _OLD_SESSION if told.version == _OLD else _NEW_SESSION
    if told.data_offset < least:
        what = f"has its first frame {told.data_offset} bytes behind the begin of its session"
        raise HeaderError(path, f"{what}, which is within its header")
    is_known = told.footer in {_USB_FOOTER, _LINK_FOOTER} or told.footer >= _LONG_FOOTER
    if told.version != _OLD and not is_known:
        what = f"has a footer of {told.footer} bytes behind each frame, which no known camera has"
        raise HeaderError(path, what, "convert it by the program that recorded it")


def _line_of(path: str, told: _Told) -> int:
    """Return the line whose first bytes lie in the footers, -1 where there is none."""
    if told.footer == _USB_FOOTER:
        return -1
    if told.version == _NEWEST:
        return 0
    _, sensor_width, first_line, sensor_height = told.region
    binning = sensor_height // told.height
    if binning != sensor_width // told.width:
        what = f"shows {sensor_height} x {sensor_width} pixels of the sensor as "
        hint = "convert it by the program that recorded it"
        raise HeaderError(path, f"{what}{told.height} x {told.width}, unevenly", hint)
    line = (_SENSOR_LINE - first_line) // max(binning, 1)
    return line if 0 <= line < told.height else -1


def _with_session_footer(
    path: str, descriptor: int, size: int, told: _Told, images: Series
) -> Layout:
    """Return the layout of a file of version 0x7, by the footer of its session."""
    start = told.session + told.data_size
    head = os.pread(descriptor, 44, start) if start < size else b""
    if len(head) < 44 or start < images.of(told.frames):
        what = f"is cut off or damaged: it has {size:,} bytes, and no footer at {start:,}"
        raise HeaderError(path, what)
    (second,) = struct.unpack_from("<Q", head, 8)
    (length,) = struct.unpack_from("<I", head, 40)
    data = os.pread(descriptor, _SECOND_PART, start + second) if second < size else b""
    stamps_end = _COUNTERS + 12 * told.frames
    if len(data) < _SECOND_PART or length < stamps_end or start + length > size:
        what = f"is cut off or damaged: its footer of {length:,} bytes at {start:,} is not whole"
        raise HeaderError(path, what)
    (elsewhere,) = struct.unpack_from("<Q", data, 88)
    (at,) = struct.unpack_from("<I", data, 100)
    (kept_bytes,) = struct.unpack_from("<Q", data, 104)
    has_kept = length == elsewhere + KEPT_BYTES * told.frames
    if kept_bytes and not has_kept:
        what = f"is damaged: {kept_bytes} bytes of each frame should be kept in its footer of "
        raise HeaderError(path, f"{what}{length:,} bytes, from byte {elsewhere:,} on")
    line, rest = divmod(at, told.row_bytes)
    if has_kept and (elsewhere < stamps_end or rest or line >= told.height):
        what = f"is damaged: pixels of byte {at:,} of each frame are said to lie at {elsewhere:,}"
        raise HeaderError(path, what)
    return Layout(
        version=told.version,
        frames=told.frames,
        height=told.height,
        width=told.width,
        dtype=_TYPES[told.depth],
        row_bytes=told.row_bytes,
        images=images,
        counters=Series(start + _COUNTERS, 4),
        times=Series(start + _COUNTERS + 4 * told.frames, 8),
        kept=Series(start + elsewhere, KEPT_BYTES) if has_kept else None,
        kept_line=line if has_kept else -1,
    )
