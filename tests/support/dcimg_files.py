"""Writes DCIMG files of every variant, frame by frame, from the layout alone.

Facts about the layout: the readers `dcimg` of LENS and spimstitch, both under the MIT licence.
Numbers are little endian. In most files the first eight bytes of one line of each frame are kept
elsewhere: this writer puts `HOLE` into the image there, so a reader that forgets them is found out.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

OLD, NEW, NEWEST = 0x7, 0x1000000, 0x2000000
USB, CAMERA_LINK = 16, 32
"""Bytes of the footer of a frame."""
HOLE = b"\xaa\x55" * 4
"""What the image holds where eight bytes of a line lie elsewhere."""
PADDING = 0xEE
_SENSOR_LINE = 1023
"""Line of the sensor whose first bytes lie in the footer (version 0x1000000)."""


@dataclass(frozen=True)
class Dcimg:
    """How a file is laid out."""

    version: int = NEW
    dtype: str = "uint16"
    footer: int = CAMERA_LINK
    """Bytes of the footer of a frame; version 0x7 has none."""
    padding: int = 0
    """Bytes behind each row."""
    first_line: int = _SENSOR_LINE
    """Line of the sensor at which the region begins (versions from 0x1000000 on)."""
    first_column: int = 0
    binning: int = 1
    has_kept_bytes: bool = True
    """Whether the eight bytes lie elsewhere, where the layout is free to tell (version 0x7)."""
    kept_line: int = 0
    """Which line they belong to (version 0x7)."""
    first_second: int = 1_600_000_000
    first_microsecond: int = 250_000
    interval_us: int = 100_000
    """Between two frames; 0 where nothing is recorded."""
    first_counter: int = 0
    lost_after: int | None = None
    """Frame behind which the counter leaves out one number."""
    lies: dict[str, int] = field(default_factory=dict)
    """Other values of fields than the true ones, by their names."""

    @property
    def header_bytes(self) -> int:
        """Offset of the header of the session."""
        return {OLD: 232, NEW: 112, NEWEST: 512}[self.version]

    @property
    def data_offset(self) -> int:
        """Offset of the first frame from there."""
        if self.version == NEW:
            return 816 if self.footer == USB else 760
        return 760

    @property
    def item(self) -> int:
        """Bytes of a pixel."""
        return np.dtype(self.dtype).itemsize

    def line_of(self, height: int) -> int | None:
        """Return the line whose first eight bytes lie elsewhere; none where there is no such."""
        if self.version == OLD:
            line = self.kept_line if self.has_kept_bytes else -1
        elif self.footer != CAMERA_LINK and self.footer < 512:
            line = -1
        elif self.version == NEWEST:
            line = 0
        else:
            line = (_SENSOR_LINE - self.first_line) // self.binning
        return line if 0 <= line < height else None


def compose_frames(count: int, height: int, width: int, dtype: str = "uint16") -> np.ndarray:
    """Return frames in which no two neighbours are equal, in the whole range of the type."""
    numbers = np.arange(count * height * width, dtype="u8") * 40_503 + 17
    return (numbers >> (3 if dtype == "uint16" else 8)).astype(dtype).reshape(count, height, width)


def write_dcimg(
    path: str | Path, frames: Iterable[np.ndarray], layout: Dcimg | None = None
) -> Path:
    """Write frames of one size as a file; only one of them is in memory.

    Parameters
    ----------
    path
        The file.
    frames
        Along rows and columns each; an array along frames, rows and columns serves as well.
    layout
        The variant; its data type must be that of the frames.
    """
    layout = layout or Dcimg()
    stream = iter(frames)
    first = next(stream)
    height, width = first.shape
    kept, count = [], 0
    with Path(path).open("wb") as file:
        file.write(bytes(layout.header_bytes + layout.data_offset))
        for frame in itertools.chain([first], stream):
            assert frame.shape == first.shape
            assert frame.dtype == layout.dtype
            image, bytes_elsewhere = _image(frame, layout)
            file.write(image)
            if layout.version == OLD:
                kept.append(bytes_elsewhere)
            else:
                file.write(_footer(count, layout, bytes_elsewhere))
            count += 1
        if layout.version == OLD:
            file.write(_session_footer(layout, kept, width))
        size = file.tell()
        file.seek(0)
        file.write(_file_header(layout, count, size))
        file.seek(layout.header_bytes)
        file.write(_session_header(layout, count, height, width, size))
    return Path(path)


def _image(frame: np.ndarray, layout: Dcimg) -> tuple[bytes, bytes]:
    """Return the bytes of a frame as they lie in the file, and the eight that lie elsewhere."""
    little = frame.astype(np.dtype(layout.dtype).newbyteorder("<"))
    rows = [bytearray(row.tobytes()) for row in little]
    line = layout.line_of(len(rows))
    kept = bytes(8)
    if line is not None:
        kept = bytes(rows[line][:8]).ljust(8, b"\0")
        part = min(8, len(rows[line]))
        rows[line][:part] = HOLE[:part]
    padding = bytes([PADDING]) * layout.padding
    return b"".join(bytes(row) + padding for row in rows), kept


def _time_of(number: int, layout: Dcimg) -> tuple[int, int]:
    if not layout.interval_us:
        return 0, 0
    seconds, micros = divmod(layout.first_microsecond + number * layout.interval_us, 1_000_000)
    return layout.first_second + seconds, micros


def _counter_of(number: int, layout: Dcimg) -> int:
    is_later = layout.lost_after is not None and number > layout.lost_after
    return layout.first_counter + number + is_later


def _footer(number: int, layout: Dcimg, kept: bytes) -> bytes:
    stamp = struct.pack("<3I", _counter_of(number, layout), *_time_of(number, layout))
    if layout.footer == USB:
        return stamp + bytes(4)
    return (stamp + kept).ljust(layout.footer, b"\0")


def _file_header(layout: Dcimg, count: int, size: int) -> bytes:
    header = bytearray(layout.header_bytes)
    header[:5] = b"DCIMG"
    told = {"version": layout.version, "sessions": 1, "frames": count, "file_size": size}
    told = {"header_bytes": layout.header_bytes} | told | layout.lies
    struct.pack_into("<I", header, 0x08, told["version"])
    struct.pack_into("<3I", header, 0x20, told["sessions"], told["frames"], told["header_bytes"])
    struct.pack_into("<Q", header, 0x30, told["file_size"])
    struct.pack_into("<Q", header, 0x40, told["file_size"])
    return bytes(header)


def _session_header(layout: Dcimg, count: int, height: int, width: int, size: int) -> bytes:
    header = bytearray(layout.data_offset)
    row = width * layout.item + layout.padding
    told = {
        "session_frames": count,
        "depth": layout.item,
        "width": width,
        "height": height,
        "row_bytes": row,
        "image_bytes": row * height,
        "data_offset": layout.data_offset,
        "footer": layout.footer,
        "session_size": size - layout.header_bytes,
        "data_size": layout.data_offset + count * row * height,
    } | layout.lies
    struct.pack_into("<Q", header, 0, told["session_size"])
    if layout.version == OLD:
        struct.pack_into("<2I", header, 32, told["session_frames"], told["depth"])
        places = ((44, "width"), (48, "row_bytes"), (52, "height"), (56, "image_bytes"))
        for place, name in (*places, (68, "data_offset")):
            struct.pack_into("<I", header, place, told[name])
        struct.pack_into("<Q", header, 72, told["data_size"])
        return bytes(header)
    struct.pack_into("<2I", header, 60, told["session_frames"], told["depth"])
    struct.pack_into("<2I", header, 72, told["width"], told["height"])
    struct.pack_into("<2I", header, 80, told["row_bytes"], told["image_bytes"] % 2**32)
    struct.pack_into("<Q", header, 96, told["data_offset"])
    struct.pack_into("<I", header, 124, told["footer"])
    region = {
        "first_column": layout.first_column,
        "sensor_width": width * layout.binning,
        "first_line": layout.first_line,
        "sensor_height": height * layout.binning,
    } | {key: n for key, n in layout.lies.items() if key.startswith(("first", "sensor"))}
    struct.pack_into("<4H", header, 712, *region.values())
    return bytes(header)


def _session_footer(layout: Dcimg, kept: list[bytes], width: int) -> bytes:
    """Return what stands behind the frames of version 0x7: counters, times and kept bytes."""
    count = len(kept)
    row = width * layout.item + layout.padding
    second, counters = 160, 272
    times = counters + 4 * count
    elsewhere = times + 8 * count
    size = elsewhere + (8 * count if layout.has_kept_bytes else 0)
    told = {"second": second, "session_footer": size, "elsewhere": elsewhere} | layout.lies
    footer = bytearray(size)
    struct.pack_into("<I", footer, 0, layout.version)
    struct.pack_into("<Q", footer, 8, told["second"])
    struct.pack_into("<I", footer, 40, told["session_footer"])
    struct.pack_into("<Q", footer, second + 48, counters)
    struct.pack_into("<Q", footer, second + 64, times)
    struct.pack_into("<Q", footer, second + 88, told["elsewhere"])
    struct.pack_into("<I", footer, second + 100, told.get("kept_at", layout.kept_line * row))
    struct.pack_into("<Q", footer, second + 104, 8 if layout.has_kept_bytes else 0)
    for number, eight in enumerate(kept):
        struct.pack_into("<I", footer, counters + 4 * number, _counter_of(number, layout))
        struct.pack_into("<2I", footer, times + 8 * number, *_time_of(number, layout))
        if layout.has_kept_bytes:
            footer[elsewhere + 8 * number : elsewhere + 8 * number + 8] = eight
    return bytes(footer)


def _variants() -> dict[str, Dcimg]:
    """Return all combinations of what a layout can have, by name."""
    found = {}
    for dtype, padding in itertools.product(("uint8", "uint16"), (0, 12)):
        end = f"{dtype}{'-padded' if padding else ''}"
        more = {"dtype": dtype, "padding": padding}
        found[f"old-{end}"] = Dcimg(OLD, **more)
        found[f"old-line-3-{end}"] = Dcimg(OLD, kept_line=3, **more)
        found[f"old-none-{end}"] = Dcimg(OLD, has_kept_bytes=False, **more)
        found[f"new-{end}"] = Dcimg(NEW, **more)
        found[f"new-roi-{end}"] = Dcimg(NEW, first_line=1020, first_column=64, **more)
        found[f"new-outside-{end}"] = Dcimg(NEW, first_line=0, **more)
        found[f"new-below-{end}"] = Dcimg(NEW, first_line=1500, **more)
        found[f"new-binned-{end}"] = Dcimg(NEW, first_line=1016, binning=2, **more)
        found[f"new-usb-{end}"] = Dcimg(NEW, footer=USB, **more)
        found[f"new-512-{end}"] = Dcimg(NEW, footer=512, first_line=1021, **more)
        found[f"newest-{end}"] = Dcimg(NEWEST, footer=512, **more)
        found[f"newest-usb-{end}"] = Dcimg(NEWEST, footer=USB, **more)
        found[f"newest-link-{end}"] = Dcimg(NEWEST, first_line=0, **more)
    return found


VARIANTS = _variants()
"""Layouts of all kinds, by name."""
