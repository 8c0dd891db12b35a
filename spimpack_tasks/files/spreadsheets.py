"""Reads a table that was kept in a spreadsheet: xlsx, xls, csv or tsv.

Cells come as text, as a person sees them: `01` stays `01` where the file has text, a whole number
has no decimals, a date is written as ISO 8601 has it. Nothing is guessed: where the encoding or the
separator is not clear, the file is refused.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import MissingExtraError, Place, Problem, count_of
from spimpack_tasks.files import workbook
from spimpack_tasks.files.tsv import Row, TsvTable
from spimpack_tasks.files.workbook import MAX_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.errors import Report

MAX_BYTES = 16 * 2**20
"""A larger file is no table of participants or scans."""
MAX_COLUMNS = 1_000
"""BIDS and instruments have some dozens."""
MAX_SECONDS = 30
"""Seconds until the process that reads a workbook is ended."""
ENDINGS = ("xlsx", "xls", "csv", "tsv")

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it was read: names of columns, and rows of as many cells."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    all_sheets: tuple[str, ...] = ()
    """Names of the sheets of the workbook; none of a text."""
    lines: tuple[int, ...] = field(default=(), compare=False, repr=False)
    """Numbers of the header and of the rows, as the program shows them that kept the table."""

    def records(self) -> Iterator[dict[str, str]]:
        """Yield the rows by names of columns."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


class _Line(NamedTuple):
    number: int
    """As the program shows it in which the table was kept."""
    cells: list[str]


def read_sheet(
    name: str, data: bytes, report: Report, sheet: str = "", header: int = 0
) -> Sheet | None:
    """Return a table, `None` if the file is refused; problems go to `report`.

    Parameters
    ----------
    name
        Of the file; its ending determines the format.
    data
        Content of the file.
    report
        Receives problems. Rows of a wrong length are reported and left out.
    sheet
        Sheet of a workbook; if empty, the first one that is not empty.
    header
        Number of the row that names the columns, as the program shows it that kept the table; 0
        for the first row that is not empty. Rows before it are left out.

    Raises
    ------
    MissingExtraError
        The library that reads workbooks is not installed.
    """
    ending = _ending(name, data, report)
    if ending in {"csv", "tsv"}:
        return _read_text(name, data, ending, report, header)
    return _read_workbook(name, data, sheet, report, header) if ending else None


def _ending(name: str, data: bytes, report: Report) -> str:
    """Return the ending of a file that can be read, or nothing."""
    ending = name.rpartition(".")[2].lower()
    place = Place(name)
    if ending not in ENDINGS:
        hint = f"save it as {', '.join(ENDINGS)}"
        report.add(Problem("import.format", place, "", "is of no known format", hint))
        return ""
    if len(data) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES // 2**20} MiB"
        report.add(Problem("file.too-large", place, "", message, "split it"))
        return ""
    return ending


def _read_text(name: str, data: bytes, ending: str, report: Report, header: int) -> Sheet | None:
    text = _from_line(_decode(name, data, report), header)
    separator = "" if text is None else _separator(name, text, ending, report)
    if text is None or not separator:
        return None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines: list[_Line] = []
    try:
        # A cell may go over line ends here, but not in the tables that it goes into.
        found = (_Line(reader.line_num, list(map(_one_line, cells))) for cells in reader)
        lines.extend(line for line in found if any(line.cells))
    except csv.Error as error:
        message = f"cannot be read: {error}"
        hint = "close the quote, and write two quotes for one inside quotes"
        report.add(Problem("table.quote", Place(name, reader.line_num), "", message, hint))
        return None
    return _make_sheet(name, lines, report)


def _from_line(text: str | None, number: int) -> str | None:
    """Return a text with empty lines in place of those before a line, which keeps their numbers."""
    if text is None or number < 2:
        return text
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n|\Z)", text)
    return "\n" * (number - 1) + "".join(lines[number - 1 :])


def _decode(name: str, data: bytes, report: Report) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, other = "utf-16", "UTF-16"
    else:
        encoding, other = "utf-8-sig", "UTF-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8 (in Excel: CSV UTF-8), or import the workbook itself"
        report.add(Problem("file.encoding", Place(name, line), "", f"is not {other} text", hint))
        return None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        message = "holds NUL characters, so it is no text"
        report.add(Problem("file.encoding", Place(name, line), "", message, "save it as UTF-8"))
        return None
    return text


