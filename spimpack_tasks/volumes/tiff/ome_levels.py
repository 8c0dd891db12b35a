"""Series of pages of an OME-TIFF, by tifffile, put in order by `volumes.tiff.ome_planes`.

tifffile has an order of its own, which is not that of OME where there is no `TiffData`, and follows
names of files anywhere.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.header import check_regular, load_library
from spimpack_tasks.volumes.tiff.directory import TiffFile
from spimpack_tasks.volumes.tiff.ome_document import (
    find_ome_xml,
    plane_sizes,
    read_image,
    root_uuid,
    tags_of_scene,
)
from spimpack_tasks.volumes.tiff.ome_planes import check_member, locate_planes
from spimpack_tasks.volumes.tiff.page_forms import PageForms

if TYPE_CHECKING:
    from spimpack_tasks.volumes.tiff.ome_planes import OmePlanes


_MODULO = "has axes that hold several ones (modulo), which are not told apart"
_MOST_NAMED = 3
"""Names of absent files in a message."""


class Pages(NamedTuple):
    """An image as tifffile knows it, the levels below the full one among its own."""

    series: Any
    caveat: str = ""
    """The reason why voxels are missing."""


def find_ome_planes(path: str, scene: str = "") -> OmePlanes | None:
    """Return where the planes of an image of an OME-TIFF are, nothing for another TIFF.

    Raises
    ------
    HeaderError
        The OME-XML contradicts itself, names files elsewhere, or holds several images of which none
        is chosen.
    """
    with TiffFile(path) as file:
        tags, _ = file.directory(file.first_directory)
        description = find_ome_xml(file, tags)
        if description is None:
            return None
        found, uuid = read_image(file, description, scene, with_planes=True)
        sizes = plane_sizes(file, tags_of_scene(file, tags, found), found)
        planes = locate_planes(path, found, uuid, sizes, _count_pages)
    return replace(planes, caveat=_MODULO) if found.has_modulo else planes


def _count_pages(path: str) -> int:
    with TiffFile(path) as file:
        return file.page_count()


def open_pages(file: Any, path: str, planes: OmePlanes) -> Pages:
    """Return the planes of an image that lies in an open file of tifffile, and in others.

    Raises
    ------
    HeaderError
        The planes differ in what is stored of each, or none is there.
    """
    tifffile = load_library("tifffile")
    found = []
    for name, wanted, uuids in zip(planes.files, _list_wanted(planes), planes.uuids, strict=True):
        if name == path:
            found.append(_read_directories(tifffile, file, wanted))
        else:
            if wanted and os.path.exists(name):
                check_member(path, name, uuids, _own_uuid(name))
            found.append(_read_other(tifffile, name, wanted))
    levels = [found[place[0]].get(place[1], []) if place else [] for place in planes.places]
    known = [level for level in levels if level]
    if not known:
        raise HeaderError(path, "holds no plane of its image")
    for level in known:
        if [page.keyframe.hash for page in level] != [page.keyframe.hash for page in known[0]]:
            where = level[0].parent.filehandle.path
            raise HeaderError(where, "has pages that differ from the first in size, type or form")
    letters, series = "".join(planes.axes).upper(), []
    for number, page in enumerate(known[0]):
        keyframe = page.keyframe
        each = tifffile.TiffPageSeries(
            [level[number] if level else None for level in levels],
            (*planes.sizes, *keyframe.shape),
            keyframe.dtype,
            letters + keyframe.axes,
            parent=file,
            kind="ome",
            multifile=len(planes.files) > 1 or planes.files[0] != path,
        )
        series.append(each)
    series[0].levels.extend(series[1:])
    return Pages(series[0], planes.caveat or _describe_absent(planes, levels.count([])))


def _own_uuid(path: str) -> str:
    """Return the UUID that a file gives itself, empty where it has no OME-XML or none in it."""
    with TiffFile(path) as file:
        tags, _ = file.directory(file.first_directory)
        description = find_ome_xml(file, tags)
        if description is None:
            return ""
        return root_uuid(file, description)


def _list_wanted(planes: OmePlanes) -> list[list[int]]:
    """Return for each file of the set the directories that are planes of the image."""
    wanted: list[set[int]] = [set() for _ in planes.files]
    for place in filter(None, planes.places):
        wanted[place[0]].add(place[1])
    return [sorted(each) for each in wanted]


def _read_other(tifffile: Any, path: str, wanted: list[int]) -> dict[int, list[Any]]:
    """Return pages of another file of the set, which tifffile opens again for their voxels."""
    if not wanted:
        return {}
    check_regular(path)
    with tifffile.TiffFile(path, mode="r") as other:
        return _read_directories(tifffile, other, wanted)


def _read_directories(tifffile: Any, file: Any, wanted: list[int]) -> dict[int, list[Any]]:
    """Return pages, each with those of its lower levels, by their numbers."""
    keyframes: dict[int, Any] = {}

    def load(place: tuple[int, ...], offset: int) -> Any:
        level = len(place) > 1 and place[1]
        forms.check(int(level), place[0], offset)
        if level in keyframes:
            key = keyframes[level]
            return tifffile.TiffFrame(file, place, offset=offset, keyframe=key)
        file.filehandle.seek(offset)
        keyframes[level] = tifffile.TiffPage(file, place)
        return keyframes[level]

    found = {}
    with TiffFile(str(file.filehandle.path)) as chain:
        forms = PageForms(chain)
        offsets = list(islice(chain.directory_offsets(), wanted[-1] + 1 if wanted else 0))
        for number in wanted:
            if number < len(offsets):
                page = load((number,), offsets[number])
                lower = enumerate(page.subifds or (), 1)
                found[number] = [page, *(load((number, level), offset) for level, offset in lower)]
    return found


def _describe_absent(planes: OmePlanes, count: int) -> str:
    if not count:
        return ""
    named = ", ".join(map(repr, planes.absent[:_MOST_NAMED]))
    more = f" and {len(planes.absent) - _MOST_NAMED} more" if planes.absent[_MOST_NAMED:] else ""
    where = f": {named}{more} should be beside it" if named else ""
    return f"lacks {count} of its planes{where}"
