"""Reads the cells of a record, and reports problems with the place of the cell."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity
from spimpack_tasks.manifest.coerce import (
    MISSING,
    ValueRefusedError,
    check_value,
    coerce_text,
    near_key,
    refuse_mixed_separators,
)
from spimpack_tasks.manifest.schema_check import explain, property_validator, shown_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.errors import Place, Report
    from spimpack_tasks.manifest.records import Record


class CellReader:
    """Base of the classes that read records."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.reported: set[tuple[Place, str]] = set()

    def add(self, record: Record, key: str, code: str, message: str, hint: str = "") -> None:
        """Report an error in the cell of a record."""
        self.report.add(Problem(code, record.where(key), key, message, hint))

    def warn(self, record: Record, key: str, code: str, message: str, hint: str = "") -> None:
        """Report a problem that stops a strict run only."""
        self.report.add(Problem(code, record.where(key), key, message, hint, Severity.WARNING))

    def add_once(self, record: Record, key: str, code: str, message: str, hint: str) -> None:
        """Report an absent value; a column that is not there is one mistake, not one a row."""
        place = record.where(key) if key in record.values else record.where_missing()
        if (place, key) not in self.reported:
            self.reported.add((place, key))
            self.report.add(Problem(code, place, key, message, hint))

    def text(self, record: Record, key: str) -> str:
        """Return the text under a column that must hold text, empty where there is none."""
        value = record.values.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            given = record.written(key) or shown_value(value)
            hint = f"put quotes around it: '{given}'" if record.written(key) else ""
            self.add(record, key, "value.type", f"must be text, not {given}", hint)
        return ""

    def is_empty(self, record: Record, key: str, hint: str) -> bool:
        """Tell whether a required column holds nothing, and report it; a missing one has been."""
        value = record.values.get(key, MISSING)
        empty = value is None or (isinstance(value, str) and value.strip() in {"", MISSING})
        if empty and key in record.values:
            what = f"is {MISSING}, but needs a value" if value == MISSING else "is empty"
            self.add(record, key, "value.empty", what, hint)
        return empty

    def names(self, record: Record, key: str) -> list[str] | None:
        """Return the names in a list, or between separators; `None` where these are unclear."""
        value = record.values.get(key)
        given = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(item, str) for item in given):
            shown = record.written(key) or shown_value(value)
            hint = "write names, in quotes where YAML would read a number"
            self.add(record, key, "value.type", f"must be names, not {shown}", hint)
            return None
        if isinstance(value, list):
            return [name.strip() for name in value]
        try:
            refuse_mixed_separators(value or "")
        except ValueRefusedError as error:
            self.add(record, key, error.code, error.message, error.hint)
            return None
        return list(split_names(value or ""))

    def plain_columns(self, record: Record, columns: Iterable[str]) -> dict[str, str]:
        """Return the texts of the columns that say something, checked by the schema of scans."""
        found = {}
        for key in columns:
            text = self.text(record, key).strip() if key in record.values else ""
            if text and text != MISSING:
                problem = cell_problem("scans", key, text)
                if problem:
                    self.add(record, key, *problem)
                else:
                    found[key] = text
        return found

    def sidecar_columns(
        self, record: Record, known: frozenset[str]
    ) -> tuple[dict[str, Any], set[str]]:
        """Return the sidecar values from columns that are not `known`, and the refused keys."""
        found: dict[str, Any] = {}
        refused = set()
        for key in record.values.keys() - known:
            try:
                value = sidecar_value(key, record.values[key], record.written(key))
            except ValueRefusedError as error:
                refused.add(key)
                self.add(record, key, error.code, error.message, error.hint or near_key(key))
            else:
                if value is not None:
                    found[key] = value
        return found, refused


def sidecar_value(key: str, value: Any, written: str) -> Any:
    """Return the JSON value of a sidecar key, `None` if the cell gives none.

    Raises
    ------
    ValueRefusedError
        It does not have the type that BIDS requires for `key`.
    """
    if isinstance(value, str):
        return coerce_text(key, value)
    return None if value is None else check_value(key, value, written)


@cache
def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a list separated by semicolons, commas or both."""
    return tuple(name.strip() for name in text.replace(",", ";").split(";"))


@cache
def cell_problem(schema: str, column: str, text: str) -> tuple[str, str, str] | None:
    """Return code, message and hint for a cell that the schema of its table refuses."""
    for error in property_validator(schema, column).iter_errors(text):
        return explain(error)
    return None