def _separator(name: str, text: str, ending: str, report: Report) -> str:
    """Return the separator of the cells in the first line, empty if it is ambiguous.

    A table of one column has none, and is read with commas.
    """
    header = next((line for line in text.splitlines() if line.strip()), "")
    outside = "".join(header.split('"')[::2])
    found = [separator for separator in _SEPARATORS if separator in outside]
    if ending == "tsv" and "\t" in found:
        return "\t"
    if len(found) <= 1:
        return found[0] if found else ","
    message = f"has {' and '.join(_SEPARATORS[f] for f in found)} in its header"
    hint = "put names that hold them in quotes, or save it as tab-separated text (tsv)"
    report.add(Problem("import.separator", Place(name, 1), "", message, hint))
    return ""


def _read_workbook(name: str, data: bytes, sheet: str, report: Report, header: int) -> Sheet | None:
    if find_spec("python_calamine") is None:
        what = "python-calamine, which reads spreadsheets,"
        raise MissingExtraError(what, "spreadsheets")
    command = [sys.executable, "-I", workbook.__file__, *([sheet] if sheet else [])]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and a program of ours
            command, input=data, capture_output=True, timeout=MAX_SECONDS, check=False
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        answer = {"problem": "large"}
    if "problem" in answer:
        message, hint = _REFUSALS[answer["problem"]]
        report.add(Problem("import.workbook", Place(name), sheet, message, hint))
        return None
    rows = enumerate(answer["rows"], start=answer["first"])
    lines = [_Line(number, list(map(_one_line, row))) for number, row in rows if number >= header]
    table = _make_sheet(name, [line for line in lines if any(line.cells)], report)
    return None if table is None else replace(table, all_sheets=tuple(answer["sheets"]))


_REFUSALS = {
    "password": ("is protected by a password", "save it without one"),
    "damaged": ("is no workbook, or a damaged one", "open it and save it again as xlsx"),
    "large": (
        "takes too much memory or time",
        "remove cells that stand far away from the table, or save it as csv",
    ),
}


def _one_line(text: str) -> str:
    return " ".join(text.replace("\0", "").splitlines()).strip()


def _make_sheet(name: str, lines: Sequence[_Line], report: Report) -> Sheet | None:
    """Return lines as a table, the first one being the header; problems go to `report`."""
    if not lines:
        problem = Problem("table.empty", Place(name), "", "has no header", "name the columns")
        report.add(problem)
        return None
    header, *body = lines
    if len(body) > MAX_ROWS or len(header.cells) > MAX_COLUMNS:
        message = f"has more than {MAX_ROWS:,} rows or {MAX_COLUMNS:,} columns"
        report.add(Problem("file.too-large", Place(name), "", message, "split it"))
        return None
    columns = _columns(name, header, body, report)
    if columns is None:
        return None
    rows = []
    numbers = [header.number]
    for line in body:
        if len(line.cells) == len(header.cells):
            rows.append(tuple(line.cells[index] for index in columns))
            numbers.append(line.number)
        else:
            message = f"has {count_of(len(line.cells), 'cell')}, the header {len(header.cells)}"
            hint = "put one separator between two cells, also around empty ones"
            place = Place(name, line.number)
            report.add(Problem("table.ragged-row", place, "", message, hint))
    return Sheet(name, tuple(columns.values()), tuple(rows), lines=tuple(numbers))


def read_as_table(name: str, data: bytes, report: Report) -> TsvTable | None:
    """Return a table of a spreadsheet like one of tab-separated text; places have no column.

    Of a workbook, the first sheet that holds something is read.
    """
    before = len(report.problems)
    try:
        sheet = read_sheet(name, data, report)
    except MissingExtraError as error:
        report.add(Problem("table.extra", Place(name), "", str(error), "or save it as csv or tsv"))
        return None
    if sheet is None:
        return None
    header, *lines = sheet.lines
    rows = (Row(line, cells, "") for line, cells in zip(lines, sheet.rows, strict=True))
    is_whole = len(report.problems) == before
    return TsvTable(name, Row(header, sheet.columns, ""), tuple(rows), is_whole)


def _columns(
    name: str, header: _Line, body: Sequence[_Line], report: Report
) -> dict[int, str] | None:
    """Return the names of columns by index; one without name and cells is left out."""
    columns: dict[int, str] = {}
    place = Place(name, header.number)
    for index, column in enumerate(header.cells):
        if column in columns.values():
            message, hint = "is the name of two columns", "give one of them another name"
            report.add(Problem("table.duplicate-header", place, column, message, hint))
            return None
        if column:
            columns[index] = column
        elif any(line.cells[index : index + 1] > [""] for line in body):
            message = f"column {index + 1} has no name"
            report.add(Problem("table.blank-header", place, "", message, "name it"))
            return None
    return columns
