"""The XML file of BigStitcher and BigDataViewer: views, their files, and their transformations.

Facts: files of BigStitcher, mesoSPIM-control and npy2bdv. The transformation of a view is the
product of its affine matrices in the order of the file: the last, `calibration`, is applied first
and leads from pixels to a world whose unit the size of voxels tells. Numbers stand in the order
x, y, z, row by row. Images are read from OME-Zarr and from files that one of our formats has.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.model.quantities import QuantityError, unit_in_um
from spimpack_tasks.stitching.discovery.affine import (
    Affine,
    calibration_unit,
    multiply,
    recognise,
)
from spimpack_tasks.stitching.discovery.found import (
    GEOMETRY,
    IMAGE,
    LAYOUT,
    PLACE,
    Found,
    FoundTile,
)
from spimpack_tasks.stitching.discovery.terastitcher import begins_with, read_document
from spimpack_tasks.stitching.discovery.xml_lines import LinedXml, numbers_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from spimpack_tasks.errors import Report
    from spimpack_tasks.stitching.discovery.affine import Recognised
    from spimpack_tasks.stitching.discovery.found import TileChoices

_LISTS = ("spimreconstruction.filelist", "spimreconstruction.filemap2")
_ZARR = "bdv.multimg.zarr"
_SAME = 1e-3
"""Relative difference up to which geometries of views count as one."""


@dataclass(frozen=True, slots=True)
class _Setup:
    """One view setup: a tile of one channel."""

    number: str
    where: Place
    size_xyz: tuple[int, int, int]
    voxel_um_xyz: tuple[float, float, float] | None
    """Unknown where the unit is no length."""
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the image of a view lies."""

    path: str
    channel: int
    time: int


def fits(path: str) -> bool:
    """Tell whether a file is such a document."""
    return begins_with(path, b"<SpimData")


def find(path: str, choices: TileChoices, report: Report) -> Found | None:
    """Return the tiles of a document, of its first time point and one channel."""
    document = read_document(path, report)
    if document is None:
        return None
    setups = dict(_setups(document, report))
    chosen = _of_channel(document, setups, choices.channel, report)
    sources = _sources(document, report)
    views = [*_views(document)]
    time = min((int(t) for t, _, _ in views), default=0)
    tiles, seen = [], []
    for view_time, number, view in views:
        setup = setups.get(number)
        if int(view_time) != time or setup is None or number not in chosen:
            continue
        where = document.place(view)
        found = _recognise(document, view, setup, where, report)
        source = sources.get((view_time, number))
        if source is None and sources:
            what = f"view setup {number} has no image at time point {view_time}"
            report.add(Problem(IMAGE, where, "", what))
        if found is None or source is None:
            continue
        seen.append((where, found))
        tiles.append(
            FoundTile(
                f"setup-{number}",
                source.path,
                found.position_um_zyx,
                where,
                time_index=source.time,
                channel_index=source.channel,
            )
        )
    return _found(document, tiles, seen, report)


def _found(
    document: LinedXml,
    tiles: list[FoundTile],
    seen: list[tuple[Place, Recognised]],
    report: Report,
) -> Found | None:
    """Return tiles with the geometry that all of them share."""
    if not seen:
        if not report.errors:
            report.add(Problem(LAYOUT, Place(document.file), "", "has no view of an image"))
        return None
    first = seen[0][1]
    for where, found in seen[1:]:
        if not found.is_like(first, _SAME):
            what = "its pixels are of another size, or turned otherwise, than those of the first"
            report.add(Problem(GEOMETRY, where, "", what, "stitch views of one geometry"))
    return Found(
        tuple(tiles),
        Place(document.file),
        pitch_um=first.pitch_um,
        step_um=first.step_um,
        angle_deg=first.angle_deg,
        rotate_90=first.rotate_90,
        flip_ud=first.flip_ud,
    )


def _setups(document: LinedXml, report: Report) -> Iterator[tuple[str, _Setup]]:
    """Yield the view setups by their numbers."""
    for element in document.root.iterfind("SequenceDescription/ViewSetups/ViewSetup"):
        where = document.place(element)
        number = (element.findtext("id") or "").strip()
        try:
            x, y, z = numbers_in(element.findtext("size"), 3)
            size = voxel_um_of(element)
        except (ValueError, QuantityError) as error:
            report.add(Problem(GEOMETRY, where, "", f"view setup {number}: {error}"))
            continue
        told = {each.tag: (each.text or "").strip() for each in element.iterfind("attributes/*")}
        yield number, _Setup(number, where, (int(x), int(y), int(z)), size, told)


def _of_channel(
    document: LinedXml, setups: dict[str, _Setup], chosen: str, report: Report
) -> set[str]:
    """Return the numbers of the setups of one channel."""
    names = {}
    for element in document.root.iterfind("SequenceDescription/ViewSetups/Attributes"):
        if element.get("name") == "channel":
            for channel in element.iterfind("Channel"):
                number = (channel.findtext("id") or "").strip()
                names[number] = (channel.findtext("name") or "").strip() or number
    found = sorted({setup.attributes.get("channel", "0") for setup in setups.values()})
    wanted = next((number for number in found if chosen in {number, names.get(number)}), None)
    if wanted is None and len(found) > 1:
        known = ", ".join(names.get(number, number) for number in found)
        what = f"has no channel {chosen!r}" if chosen else "holds several channels"
        place = Place(document.file)
        report.add(Problem(LAYOUT, place, "channel", what, f"choose one; there are {known}"))
        return set()
    wanted = found[0] if wanted is None and found else wanted
    return {n for n, setup in setups.items() if setup.attributes.get("channel", "0") == wanted}


