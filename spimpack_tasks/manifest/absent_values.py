"""Replaces other programs' words for absent values by `n/a`, the word of BIDS.

Statistics programs and spreadsheets put words such as `NaN` into empty cells. Unchanged, they would
be published, or become the label of a session. So the words that pandas reads as absent, and the
errors of formulas, count as `n/a`. Lower-case `none` stays: it may be a treatment.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity, count_of
from spimpack_tasks.model.entities import MISSING

if TYPE_CHECKING:
    from spimpack_tasks.errors import Place, Report
    from spimpack_tasks.files.tsv import TsvTable

ABSENT = frozenset(
    [
        *("NaN", "nan", "-NaN", "-nan", "NaT", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
        *("N/A", "NA", "<NA>", "#N/A", "#NA", "NULL", "null", "None"),
        *("#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"),
    ]
)
"""The words; those of pandas are listed with `na_values` of its `read_csv`."""


def settle_table(table: TsvTable, report: Report) -> TsvTable:
    """Return a table with `n/a` for such words; each column that has some is reported once."""
    rows = []
    found: dict[int, Counter[str]] = {}
    first: dict[int, Place] = {}
    for row in table.rows:
        if ABSENT.isdisjoint(map(str.strip, row.cells)):
            rows.append(row)
            continue
        cells = list(row.cells)
        for index, cell in enumerate(cells):
            if cell.strip() in ABSENT:
                found.setdefault(index, Counter())[cell.strip()] += 1
                first.setdefault(index, table.place(row, index))
                cells[index] = MISSING
        rows.append(row._replace(cells=tuple(cells), written=row.raw))
    for index, words in found.items():
        report.add(_taken(words, first[index], table.columns[index]))
    return replace(table, rows=tuple(rows)) if found else table


def settle_value(value: Any, place: Place, key: str, report: Report) -> Any:
    """Return a value of YAML, or `n/a` if it is such a word."""
    if isinstance(value, str) and value.strip() in ABSENT:
        report.add(_taken(Counter([value.strip()]), place, key))
        return MISSING
    return value


def _taken(words: Counter[str], place: Place, key: str) -> Problem:
    shown = ", ".join(map(repr, sorted(words)))
    number = words.total()
    where = f" in {count_of(number, 'cell')}" if number > 1 else ""
    message = f"{shown}{where} is taken for {MISSING}"
    hint = f"leave the cell empty, or write {MISSING}"
    return Problem("value.absent", place, key, message, hint, Severity.WARNING)
