"""Makes OME-TIFF files as programs write them: sets, companions, and those of Micro-Manager.

Pixels are written by tifffile, OME-XML by hand, after public files and bug reports.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import tifffile

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
SIZE_YX = (6, 7)


def uuid(name: str) -> str:
    """Return an identity for a file."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, name)}"


def stack(times: int, channels: int, depth: int, seed: int = 0) -> np.ndarray:
    """Return voxels along t, c, z, y, x, no two planes of which are the same."""
    shape = (times, channels, depth, *SIZE_YX)
    return (np.arange(np.prod(shape)).reshape(shape) + 1000 * seed).astype("uint16")


def in_order(voxels: np.ndarray, order: str) -> np.ndarray:
    """Return the planes of voxels along t, c, z, y, x in a DimensionOrder such as XYZCT."""
    slow_first = order[:1:-1]
    return voxels.transpose(*("TCZ".index(axis) for axis in slow_first), 3, 4).reshape(-1, *SIZE_YX)


@dataclass
class Xml:
    """An `Image` of OME-XML."""

    voxels: np.ndarray
    order: str = "XYZCT"
    tiff_data: str = ""
    name: str = "image"
    sizes: str = 'PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="2"'
    channels: str = ""
    others: list[Xml] = field(default_factory=list)

    def image(self, number: int) -> str:
        """Return the element."""
        t, c, z, y, x = self.voxels.shape
        return (
            f'<Image ID="Image:{number}" Name="{self.name}"><Pixels ID="Pixels:{number}" '
            f'DimensionOrder="{self.order}" Type="{self.voxels.dtype.name}" SizeX="{x}" '
            f'SizeY="{y}" SizeZ="{z}" SizeC="{c}" SizeT="{t}" {self.sizes}>'
            f"{self.channels}{self.tiff_data}</Pixels></Image>"
        )

    def text(self, own: str = "") -> str:
        """Return the document, with the identity of the file it stands in."""
        images = "".join(image.image(n) for n, image in enumerate([self, *self.others]))
        return document(images, own)


def document(inner: str, own: str = "") -> str:
    """Return OME-XML around some elements."""
    identity = f' UUID="{uuid(own)}"' if own else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{SCHEMA}"{identity}>{inner}</OME>'


def binary_only(metadata: str, own: str) -> str:
    """Return the OME-XML of a file whose metadata are in another."""
    return document(f'<BinaryOnly MetadataFile="{metadata}" UUID="{uuid(metadata)}"/>', own)


def piece(file: str = "", identity: str | None = None, **numbers: int) -> str:
    """Return a `TiffData`, with the name of a file or of the one it is in."""
    inner = ""
    if file:
        known = uuid(file) if identity is None else identity
        inner = f'<UUID FileName="{file}">{known}</UUID>'
    told = "".join(f' {key}="{value}"' for key, value in numbers.items())
    return f"<TiffData{told}>{inner}</TiffData>"


def write(path: Path, planes: Iterable[np.ndarray], xml: str, second: str = "") -> None:
    """Write planes, and one or two descriptions of the first."""
    is_double = bool(second)
    tags = [(269, 2, 0, xml.encode(), True)] if second else None
    with tifffile.TiffWriter(path, ome=False) as tiff:
        for plane in planes:
            options = {"metadata": None, "contiguous": False, "photometric": "minisblack"}
            text = (second or xml).encode()
            tiff.write(plane, description=text or None, extratags=tags, **options)
            xml = second = ""
            tags = None
    if is_double:
        _make_second_description(path)


def _make_second_description(path: Path) -> None:
    """Turn the tag 269 of the first directory into a first 270, which tifffile writes but once."""
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, place)[0] == 269:
            struct.pack_into("<H", data, place, 270)
    path.write_bytes(data)


IMAGEJ = (
    "ImageJ=1.52p\nimages={n}\nchannels=1\nslices=1\nframes={n}\nhyperstack=true\n"
    "mode=composite\nunit=um\nspacing=9.0\n"
)
"""What Micro-Manager writes as the second description."""


def write_micro_manager(folder: Path, prefix: str, positions: list[np.ndarray]) -> list[Path]:
    """Write positions as Micro-Manager does: each a file, the first with the metadata of all."""
    names = [f"{prefix}_MMStack_Pos{n}.ome.tif" for n in range(len(positions))]
    images = []
    for name, voxels in zip(names, positions, strict=True):
        order, pieces = "XYCZT", []
        t, c, z = voxels.shape[:3]
        for number, (time, depth, channel) in enumerate(np.ndindex(t, z, c)):
            numbers = {"FirstC": channel, "FirstT": time, "FirstZ": depth}
            pieces.append(piece(name, IFD=number, PlaneCount=1, **numbers))
        images.append(Xml(voxels, order, "".join(pieces), name.removesuffix(".ome.tif")))
    images[0].others = images[1:]
    for number, (name, voxels) in enumerate(zip(names, positions, strict=True)):
        xml = images[0].text(name) if number == 0 else binary_only(names[0], name)
        planes = in_order(voxels, "XYCZT")
        write(folder / name, planes, xml, IMAGEJ.format(n=len(planes)))
    return [folder / name for name in names]
