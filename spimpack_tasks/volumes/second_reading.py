"""Planes of an OME-TIFF in a second way, to compare with what was made of the first.

Nothing of what reads headers or finds planes for a conversion takes part: OME-XML is read as a tree
by the standard library, planes are counted one by one as the specification has it, and each is read
by tifffile from its own directory. Facts: the OME-TIFF specification 6.0 (`TiffData`).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree as ET

from spimpack_tasks.volumes.errors import HeaderError, reading
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.pictures import bound_page
from spimpack_tasks.volumes.tiff.ome_planes import beside
from spimpack_tasks.volumes.volume import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.arrays.grid import Region, Voxels

_DESCRIPTION = 270
"""The tag ImageDescription of TIFF."""


@contextmanager
def open_ome_tiff(path: str, number: int = 0) -> Iterator[Level]:
    """Open the full level of an image of an OME-TIFF, or of its set.

    Parameters
    ----------
    path
        The file.
    number
        Which of the images that have planes in the file.

    Raises
    ------
    HeaderError
        They cannot be found in this way.
    """
    reader = _Reader(path, number)
    try:
        with reading(path):
            reader.find_planes()
        yield reader.level()
    finally:
        reader.close()


def is_ome_tiff(path: str) -> bool:
    """Tell whether a file is a TIFF with OME-XML."""
    with reading(path), load_library("tifffile").TiffFile(path) as file:
        return _find_xml(file) is not None


def _find_xml(file: Any) -> str | None:
    tags = file.pages.first.tags
    texts = [tags.get(_DESCRIPTION, index=number) for number in range(2)]
    return next(
        (str(t.value) for t in texts if t is not None and "OME" in str(t.value)[:4096]), None
    )


class _Reader:
    """Finds planes, and keeps the file open that the last one was in."""

    def __init__(self, path: str, number: int) -> None:
        self.path, self.number = path, number
        self._open_path, self._file = "", None
        self._stream: BinaryIO | None = None
        self.uuid: str | None = None

    def find_planes(self) -> None:
        """Find where each plane is."""
        path = self.path
        root = self._parse(path)
        self.uuid = root.get("UUID")
        only = root.find("{*}BinaryOnly")
        if only is not None:
            root = self._parse(beside(path, only.get("MetadataFile", "")))
        self.pixels = self._choose(root.findall("{*}Image"))
        order = self.pixels.get("DimensionOrder", "XYZCT")[2:]
        self.counts = {axis: int(self.pixels.get(f"Size{axis}", "1")) for axis in order}
        pieces = self.pixels.findall("{*}TiffData")
        page = self._page(path, self._first_directory(pieces))
        self.samples = int(page.samplesperpixel)
        self.counts["C"] //= self.samples
        self.size_yx, self.dtype = (page.imagelength, page.imagewidth), page.dtype
        self.places: dict[tuple[int, ...], tuple[str, int]] = {}
        for piece in pieces or [ET.Element("TiffData")]:
            self._place(piece)

    def _parse(self, path: str) -> ET.Element:
        try:
            # The image itself may lie under a digest, without an ending.
            if path == self.path or path.lower().endswith((".tif", ".tiff", ".btf")):
                return ET.fromstring(_find_xml(self._open(path)) or "")  # noqa: S314 - no entities
            return ET.parse(path).getroot()  # noqa: S314 - no entities
        except ET.ParseError as error:
            raise HeaderError(path, f"has OME-XML that is not well-formed: {error}") from error

    def _choose(self, images: list[ET.Element]) -> ET.Element:
        """Return the pixels of the image that is meant, of those that name this file."""
        found = [pixels for image in images if (pixels := image.find("{*}Pixels")) is not None]
        here = []
        for pixels in found:
            files = pixels.findall("{*}TiffData/{*}UUID")
            if not files or any(self._is_here(file) for file in files):
                here.append(pixels)
        self.is_one_of_several = len(here) > 1
        return here[self.number] if here else found[0]

    def _first_directory(self, pieces: list[ET.Element]) -> int:
        """Return the number of the directory of the first plane in this file."""
        for piece in pieces if self.is_one_of_several else ():
            file = piece.find("{*}UUID")
            if file is None or self._is_here(file):
                return int(piece.get("IFD", "0"))
        return 0

    def _is_here(self, file: ET.Element) -> bool:
        name = file.get("FileName", "").lower()
        if name == os.path.basename(self.path).lower():
            return True
        is_same = self.uuid is not None and (file.text or "").strip() == self.uuid
        named = file.get("FileName", "")
        return is_same and not (named and os.path.exists(beside(self.path, named)))

    def _place(self, piece: ET.Element) -> None:
        """Note where the planes of a `TiffData` are, counting as `DimensionOrder` says."""
        file = piece.find("{*}UUID")
        path = self.path
        if file is not None and not self._is_here(file):
            named = beside(self.path, file.get("FileName", ""))
            path = named if os.path.exists(named) else path
        told = piece.get("PlaneCount", piece.get("NumPlanes"))
        count = int(told) if told else 1 if "IFD" in piece.keys() else len(self._open(path).pages)  # noqa: SIM118
        at = {axis: int(piece.get(f"First{axis}", "0")) for axis in self.counts}
        for number in range(count):
            self.places[at["T"], at["C"], at["Z"]] = (path, int(piece.get("IFD", "0")) + number)
            for axis, size in self.counts.items():  # the first runs fastest
                at[axis] += 1
                if at[axis] < size:
                    break
                at[axis] = 0

    def _open(self, path: str) -> Any:
        if path != self._open_path:
            self.close()
            # Given a path, tifffile leaves the file open where it cannot read it.
            self._stream = open(path, "rb")  # noqa: SIM115 - `close` does
            self._file, self._open_path = load_library("tifffile").TiffFile(self._stream), path
        return self._file

    def _page(self, path: str, number: int) -> Any:
        return self._open(path).pages[number]

    def close(self) -> None:
        """Close the file that is open."""
        if self._stream is not None:
            self._stream.close()
        self._open_path, self._file, self._stream = "", None, None

    def level(self) -> Level:
        """Return the full level."""
        shape = (self.counts["T"], self.counts["C"] * self.samples, self.counts["Z"], *self.size_yx)
        chunk = (1, 1, 1, *self.size_yx)
        return Level(shape, self.dtype.newbyteorder("="), chunk, self.read, stored_shape=shape)

    def read(self, region: Region) -> Voxels:
        """Return whole planes of a time point and a channel, along t, c, z, y, x."""
        with reading(self.path):
            return self._read(region[0].start, region[1].start, region[2])[None, None]

    def _read(self, time: int, channel: int, planes: slice) -> Voxels:
        numpy = load_library("numpy")
        channel, sample = divmod(channel, self.samples)
        found = []
        for z in range(planes.start, planes.stop):
            place = self.places.get((time, channel, z))
            if place is None:
                what = f"has no plane at time point {time}, channel {channel}, plane {z}"
                raise HeaderError(self.path, what)
            page = self._page(*place)
            bound_page(page.keyframe)
            plane = page.asarray(squeeze=True)
            if self.samples > 1:
                plane = numpy.moveaxis(plane, page.axes.index("S"), 0)[sample]
            found.append(plane)
        voxels: Voxels = numpy.stack(found)
        return voxels
