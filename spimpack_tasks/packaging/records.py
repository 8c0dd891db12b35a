"""The rows a user wrote, from a table or inline, under canonical column names.

A record is still text (or YAML values); what it means is decided in `packaging.assets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.packaging.coerce import near_key
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.errors import Place, Report
    from spimpack_tasks.files.tsv import TsvTable
    from spimpack_tasks.files.yaml_marks import Document

CANONICAL = {column: entity.name for entity in ENTITIES for column in entity.columns}
"""Canonical entity name by column name, long or short."""


@dataclass(frozen=True, slots=True)
class Record:
    """One asset as the user wrote it."""

    values: dict[str, Any]
    where: Callable[[str], Place]
    """Where the value of a column stands."""


def known_columns() -> tuple[str, ...]:
    """Return the columns that mean something besides a sidecar key."""
    return tuple(load_schema("scans")["properties"])


def required_columns() -> tuple[str, ...]:
    """Return the columns each asset must have."""
    return tuple(load_schema("scans")["required"])


def table_records(table: TsvTable, report: Report) -> Iterator[Record]:
    """Yield the rows of a scans table; problems with its header go to `report`."""
    names = [CANONICAL.get(name, name) for name in table.columns]
    index_of = {name: index for index, name in enumerate(names)}

    def place_of_header(name: str) -> Place:
        return table.place(table.header, index_of.get(name, 0))

    for index, name in enumerate(names):
        if name and index_of[name] != index and table.columns[index] != name:
            message = f"gives {name}, as another column does"
            place = table.place(table.header, index)
            key = table.columns[index]
            report.add(Problem("table.duplicate-header", place, key, message, "keep one"))
    report.extend(_column_problems(names, place_of_header))
    if "metadata" in index_of:
        message = "is for inline assets only"
        hint = "give each sidecar key its own column"
        report.add(
            Problem("column.reserved", place_of_header("metadata"), "metadata", message, hint)
        )
    for row in table.rows:
        # A column that is missing has been reported once; it is not missing again in each row.
        yield Record(
            dict(zip(names, row.cells, strict=True)),
            lambda name, row=row: table.place(row, index_of.get(name, 0)),  # type: ignore[misc]
        )


def inline_records(document: Document, report: Report) -> Iterator[Record]:
    """Yield the inline assets of a manifest; problems with their keys go to `report`."""
    datasets = document.data.get("datasets") if isinstance(document.data, dict) else None
    for position, dataset in enumerate(datasets if isinstance(datasets, list) else []):
        assets = dataset.get("assets") if isinstance(dataset, dict) else None
        for number, asset in enumerate(assets if isinstance(assets, list) else []):
            if isinstance(asset, dict):
                path = ("datasets", position, "assets", number)
                dataset_id = dataset.get("dataset_id", f"dataset-{position + 1}")
                yield _inline_record(document, path, {"dataset_id": dataset_id, **asset}, report)


def _inline_record(
    document: Document, path: tuple[str | int, ...], asset: dict[str, Any], report: Report
) -> Record:
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    for name, value in asset.items():
        canonical = CANONICAL.get(name, name)
        if canonical in values:
            message = f"gives {canonical}, as another key does"
            place = document.key_place((*path, name))
            report.add(Problem("yaml.duplicate-key", place, name, message, "keep one"))
        values[canonical] = value
        written[canonical] = name
    report.extend(
        _column_problems(list(values), lambda name: document.key_place((*path, written[name])))
    )
    metadata = values.get("metadata")
    if isinstance(metadata, dict):
        written |= {key: f"metadata.{key}" for key in metadata}

    def where(name: str) -> Place:
        return document.place((*path, *written.get(name, name).split(".", 1)))

    return Record(values, where)


def _column_problems(names: Iterable[str], where: Callable[[str], Place]) -> Iterator[Problem]:
    given = set(names)
    missing = [name for name in required_columns() if name not in given]
    unknown = [name for name in names if name and name not in known_columns()]
    for name in missing:
        near = get_close_matches(name, unknown, n=1)
        hint = (
            f"rename {near[0]!r}"
            if near
            else load_schema("scans")["properties"][name]["description"]
        )
        place = where("")._replace(column=0)
        yield Problem("column.missing", place, name, "is missing", hint)
    for name in unknown:
        yield from _misspelt(name, missing, where)


def _misspelt(name: str, missing: list[str], where: Callable[[str], Place]) -> Iterator[Problem]:
    """Further columns are welcome in the sidecar, but not by way of a typing error."""
    columns = [*known_columns(), *CANONICAL]
    near = get_close_matches(name.lower(), columns, n=1, cutoff=0.85)
    if near and near[0] not in missing:
        hint = f"write {near[0]!r}"
        yield Problem("column.misspelt", where(name), name, "is not a known column", hint)
    elif near_key(name):
        message = "is not a sidecar key that BIDS lists; it is kept as it is"
        warning = Severity.WARNING
        yield Problem("column.unlisted", where(name), name, message, near_key(name), warning)
