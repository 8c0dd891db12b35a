"""Composes the results of a scan: tables, a report, and a list of cells to fill in."""

from __future__ import annotations

import os
from itertools import repeat
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of, printable
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.files.tsv import compose_tsv, fits_cell
from spimpack_tasks.manifest.merges import SEPARATOR
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.scanning.found import DescribingFile, FoundImage, FoundPhoto
from spimpack_tasks.scanning.groups import describe_member
from spimpack_tasks.scanning.headers import PIXEL_COLUMNS
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.scanning.found import ScanResult
    from spimpack_tasks.scanning.options import ScanRequest

SCANS, PARTICIPANTS, PHOTOS = "scans.tsv", "participants.tsv", "photos.tsv"
REPORT = "scan_report.tsv"
_CHOICES = {
    "scene": "(files of several images; a row for each that is wanted)",
    "axes": "(where images are converted that do not say what their pages are)",
}
"""Remarks on columns for choices that images leave open."""
_SHOWN = 3
"""Ignored paths of one reason that are named."""


def compose_tables(request: ScanRequest, result: ScanResult) -> dict[str, str]:
    """Return file names and contents; there is a participants table if subjects are known."""
    tables = {SCANS: _compose_scans(request, result), REPORT: _compose_report(result)}
    listed: list[FoundImage | FoundPhoto] = [*result.images, *result.photos]
    subjects = {one.cells.get("subject", "") for one in listed} - {""}
    if subjects:
        tables[PARTICIPANTS] = _compose_participants(result, sorted(subjects, key=natural))
    if result.photos:
        tables[PHOTOS] = _compose_photos(request, result)
    return tables


def participants_of(result: ScanResult) -> dict[str, dict[str, str]]:
    """Return what paths say about each subject, by its label and the column."""
    found: dict[str, dict[str, str]] = {}
    for image in result.images:
        found.setdefault(image.cells.get("subject", ""), {}).update(image.participant)
    return found


def _compose_participants(result: ScanResult, subjects: list[str]) -> str:
    said = participants_of(result)
    columns = list(dict.fromkeys(name for values in said.values() for name in values))
    rows = [[f"sub-{s}", *(said.get(s, {}).get(c, "") for c in columns)] for s in subjects]
    return compose_tsv([["participant_id", *columns], *rows])


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
    rows = []
    for one in found:
        cells = {path_column: cell_of_source(request, one), **one.cells}
        rows.append([cells.get(column, "") for column in columns])
    return compose_tsv([columns, *rows])


def cell_of_source(request: ScanRequest, one: FoundImage | FoundPhoto) -> str:
    """Return the path of an image as a table has it, or those of all its files."""
    paths = one.paths if isinstance(one, FoundImage) else [one.path]
    return SEPARATOR.join(cell_of_path(request, path) for path in paths)


def cell_of_path(request: ScanRequest, path: str) -> str:
    """Return a path below the scanned folder as a table has it."""
    whole = os.path.join(folder_of_tables(request), path) if path else folder_of_tables(request)
    # A table is read with ~ for the home.
    return f"./{whole}" if whole.startswith("~") else whole


def folder_of_tables(request: ScanRequest) -> str:
    """Return the scanned folder as seen from the tables, or absolute if it is not below them.

    A relative path lives on when manifest and images are moved together.
    """
    below = os.path.relpath(request.root, request.directory)
    return request.root if below.split("/")[0] == os.pardir else below


def _columns(result: ScanResult) -> list[str]:
    """Return the columns that each image must have, then others that hold something."""
    given = {column for image in result.images for column, cell in image.cells.items() if cell}
    entities = [entity.name for entity in ENTITIES if entity.name in given]
    required = load_schema("scans")["required"]
    given |= result.open_choices.keys()
    return list(dict.fromkeys([*required, *entities, *PIXEL_COLUMNS, *sorted(given)]))


