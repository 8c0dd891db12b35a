"""The XML file of TeraStitcher, as Dragonfly and others write it beside Imaris files or planes.

Facts: files of TeraStitcher 1.11 and spimstitch (MIT). Axes are V (rows, y), H (columns, x) and D
(planes, z). `voxel_dims` are micrometres, and places `ABS_V`, `ABS_H`, `ABS_D` are pixels. A tile
is the file `IMG_REGEX` in `stacks_dir`, or in `DIR_NAME` there, or that folder with its planes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.files.limits import LARGEST_XML, allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.stitching.discovery.found import (
    GEOMETRY,
    IMAGE,
    LAYOUT,
    PLACE,
    Found,
    FoundTile,
)
from spimpack_tasks.stitching.discovery.xml_lines import LinedXml, attribute, parse_lined

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from spimpack_tasks.errors import Report
    from spimpack_tasks.stitching.discovery.found import TileChoices

_BEGINNING = 4096
"""Bytes in which the outermost element of a document stands."""


def fits(path: str) -> bool:
    """Tell whether a file is such a document."""
    return begins_with(path, b"<TeraStitcher")


def begins_with(path: str, mark: bytes) -> bool:
    """Tell whether a mark stands at the beginning of an XML file."""
    if not path.lower().endswith(".xml"):
        return False
    try:
        with open_regular(path) as file:
            return mark in file.read(_BEGINNING)
    except OSError:
        return False


def find(path: str, choices: TileChoices, report: Report) -> Found | None:  # noqa: ARG001 - all layouts are asked alike
    """Return the tiles of a document."""
    document = read_document(path, report)
    if document is None:
        return None
    sizes = _voxel_dims(document, report)
    pitch_is_one = abs(sizes[0] - sizes[1]) <= 1e-3 * abs(sizes[0])
    if not pitch_is_one:
        where = document.place(_only(document.root, "voxel_dims", document))
        what = f"pixels are {sizes[0]:g} x {sizes[1]:g} µm (V, H), but must be square"
        report.add(Problem(GEOMETRY, where, "voxel_dims", what, "resample them first"))
    tiles = [*_tiles_of(document, sizes, report)]
    return Found(tuple(tiles), Place(path), pitch_um=sizes[1], step_um=sizes[2])


def read_document(path: str, report: Report) -> LinedXml | None:
    """Return an XML file; why it cannot be read goes to `report`."""
    most = allowed(LARGEST_XML)
    try:
        with open_regular(path) as file:
            text = file.read(most + 1)
        if len(text) <= most:
            return parse_lined(path, text)
        message = f"has more than {most:,} bytes"
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
    except ValueError as error:
        message = str(error)
    report.add(Problem(LAYOUT, Place(path), "", message))
    return None


def _only(root: Element, name: str, document: LinedXml) -> Element:
    found = root.find(name)
    return document.root if found is None else found


def _voxel_dims(document: LinedXml, report: Report) -> tuple[float, float, float]:
    """Return the distance of voxels along V, H and D."""
    element = document.root.find("voxel_dims")
    where = document.place(_only(document.root, "voxel_dims", document))
    sizes = []
    for name in "VHD":
        try:
            size = attribute(element, name)
        except ValueError as error:
            report.add(Problem(GEOMETRY, where, "voxel_dims", str(error)))
            size = 1.0
        if size <= 0:
            what = (
                f"{name} is {size:g} µm; of a negative size it is not certain which way places run"
            )
            hint = "write it positive, and name the axes along which places fall as pixels rise"
            report.add(Problem(GEOMETRY, where, "voxel_dims", what, hint))
            size = 1.0
        sizes.append(size)
    return sizes[0], sizes[1], sizes[2]


def _tiles_of(
    document: LinedXml, sizes: tuple[float, float, float], report: Report
) -> Iterator[FoundTile]:
    folder = _stacks_folder(document)
    for stack in document.root.iterfind("STACKS/Stack"):
        where = document.place(stack)
        places = []
        for name, size in zip(("ABS_V", "ABS_H", "ABS_D"), sizes, strict=True):
            try:
                # Early documents leave the depth out, where all tiles begin at one.
                text = (
                    0.0 if name == "ABS_D" and name not in stack.attrib else attribute(stack, name)
                )
                places.append(text * size)
            except ValueError as error:
                report.add(Problem(PLACE, where, name, str(error)))
        path = _path_of(stack, folder)
        if path is None:
            what = f"there is neither {' nor '.join(map(repr, _candidates(stack, folder)))}"
            hint = "correct stacks_dir, or put the document beside the tiles"
            report.add(Problem(IMAGE, where, "", what, hint))
        elif len(places) == 3:
            name = os.path.relpath(path, folder).partition(".")[0]
            yield FoundTile(name, path, (places[2], places[0], places[1]), where)


def _stacks_folder(document: LinedXml) -> str:
    """Return the folder of the stacks; that of the document where the told one is not here."""
    own = os.path.dirname(document.file)
    element = document.root.find("stacks_dir")
    told = os.path.join(own, "" if element is None else element.get("value", ""))
    return os.path.normpath(told) if os.path.isdir(told) else own


def _candidates(stack: Element, folder: str) -> list[str]:
    name, inner = stack.get("IMG_REGEX", ""), stack.get("DIR_NAME", "")
    inner = inner.replace("\\", "/")
    paths = [os.path.join(folder, inner, name), os.path.join(folder, name)] if name else []
    paths += [os.path.join(folder, inner)] if inner else []
    return [*dict.fromkeys(map(os.path.normpath, paths))] or [folder]


def _path_of(stack: Element, folder: str) -> str | None:
    """Return the file of a tile, or its folder of planes."""
    paths = _candidates(stack, folder)
    files = (path for path in paths if os.path.isfile(path))
    folders = (path for path in paths if os.path.isdir(path) and path != folder)
    return next(files, None) or next(folders, None)
