"""Changes the cells of an imported table to what ours wants: other words, and other units.

Nothing is changed without being shown: a page offers what is suggested here, and the user decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, Severity
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from spimpack_tasks.errors import Report
    from spimpack_tasks.files.spreadsheets import Sheet

MOST_VALUES = 30
"""Different values of a column that can be mapped; columns with more hold no categories."""

_DAYS_OF_A_YEAR = Decimal("365.25")
_DECIMALS = 4
"""Decimals of a converted number: a day is 0.0027 years."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column of numbers that has a unit."""

    wanted: str
    """Unit of the cells in our table."""
    factors: Mapping[str, Decimal]
    """Number of wanted units in each unit, the wanted one first."""
    limits: Mapping[str, Decimal]
    """Largest plausible value in the wanted unit by species; of any species under an empty name."""
    names: str
    """Names of columns that hold it, as an expression; only letters count, in lower case."""


def _numbers(**numbers: str) -> Mapping[str, Decimal]:
    return MappingProxyType({name: Decimal(text) for name, text in numbers.items()})


QUANTITIES = {
    "age": Quantity(
        "years",
        MappingProxyType(
            {
                "years": Decimal(1),
                "months": 1 / Decimal(12),
                "weeks": 7 / _DAYS_OF_A_YEAR,
                "days": 1 / _DAYS_OF_A_YEAR,
            }
        ),
        # The oldest known mouse was nearly 5 years old, the oldest rat 7, the oldest human 122.
        MappingProxyType({"mouse": Decimal(5), "rat": Decimal(7), "": Decimal(122)}),
        "age",
    ),
    "weight": Quantity(
        "g",
        _numbers(g="1", kg="1000", mg="0.001"),
        # Obese mice reach 100 g, large rats 1 kg; no animal of a light-sheet lab weighs 300 kg.
        MappingProxyType({"mouse": Decimal(120), "rat": Decimal(1500), "": Decimal(300_000)}),
        "weight|bodyweight|mass",
    ),
}
_LARGEST = Decimal(10) ** 12
"""Larger numbers are no age and no weight, and arithmetic with some of them fails."""
_UNIT_NAMES = {
    "years": "y|yr|yrs|year|years|a",
    "months": "mo|mos|mon|month|months",
    "weeks": "w|wk|wks|week|weeks",
    "days": "d|day|days",
    "g": "g|gram|grams",
    "kg": "kg|kgs|kilogram|kilograms",
    "mg": "mg|milligram|milligrams",
}
_SPECIES = {"mouse": r"\b(mus|mouse|mice)\b", "rat": r"\b(rattus|rat|rats)\b"}

_WORDS = {
    "sex": {
        "male": "m|male|males|mann|maennlich|männlich|masculin|macho|maschio|♂",
        "female": "f|w|female|females|weiblich|féminin|feminin|hembra|femmina|♀",
        "other": "o|other|d|divers",
    }
}
"""Words for the values of a column, in any case."""


def quantity_of(column: str) -> Quantity | None:
    """Return the quantity that a column of ours holds."""
    letters = re.sub(r"[\W\d_]", "", column.casefold())
    return next((q for q in QUANTITIES.values() if re.fullmatch(q.names, letters)), None)


def split_unit(header: str) -> tuple[str, str]:
    """Return the name and the unit in the header of a column, such as `age` and `weeks`."""
    words = [word for word in re.split(r"[\W_]+", header.casefold()) if word]
    for unit, names in _UNIT_NAMES.items():
        if len(words) > 1 and re.fullmatch(names, words[-1]):
            rest = words[:-2] if words[-2] == "in" and len(words) > 2 else words[:-1]
            if quantity_of(" ".join(rest)) is not None:
                return " ".join(rest), unit
    return header, ""


def values_of(sheet: Sheet, column: str) -> list[str]:
    """Return the different values of a column that are not empty."""
    index = sheet.columns.index(column)
    return list(dict.fromkeys(row[index] for row in sheet.rows if row[index]))


def suggest_values(table: str, target: str, values: Iterable[str]) -> dict[str, str]:
    """Return other words for the values of a column that has a fixed set of them.

    Nothing is suggested where the schema knows all values as they are.
    """
    known: Collection[str] = load_schema(table)["properties"].get(target, {}).get("enum", ())
    values = list(values)
    if not known or all(value in known for value in values):
        return {}
    words = _WORDS.get(target, {})
    suggested = {}
    for value in values:
        found = (word for word, names in words.items() if re.fullmatch(names, value.casefold()))
        suggested[value] = next(found, value)
    return suggested


def convert_cells(
    sheet: Sheet,
    words: Mapping[str, Mapping[str, str]],
    units: Mapping[str, tuple[Quantity, str]],
    report: Report,
) -> Sheet:
    """Return a sheet with other words, and with numbers in the units that our table wants.

    Parameters
    ----------
    sheet
        The imported table.
    words
        By imported column: the new text of each value that is to become another.
    units
        By imported column: what it holds, and in which unit.
    report
        Receives a warning for each cell that is no number; it stays as it is.
    """
    rows = [list(row) for row in sheet.rows]
    for column, changed in words.items():
        index = sheet.columns.index(column)
        for row in rows:
            row[index] = changed.get(row[index], row[index])
    for column, (quantity, unit) in units.items():
        index = sheet.columns.index(column)
        for number, row in enumerate(rows, start=1):
            if unit == quantity.wanted or not row[index]:
                continue
            amount = _number(row[index])
            if amount is None:
                message = f"{row[index]!r} in row {number} is not a number of {unit}"
                hint = "it stays as it is; correct it in the spreadsheet"
                report.add(_warning("import.number", sheet.file, column, message, hint))
            else:
                row[index] = _written(amount * quantity.factors[unit])
    return replace(sheet, rows=tuple(map(tuple, rows)))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < _LARGEST else None


def _written(number: Decimal) -> str:
    return f"{round(number, _DECIMALS).normalize():f}"


def implausible_cells(
    sheet: Sheet, mapping: Mapping[str, str], present: Sequence[Mapping[str, str]], key: str
) -> Iterator[Problem]:
    """Yield a warning for each number that no animal of its species reaches.

    Parameters
    ----------
    sheet
        The imported table, in the units of ours.
    mapping
        Our column for each of its columns.
    present, key
        The rows of our table, and the column that identifies them, for the species.
    """
    targets = {target: column for column, target in mapping.items() if target}
    known = {row.get(key, "").removeprefix("sub-"): row.get("species", "") for row in present}
    animal = next((_species(column) for column in sheet.columns if _species(column)), "")
    for number, record in enumerate(sheet.records(), start=1):
        label = record.get(targets.get(key, ""), "").removeprefix("sub-")
        said = record.get(targets.get("species", ""), "") or known.get(label, "")
        species = _species(said) if said else animal
        for target, column in targets.items():
            quantity = quantity_of(target)
            value = _number(record[column]) if quantity else None
            if quantity is None or value is None:
                continue
            if value < 0 or value > quantity.limits[species]:
                what = f" of a {species}" if species else ""
                message = f"{record[column]} {quantity.wanted} in row {number}"
                message += f" is no plausible {target}{what}"
                hint = "choose the unit that the column has"
                yield _warning("import.implausible", sheet.file, column, message, hint)


def _species(text: str) -> str:
    words = re.sub(r"[\W\d_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)).casefold()
    return next((name for name, form in _SPECIES.items() if re.search(form, words)), "")


def _warning(code: str, name: str, key: str, message: str, hint: str) -> Problem:
    return Problem(code, Place(name), key, message, hint, Severity.WARNING)
