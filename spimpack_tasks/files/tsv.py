"""Tab-separated tables as text, with the place of every cell.

`01` stays `01` and an empty cell stays empty. A row must have as many cells as the header. Quotes
follow the csv convention, but a quoted cell may not go over a line end: an unclosed quote would
otherwise swallow the rows behind it without a word.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import Place, Problem, count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spimpack_tasks.errors import Report


class Row(NamedTuple):
    """One row: its cells in header order, and its line number. A tuple is made quickly."""

    line: int
    cells: tuple[str, ...]
    written: str | None = None
    """The line, where it is not the cells with tabs between them; empty for a spreadsheet."""

    @property
    def raw(self) -> str:
        """The line as it is in the file; empty for a row of a spreadsheet."""
        return "\t".join(self.cells) if self.written is None else self.written

    def column(self, index: int) -> int:
        """Return the character column, from 1, at which cell `index` starts, 0 if not known."""
        if not self.raw:
            return 0  # the table is of a spreadsheet
        # A tab inside quotes is possible but rare; the column is only a help for the reader.
        return len("\t".join(self.raw.split("\t")[:index])) + (2 if index else 1)


@dataclass(frozen=True, slots=True)
class TsvTable:
    """A table as read: file, header and rows."""

    file: str
    header: Row
    rows: tuple[Row, ...]
    is_whole: bool = True
    """Whether no row was left out because of a reported mistake."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names, without surrounding blanks."""
        return tuple(name.strip() for name in self.header.cells)

    def place(self, row: Row, index: int = 0) -> Place:
        """Return the place of cell `index` of `row`."""
        return Place(self.file, row.line, row.column(index))


def parse_tsv(text: str, file: str, report: Report) -> TsvTable | None:
    """Return the table in `text`; problems go to `report`, `None` where there is no header.

    Blank lines are passed over. Rows of a wrong length are reported and left out.
    """
    before = len(report.problems)
    rows = [row for row in _split(text, file, report) if row.raw.strip()]
    is_whole = len(report.problems) == before
    if not rows:
        report.add(Problem("table.empty", Place(file), "", "has no header", "name the columns"))
        return None
    header, *body = rows
    if len(header.cells) == 1 and ("," in header.raw or ";" in header.raw):
        place, hint = Place(file, header.line, 1), "save it as tab-separated text"
        report.add(Problem("table.separator", place, "", "has no tab in its header", hint))
        return None
    report.extend(_header_problems(file, header))
    width = len(header.cells)
    good = []
    for row in body:
        if len(row.cells) == width:
            good.append(row)
        else:
            message = f"has {count_of(len(row.cells), 'cell')}, the header has {width}"
            hint = "put one tab between two cells, also around empty ones"
            report.add(Problem("table.ragged-row", Place(file, row.line, 1), "", message, hint))
    return TsvTable(file, header, tuple(good), is_whole and len(good) == len(body))


def _split(text: str, file: str, report: Report) -> list[Row]:
    rows = []
    # Tables say the same over and over; kept once, that takes half of the memory.
    known: dict[str, str] = {}
    for number, line in enumerate(_lines(text), start=1):
        if '"' not in line:
            cells = line.split("\t")
            rows.append(Row(number, tuple([known.setdefault(c, c) for c in cells])))
            continue
        try:
            cells = next(csv.reader([line], delimiter="\t", strict=True))
        except csv.Error as error:
            report.add(_quote_problem(Place(file, number, 1), str(error)))
        else:
            rows.append(Row(number, tuple(cells), line))
    return rows


def _lines(text: str) -> Iterator[str]:
    """Yield the lines one by one: a list of them would be as large as the table.

    str.splitlines would also split at characters that are legal inside a cell.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _quote_problem(place: Place, reason: str) -> Problem:
    if "unexpected end" in reason:
        message = "has an unclosed quote; a cell cannot go over the end of a line"
        hint = 'close it, or write "" for a quote inside quotes'
    else:
        long = "limit" in reason
        message = "has a quoted cell that is too long" if long else "goes on behind a closing quote"
        hint = 'in a cell that begins with a quote, write "" for a quote inside'
    return Problem("table.quote", place, "", message, hint)


def _header_problems(file: str, header: Row) -> list[Problem]:
    names = [name.strip() for name in header.cells]
    counts = Counter(names)
    problems = []
    for index, name in enumerate(names):
        place = Place(file, header.line, header.column(index))
        if not name:
            message = f"column {index + 1} has no name"
            problems.append(Problem("table.blank-header", place, "", message, "name it"))
        elif counts[name] > 1 and names.index(name) != index:
            message = f"is the name of {counts[name]} columns"
            hint = "keep one, or give them other names"
            problems.append(Problem("table.duplicate-header", place, name, message, hint))
    return problems


def fits_cell(text: str) -> bool:
    """Tell whether a table can hold a text: it is UTF-8, without line ends and NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return False
    return not any(character in text for character in "\r\n\0")


def compose_tsv(rows: Iterable[Sequence[str]]) -> str:
    """Return the text that `parse_tsv` reads as these rows, of cells that fit."""
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    return text.getvalue()
