"""Composes the results of a scan: tables, a report, and a list of cells to fill in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of, printable
from spimpack_tasks.files.tsv import compose_tsv, fits_cell
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.scanning.folder_scan import FoundImage, FoundPhoto
from spimpack_tasks.scanning.headers import PIXEL_COLUMNS
from spimpack_tasks.scanning.walk import natural
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.scanning.folder_scan import ScanResult
    from spimpack_tasks.scanning.options import ScanRequest

SCANS, PARTICIPANTS, PHOTOS = "scans.tsv", "participants.tsv", "photos.tsv"
REPORT = "scan_report.tsv"


def compose_tables(request: ScanRequest, result: ScanResult) -> dict[str, str]:
    """Return file names and contents; there is a participants table if subjects are known."""
    tables = {SCANS: _compose_scans(request, result), REPORT: _compose_report(result)}
    listed: list[FoundImage | FoundPhoto] = [*result.images, *result.photos]
    subjects = {one.cells.get("subject", "") for one in listed} - {""}
    if subjects:
        rows = [["participant_id"], *([f"sub-{label}"] for label in sorted(subjects, key=natural))]
        tables[PARTICIPANTS] = compose_tsv(rows)
    if result.photos:
        tables[PHOTOS] = _compose_photos(request, result)
    return tables


def _compose_scans(request: ScanRequest, result: ScanResult) -> str:
    columns = _columns(result)
    return _compose(request, "spim_path", columns, result.images)


def _compose_photos(request: ScanRequest, result: ScanResult) -> str:
    given = {column for photo in result.photos for column in photo.cells}
    entities = [entity.name for entity in ENTITIES if entity.name in given]
    columns = list(dict.fromkeys([*load_schema("photos")["required"], *entities]))
    return _compose(request, "photo_path", columns, result.photos)


def _compose(
    request: ScanRequest,
    path_column: str,
    columns: list[str],
    found: Iterable[FoundImage | FoundPhoto],
) -> str:
    below = os.path.relpath(request.root, request.directory)
    # A relative path lives on when manifest and images are moved together.
    start = request.root if below.split("/")[0] == os.pardir else below
    rows = []
    for one in found:
        path = os.path.join(start, one.path)
        # A table is read with ~ for the home.
        cells = {path_column: f"./{path}" if path.startswith("~") else path, **one.cells}
        rows.append([cells.get(column, "") for column in columns])
    return compose_tsv([columns, *rows])


def _columns(result: ScanResult) -> list[str]:
    """Return the columns that each image must have, then others that hold something."""
    given = {column for image in result.images for column, cell in image.cells.items() if cell}
    entities = [entity.name for entity in ENTITIES if entity.name in given]
    required = load_schema("scans")["required"]
    return list(dict.fromkeys([*required, *entities, *PIXEL_COLUMNS, *sorted(given)]))


def _compose_report(result: ScanResult) -> str:
    rows = [("path", "verdict", "reason")]
    for one in result.found:
        if isinstance(one, (FoundImage, FoundPhoto)):
            verdict, reason = "used", "; ".join(one.notes)
        else:
            verdict, reason = "ignored", one.reason
        path, reason = (text if fits_cell(text) else printable(text) for text in (one.path, reason))
        rows.append((path, verdict, reason))
    return compose_tsv(rows)


def describe_scan(result: ScanResult) -> Iterator[str]:
    """Yield the summary for the user: the number of images, and the cells that are still empty."""
    images, unread = result.images, result.unread_headers
    headers = f" ({count_of(unread, 'header')} not read)" if unread else ""
    used = count_of(len(images), "image")
    used += f" and {count_of(len(result.photos), 'photo')}" if result.photos else ""
    ignored = count_of(len(result.skipped), "other path")
    yield f"{used} used{headers}, {ignored} ignored; {REPORT} says why"
    gaps = []
    for column in (*load_schema("scans")["required"], *PIXEL_COLUMNS):
        number = sum(not image.cells.get(column) for image in images)
        if number and column != "spim_path":
            gaps.append(f"{column} in {count_of(number, 'row')}")
    yield f"To fill in, in {SCANS}: {', '.join(gaps)}" if gaps else f"{SCANS} has no gaps"
    required = [name for name in load_schema("photos")["required"] if name != "photo_path"]
    lacking = sum(not all(photo.cells.get(n) for n in required) for photo in result.photos)
    if lacking:
        yield f"To fill in, in {PHOTOS}: labels in {count_of(lacking, 'row')}"
