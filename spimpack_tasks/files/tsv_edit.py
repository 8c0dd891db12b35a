"""Edits a tab-separated table, and leaves every other byte unchanged.

Rows count from 0 as `parse_tsv` yields them: blank lines, and rows that it refuses, keep their
position and have no number. A cell with a line end is joined to one line, since a table cannot
hold it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Report, SpimpackError
from spimpack_tasks.files.tsv import compose_tsv, parse_tsv

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from spimpack_tasks.files.tsv import Row, TsvTable

_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


class TsvText:
    """The text of a table that is being edited.

    Parameters
    ----------
    text
        A table with a header; where there is none, `columns` become its header.
    columns
        Names of the columns of a table that is still empty.

    Raises
    ------
    SpimpackError
        There is text, but it is no table.
    """

    def __init__(self, text: str, columns: Sequence[str] = ()) -> None:
        self._lines = [[line, end] for line, end in _LINE.findall(text) if line or end]
        self._end = next((end for _, end in self._lines if end), "\n")
        self._parse()
        if self._table is None:
            self._lines.append([_joined(columns), self._end])
            self._parse()

    def _parse(self) -> None:
        report = Report()
        self._table: TsvTable | None = parse_tsv(self.text, "the table", report)
        if self._table is None and self.text.strip():
            raise SpimpackError(str(report.problems[0]))

    @property
    def text(self) -> str:
        """The text as it has become."""
        return "".join(line + end for line, end in self._lines)

    @property
    def table(self) -> TsvTable:
        """The parsed table."""
        assert self._table is not None  # noqa: S101 - a table without header is given one
        return self._table

    def set_cells(self, cells: Mapping[tuple[int, str], str]) -> None:
        """Put texts into cells, by number of the row and name of the column.

        A column that is not there is added behind the others.
        """
        self.add_columns(column for (_, column), text in cells.items() if text)
        columns, rows = self.table.columns, self.table.rows
        by_row: dict[int, dict[int, str]] = {}
        for (row, column), text in cells.items():
            if column in columns:
                by_row.setdefault(row, {})[columns.index(column)] = text
        for number, changed in by_row.items():
            self._set_line(rows[number], changed)
        self._parse()

    def add_rows(self, rows: Iterable[Mapping[str, str]], after: int | None = None) -> None:
        """Add rows behind the row `after`, or behind the last one."""
        rows = list(rows)
        self.add_columns(column for row in rows for column, text in row.items() if text)
        table = self.table
        before = table.rows[after] if after is not None else self._last_row()
        columns = table.columns
        lines = [[_joined([row.get(c, "") for c in columns]), self._end] for row in rows]
        if before.line and not self._lines[before.line - 1][1]:
            self._lines[before.line - 1][1] = self._end
            lines[-1][1] = ""
        self._lines[before.line : before.line] = lines
        self._parse()

    def _last_row(self) -> Row:
        return self.table.rows[-1] if self.table.rows else self.table.header

    def remove_rows(self, numbers: Collection[int]) -> None:
        """Take rows out."""
        gone = {self.table.rows[number].line - 1 for number in numbers}
        self._lines = [line for index, line in enumerate(self._lines) if index not in gone]
        self._parse()

    def add_columns(self, names: Iterable[str]) -> None:
        """Add those columns that are not there, with empty cells."""
        table = self.table
        new = [name for name in dict.fromkeys(names) if name not in table.columns]
        if new:
            first = len(table.columns)
            self._set_line(table.header, {first + i: name for i, name in enumerate(new)})
            for row in table.rows:
                self._set_line(row, {first + index: "" for index in range(len(new))})
            self._parse()

    def remove_column(self, name: str) -> None:
        """Remove a column with its cells."""
        index = self.table.columns.index(name)
        for row in (self.table.header, *self.table.rows):
            pieces = _pieces(row)
            self._lines[row.line - 1][0] = "\t".join(pieces[:index] + pieces[index + 1 :])
        self._parse()

    def _set_line(self, row: Row, changed: Mapping[int, str]) -> None:
        pieces = _pieces(row)
        for index in sorted(changed):
            piece = _joined([changed[index]]) if changed[index] else ""
            pieces[index : index + 1] = [piece]
        self._lines[row.line - 1][0] = "\t".join(pieces)


def cells_by_column(table: TsvTable) -> list[dict[str, str]]:
    """Return the cells of each row by the name of their column."""
    return [dict(zip(table.columns, row.cells, strict=True)) for row in table.rows]


def _pieces(row: Row) -> list[str]:
    """Return the cells as they are written, quotes included."""
    pieces = row.raw.split("\t")
    return pieces if len(pieces) == len(row.cells) else [_joined([cell]) for cell in row.cells]


def _joined(cells: Sequence[str]) -> str:
    """Return the line of a row, without its end."""
    cells = [re.sub(r"[\r\n\0]+", " ", cell) for cell in cells]
    if any(mark in cell for cell in cells for mark in '"\t'):
        return compose_tsv([cells]).removesuffix("\n")
    return "\t".join(cells)
