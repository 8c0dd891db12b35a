"""The OME-XML of the images of a stream: channels, planes with their facts, missing frames.

Facts: OME schema 2016-06.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET

from spimpack_tasks.volumes.tiff.ome_xml_writer import OmeDocument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.values import Channel, Plate, Position
    from spimpack_tasks.volumes.spec import VolumeSpec

_PLANE = {
    "delta_t": ("DeltaT", "s"),
    "exposure_time": ("ExposureTime", "s"),
    "position_x": ("PositionX", "µm"),
    "position_y": ("PositionY", "µm"),
    "position_z": ("PositionZ", "µm"),
}
"""Attribute and unit in OME-XML of metadata of frames."""


class StreamDocument:
    """The OME-XML of a file.

    Parameters
    ----------
    order
        Letters of t, c and z in the order of the file, the slowest first.
    channels
        The channels, perhaps none.
    plate
        The plate that the positions are on, if they are.
    """

    def __init__(self, order: str, channels: Sequence[Channel], plate: Plate | None = None) -> None:
        self._document = OmeDocument()
        self._order = f"XY{order[::-1].upper()}"
        self._channels = channels
        self._plate = plate
        self._positions: list[Position] = []
        self._planes: dict[str, int] = {}

    def add(
        self,
        spec: VolumeSpec,
        position: Position,
        planes: Sequence[PlaneAt],
        frames: Sequence[Mapping[str, Any]],
        target: tuple[str, str] | None = None,
    ) -> None:
        """Add an image, whose planes follow those of the image before.

        Parameters
        ----------
        spec
            What is known of the image.
        position
            Where the stage was.
        planes
            Its planes in the order of the file.
        frames
            Lines of metadata of frames.
        target
            Name and identifier of the file of its planes, where that is another one.
        """
        pixels = self._document.add_image(spec, self._order)
        for element, channel in zip(pixels.findall("Channel"), self._channels, strict=False):
            element.attrib.update(_facts_of(channel))
        name, uuid = target or ("", "")
        before = self._planes.get(name, 0)
        first = {"IFD": str(before), "PlaneCount": str(len(planes))}
        data = ET.SubElement(pixels, "TiffData", first)
        if name:
            ET.SubElement(data, "UUID", {"FileName": name}).text = uuid
        self._planes[name] = before + len(planes)
        self._positions.append(position)
        told = {(line["t"], line["c"], line["z"]): line["metadata"] for line in frames}
        stage = {f"position_{axis}": getattr(position, f"{axis}_coord") for axis in "xyz"}
        stage = {key: value for key, value in stage.items() if value is not None}
        if told or stage:
            for at in planes:
                _add_plane(pixels, at, stage | told.get(at, {}))

    def compose(self, uuid: str = "") -> bytes:
        """Return the text, with an identifier if that is given."""
        if self._plate:
            self._document.add_before(_compose_plate(self._plate, self._positions))
        return self._document.compose(uuid)


class Companion:
    """A file with the OME-XML of the images in several TIFF files, which name it.

    Parameters
    ----------
    name
        Its name.
    files
        Names of the TIFF files.
    origin
        A text from which the identifiers are made, so that equal streams make equal files.
    """

    def __init__(self, name: str, files: Sequence[str], origin: str) -> None:
        self.name = name
        self.uuid = _identifier(origin, name)
        self._files = [(each, _identifier(origin, each)) for each in files]

    def file(self, number: int) -> tuple[str, str]:
        """Return name and identifier of a TIFF file."""
        return self._files[number]

    def link(self, number: int) -> bytes:
        """Return the OME-XML of a TIFF file, which names the companion."""
        document = OmeDocument()
        told = {"MetadataFile": self.name, "UUID": self.uuid}
        document.add_before(ET.Element("BinaryOnly", told))
        return document.compose(self._files[number][1])


def _identifier(origin: str, name: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{origin} {name}')}"


def _compose_plate(plate: Plate, positions: Sequence[Position]) -> ET.Element:
    """Return a plate whose wells name the images, which have the order of the positions."""
    wells: dict[tuple[int, int], list[int]] = {}
    for image, position in enumerate(positions):
        row = plate.row_names.index(position.plate_row)
        column = plate.column_names.index(position.plate_column)
        wells.setdefault((row, column), []).append(image)
    told = {"ID": "Plate:0"} | ({"Name": plate.name} if plate.name else {})
    told |= {"RowNamingConvention": _naming(plate.row_names)}
    told |= {"ColumnNamingConvention": _naming(plate.column_names)}
    told |= {"Rows": str(len(plate.row_names)), "Columns": str(len(plate.column_names))}
    element = ET.Element("Plate", told)
    sample = 0
    for number, ((row, column), images) in enumerate(sorted(wells.items())):
        place = {"ID": f"Well:0:{number}", "Row": str(row), "Column": str(column)}
        well = ET.SubElement(element, "Well", place)
        for image in images:
            told = {"ID": f"WellSample:0:{sample}", "Index": str(sample)}
            inner = ET.SubElement(well, "WellSample", told | _stage(positions[image]))
            ET.SubElement(inner, "ImageRef", {"ID": f"Image:{image}"})
            sample += 1
    return element


def _naming(names: Sequence[str]) -> str:
    return "number" if all(name.isdecimal() for name in names) else "letter"


def _stage(position: Position) -> dict[str, str]:
    found: dict[str, str] = {}
    for axis in "xy":
        value = getattr(position, f"{axis}_coord")
        if value is not None:
            key = f"Position{axis.upper()}"
            found |= {key: repr(float(value)), f"{key}Unit": "µm"}
    return found


def _facts_of(channel: Channel) -> dict[str, str]:
    facts: dict[str, str] = {}
    for key, value in (
        ("ExcitationWavelength", channel.excitation_wavelength_nm),
        ("EmissionWavelength", channel.emission_wavelength_nm),
    ):
        if value is not None:
            facts |= {key: repr(float(value)), f"{key}Unit": "nm"}
    return facts | ({"Fluor": channel.fluorophore} if channel.fluorophore else {})


def _add_plane(pixels: ET.Element, at: PlaneAt, facts: Mapping[str, Any]) -> None:
    t, c, z = at
    attributes = {"TheT": str(t), "TheC": str(c), "TheZ": str(z)}
    for key, (name, unit) in _PLANE.items():
        value = facts.get(key)
        if isinstance(value, int | float):
            attributes |= {name: repr(float(value)), f"{name}Unit": unit}
    ET.SubElement(pixels, "Plane", attributes)


def as_texts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return facts as an annotation of OME-XML has them, without those that planes have."""
    others = {key: value for key, value in facts.items() if not key.startswith("frame_metadata")}
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in others.items()
    }
