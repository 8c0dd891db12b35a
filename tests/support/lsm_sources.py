"""Writes Zeiss LSM files as the microscopes do: planes of all channels, thumbnails between them.

Facts: the structure `CZ_LSMINFO` (tag 34412) and its records, little endian; lengths in metres,
times in seconds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import tifffile

TAG = 34412
STAND_IN = 65000
"""Number of the tag until all is in its place: tifffile takes a file with `TAG` for a whole LSM."""
BITS = 258
MAGIC = 0x0400494C
HEAD = "<Iiiiiiiiiidddddd HH I IIII d IIIII"
"""From the magic number to the offset of the events."""
COLOURS_AT = struct.calcsize("<Iiiiiiiiiidddddd HH I III")
STAMPS_AT = struct.calcsize("<Iiiiiiiiiidddddd HH I IIII d III")


@dataclass(frozen=True)
class Lsm:
    """One LSM file."""

    t: int = 1
    z: int = 3
    c: int = 2
    y: int = 6
    x: int = 8
    dtype: str = "uint16"
    spacing_m_xyz: tuple[float, float, float] = (1.0378e-06, 1.0378e-06, 2.5e-06)
    interval_s: float = 0.0
    stamps_s: tuple[float, ...] = ()
    names: tuple[str, ...] = ("Ch1-T1", "Ch2-T2")
    colours: tuple[tuple[int, int, int], ...] = ((0, 255, 0), (255, 0, 0))
    scan_type: int = 0
    compression: str | None = None
    with_thumbnails: bool = True

    def voxels(self) -> np.ndarray:
        """Return numbers along t, z, c, y, x of which no two are equal."""
        shape = (self.t, self.z, self.c, self.y, self.x)
        return np.arange(np.prod(shape)).reshape(shape).astype(self.dtype)

    def info(self) -> bytes:
        head = struct.pack(
            HEAD,
            *(MAGIC, 500, self.x, self.y, self.z, self.c, self.t, 2, 4, 4),
            *self.spacing_m_xyz,
            *(0.0, 0.0, 0.0),
            *(self.scan_type, 0, 0),
            *(0, 0, 0, 0),  # overlay, tables of input and output, colours
            self.interval_s,
            *(0, 0, 0, 0, 0),
        )
        return head + bytes(500 - len(head))


def write_lsm(path: Path, lsm: Lsm, voxels: np.ndarray | None = None) -> Path:
    """Write a file; `voxels` lie along t, z, c, y, x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data, info = lsm.voxels() if voxels is None else voxels, lsm.info()
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for number, (t, z) in enumerate(product(range(lsm.t), range(lsm.z))):
            page = data[t, z]
            options: dict[str, object] = {}
            if lsm.c > 1:
                options = {"planarconfig": "separate", "extrasamples": [0] * (lsm.c - 1)}
            else:
                page = page[0]
            if number == 0:
                options["extratags"] = [(STAND_IN, "B", len(info), info, True)]
            file.write(
                page,
                photometric="minisblack",
                contiguous=False,
                metadata=None,
                compression=lsm.compression,
                **options,
            )
            if lsm.with_thumbnails:
                small = np.zeros((3, 4, 4), "uint8")
                file.write(
                    small, photometric="rgb", planarconfig="separate", subfiletype=1, metadata=None
                )
    _append_records(path, lsm)
    return path


def _append_records(path: Path, lsm: Lsm) -> None:
    content = bytearray(path.read_bytes())

    def put(at: int, record: bytes) -> None:
        """Put a record behind all else, and its place at an offset."""
        content[at : at + 4] = struct.pack("<I", len(content))
        content.extend(record)

    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags[STAND_IN]
        content[tag.offset : tag.offset + 2] = struct.pack("<H", TAG)
        for at, record in ((COLOURS_AT, _colours(lsm)), (STAMPS_AT, _stamps(lsm))):
            if record:
                put(tag.valueoffset + at, record)
        for page in file.pages:
            bits = page.tags[BITS]
            if bits.count == 2:  # the microscopes keep even these four bytes elsewhere
                put(bits.offset + 8, struct.pack("<HH", *bits.value))
    path.write_bytes(content)


def _colours(lsm: Lsm) -> bytes:
    if not lsm.names:
        return b""
    colours = b"".join(bytes([*colour, 0]) for colour in lsm.colours)
    texts = (name.encode() + b"\0" for name in lsm.names)
    names = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    size = 24 + len(colours) + len(names)
    head = struct.pack("<6I", size, len(lsm.colours), len(lsm.names), 24, 24 + len(colours), 0)
    return head + colours + names


def _stamps(lsm: Lsm) -> bytes:
    if not lsm.stamps_s:
        return b""
    count = len(lsm.stamps_s)
    return struct.pack(f"<ii{count}d", 8 + 8 * count, count, *lsm.stamps_s)
