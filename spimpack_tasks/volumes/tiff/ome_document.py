"""The OME-XML of a file: in the file itself, or in another beside it; and the image that is meant.

A file may have planes of several images; one has to be chosen then. No name leads out of the folder
of the file. Facts: the OME-TIFF specification, OME schema 2016-06.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, TypedDict

from spimpack_tasks.files.limits import LARGEST_XML, REMEDY, allowed, as_size
from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import open_for_reading
from spimpack_tasks.volumes.scenes import Scene, pick_scene
from spimpack_tasks.volumes.tiff.directory import (
    DESCRIPTION,
    SAMPLES,
    SECOND_DESCRIPTION,
    Tag,
    TiffFile,
)
from spimpack_tasks.volumes.tiff.ome_planes import beside
from spimpack_tasks.volumes.tiff.ome_xml import OmeXml, OmeXmlError, parse_ome_xml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

_OME = re.compile(rb"<(\w+:)?OME[\s>]")
_ROOT_UUID = re.compile(rb"<(?:\w+:)?OME\s[^>]*?\bUUID\s*=\s*[\"']([^\"']*)[\"']")
_ROOT_BYTES = 65536
"""Bytes in which the first element of a document ends, with its name spaces."""
_LONGEST_SIZE = 18
"""Digits of a number that is sure to have 64 bits at the most."""


class _Wanted(TypedDict):
    """Arguments of `parse_ome_xml`, by name."""

    with_planes: bool
    number: int


def find_ome_xml(file: TiffFile, tags: dict[int, Tag]) -> Tag | None:
    """Return the description that looks like OME-XML, `None` where none does."""
    for number in (DESCRIPTION, SECOND_DESCRIPTION):
        if _OME.search(file.text(tags.get(number)), 0, 4096):
            return tags[number]
    return None


def root_uuid(file: TiffFile, description: Tag) -> str:
    """Return the UUID that a file gives itself, empty for none."""
    found = _ROOT_UUID.search(file.text(description), 0, _ROOT_BYTES)
    return found[1].decode("utf-8", "replace").strip() if found else ""


def tags_of_scene(file: TiffFile, tags: dict[int, Tag], found: OmeXml) -> dict[int, Tag]:
    """Return the directory of the first plane of an image, if the file has several images."""
    number = found.image.first_directory
    if len(found.here) < 2 or not number:
        return tags
    offset = next(islice(file.directory_offsets(), number, None), None)
    if offset is None:
        raise HeaderError(file.path, f"has no directory {number}, which its OME-XML names")
    return file.directory(offset)[0]


def read_image(
    file: TiffFile, description: Tag | None, scene: str, *, with_planes: bool = False
) -> tuple[OmeXml, str]:
    """Return the image of a file as its OME-XML has it, and the identity of the file.

    It is in the file itself, or in one beside it: a companion, or another file of the set.

    Raises
    ------
    HeaderError
        The OME-XML is damaged, or holds several images of the file of which none is chosen.
    """
    found, uuid = _read_numbered(file, description, 0, with_planes=with_planes)
    number = pick_scene(file.path, scenes_of(file.path, found), scene)
    if number:
        found, uuid = _read_numbered(file, description, number, with_planes=with_planes)
    found.number = number
    return found, uuid


def _read_numbered(
    file: TiffFile, description: Tag | None, number: int, *, with_planes: bool
) -> tuple[OmeXml, str]:
    wanted: _Wanted = {"with_planes": with_planes, "number": number}
    found = _parse(file.path, file.chunks(description), os.path.basename(file.path), **wanted)
    uuid = found.root.get("UUID", "")
    if found.companion:
        found = _read_companion(file.path, found.companion, uuid, wanted)
    if not found.image.pixels:
        raise HeaderError(file.path, "has OME-XML without an image")
    return found, uuid


def scenes_of(path: str, found: OmeXml) -> tuple[Scene, ...]:
    """Return the images that have planes in the file, if there are several."""
    scenes = []
    for name, pixels in found.here if len(found.here) > 1 else ():
        axes, sizes = sizes_of(path, pixels)
        scenes.append(Scene(name, axes, tuple(sizes[axis] for axis in axes)))
    return tuple(scenes)


def _parse(
    path: str,
    chunks: Iterator[bytes],
    name: str,
    uuid: str | None = None,
    **wanted: Unpack[_Wanted],
) -> OmeXml:
    try:
        return parse_ome_xml(chunks, name, uuid, **wanted)
    except OmeXmlError as error:
        raise HeaderError(path, f"has OME-XML that {error}") from error


def _read_companion(path: str, name: str, uuid: str, wanted: _Wanted) -> OmeXml:
    """Return what the file beside this one says that has the metadata of a whole set."""
    companion = beside(path, name)
    own = os.path.basename(path)
    if not os.path.exists(companion):
        what = f"has its metadata in {name[:200]!r}, which is not there"
        raise HeaderError(path, what, f"put {name[:200]!r} beside it")
    if companion.lower().endswith((".tif", ".tiff", ".btf")):
        with TiffFile(companion) as file:
            tags, _ = file.directory(file.first_directory)
            chunks = file.chunks(find_ome_xml(file, tags))
            found = _parse(companion, chunks, own, uuid, **wanted)
    else:
        found = _read_xml_file(companion, own, uuid, wanted)
    found.metadata_path = companion
    if found.images != 1 and not found.image.is_named:
        what = f"has its metadata in {name!r}, which describes {found.images} images"
        raise HeaderError(path, f"{what} and names it for none")
    return found


def _read_xml_file(path: str, own: str, uuid: str, wanted: _Wanted) -> OmeXml:
    try:
        descriptor, size = open_for_reading(path)
        with open(descriptor, "rb") as file:
            if size > allowed(LARGEST_XML):
                raise HeaderError(path, f"is OME-XML of {as_size(size)}", REMEDY)
            chunks = iter(lambda: file.read(65536), b"")
            return _parse(path, chunks, own, uuid, **wanted)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error


def plane_sizes(file: TiffFile, tags: dict[int, Tag], found: OmeXml) -> dict[str, int]:
    """Return the sizes of the axes that planes are told apart by, the slowest first.

    Samples of one pixel lie in one plane, and are no axis of these.
    """
    _, sizes = sizes_of(file.path, found.image.pixels)
    samples = {channel.get("SamplesPerPixel", "1") for channel in found.image.channels}
    page = file.number(tags.get(SAMPLES), 1)
    if (len(samples) > 1 and page > 1) or page < 1 or sizes["c"] % page:
        what = f"has pages of {page} samples, but OME-XML of {sizes['c']} channels"
        raise HeaderError(file.path, what)
    return {a: n // page if a == "c" else n for a, n in sizes.items() if a not in "yx"}


def sizes_of(path: str, pixels: dict[str, str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the axes, the slowest first, and their sizes."""
    order = pixels.get("DimensionOrder", "")
    names = _names_of_sizes(order)
    if not names:
        raise HeaderError(path, f"has OME-XML with the order of dimensions {order[:20]!r}")
    sizes = {}
    for axis, name in names:
        text = pixels.get(name, "")
        is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_SIZE
        if not is_number or not int(text):
            raise HeaderError(path, f"has OME-XML with a {name} of {text[:20]!r}")
        sizes[axis] = int(text)
    return tuple(sizes), sizes


@lru_cache(64)
def _names_of_sizes(order: str) -> tuple[tuple[str, str], ...]:
    """Return axes and the attributes of their sizes, the slowest first; nothing of no order."""
    if sorted(order) != sorted("XYZCT") or not order.startswith("XY"):
        return ()
    return tuple((axis.lower(), f"Size{axis}") for axis in order[::-1])
