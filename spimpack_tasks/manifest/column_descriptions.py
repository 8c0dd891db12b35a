"""The user's own `participants.json`: read, compared with the table, and kept unchanged.

Its description of a column takes precedence over ours. A description that contradicts the table, or
another one, is refused. Facts: BIDS 1.10, tabular files, and participants file: the age is in years
unless `Units` names another unit, and `Levels` lists the permitted values of a column.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Place, Problem, suggestion
from spimpack_tasks.manifest.schema_check import shown_value
from spimpack_tasks.manifest.serialise import WHOLE
from spimpack_tasks.model.entities import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.files.tsv import TsvTable

CODE = "participants.description"
AGE_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")


@dataclass(frozen=True, slots=True)
class Descriptions:
    """Descriptions of a table's columns in a JSON file."""

    file: str
    text: str = field(repr=False)
    columns: dict[str, Any]

    def place(self, key: str) -> Place:
        """Return the place of a key, or of the file if the key is not found."""
        match = re.search(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", self.text)
        if match is None:
            return Place(self.file)
        before = self.text[: match.start()]
        return Place(self.file, before.count("\n") + 1, match.start() - before.rfind("\n"))

    def levels(self, column: str) -> dict[str, Any]:
        """Return the permitted values of a column, empty if they are not listed."""
        described = self.columns.get(column)
        levels = described.get("Levels") if isinstance(described, dict) else None
        return levels if isinstance(levels, dict) else {}


def parse_descriptions(text: str, file: str, report: Report) -> Descriptions | None:
    """Return the descriptions in a file, `None` if it is not a JSON object; fill `report`."""
    hint = 'write an object: a key for each column, with an object such as {"Description": ...}'
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        place = Place(file, error.lineno, error.colno)
        report.add(Problem(CODE, place, "", f"is not valid JSON: {error.msg}", hint))
        return None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deep"
        report.add(Problem(CODE, Place(file), "", f"is not valid JSON: {reason}", hint))
        return None
    if not isinstance(data, dict):
        report.add(Problem(CODE, Place(file, 1, 1), "", "is not a JSON object", hint))
        return None
    return Descriptions(file, text, data)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in pairs)
    twice = next((key for key, number in counts.items() if number > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is given twice")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(f"it has {constant}, which JSON does not hold")


def description_problems(descriptions: Descriptions, table: TsvTable | None) -> Iterator[Problem]:
    """Yield the problems of descriptions, compared with their table."""
    if table is None:
        hint = "name the table with participants_tsv, or move the file away"
        yield Problem(
            CODE, Place(descriptions.file), "", "describes a table that is not there", hint
        )
        return
    for column, described in descriptions.columns.items():
        if column == WHOLE and column not in table.columns and isinstance(described, str):
            continue
        message, hint = "", ""
        if column not in table.columns:
            message = f"is no column of {table.file}"
            hint = suggestion(column, table.columns) or "leave it out, or add the column"
        elif not isinstance(described, dict):
            message = f"must be an object, not {shown_value(described)}"
            hint = 'write {"Description": ...}'
        elif column == "age":
            message, hint = _age_fault(described)
        if message:
            yield Problem(CODE, descriptions.place(column), column, message, hint)
        else:
            yield from _level_problems(descriptions, column, table)


def _age_fault(described: dict[str, Any]) -> tuple[str, str]:
    """Return the fault in the unit of the age, and a hint; two empty texts if it is right."""
    unit = described.get("Units", "year")
    if unit not in AGE_UNITS:
        hint = suggestion(str(unit), AGE_UNITS) or f"one of: {', '.join(AGE_UNITS)}"
        return f"Units {shown_value(unit)} is no unit that BIDS knows for the age", hint
    text = str(described.get("Description", "")).lower()
    named = [each for each in AGE_UNITS if re.search(rf"\b{each}s?\b", text)]
    if named and unit not in named:
        given = (
            f"its Units are {unit!r}" if "Units" in described else "without Units it is in years"
        )
        return f"is described in {named[0]}s, but {given}", f'write "Units": "{named[0]}"'
    return "", ""


def _level_problems(descriptions: Descriptions, column: str, table: TsvTable) -> Iterator[Problem]:
    levels = descriptions.levels(column)
    index = table.columns.index(column)
    for row in table.rows if levels else ():
        text = row.cells[index].strip()
        if text not in {"", MISSING, *levels}:
            message = f"{shown_value(text)} is not among the Levels of {descriptions.file}"
            hint = suggestion(text, levels) or f"one of: {', '.join(levels)}"
            yield Problem("value.choice", table.place(row, index), column, message, hint)


def join_descriptions(all_descriptions: Iterable[Descriptions], report: Report) -> dict[str, Any]:
    """Return the descriptions of several files; `report` receives contradictions between them."""
    joined: dict[str, Any] = {}
    files: dict[str, str] = {}
    for descriptions in all_descriptions:
        for column, described in descriptions.columns.items():
            if joined.setdefault(column, described) != described:
                message = f"is described otherwise in {files[column]}"
                place, hint = descriptions.place(column), "write the same in both"
                report.add(Problem(CODE, place, column, message, hint))
            files.setdefault(column, descriptions.file)
    return joined
