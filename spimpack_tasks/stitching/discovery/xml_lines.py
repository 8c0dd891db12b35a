"""XML documents whose elements know their lines, so that problems can be found in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.parsers import expat

from spimpack_tasks.errors import Place

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class LinedXml:
    """A document, and the line of each element."""

    file: str
    root: ET.Element
    _lines: dict[int, int] = field(repr=False)

    def place(self, element: ET.Element) -> Place:
        """Return where an element begins."""
        return Place(self.file, self._lines.get(id(element), 0))


def parse_lined(file: str, text: bytes) -> LinedXml:
    """Return a document; nothing but the text itself is read.

    Raises
    ------
    ValueError
        It is not well-formed, or declares entities, with which a few lines may fill the memory.
    """
    builder, lines = ET.TreeBuilder(), {}
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        element = builder.start(name, attributes)
        lines[id(element)] = parser.CurrentLineNumber

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_entities
    try:
        parser.Parse(text, True)  # noqa: FBT003 - it takes no names
    except expat.ExpatError as error:
        message = f"is not well-formed XML: {error}"
        raise ValueError(message) from error
    return LinedXml(file, builder.close(), lines)


def _refuse_entities(_name: str, _system: object, _public: object, has_inner: int) -> None:
    """Let a document name its type, as TeraStitcher's do, and refuse one that declares more."""
    if has_inner:
        message = "declares a document type of its own, which such a file has not"
        raise ValueError(message)


def numbers_in(text: str | None, count: int) -> tuple[float, ...]:
    """Return a known count of finite numbers between blanks.

    Raises
    ------
    ValueError
        There are others, or of another count.
    """
    found = tuple(map(float, (text or "").split()))
    if len(found) != count or not all(abs(number) < 1e12 for number in found):
        message = f"{(text or '')[:60]!r} is not {count} numbers"
        raise ValueError(message)
    return found


def attribute(element: ET.Element | None, name: str, read: Callable[[str], float] = float) -> float:
    """Return a number in an attribute.

    Raises
    ------
    ValueError
        It is missing, or no finite number.
    """
    text = "" if element is None else element.get(name, "")
    try:
        number = read(text.strip())
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e12:
        message = f"{text[:40]!r} of {name} is not a number"
        raise ValueError(message)
    return number
