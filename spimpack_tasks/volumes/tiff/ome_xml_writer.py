"""Writes the OME-XML of an OME-TIFF, and recognises an OME-TIFF by it.

Provenance stands where the schema puts facts that it has no element for: in a `MapAnnotation` of
the image. So the first directory of a file tells from what the file was made, and a file whose last
tile is there is whole. Facts: OME schema 2016-06.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.ome_zarr.header_extras import PROVENANCE
from spimpack_tasks.volumes.tiff.annotations import KEPT, find_annotations
from spimpack_tasks.volumes.tiff.directory import (
    DESCRIPTION,
    SUB_IFDS,
    TILE_COUNTS,
    TILE_OFFSETS,
    TiffFile,
)
from spimpack_tasks.volumes.tiff.layout import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.volumes.spec import VolumeSpec
    from spimpack_tasks.volumes.tiff.directory import Tag

_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has not."""
_MADE_FROM = re.compile(rb'<M K="made_from">([^<]*)</M>')


def compose_ome_xml(spec: VolumeSpec) -> bytes:
    """Return the OME-XML of an image whose planes follow one another, z the fastest.

    Raises
    ------
    KeyError
        The voxels have a type that is not one of `TYPES`.
    """
    document = OmeDocument()
    pixels = document.add_image(spec)
    count = str(math.prod(spec.shape_tczyx[:3]))
    ET.SubElement(pixels, "TiffData", {"IFD": "0", "PlaneCount": count})
    return document.compose()


class OmeDocument:
    """An OME-XML that is being composed, of any number of images."""

    def __init__(self) -> None:
        self._root = ET.Element(
            "OME",
            {
                "xmlns": _SCHEMA,
                "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
                "xsi:schemaLocation": f"{_SCHEMA} {_SCHEMA}/ome.xsd",
                "Creator": f"spimpack_tasks {__version__}",
            },
        )
        self._annotations = ET.Element("StructuredAnnotations")
        self._images = 0

    def add_image(self, spec: VolumeSpec, order: str = "XYZCT") -> ET.Element:
        """Add an image, and return the element of its pixels, which lacks where its planes are.

        Parameters
        ----------
        spec
            What is known of the image.
        order
            Order of its planes, the fastest axis first.

        Raises
        ------
        KeyError
            The voxels have a type that is not one of `TYPES`.
        """
        image, self._images = self._images, self._images + 1
        inner = ET.SubElement(self._root, "Image", {"ID": f"Image:{image}", "Name": spec.name})
        attributes = {"ID": f"Pixels:{image}", "DimensionOrder": order}
        attributes |= {"Type": TYPES[spec.dtype.name]}
        sizes = dict(zip("TCZYX", spec.shape_tczyx, strict=True))
        attributes |= {f"Size{axis}": str(sizes[axis]) for axis in "XYZCT"}
        for axis, spacing in zip("ZYX", spec.spacing_um_zyx, strict=True):
            if spacing is not None:
                size = f"PhysicalSize{axis}"
                attributes |= {size: repr(spacing), f"{size}Unit": "µm"}
        if spec.time_step_s is not None:
            attributes |= {"TimeIncrement": repr(spec.time_step_s), "TimeIncrementUnit": "s"}
        pixels = ET.SubElement(inner, "Pixels", attributes)
        for number, channel in enumerate(spec.channels):
            told = {"ID": f"Channel:{image}:{number}", "SamplesPerPixel": "1"}
            told |= {"Name": channel.label} if channel.label else {}
            ET.SubElement(pixels, "Channel", told | {"Color": _colour(channel.colour)})
        for annotation in _annotations(spec):
            told = {"ID": f"Annotation:{len(self._annotations)}"}
            annotation.attrib.update(told)
            ET.SubElement(inner, "AnnotationRef", told)
            self._annotations.append(annotation)
        return pixels

    def add_before(self, element: ET.Element) -> None:
        """Add an element before the images, such as a plate."""
        self._root.insert(0, element)

    def compose(self, uuid: str = "") -> bytes:
        """Return the text, with an identifier if that is given."""
        if uuid:
            self._root.set("UUID", uuid)
        if self._images:
            self._root.append(self._annotations)
        xml: bytes = ET.tostring(self._root, encoding="utf-8")
        return b'<?xml version="1.0" encoding="UTF-8"?>' + xml


def _annotations(spec: VolumeSpec) -> Iterator[ET.Element]:
    """Yield the provenance, the texts of the source, and each annotation in its OME-XML."""
    yield _map_of(PROVENANCE, spec.provenance)
    if spec.original:
        yield _map_of(KEPT, spec.original)
    for text in spec.original.values():
        if text.lstrip().startswith("<") and "StructuredAnnotations" in text:
            yield from find_annotations(text)


def _map_of(namespace: str, values: Mapping[str, str]) -> ET.Element:
    annotation = ET.Element("MapAnnotation", {"Namespace": namespace})
    inner = ET.SubElement(annotation, "Value")
    for key, value in values.items():
        ET.SubElement(inner, "M", {"K": key}).text = _UNWRITABLE.sub("\ufffd", value)
    return annotation


def _colour(hexadecimal: str) -> str:
    """Return a colour as OME-XML has it: red, green, blue and opacity in a signed number."""
    return str(int.from_bytes(bytes.fromhex(f"{hexadecimal}FF"), "big", signed=True))


def is_made_from(path: str, made_from: str) -> bool:
    """Tell whether there is a whole OME-TIFF at `path` that was made here from just that."""
    if os.path.islink(path):
        return False
    try:
        with TiffFile(path) as file:
            tags, _ = file.directory(file.first_directory)
            found = _MADE_FROM.search(b"".join(file.chunks(tags.get(DESCRIPTION))))
            return found is not None and found[1] == made_from.encode() and _is_whole(file)
    except HeaderError:
        return False


def _is_whole(file: TiffFile) -> bool:
    """Tell whether the last tile of a file that was written here is in it.

    Raises
    ------
    HeaderError
        The file ends before that.
    """
    offset, following = 0, file.first_directory
    tags: dict[int, Tag] = {}
    while following > offset:  # the directories lie one behind the other
        offset = following
        tags, following = file.directory(offset)
    smaller = file.numbers(tags.get(SUB_IFDS))
    if smaller:
        tags, _ = file.directory(smaller[-1])
    offsets, sizes = (file.numbers(tags.get(tag)) for tag in (TILE_OFFSETS, TILE_COUNTS))
    return bool(offsets) and offsets[-1] + sizes[-1] <= file.size