def _views(document: LinedXml) -> Iterator[tuple[str, str, Element]]:
    """Yield time point, setup and registration of each view that is there."""
    sequence = "SequenceDescription/MissingViews/MissingView"
    missing = {
        (view.get("timepoint"), view.get("setup")) for view in document.root.iterfind(sequence)
    }
    for view in document.root.iterfind("ViewRegistrations/ViewRegistration"):
        time, number = view.get("timepoint", "0"), view.get("setup", "")
        if (time, number) not in missing and time.isdecimal():
            yield time, number, view


def _recognise(
    document: LinedXml, view: Element, setup: _Setup, where: Place, report: Report
) -> Recognised | None:
    """Return geometry and place of a view by its transformations."""
    matrices: list[tuple[str, Affine]] = []
    for element in view.iterfind("ViewTransform"):
        try:
            matrices.append(named_matrix(element))
        except ValueError as error:
            report.add(Problem(PLACE, document.place(element), "ViewTransform", str(error)))
            return None
    if setup.voxel_um_xyz is None:
        what = "the unit of voxels is no length, so places have none either"
        hint = "write the size of voxels in µm"
        report.add(Problem(GEOMETRY, setup.where, "voxelSize", what, hint))
        return None
    try:
        unit = calibration_unit(matrices, setup.voxel_um_xyz)
        whole = multiply([matrix for _, matrix in matrices])
        return recognise(whole, unit, setup.size_xyz)
    except ValueError as error:
        hint = "write the size of voxels in µm, or give a table of tiles"
        report.add(Problem(PLACE, where, f"setup {setup.number}", str(error), hint))
        return None


def named_matrix(element: Element) -> tuple[str, Affine]:
    """Return the name of a transformation, in lower case, and its matrix.

    Raises
    ------
    ValueError
        It is no affine one.
    """
    if element.get("type") != "affine":
        message = f"is of type {element.get('type')!r}; affine ones are read"
        raise ValueError(message)
    numbers = numbers_in(element.findtext("affine"), 12)
    name = (element.findtext("Name") or "").strip().lower()
    return name, (numbers[0:4], numbers[4:8], numbers[8:12])


def voxel_um_of(setup: Element) -> tuple[float, float, float] | None:
    """Return the size of voxels along x, y and z, `None` where its unit is no length.

    Raises
    ------
    ValueError, QuantityError
        There are no three numbers, or the unit is not known.
    """
    x, y, z = numbers_in(setup.findtext("voxelSize/size"), 3)
    factor = unit_in_um(setup.findtext("voxelSize/unit") or "")
    return None if factor is None else (x * float(factor), y * float(factor), z * float(factor))


def _sources(document: LinedXml, report: Report) -> dict[tuple[str, str], _Source]:
    """Return where the image of each view lies, by time point and setup."""
    loader = document.root.find("SequenceDescription/ImageLoader")
    form = "" if loader is None else loader.get("format", "")
    if loader is not None and form in _LISTS:
        return dict(_of_files(document, loader, report))
    if loader is not None and form == _ZARR:
        return dict(_of_zarr(document, loader, report))
    where = Place(document.file) if loader is None else document.place(loader)
    what = f"its images are stored by {form or 'no loader'!r}, which is not read"
    hint = "save them as OME-Zarr by BigStitcher, or give a table of tiles"
    report.add(Problem(IMAGE, where, "ImageLoader", what, hint))
    return {}


def base_of(document: LinedXml) -> str:
    """Return the folder that the paths of a document are relative to."""
    told = (document.root.findtext("BasePath") or ".").strip()
    return os.path.normpath(os.path.join(os.path.dirname(document.file), told))


def _of_files(
    document: LinedXml, loader: Element, report: Report
) -> Iterator[tuple[tuple[str, str], _Source]]:
    for element in loader.iterfind("files/FileMapping"):
        file = element.find("file")
        name = "" if file is None else (file.text or "").strip()
        if element.get("series", "0") != "0":
            what = f"series {element.get('series')} of {name!r} is not its first image"
            report.add(Problem(IMAGE, document.place(element), "", what, "convert it first"))
            continue
        view = element.get("timepoint", "0"), element.get("view_setup", "")
        path = os.path.normpath(os.path.join(base_of(document), name))
        channel = element.get("channel", "0")
        yield view, _Source(path, int(channel) if channel.isdecimal() else 0, 0)


def _of_zarr(
    document: LinedXml, loader: Element, report: Report
) -> Iterator[tuple[tuple[str, str], _Source]]:
    store = loader.find("zarr")
    folder = os.path.join(base_of(document), "" if store is None else (store.text or "").strip())
    for element in loader.iterfind("zgroups/zgroup"):
        time = element.get("tp") or element.get("timepoint") or "0"
        inner = element.get("path") or (element.findtext("path") or "").strip()
        told = element.get("indicies", "0 0").strip("[] ").replace(",", " ")
        try:
            channel, index = map(int, numbers_in(told, 2))
        except ValueError as error:
            report.add(Problem(IMAGE, document.place(element), "indicies", str(error)))
            continue
        path = os.path.normpath(os.path.join(folder, inner))
        yield (time, element.get("setup", "")), _Source(path, channel, index)
