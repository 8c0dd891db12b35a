"""Annotations of OME-XML: those of a source that an OME-TIFF keeps, and the texts that we keep.

Each annotation of a source stays one of its own, with its namespace. Facts: OME schema 2016-06
(`StructuredAnnotations`).
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from spimpack_tasks.volumes.ome_zarr.header_extras import PROVENANCE
from spimpack_tasks.volumes.ome_zarr.metadata import ORIGINAL
from spimpack_tasks.volumes.xml_facts import parse_xml

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = f"{PROVENANCE}/{ORIGINAL}"
"""Namespace of the annotation with the texts of the source."""
_OURS = frozenset({PROVENANCE, KEPT})
_OME = "openmicroscopy.org/"
_USED = frozenset({"Image", "Instrument", "BinaryOnly"})
"""Elements of OME-XML that headers are read from."""


def find_annotations(xml: str) -> Iterator[ET.Element]:
    """Yield copies of the annotations in OME-XML but ours, without ids and references."""
    for found in _annotations(xml):
        if found.get("Namespace") in _OURS:
            continue
        copied = deepcopy(found)
        copied.attrib.pop("ID", None)
        copied.attrib.pop("Annotator", None)
        for reference in copied.findall("{*}AnnotationRef"):
            copied.remove(reference)
        for each in copied.iter():
            namespace, mark, name = each.tag.rpartition("}")
            if mark and _OME in namespace:
                each.tag = name
        yield copied


def find_kept(xml: str) -> dict[str, str]:
    """Return the texts that OME-XML written here keeps of the source, by their names."""
    if KEPT not in xml:
        return {}
    return {
        key.get("K", ""): key.text or ""
        for found in _annotations(xml)
        if found.get("Namespace") == KEPT
        for key in found.iterfind("{*}Value/{*}M")
    }


def list_unused(xml: str) -> list[str]:
    """Return the parts of OME-XML that no header is read from, with their numbers."""
    root = _parse(xml)
    counts = Counter(each.tag.rpartition("}")[2] for each in root)
    del counts["StructuredAnnotations"]
    parts = [f"{name} ({n})" for name, n in counts.items() if name not in _USED]
    spaces = dict.fromkeys(found.get("Namespace", "") for found in _annotations(xml))
    return [*parts, *(f"annotation {space!r}" for space in spaces if space not in _OURS)]


def _annotations(xml: str) -> Iterator[ET.Element]:
    for group in _parse(xml).iterfind("{*}StructuredAnnotations"):
        yield from group


def _parse(xml: str) -> ET.Element:
    try:
        return parse_xml(xml.encode())
    except ValueError:  # told when the header is read
        return ET.Element("OME")
