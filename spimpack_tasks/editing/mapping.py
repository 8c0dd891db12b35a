"""Maps the columns of an imported table to ours, and merges its rows with ours.

An imported row is added or changes cells. An empty cell changes nothing, and no row is removed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.editing.import_values import split_unit
from spimpack_tasks.errors import Place, Problem, Severity, count_of
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spimpack_tasks.errors import Report
    from spimpack_tasks.files.spreadsheets import Sheet

KEYS = {"participants": "participant_id", "scans": "spim_path"}
"""Column that identifies a row, by table."""

_SUBJECT = "subject|sub|subjectid|animal|animalid|mouse|mouseid|rat|ratid|participant|id"
_ALSO = {
    "participants": {
        "participant_id": f"{_SUBJECT}|specimen|specimenid",
        "age": "ageyears|ageinyears",
        "sex": "gender",
        "species": "organism",
        "strain": "line|mouseline|background",
        "strain_rrid": "rrid",
        "genotype": "geno",
        "treatment": "treatmentgroup|group",
    },
    "scans": {
        "subject": f"{_SUBJECT}|participantid",
        "session": "ses|timepoint",
        "sample": "samplelabel|tissue|organ",
        "acquisition": "acq",
        "spim_path": "path|file|filename|image|imagepath|source",
        "scene": "series",
        "orientation_string_xyz": "orientation",
        "sample_staining": "staining|stains|channels",
    },
}
"""Other names of columns, by table and column; only letters and digits count, in any case."""


def suggest_mapping(
    columns: Sequence[str], table: str, present: Iterable[str] = ()
) -> dict[str, str]:
    """Return for each imported column the column of ours that it is likely to be.

    Parameters
    ----------
    columns
        Names of the imported columns.
    table
        `participants` or `scans`.
    present
        Further columns that our table has.

    Returns
    -------
    dict
        A column that is none of ours keeps its name. One that would be a second of the same name
        is mapped to nothing.
    """
    known = {_plain(name): name for name in (*present, *load_schema(table)["properties"])}
    for name, others in _ALSO[table].items():
        for other in others.split("|"):
            known.setdefault(other, name)
    names = {column: _plain(split_unit(column)[0]) for column in columns}
    mapping = {
        column: known.get(_plain(column)) or known.get(names[column], "") for column in names
    }
    # A name that says it outright goes before one that only hints at it.
    taken: set[str] = set()
    for column in sorted(columns, key=lambda c: _plain(c) != _plain(mapping[c])):
        target = mapping[column] or column
        mapping[column] = "" if target in taken else target
        taken.add(target)
    return mapping


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


@dataclass(frozen=True, slots=True)
class Merge:
    """Result of comparing an imported table with the present rows."""

    new: tuple[dict[str, str], ...]
    """Rows to be added, by column."""
    changed: dict[int, dict[str, str]]
    """By number of a row that is there, from 0: its cells that become others."""
    equal: int
    """Number of rows that change nothing."""

    def in_words(self) -> str:
        """Return the numbers as a sentence."""
        counts = f"{len(self.changed):,} changed, {self.equal:,} equal"
        return f"{count_of(len(self.new), 'new row')}, {counts}"


def merge_rows(
    sheet: Sheet,
    mapping: Mapping[str, str],
    table: str,
    present: Sequence[Mapping[str, str]],
    report: Report,
) -> Merge:
    """Sort the rows of a sheet into new rows, rows that change cells, and rows already present.

    Parameters
    ----------
    sheet, mapping
        The sheet, and our column for each of its columns; empty for one that is left out.
    table
        `participants` or `scans`.
    present
        The present rows, by column.
    report
        Receives problems; a row without a key, or with that of an earlier row, is left out.
    """
    key, name = KEYS[table], sheet.file
    targets = {column: target for column, target in mapping.items() if target}
    if not _are_clear(targets, key, name, report):
        return Merge((), {}, 0)
    known = {_identity(row.get(key, "")): index for index, row in enumerate(present)}
    new: dict[str, dict[str, str]] = {}
    changed: dict[int, dict[str, str]] = {}
    seen: set[str] = set()
    for number, record in enumerate(sheet.records(), start=1):
        cells = {target: record[column] for column, target in targets.items()}
        identity = _identity(cells[key])
        if not identity or identity in seen:
            what = f"is a second row of {cells[key]}" if identity else f"has no {key}"
            report.add(_warning("import.row", name, key, f"row {number} {what}", "it is left out"))
            continue
        seen.add(identity)
        if identity not in known:
            new[identity] = cells
            continue
        index = known[identity]
        # How the table names its rows is its own affair: sub-01 and 01 are one.
        differing = {c: t for c, t in cells.items() if t and c != key}
        differing = {c: t for c, t in differing.items() if present[index].get(c, "") != t}
        changed |= {index: differing} if differing else {}
    report.extend(_lost_zeros(new, known, key, name))
    return Merge(tuple(new.values()), changed, len(seen) - len(new) - len(changed))


def _are_clear(targets: Mapping[str, str], key: str, name: str, report: Report) -> bool:
    """Tell whether a mapping is unambiguous; if not, `report` receives the reason."""
    twice = [target for target, number in Counter(targets.values()).items() if number > 1]
    for target in twice:
        message, hint = "is chosen for two columns", "leave one of them out"
        report.add(Problem("import.mapping", Place(name), target, message, hint))
    if key not in targets.values():
        message, hint = "is chosen for no column", "choose the one that tells rows apart"
        report.add(Problem("import.mapping", Place(name), key, message, hint))
    return not twice and key in targets.values()


def _lost_zeros(new: Iterable[str], known: Iterable[str], key: str, name: str) -> Iterator[Problem]:
    """Yield a warning for each label that may have lost its zeros in a spreadsheet."""
    short = {label.lstrip("0"): label for label in known if label.startswith("0")}
    for label in new:
        if label in short:
            message = f"{label} is new, and {short[label]} is there"
            hint = "a spreadsheet drops zeros in front unless the column is text"
            yield _warning("import.zeros", name, key, message, hint)


def _warning(code: str, name: str, key: str, message: str, hint: str) -> Problem:
    return Problem(code, Place(name), key, message, hint, Severity.WARNING)


def _identity(label: str) -> str:
    return label.strip().removeprefix("sub-")


def cells_of(merge: Merge) -> dict[tuple[int, str], str]:
    """Return the cells that become others, by number of the row and name of the column."""
    return {
        (number, column): text
        for number, cells in merge.changed.items()
        for column, text in cells.items()
    }
