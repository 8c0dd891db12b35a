"""Tables of tiles: a path and a place in micrometres in each row, for images of any format.

Columns are `path`, `x`, `y` and `z`, and optionally `name`, `format`, `time` and `channel`. Paths
are absolute, or relative to the folder of the table.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, suggestion
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.spreadsheets import MAX_BYTES, read_as_table
from spimpack_tasks.files.text import MAX_TABLE_BYTES, read_text
from spimpack_tasks.files.tsv import parse_tsv
from spimpack_tasks.stitching.discovery.found import IMAGE, LAYOUT, PLACE, Found, FoundTile
from spimpack_tasks.volumes.formats import FORMATS, format_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.files.tsv import Row, TsvTable
    from spimpack_tasks.stitching.discovery.found import TileChoices

NEEDED = ("path", "x", "y", "z")
COLUMNS = (*NEEDED, "name", "format", "time", "channel")


def fits(path: str) -> bool:
    """Tell whether a file has the name of a table."""
    return path.lower().endswith((".tsv", ".csv"))


def find(path: str, choices: TileChoices, report: Report) -> Found | None:  # noqa: ARG001 - all layouts are asked alike
    """Return the tiles of a table."""
    table = _read(path, report)
    if table is None or not _check_columns(table, report):
        return None
    tiles = [tile for row in table.rows if (tile := _tile(table, row, report)) is not None]
    return Found(tuple(tiles), Place(path))


def _read(path: str, report: Report) -> TsvTable | None:
    if not path.lower().endswith(".csv"):
        blame = Place(path)
        text = read_text(path, name=path, blame=blame, limit=MAX_TABLE_BYTES, report=report)
        return None if text is None else parse_tsv(text, path, report)
    try:
        with open_regular(path) as file:
            return read_as_table(path, file.read(MAX_BYTES + 1), report)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        report.add(Problem(LAYOUT, Place(path), "", message))
        return None


def _check_columns(table: TsvTable, report: Report) -> bool:
    missing = [name for name in NEEDED if name not in table.columns]
    for name in missing:
        place = table.place(table.header)
        report.add(Problem(LAYOUT, place, name, "is no column, but needed", "add it"))
    for index, name in enumerate(table.columns):
        if name not in COLUMNS:
            hint = suggestion(name, COLUMNS) or f"columns are {', '.join(COLUMNS)}"
            place = table.place(table.header, index)
            report.add(Problem(LAYOUT, place, name, "is no column of a table of tiles", hint))
    return not missing


def _tile(table: TsvTable, row: Row, report: Report) -> FoundTile | None:
    before = len(report.errors)
    cells = dict(zip(table.columns, (cell.strip() for cell in row.cells), strict=True))
    report.extend(_mistakes(table, row, cells))
    if len(report.errors) > before:
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(table.file), cells["path"]))
    return FoundTile(
        name=cells.get("name") or os.path.splitext(cells["path"])[0].removeprefix("./"),
        path=path,
        position_um_zyx=(float(cells["z"]), float(cells["y"]), float(cells["x"])),
        where=table.place(row),
        form=cells.get("format", ""),
        time_index=int(cells.get("time") or 0),
        channel_index=int(cells["channel"]) if cells.get("channel") else None,
    )


def _mistakes(table: TsvTable, row: Row, cells: dict[str, str]) -> Iterator[Problem]:
    for index, (name, text) in enumerate(cells.items()):
        place = table.place(row, index)
        if name in {"x", "y", "z"} and not _is_number(text):
            yield Problem(PLACE, place, name, f"{text!r} is not a place in µm", "write a number")
        elif name in {"time", "channel"} and text and not _is_count(text):
            yield Problem(IMAGE, place, name, f"{text!r} is not a number from 0 on")
        elif name == "path" and not text:
            yield Problem(IMAGE, place, name, "is empty", "name the file of the tile")
        elif name == "format" and text and not _is_format(text):
            known = ", ".join(form.name for form in FORMATS)
            yield Problem(IMAGE, place, name, f"{text!r} is no format", f"formats are {known}")


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e12
    except ValueError:
        return False


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _is_format(text: str) -> bool:
    try:
        format_named(text)
    except ValueError:
        return False
    return True