def _compose_report(result: ScanResult) -> str:
    rows: list[tuple[str, ...]] = [("path", "verdict", "reason")]
    for one in result.found:
        if isinstance(one, FoundImage) and one.members:
            told = [describe_member(one, number) for number in range(len(one.members))]
            told[0] = "; ".join([told[0], *one.notes])
            listed = [*zip(one.paths, repeat("used"), told)]
        elif isinstance(one, (FoundImage, FoundPhoto)):
            listed = [(one.path, "used", "; ".join(one.notes))]
        elif isinstance(one, DescribingFile):
            by = f", as written by {one.program}" if one.program else ""
            listed = [(one.path, "used", f"describes images{by}")]
        else:
            listed = [(one.path, "ignored", one.reason)]
        rows += (tuple(t if fits_cell(t) else printable(t) for t in texts) for texts in listed)
    first, *others = rows
    return compose_tsv([first, *sorted(others, key=lambda row: natural(row[0]))])


def describe_scan(result: ScanResult) -> Iterator[str]:
    """Yield the summary for the user: the number of images, and the cells that are still empty."""
    images, unread = result.images, result.unread_headers
    headers = f" ({count_of(unread, 'header')} not read)" if unread else ""
    used = count_of(len(images), "image")
    used += f" and {count_of(len(result.photos), 'photo')}" if result.photos else ""
    ignored = count_of(len(result.skipped), "other path")
    yield f"{used} used{headers}, {ignored} ignored; {REPORT} says why"
    yield from _gaps(result)


def list_findings(request: ScanRequest, result: ScanResult, *, verbose: bool) -> Iterator[str]:
    """Yield a line for each image with its labels, then what is ignored, by reason."""
    listed: list[FoundImage | FoundPhoto] = [*result.images, *result.photos]
    for one in listed:
        cells = request.defaults | one.cells
        labels = (f"{e.short}-{cells[e.name]}" for e in ENTITIES if cells.get(e.name))
        about = [f"{k}={v}" for k, v in _about_subject(one).items()]
        notes = "; ".join(one.notes)
        words = " ".join([*labels, *about]) or "no label"
        merged = ""
        if isinstance(one, FoundImage) and one.members[1:]:
            files = count_of(len(one.members) - 1, "more file")
            merged = f" and {files}, merged along {one.axis}"
        yield printable(f"{one.path}{merged} -> {words}" + (f" ({notes})" if notes else ""))
    reasons: dict[str, list[str]] = {}
    for skipped in result.skipped:
        reasons.setdefault(skipped.reason, []).append(skipped.path)
    for reason, paths in sorted(reasons.items()):
        shown = paths if verbose else paths[:_SHOWN]
        more = f" and {len(paths) - len(shown):,} more" if paths[len(shown) :] else ""
        yield printable(f"ignored, {reason}: {', '.join(shown)}{more}")


def hint_at_patterns(images: list[FoundImage]) -> Iterator[str]:
    """Yield what helps where a path gives no subject."""
    if any(not image.cells.get("subject") for image in images):
        yield "Labels of other names than sub-01 are found by --pattern, such as '{subject}/*'"


def _about_subject(one: FoundImage | FoundPhoto) -> dict[str, str]:
    return one.participant if isinstance(one, FoundImage) else {}


def _gaps(result: ScanResult) -> Iterator[str]:
    """Yield what is still to be filled in."""
    images = result.images
    gaps = []
    for column in (*load_schema("scans")["required"], *PIXEL_COLUMNS):
        number = sum(not image.cells.get(column) for image in images)
        if number and column != "spim_path":
            gaps.append(f"{column} in {count_of(number, 'row')}")
    choices = result.open_choices.items()
    gaps += [f"{column} in {count_of(n, 'row')} {_CHOICES[column]}" for column, n in choices]
    yield (
        f"To fill in, in {SCANS}: {', '.join(gaps)}" if gaps else f"Nothing to fill in, in {SCANS}"
    )
    yield from hint_at_patterns(images)
    required = [name for name in load_schema("photos")["required"] if name != "photo_path"]
    lacking = sum(not all(photo.cells.get(n) for n in required) for photo in result.photos)
    if lacking:
        yield f"To fill in, in {PHOTOS}: labels in {count_of(lacking, 'row')}"
