"""Adds a row to a table of comma-separated text, and leaves every other byte of a line unchanged.

A new column is added behind the others, with empty cells.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def add_csv_rows(text: str, rows: Iterable[Mapping[str, str]]) -> str:
    """Return the text of a table with further rows at its end.

    Parameters
    ----------
    text
        A table with a header, whose separator is a comma or a semicolon; nothing for a new one.
    rows
        Cells by column.
    """
    rows = [*rows]
    end = "\r\n" if "\r\n" in text else "\n"
    records = [*_split(text)]
    if not any(record.strip() for record in records):
        columns = [*dict.fromkeys(column for row in rows for column in row)]
        records = [_compose(columns, ",")]
    first, separator, columns = _read_header(records)
    new = [
        *dict.fromkeys(c for row in rows for c, cell in row.items() if cell and c not in columns)
    ]
    if new:
        for number, record in enumerate(records):
            if record.strip():
                more = new if number == first else [""] * len(new)
                records[number] = record + separator + _compose(more, separator)
    columns += new
    added = [_compose([row.get(column, "") for column in columns], separator) for row in rows]
    return "".join(record + end for record in [*records, *added])


def csv_columns(text: str) -> list[str]:
    """Return the names of the columns of a table, none of an empty one."""
    records = [*_split(text)]
    return _read_header(records)[2] if any(record.strip() for record in records) else []


def _read_header(records: list[str]) -> tuple[int, str, list[str]]:
    """Return the number of the record that is the header, its separator, and its names."""
    first = next(number for number, record in enumerate(records) if record.strip())
    separator = ";" if records[first].count(";") > records[first].count(",") else ","
    columns = next(csv.reader([records[first]], delimiter=separator))
    return first, separator, [name.strip() for name in columns]


def _split(text: str) -> Iterable[str]:
    """Yield the records of a table, each without its line end; quoted cells may have some."""
    record = ""
    for line in text.splitlines(keepends=True):
        record += line
        if record.count('"') % 2 == 0:
            yield record.rstrip("\r\n")
            record = ""
    if record:
        yield record.rstrip("\r\n")


def _compose(cells: list[str], separator: str) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="").writerow(cells)
    return file.getvalue()
