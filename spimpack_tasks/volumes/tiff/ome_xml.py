"""OME-XML, as far as headers and planes need it, read in pieces of any size.

Facts: the OME schema 2016-06 (older ones differ in nothing that is read here). The default unit of
`PhysicalSizeX`, `Y` and `Z` is the micrometre. A document type is refused, and with it every
entity, so nothing expands.

A document may describe several images, and each image may lie in several files. The images of a
file are those that have a plane in it; one of them is meant, or the first at all where no file is
named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from xml.parsers import expat

from spimpack_tasks.files.limits import LARGEST_ELEMENT, REMEDY, allowed, as_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Attributes: TypeAlias = dict[str, str]

_MOST_ELEMENTS = 4096
"""Channels, objectives, instruments or files that are kept."""
_DEEPEST = 5
"""Elements that lie in one another; none that is further in is of use."""
MOST_PLANES = 2**19
"""Elements `TiffData` that are kept; more are refused. As many take some 300 MB."""
_MOST_NESTED = 256
"""Elements in one another, of any kind."""
_LONGEST_TEXT = 64
"""Characters of a time or of a UUID."""


class OmeXmlError(ValueError):
    """The text is not OME-XML; the message says why."""


class FileOfPlanes(NamedTuple):
    """A file as `UUID` names it; both are empty for the file that the OME-XML is in."""

    name: str = ""
    uuid: str = ""

    def is_same(self, other: FileOfPlanes) -> bool:
        """Tell whether this is another file, or, being empty, the one with the OME-XML."""
        if self.uuid and self.uuid == other.uuid:
            return True
        return self.name.casefold() == other.name.casefold() if self.name else not self.uuid


THIS_FILE = FileOfPlanes()
"""The file that the OME-XML is in."""


class TiffData(NamedTuple):
    """One `TiffData`: its attributes, and the file that has its planes."""

    attributes: Attributes
    file: FileOfPlanes


@dataclass(slots=True)
class Image:
    """One `Image` with the attributes of what is in it."""

    name: str = ""
    pixels: Attributes = field(default_factory=dict)
    channels: list[Attributes] = field(default_factory=list)
    files: dict[FileOfPlanes, None] = field(default_factory=dict)
    """The files that its planes lie in, in the order in which they are named; the first few
    thousand where planes are not kept."""
    first_directory: int = 0
    """Number of the directory of its first plane in the file that was asked for."""
    is_named: bool = False
    """Whether it names the file that was asked for."""
    tiff_data: list[TiffData] = field(default_factory=list)
    """Where its planes are, if that was asked for."""
    acquired_at: str = ""
    instrument_id: str = ""
    objective_id: str = ""


@dataclass(slots=True)
class Instrument:
    """One `Instrument`: its microscope, and its objectives by their ids."""

    microscope: Attributes = field(default_factory=dict)
    objectives: dict[str, Attributes] = field(default_factory=dict)


NO_INSTRUMENT = Instrument()
"""Stands for one where there is none; it is never changed."""


@dataclass(slots=True)
class OmeXml:
    """The image of a file and the instruments, as a document has them."""

    root: Attributes = field(default_factory=dict)
    image: Image = field(default_factory=Image)
    images: int = 0
    here: list[tuple[str, Attributes]] = field(default_factory=list)
    """Name and attributes of `Pixels` of each image that has planes in the file, this one too."""
    number: int = 0
    """Number of this image among those."""
    is_plain: bool = False
    """Whether `OME` is named without a prefix."""
    has_modulo: bool = False
    """Whether an axis holds several ones, by annotations of the namespace `modulo`."""
    instruments: dict[str, Instrument] = field(default_factory=dict)
    metadata_path: str = ""
    """Where the document was found, if not in the file itself."""
    companion: str = ""
    """File that has the metadata, where this one says that it has none."""


def parse_ome_xml(
    chunks: Iterable[bytes],
    file_name: str = "",
    uuid: str | None = None,
    *,
    with_planes: bool = False,
    number: int = 0,
) -> OmeXml:
    """Return what an OME-XML document says; memory does not go with its length.

    Parameters
    ----------
    chunks
        The document.
    file_name
        Name of the file whose image is wanted.
    uuid
        Its identity; `None` where the document is in the file itself, and has it.
    with_planes
        Whether to keep where each plane is, which takes memory.
    number
        Which of the images that have planes in the file is meant.

    Raises
    ------
    OmeXmlError
        It is not well-formed, has a document type, or another root than `OME`.
    """
    listener = _Listener(file_name, uuid, with_planes=with_planes, number=number)
    try:
        parser = expat.ParserCreate()
        parser.StartElementHandler = listener.start
        parser.EndElementHandler = listener.end
        parser.CharacterDataHandler = listener.characters
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        given = 0
        for chunk in chunks:
            parser.Parse(chunk, False)  # noqa: FBT003 - takes no keyword
            given += len(chunk)
            _check_tag(given - parser.CurrentByteIndex)
        parser.Parse(b"", True)  # noqa: FBT003 - takes no keyword
    except OmeXmlError:
        raise
    except (expat.ExpatError, LookupError) as error:
        raise OmeXmlError(f"is not well-formed: {error}") from error
    except ValueError as error:  # such as UTF-32, of which expat knows the name alone
        raise OmeXmlError("has characters of another encoding") from error
    return listener.found


def _check_tag(size: int) -> None:
    """Refuse a long tag that is not closed yet: with each piece expat starts again at it."""
    if size > LARGEST_ELEMENT and size > allowed(LARGEST_ELEMENT):
        most = as_size(allowed(LARGEST_ELEMENT))
        what = f"has a tag of more than {most} with its attributes; {REMEDY}"
        raise OmeXmlError(what)


@lru_cache(1024)
def _path_below(path: str, tag: str) -> str:
    return f"{path}/{tag.rpartition(':')[2]}"


def _refuse_doctype(*_: object) -> None:
    raise OmeXmlError("has a document type, which OME-XML has not")


class _Listener:
    """Takes what is of use from the elements as they come."""

    def __init__(self, file_name: str, uuid: str | None, *, with_planes: bool, number: int) -> None:
        self.found = OmeXml()
        self._file_name, self._uuid, self._with_planes = file_name, uuid, with_planes
        self._number = number
        self._paths: list[str] = []
        self._text: list[str] | None = None
        self._image = self.found.image
        self._file = THIS_FILE
        self._tiff_data: Attributes = {}
        self._is_here = False
        self._instrument = NO_INSTRUMENT

    def start(self, tag: str, attributes: Attributes) -> None:
        """Take the attributes of an element."""
        paths = self._paths
        depth = len(paths)
        if 0 < depth < _DEEPEST:
            path = _path_below(paths[-1], tag)
        elif not depth:
            path = self._root(tag)
        elif depth < _MOST_NESTED:
            path = ""
        else:
            raise OmeXmlError(f"has more than {_MOST_NESTED} elements in one another")
        paths.append(path)
        take = _AT_START.get(path)
        if take is not None:
            take(self, attributes)

    def _root(self, tag: str) -> str:
        name = tag.rpartition(":")[2]
        if name != "OME":
            raise OmeXmlError(f"has the root {name[:50]!r} instead of OME")
        self.found.is_plain = tag == name
        return name

    def take_root(self, attributes: Attributes) -> None:
        self.found.root = attributes

    def take_companion(self, attributes: Attributes) -> None:
        self.found.companion = attributes.get("MetadataFile", "")

    def take_annotation(self, attributes: Attributes) -> None:
        is_modulo = attributes.get("Namespace", "").endswith("dimension/modulo")
        self.found.has_modulo = self.found.has_modulo or is_modulo

    def take_image(self, attributes: Attributes) -> None:
        self._image, self._is_here = Image(name=attributes.get("Name", "")), False

    def take_pixels(self, attributes: Attributes) -> None:
        self._image.pixels = attributes

    def take_channel(self, attributes: Attributes) -> None:
        if len(self._image.channels) < _MOST_ELEMENTS:
            self._image.channels.append(attributes)

    def take_tiff_data(self, attributes: Attributes) -> None:
        self._tiff_data, self._file = attributes, THIS_FILE

    def take_uuid(self, attributes: Attributes) -> None:
        self._file = FileOfPlanes(attributes.get("FileName", ""))
        self.take_text(attributes)

    def take_instrument_ref(self, attributes: Attributes) -> None:
        self._image.instrument_id = attributes.get("ID", "")

    def take_objective_ref(self, attributes: Attributes) -> None:
        self._image.objective_id = attributes.get("ID", "")

    def take_instrument(self, attributes: Attributes) -> None:
        self._instrument = Instrument()
        if len(self.found.instruments) < _MOST_ELEMENTS:
            self.found.instruments[attributes.get("ID", "")] = self._instrument

    def take_microscope(self, attributes: Attributes) -> None:
        self._instrument.microscope = attributes

    def take_objective(self, attributes: Attributes) -> None:
        if len(self._instrument.objectives) < _MOST_ELEMENTS:
            self._instrument.objectives[attributes.get("ID", "")] = attributes

    def take_text(self, _: Attributes) -> None:
        self._text = []

    def characters(self, text: str) -> None:
        """Take the text of `AcquisitionDate` or `UUID`."""
        if self._text is not None and len(self._text) < _LONGEST_TEXT:
            self._text.append(text[:_LONGEST_TEXT])

    def end(self, _: str) -> None:
        """Close an element."""
        close = _AT_END.get(self._paths.pop())
        if close is not None:
            close(self)

    def _text_taken(self) -> str:
        text, self._text = "".join(self._text or ()).strip(), None
        return text

    def end_date(self) -> None:
        self._image.acquired_at = self._text_taken()

    def end_uuid(self) -> None:
        self._file = self._file._replace(uuid=self._text_taken())

    def end_tiff_data(self) -> None:
        image = self._image
        uuid = self.found.root.get("UUID", "") if self._uuid is None else self._uuid
        is_here = self._file.is_same(FileOfPlanes(self._file_name, uuid))
        if is_here and not self._is_here:
            told = self._tiff_data.get("IFD", "0")
            image.first_directory = int(told) if told.isdecimal() and len(told) <= 9 else 0
        self._is_here = self._is_here or is_here
        image.is_named = image.is_named or (is_here and self._file != THIS_FILE)
        if self._with_planes or len(image.files) < _MOST_ELEMENTS:
            image.files[self._file] = None
        if self._with_planes:
            if len(image.tiff_data) >= allowed(MOST_PLANES):
                what = f"names more than {allowed(MOST_PLANES):,} pieces of an image"
                raise OmeXmlError(f"{what}; {REMEDY}")
            image.tiff_data.append(TiffData(self._tiff_data, self._file))

    def end_image(self) -> None:
        """Keep the image that is meant of those with a plane in the file, or the first at all."""
        found, image = self.found, self._image
        found.images += 1
        is_here = bool(image.pixels) and (self._is_here or not image.files)
        if found.images == 1 or (is_here and len(found.here) == self._number):
            found.image = image
        if is_here and len(found.here) < _MOST_ELEMENTS:
            found.here.append((image.name, image.pixels))


_AT_START: dict[str, Callable[[_Listener, Attributes], None]] = {
    "OME": _Listener.take_root,
    "OME/BinaryOnly": _Listener.take_companion,
    "OME/StructuredAnnotations/XMLAnnotation": _Listener.take_annotation,
    "OME/Instrument": _Listener.take_instrument,
    "OME/Instrument/Microscope": _Listener.take_microscope,
    "OME/Instrument/Objective": _Listener.take_objective,
    "OME/Image": _Listener.take_image,
    "OME/Image/AcquisitionDate": _Listener.take_text,
    "OME/Image/InstrumentRef": _Listener.take_instrument_ref,
    "OME/Image/ObjectiveSettings": _Listener.take_objective_ref,
    "OME/Image/ObjectiveRef": _Listener.take_objective_ref,
    "OME/Image/Pixels": _Listener.take_pixels,
    "OME/Image/Pixels/Channel": _Listener.take_channel,
    "OME/Image/Pixels/TiffData": _Listener.take_tiff_data,
    "OME/Image/Pixels/TiffData/UUID": _Listener.take_uuid,
}
"""Functions that take the attributes of an element when it begins, by its path."""
_AT_END: dict[str, Callable[[_Listener], None]] = {
    "OME/Image": _Listener.end_image,
    "OME/Image/AcquisitionDate": _Listener.end_date,
    "OME/Image/Pixels/TiffData": _Listener.end_tiff_data,
    "OME/Image/Pixels/TiffData/UUID": _Listener.end_uuid,
}
"""Functions that close an element when it ends, by its path."""
