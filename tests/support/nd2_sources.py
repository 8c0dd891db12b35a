"""Writes ND2 files, chunk by chunk, as NIS-Elements lays them out (version 3.0)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC = 0x0ABECEDA
_LOOPS = {"t": 1, "p": 2, "z": 4}


class U(int):
    """A number without a sign, of 32 bits."""


@dataclass(frozen=True)
class Nd2:
    """One ND2 file; lengths are in micrometres, times in milliseconds."""

    t: int = 1
    p: int = 1
    z: int = 3
    c: int = 2
    y: int = 12
    x: int = 17
    dtype: str = "uint16"
    order: str = "tpz"
    """Loops, the slowest first."""
    spacing_um_xyz: tuple[float, float, float] = (0.5, 0.5, 2.0)
    is_calibrated: bool = True
    period_ms: float = 2500.0
    names: tuple[str, ...] = ("DAPI", "GFP")
    colours: tuple[int, ...] = (0x00FF0000, 0x0000FF00)
    """As blue, green, red, from the highest byte to the lowest."""
    positions: tuple[str, ...] = ("left", "right", "top")
    is_compressed: bool = False
    is_rgb: bool = False
    padding: int = 0
    """Bytes behind each row."""
    left_out: frozenset[int] = frozenset()
    """Numbers of frames that are not written."""
    recorded: int = 0
    """Frames that the attributes tell, if it is another number."""

    @property
    def frames(self) -> int:
        return self.t * self.p * self.z

    def voxels(self) -> np.ndarray:
        """Return numbers along p, t, z, c, y, x of which few are equal."""
        shape = (self.p, self.t, self.z, self.c, self.y, self.x)
        return np.arange(np.prod(shape)).reshape(shape).astype(self.dtype)


def write_nd2(path: Path, one: Nd2, voxels: np.ndarray | None = None) -> Path:
    """Write a file; `voxels` lie along p, t, z, c, y, x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = one.voxels() if voxels is None else voxels
    chunks = {
        "ImageAttributesLV!": _level("SLxImageAttributes", _attributes(one)),
        "ImageMetadataSeqLV|0!": _level("SLxPictureMetadata", _metadata(one)),
    }
    loops = [(axis, getattr(one, axis)) for axis in one.order if getattr(one, axis) > 1]
    if loops:
        chunks["ImageMetadataLV!"] = _level("SLxExperiment", _experiment(one, loops))
    counts = [range(getattr(one, axis)) for axis in one.order]
    frames = {
        f"ImageDataSeq|{number}!": _frame(one, data[tuple(at[one.order.index(a)] for a in "ptz")])
        for number, at in enumerate(product(*counts))
        if number not in one.left_out
    }
    start = b"ND2 FILE SIGNATURE CHUNK NAME01!"
    places, body = {}, bytearray(_chunk(start, b"Ver3.0".ljust(64, b"\0"), 32))
    for name, content in [*frames.items(), *((n, c) for n, c in chunks.items())]:
        places[name] = len(body), len(content)
        is_frame = name.startswith("ImageDataSeq")
        body += _chunk(name.encode(), content, 4072 if is_frame else 48)
    listed = b"".join(n.encode() + struct.pack("<QQ", *place) for n, place in places.items())
    location = len(body)
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", location)
    body += _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", listed + end, 48)
    path.write_bytes(bytes(body))
    return path


def _chunk(name: bytes, data: bytes, reserved: int) -> bytes:
    return struct.pack("<IIQ", _MAGIC, reserved, len(data)) + name.ljust(reserved, b"\0") + data


def _frame(one: Nd2, voxels: np.ndarray) -> bytes:
    """Return a frame along c, y, x as a file holds it: rows of pixels with all their samples."""
    pixels = voxels.transpose(1, 2, 0).astype(np.dtype(one.dtype).newbyteorder("<"))
    rows = [np.ascontiguousarray(row).tobytes() + bytes(one.padding) for row in pixels]
    data = b"".join(rows)
    return struct.pack("<d", 0.0) + (zlib.compress(data) if one.is_compressed else data)


def _attributes(one: Nd2) -> dict[str, Any]:
    bits = np.dtype(one.dtype).itemsize * 8
    return {
        "uiWidth": U(one.x),
        "uiWidthBytes": U(one.x * one.c * bits // 8 + one.padding),
        "uiHeight": U(one.y),
        "uiComp": U(one.c),
        "uiBpcInMemory": U(bits),
        "uiBpcSignificant": U(bits),
        "uiSequenceCount": U(one.recorded or one.frames),
        "eCompression": 0 if one.is_compressed else 2,
    }


def _metadata(one: Nd2) -> dict[str, Any]:
    count = 1 if one.is_rgb else one.c
    planes = {
        f"a{number}": {
            "uiCompCount": U(3 if one.is_rgb else 1),
            "uiSampleIndex": U(number),
            "pFluorescentProbe": {"m_uiColor": U(0)},
            "sDescription": one.names[number] if number < len(one.names) else "",
            "uiColor": U(one.colours[number] if number < len(one.colours) else 0),
        }
        for number in range(count)
    }
    return {
        "bCalibrated": one.is_calibrated,
        "dCalibration": one.spacing_um_xyz[0],
        "dObjectiveNA": 0.28,
        "dObjectiveMag": 10.0,
        "sPicturePlanes": {"uiCount": U(count), "sPlaneNew": planes},
    }


def _experiment(one: Nd2, loops: list[tuple[str, int]]) -> dict[str, Any]:
    (axis, count), *inner = loops
    parameters: dict[str, Any] = {"uiCount": U(count)}
    if axis == "t":
        parameters |= {"dStart": 0.0, "dPeriod": one.period_ms, "dDuration": 0.0}
    elif axis == "z":
        parameters |= {"dZStep": one.spacing_um_xyz[2], "dZLow": 0.0, "dZHigh": 10.0}
    else:
        parameters["Points"] = {
            f"i{n:010}": {"dPosX": float(n), "dPosY": 0.0, "dPosName": one.positions[n]}
            for n in range(count)
        }
    found = {"eType": U(_LOOPS[axis]), "uLoopPars": parameters}
    return found | ({"ppNextLevelEx": {"i0000000000": _experiment(one, inner)}} if inner else {})


def _level(name: str, values: Mapping[str, Any]) -> bytes:
    """Return values as NIS-Elements writes them: type, name and content, levels in levels."""
    items = b"".join(_item(key, value) for key, value in values.items())
    header = _name(11, name)
    length = len(header) + 12 + len(items)
    return header + struct.pack("<IQ", len(values), length) + items + bytes(8 * len(values))


def _item(name: str, value: Any) -> bytes:
    if isinstance(value, Mapping):
        return _level(name, value)
    if isinstance(value, bool):
        return _name(1, name) + struct.pack("<B", value)
    if isinstance(value, U):
        return _name(3, name) + struct.pack("<I", value)
    if isinstance(value, int):
        return _name(2, name) + struct.pack("<i", value)
    if isinstance(value, float):
        return _name(6, name) + struct.pack("<d", value)
    return _name(8, name) + value.encode("utf-16-le") + b"\0\0"


def _name(kind: int, name: str) -> bytes:
    return struct.pack("<BB", kind, len(name) + 1) + name.encode("utf-16-le") + b"\0\0"
