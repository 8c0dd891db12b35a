"""Composes what a scan leaves to its user: tables, a report, and what is still to be filled in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of, printable
from spimpack_tasks.files.tsv import compose_tsv, fits_cell
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.scanning.headers import PIXEL_COLUMNS
from spimpack_tasks.scanning.survey import Image
from spimpack_tasks.scanning.walk import natural
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.scanning.options import Request
    from spimpack_tasks.scanning.survey import Survey

SCANS, PARTICIPANTS, REPORT = "scans.tsv", "participants.tsv", "scan_report.tsv"


def compose_tables(request: Request, survey: Survey) -> dict[str, str]:
    """Return file names and contents; there is a participants table if subjects are known."""
    tables = {SCANS: _compose_scans(request, survey), REPORT: _compose_report(survey)}
    subjects = {image.cells.get("subject", "") for image in survey.images} - {""}
    if subjects:
        rows = [["participant_id"], *([f"sub-{label}"] for label in sorted(subjects, key=natural))]
        tables[PARTICIPANTS] = compose_tsv(rows)
    return tables


def _compose_scans(request: Request, survey: Survey) -> str:
    columns = _columns(survey)
    below = os.path.relpath(request.root, request.directory)
    # A relative path lives on when manifest and images are moved together.
    start = request.root if below.split("/")[0] == os.pardir else below
    rows = []
    for image in survey.images:
        path = os.path.join(start, image.path)
        # A table is read with ~ for the home.
        cells = {"spim_path": f"./{path}" if path.startswith("~") else path, **image.cells}
        rows.append([cells.get(column, "") for column in columns])
    return compose_tsv([columns, *rows])


def _columns(survey: Survey) -> list[str]:
    """Return the columns that each image must have, then others that hold something."""
    given = {column for image in survey.images for column, cell in image.cells.items() if cell}
    entities = [entity.name for entity in ENTITIES if entity.name in given]
    required = load_schema("scans")["required"]
    return list(dict.fromkeys([*required, *entities, *PIXEL_COLUMNS, *sorted(given)]))


def _compose_report(survey: Survey) -> str:
    rows = [("path", "verdict", "reason")]
    for one in survey.found:
        if isinstance(one, Image):
            verdict, reason = "used", "; ".join(one.notes)
        else:
            verdict, reason = "ignored", one.reason
        path, reason = (text if fits_cell(text) else printable(text) for text in (one.path, reason))
        rows.append((path, verdict, reason))
    return compose_tsv(rows)


def describe_survey(survey: Survey) -> Iterator[str]:
    """Yield what a user reads: how much was found, and last what the table still lacks."""
    images, unread = survey.images, survey.unread_headers
    headers = f" ({count_of(unread, 'header')} not read)" if unread else ""
    used = count_of(len(images), "image")
    ignored = count_of(len(survey.passed), "other path")
    yield f"{used} used{headers}, {ignored} ignored; {REPORT} says why"
    gaps = []
    for column in (*load_schema("scans")["required"], *PIXEL_COLUMNS):
        number = sum(not image.cells.get(column) for image in images)
        if number and column != "spim_path":
            gaps.append(f"{column} in {count_of(number, 'row')}")
    yield f"To fill in, in {SCANS}: {', '.join(gaps)}" if gaps else f"{SCANS} has no gaps"
