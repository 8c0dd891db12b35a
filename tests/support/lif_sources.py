"""Writes Leica LIF files: XML and a block of memory for each image (version 2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_DIMENSIONS = {"x": 1, "y": 2, "z": 3, "t": 4, "l": 5, "m": 10}
"""Numbers of axes; `l` are wavelengths, and `m` tiles."""
_TYPES = {"uint8": (0, 8), "uint16": (0, 16), "float32": (1, 32)}


@dataclass(frozen=True)
class Lif:
    """One image of a LIF file; lengths are in metres, times in seconds."""

    name: str = "Series001"
    t: int = 1
    z: int = 3
    c: int = 2
    y: int = 12
    x: int = 17
    dtype: str = "uint16"
    order: str = "tzcyx"
    """Axes as they lie in memory, the slowest first."""
    others: tuple[tuple[str, int], ...] = ()
    """Further axes, slower than those."""
    spacing_m_xyz: tuple[float, float, float] = (5e-7, 5e-7, 2e-6)
    time_step_s: float = 2.5
    dyes: tuple[str, ...] = ("DAPI", "GFP")
    colours: tuple[str, ...] = ("Blue", "Green")
    tags: tuple[int, ...] = (0, 0)
    """0 of a grey channel; 1, 2 and 3 of red, green and blue."""

    @property
    def sizes(self) -> dict[str, int]:
        return dict(self.others) | {axis: getattr(self, axis) for axis in self.order}

    def voxels(self) -> np.ndarray:
        """Return numbers along t, z, c, y, x of which few are equal."""
        shape = (self.t, self.z, self.c, self.y, self.x)
        return np.arange(np.prod(shape)).reshape(shape).astype(self.dtype)


def write_lif(
    path: Path, images: list[Lif], voxels: list[np.ndarray] | None = None, folder: str = ""
) -> Path:
    """Write a file; the voxels of each image lie along t, z, c, y, x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    elements = "".join(_element(one, number) for number, one in enumerate(images))
    if folder:
        elements = f'<Element Name="{folder}"><Data/><Children>{elements}</Children></Element>'
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project"><Data/><Children>'
        f"{elements}</Children></Element></LMSDataContainerHeader>"
    )
    text = xml.encode("utf-16-le")
    content = struct.pack("<IIBI", 0x70, len(text) + 5, 0x2A, len(xml)) + text
    for number, one in enumerate(images):
        data = one.voxels() if voxels is None else voxels[number]
        data = data.transpose(["tzcyx".index(axis) for axis in one.order])
        repeats = int(np.prod([n for _, n in one.others], dtype=int))
        block = np.ascontiguousarray(data).tobytes() * repeats
        name = f"MemBlock_{number}"
        head = struct.pack("<IIBQBI", 0x70, 2 * len(name) + 14, 0x2A, len(block), 0x2A, len(name))
        content += head + name.encode("utf-16-le") + block
    path.write_bytes(content)
    return path


def _element(one: Lif, number: int) -> str:
    steps = _steps(one)
    kind, bits = _TYPES[one.dtype]
    channels = "".join(
        f'<ChannelDescription DataType="{kind}" ChannelTag="{one.tags[c] if one.tags else 0}" '
        f'Resolution="{bits}" NameOfMeasuredQuantity="" Min="0" Max="255" Unit="" '
        f'LUTName="{one.colours[c] if c < len(one.colours) else "Gray"}" IsLUTInverted="0" '
        f'BytesInc="{steps["c"] * c}" BitInc="0">{_dye(one, c)}</ChannelDescription>'
        for c in range(one.c)
    )
    axes = "".join(
        f'<DimensionDescription DimID="{_DIMENSIONS[axis]}" NumberOfElements="{n}" Origin="0" '
        f'Length="{_length(one, axis, n)!r}" Unit="{"s" if axis == "t" else "m"}" '
        f'BytesInc="{steps[axis]}" BitInc="0"/>'
        for axis, n in reversed(one.sizes.items())
        if axis != "c" and (n > 1 or axis in "yx")
    )
    size = int(np.prod([*one.sizes.values()])) * np.dtype(one.dtype).itemsize
    return (
        f'<Element Name="{one.name}" UniqueID="{number}"><Data><Image><ImageDescription>'
        f"<Channels>{channels}</Channels><Dimensions>{axes}</Dimensions></ImageDescription>"
        f'</Image></Data><Memory Size="{size}" MemoryBlockID="MemBlock_{number}"/></Element>'
    )


def _dye(one: Lif, channel: int) -> str:
    if channel >= len(one.dyes):
        return ""
    dye = one.dyes[channel]
    return f"<ChannelProperty><Key>DyeName</Key><Value>{dye}</Value></ChannelProperty>"


def _steps(one: Lif) -> dict[str, int]:
    """Return the bytes between two elements of each axis."""
    steps, step = {}, np.dtype(one.dtype).itemsize
    for axis, n in reversed(one.sizes.items()):
        steps[axis] = step
        step *= n
    return steps


def _length(one: Lif, axis: str, n: int) -> float:
    distances = dict(zip("xyz", one.spacing_m_xyz, strict=True)) | {"t": one.time_step_s}
    return distances.get(axis, 1.0) * (n - 1)
