"""The groups of an OME-Zarr of several images: positions as a series, or as the wells of a plate.

Facts: OME-Zarr 0.4 and 0.5, sections on plates, wells and `bioformats2raw.layout`.
"""

from __future__ import annotations

import re
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.places import put_json
from spimpack_tasks.streams.frame_log import FRAMES

if TYPE_CHECKING:
    from spimpack_tasks.files.places import Place
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.values import Plate

_FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""Names of positions that are names of folders everywhere; others are numbered."""
_FIELD = re.compile("[A-Za-z0-9]+")
"""Names of fields of a well, as OME-Zarr has them."""
_SERIES = "OME"
_RESERVED = (_SERIES, "zarr.json", FRAMES)
"""Names that other files and folders of an image have."""


def image_folders(settings: AcquisitionSettings) -> list[str]:
    """Return the folder of each image below that of the whole, nothing for a single image."""
    if settings.along("p") is None:
        return [""]
    pattern = _FIELD if settings.plate else _FOLDER
    folders: list[str] = []
    # Names that differ in case alone are one file on many disks.
    taken = set() if settings.plate else {each.casefold() for each in _RESERVED}
    for number, position in enumerate(settings.positions):
        well = f"{position.plate_row}/{position.plate_column}/" if settings.plate else ""
        name = position.name if pattern.fullmatch(position.name) else str(number)
        others = (f"{'p' * longer}{number}" for longer in count(1))
        folder = next(
            each
            for each in (f"{well}{name}" for name in chain([name], others))
            if each.casefold() not in taken
        )
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def write_groups(place: Place, settings: AcquisitionSettings) -> None:
    """Write the metadata of all groups above the images, that of the whole last."""
    if settings.along("p") is None:
        return
    ngff = "0.4" if settings.format.endswith("0.4") else "0.5"
    folders = image_folders(settings)
    if settings.plate:
        _write_plate(place, ngff, settings.plate, folders)
        return
    _put(place, ngff, _SERIES, {"series": folders})
    _put(place, ngff, "", {"bioformats2raw.layout": 3})


def _write_plate(place: Place, ngff: str, plate: Plate, folders: list[str]) -> None:
    wells: dict[str, list[str]] = {}
    for folder in folders:
        well, _, field = folder.rpartition("/")
        wells.setdefault(well, []).append(field)
    for row in sorted({well.partition("/")[0] for well in wells}):
        _put(place, ngff, row, {})
    for well, fields in wells.items():
        images = [{"path": field} for field in fields]
        _put(place, ngff, well, {"well": {"images": images, "version": ngff}})
    described: dict[str, Any] = {
        "rows": [{"name": name} for name in plate.row_names],
        "columns": [{"name": name} for name in plate.column_names],
        "wells": [_well(plate, well) for well in wells],
        "field_count": max(map(len, wells.values())),
        "version": ngff,
    }
    if plate.name:
        described["name"] = plate.name
    _put(place, ngff, "", {"plate": described})


def _well(plate: Plate, well: str) -> dict[str, Any]:
    row, _, column = well.partition("/")
    places = {
        "rowIndex": plate.row_names.index(row),
        "columnIndex": plate.column_names.index(column),
    }
    return {"path": well, **places}


def _put(place: Place, ngff: str, folder: str, attributes: dict[str, Any]) -> None:
    """Write the metadata of a group."""
    prefix = f"{folder}/" if folder else ""
    if ngff == "0.4":
        put_json(place, f"{prefix}.zgroup", {"zarr_format": 2})
        if attributes:
            put_json(place, f"{prefix}.zattrs", attributes)
        return
    ome = {"ome": {"version": ngff, **attributes}} if attributes else {}
    group = {"zarr_format": 3, "node_type": "group", "attributes": ome}
    put_json(place, f"{prefix}zarr.json", group)
