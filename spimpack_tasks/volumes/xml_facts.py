"""Small XML documents in which microscopes put their facts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def parse_xml(text: str | bytes) -> Element:
    """Return the root of a document.

    Raises
    ------
    ValueError
        It is not well-formed, or has a document type, with which a few lines may expand to fill the
        memory.
    """
    mark = "<!DOCTYPE" if isinstance(text, str) else b"<!DOCTYPE"
    if mark in text:  # type: ignore[operator]
        message = "with a document type, which such metadata have not"
        raise ValueError(message)
    try:
        return ET.fromstring(text)  # noqa: S314 - without a document type nothing expands
    except ET.ParseError as error:
        message = f"that are not well-formed: {error}"
        raise ValueError(message) from error


def text_at(facts: Element, place: str) -> str:
    """Return the text of an element without blanks around it, empty where there is none."""
    return (facts.findtext(place) or "").strip()
