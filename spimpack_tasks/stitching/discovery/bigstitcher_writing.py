"""Writes places of tiles as BigStitcher and BigDataViewer read them.

Two ways: a new document for tiles of any layout, and a copy of a document with one more
transformation of each view. The document that tiles were read from is never changed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from spimpack_tasks.files.atomic import write_new
from spimpack_tasks.stitching.discovery.affine import Affine, calibration_unit, matrix_um, multiply
from spimpack_tasks.stitching.discovery.bigstitcher import named_matrix, voxel_um_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet, Vector

_SHIFT = "Stitched by spimpack_tasks"
_IDENTITY: Affine = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def write_document(
    path: str,
    tiles: TileSet,
    positions_um_zyx: Sequence[Vector],
    geometry: Geometry | None = None,
) -> None:
    """Write a new document of tiles, in their order.

    Parameters
    ----------
    path
        The document, which must not be there.
    tiles
        The tiles.
    positions_um_zyx
        Where the first sample of each lies.
    geometry
        That of the tiles if not given; an alignment may know the distance of pixels better.

    Raises
    ------
    FileExistsError
        There is something at the path.
    OSError
        The disk does not take it.
    """
    geometry = geometry or tiles.geometry
    root = ET.Element("SpimData", version="0.2")
    ET.SubElement(root, "BasePath", type="relative").text = "."
    sequence = ET.SubElement(root, "SequenceDescription")
    folder = os.path.dirname(os.path.abspath(path))
    _add_loader(sequence, tiles.tiles, folder)
    _add_setups(sequence, tiles.tiles, geometry)
    points = ET.SubElement(sequence, "Timepoints", type="pattern")
    ET.SubElement(points, "integerpattern").text = "0"
    registrations = ET.SubElement(root, "ViewRegistrations")
    calibration: Affine = (
        (1.0, 0.0, 0.0, 0.0),
        (0.0, 1.0, 0.0, 0.0),
        (0.0, 0.0, geometry.step_um / geometry.pitch_um, 0.0),
    )
    undo: Affine = (*calibration[:2], (0.0, 0.0, geometry.pitch_um / geometry.step_um, 0.0))
    for number, (tile, position) in enumerate(zip(tiles.tiles, positions_um_zyx, strict=True)):
        um = matrix_um(geometry, position, tile.shape_frc)
        world = tuple(tuple(each / geometry.pitch_um for each in row) for row in um)
        view = ET.SubElement(
            registrations, "ViewRegistration", timepoint="0", setup=str(number)
        )  # fmt: skip
        _add_transform(view, _SHIFT, multiply([world, undo]))
        _add_transform(view, "calibration", calibration)
    write_new(path, _text_of(root))


def _add_loader(sequence: ET.Element, tiles: Sequence[Tile], folder: str) -> None:
    loader = ET.SubElement(sequence, "ImageLoader", format="spimreconstruction.filelist")
    ET.SubElement(loader, "imglib2container").text = "ArrayImgFactory"
    ET.SubElement(loader, "ZGrouped").text = "false"
    files = ET.SubElement(loader, "files")
    for number, tile in enumerate(tiles):
        mapping = ET.SubElement(
            files,
            "FileMapping",
            view_setup=str(number),
            timepoint="0",
            series="0",
            channel=str(tile.channel_index),
        )
        ET.SubElement(mapping, "file", type="relative").text = os.path.relpath(tile.path, folder)


def _add_setups(sequence: ET.Element, tiles: Sequence[Tile], geometry: Geometry) -> None:
    setups = ET.SubElement(sequence, "ViewSetups")
    for number, tile in enumerate(tiles):
        frames, rows, columns = tile.shape_frc
        setup = ET.SubElement(setups, "ViewSetup")
        ET.SubElement(setup, "id").text = str(number)
        ET.SubElement(setup, "name").text = tile.name
        ET.SubElement(setup, "size").text = f"{columns} {rows} {frames}"
        size = ET.SubElement(setup, "voxelSize")
        ET.SubElement(size, "unit").text = "µm"
        pitch, step = geometry.pitch_um, geometry.step_um
        ET.SubElement(size, "size").text = f"{pitch!r} {pitch!r} {step!r}"
        attributes = ET.SubElement(setup, "attributes")
        for name, value in (("illumination", 0), ("channel", 0), ("tile", number), ("angle", 0)):
            ET.SubElement(attributes, name).text = str(value)
    kinds = (("illumination", 1), ("channel", 1), ("tile", len(tiles)), ("angle", 1))
    for name, count in kinds:
        group = ET.SubElement(setups, "Attributes", name=name)
        for number in range(count):
            element = ET.SubElement(group, name.capitalize())
            ET.SubElement(element, "id").text = str(number)
            ET.SubElement(element, "name").text = str(number)


def write_shifted(
    path: str, document: str, tiles: TileSet, positions_um_zyx: Sequence[Vector]
) -> None:
    """Write a copy of a document in which each view lies where its tile was found to lie.

    All views of a tile are shifted alike, also those of other channels and time points.

    Parameters
    ----------
    path
        The copy, which must not be there.
    document
        The document that the tiles were read from.
    tiles
        Tiles as they were found in it.
    positions_um_zyx
        Where the first sample of each lies.

    Raises
    ------
    FileExistsError
        There is something at the path.
    ValueError, OSError
        The document has changed, or the disk does not take the copy.
    """
    tree = ET.parse(document)  # noqa: S314 - it was read before, without entities
    root = tree.getroot()
    setups = {
        (each.findtext("id") or "").strip(): each
        for each in root.iterfind("SequenceDescription/ViewSetups/ViewSetup")
    }
    shifts = {}
    for tile, position in zip(tiles.tiles, positions_um_zyx, strict=True):
        setup = setups[tile.name.removeprefix("setup-")]
        z, y, x = (new - old for new, old in zip(position, tile.position_um_zyx, strict=True))
        shifts[_tile_of(setup)] = (x, y, z)
    for view in root.iterfind("ViewRegistrations/ViewRegistration"):
        setup = setups[view.get("setup", "")]
        shift = shifts.get(_tile_of(setup))
        if shift is not None:
            matrices = [named_matrix(each) for each in view.iterfind("ViewTransform")]
            unit = calibration_unit(matrices, voxel_um_of(setup) or (1.0, 1.0, 1.0))
            moved = tuple(
                (*row, size / unit) for row, size in zip(_IDENTITY, shift, strict=True)
            )  # fmt: skip
            _add_transform(view, _SHIFT, moved, first=True)
    write_new(path, _text_of(root))


def _tile_of(setup: ET.Element) -> tuple[str, ...]:
    names = ("tile", "angle", "illumination")
    return tuple((setup.findtext(f"attributes/{name}") or "0").strip() for name in names)


def _add_transform(
    view: ET.Element, name: str, matrix: Affine, *, first: bool = False
) -> None:  # fmt: skip
    element = ET.Element("ViewTransform", type="affine")
    ET.SubElement(element, "Name").text = name
    ET.SubElement(element, "affine").text = " ".join(repr(n + 0.0) for row in matrix for n in row)
    view.insert(0 if first else len(view), element)


def _text_of(root: ET.Element) -> bytes:
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"
