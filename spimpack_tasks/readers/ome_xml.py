"""OME-XML, as far as headers need it, read in pieces of any size.

Facts: the OME schema 2016-06 (older ones differ in nothing that is read here). The default unit of
`PhysicalSizeX`, `Y` and `Z` is the micrometre. A document type is refused, and with it every
entity, so nothing expands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterable

Attributes: TypeAlias = dict[str, str]

_MOST_ELEMENTS = 4096
"""Channels, objectives or instruments that are kept."""
_LONGEST_TIME = 64


class OmeXmlError(ValueError):
    """The text is not OME-XML; the message says why."""


@dataclass(slots=True)
class Image:
    """One `Image` with the attributes of what is in it."""

    pixels: Attributes = field(default_factory=dict)
    channels: list[Attributes] = field(default_factory=list)
    acquired_at: str = ""
    instrument_id: str = ""
    objective_id: str = ""


@dataclass(slots=True)
class Instrument:
    """One `Instrument`: its microscope, and its objectives by their ids."""

    microscope: Attributes = field(default_factory=dict)
    objectives: dict[str, Attributes] = field(default_factory=dict)


@dataclass(slots=True)
class OmeXml:
    """What a document says of its first image, and of the instruments."""

    root: Attributes = field(default_factory=dict)
    image: Image = field(default_factory=Image)
    images: int = 0
    instruments: dict[str, Instrument] = field(default_factory=dict)
    companion: str = ""
    """File that has the metadata, where this one says that it has none."""


def parse_ome_xml(chunks: Iterable[bytes]) -> OmeXml:
    """Return what an OME-XML document says; memory does not go with its length.

    Raises
    ------
    OmeXmlError
        It is not well-formed, has a document type, or another root than `OME`.
    """
    listener = _Listener()
    parser = expat.ParserCreate()
    parser.StartElementHandler = listener.start
    parser.EndElementHandler = listener.end
    parser.CharacterDataHandler = listener.characters
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)  # noqa: FBT003 - takes no keyword
        parser.Parse(b"", True)  # noqa: FBT003 - takes no keyword
    except (expat.ExpatError, LookupError) as error:
        raise OmeXmlError(f"is not well-formed: {error}") from error
    except UnicodeError as error:
        raise OmeXmlError("has characters of another encoding") from error
    return listener.found


def _refuse_doctype(*_: object) -> None:
    raise OmeXmlError("has a document type, which OME-XML has not")


class _Listener:
    """Takes what is of use from the elements as they come."""

    def __init__(self) -> None:
        self.found = OmeXml()
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._instrument = Instrument()

    def start(self, tag: str, attributes: Attributes) -> None:
        """Take the attributes of an element."""
        name = tag.rpartition(":")[2]
        if not self._path and name != "OME":
            raise OmeXmlError(f"has the root {name[:50]!r} instead of OME")
        self._path.append(name)
        if len(self._path) <= 4:
            self._take("/".join(self._path), attributes)

    def _take(self, path: str, attributes: Attributes) -> None:
        image = self.found.image
        if path == "OME/Image":
            self.found.images += 1
        elif path.startswith("OME/Image/"):
            if self.found.images == 1:
                self._take_of_image(path, attributes, image)
        elif path.startswith("OME/Instrument"):
            self._take_of_instrument(path, attributes)
        elif path == "OME":
            self.found.root = attributes
        elif path == "OME/BinaryOnly":
            self.found.companion = attributes.get("MetadataFile", "")

    def _take_of_image(self, path: str, attributes: Attributes, image: Image) -> None:
        if path == "OME/Image/Pixels":
            image.pixels = attributes
        elif path == "OME/Image/Pixels/Channel":
            if len(image.channels) < _MOST_ELEMENTS:
                image.channels.append(attributes)
        elif path == "OME/Image/InstrumentRef":
            image.instrument_id = attributes.get("ID", "")
        elif path in {"OME/Image/ObjectiveSettings", "OME/Image/ObjectiveRef"}:
            image.objective_id = attributes.get("ID", "")
        elif path == "OME/Image/AcquisitionDate":
            self._text = []

    def _take_of_instrument(self, path: str, attributes: Attributes) -> None:
        instruments = self.found.instruments
        if path == "OME/Instrument":
            self._instrument = Instrument()
            if len(instruments) < _MOST_ELEMENTS:
                instruments[attributes.get("ID", "")] = self._instrument
        elif path == "OME/Instrument/Microscope":
            self._instrument.microscope = attributes
        elif path == "OME/Instrument/Objective" and (
            len(self._instrument.objectives) < _MOST_ELEMENTS
        ):
            self._instrument.objectives[attributes.get("ID", "")] = attributes

    def end(self, _: str) -> None:
        """Close an element."""
        self._path.pop()
        if self._text is not None:
            self.found.image.acquired_at = "".join(self._text)
            self._text = None

    def characters(self, text: str) -> None:
        """Take the text of `AcquisitionDate`, the only one of use."""
        if self._text is not None and len(self._text) < _LONGEST_TIME:
            self._text.append(text[:_LONGEST_TIME])
