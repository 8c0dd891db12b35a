"""The rows a user wrote, from a table or inline, under canonical column names.

A record is still text (or YAML values); `manifest.assets` interprets it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, closest
from spimpack_tasks.manifest.absent_values import settle_value
from spimpack_tasks.manifest.near_keys import near_key_problems
from spimpack_tasks.manifest.schema_check import first_sentence
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.model.header_values import OVERRIDDEN
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from spimpack_tasks.errors import Place, Report
    from spimpack_tasks.files.tsv import Row, TsvTable
    from spimpack_tasks.files.yaml_marks import Document, Path
    from spimpack_tasks.manifest.further_columns import FurtherColumns

CANONICAL = {column: entity.name for entity in ENTITIES for column in entity.columns}
"""Canonical entity name by column name, long or short."""

OWN_COLUMN = {
    "OrientationStringXYZ": "orientation_string_xyz",
    "SampleStaining": "sample_staining",
}
"""Sidecar keys that come from a column of another name, so that no value is given twice."""

RESERVED = {
    "metadata": "it is for inline assets only; give each sidecar key its own column",
    OVERRIDDEN: "name the keys to insist on in the column override_header",
    **{key: f"give it in the column {column}" for key, column in OWN_COLUMN.items()},
}
"""Names that a column must not have, with the advice."""


class Record(ABC):
    """One asset as the user wrote it."""

    __slots__ = ()

    @property
    @abstractmethod
    def values(self) -> dict[str, Any]:
        """By canonical column name; further sidecar keys stand beside the columns."""

    def cells_without(self, names: frozenset[str]) -> Hashable:
        """Return a key that rows of one table share if they say the same, except for some columns.

        `None` where rows are not compared.
        """
        del names
        return None

    @abstractmethod
    def cell(self, name: str) -> Any:
        """Return the value of a column, `None` where there is no such column."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Tell whether there is a column."""

    def has_any(self, names: tuple[str, ...]) -> bool:
        """Tell whether there is one of some columns."""
        return any(map(self.has, names))

    def cells(self, names: tuple[str, ...]) -> list[Any]:
        """Return the values of some columns, `None` where there is no such column."""
        return [*map(self.cell, names)]

    def names_without(self, names: frozenset[str]) -> tuple[str, ...]:
        """Return the names of the columns, except for some."""
        return tuple(self.values.keys() - names)

    @abstractmethod
    def where(self, name: str) -> Place:
        """Return the place of the value of a column."""

    @abstractmethod
    def where_missing(self) -> Place:
        """Return where a column that is not there would have to be added."""

    def written(self, name: str) -> str:
        """Return how the user wrote a value that was read as no text, empty for others."""
        del name
        return ""


@dataclass(slots=True, eq=False)
class TableColumns:
    """Columns of a table, shared by its rows."""

    table: TsvTable
    index_of: dict[str, int]
    read: dict[str, int]
    """Index of each column that is read, by its name."""
    _getters: dict[frozenset[str], Callable[[tuple[str, ...]], Hashable]] = field(
        default_factory=dict
    )
    _indexes: dict[tuple[str, ...], list[int | None]] = field(default_factory=dict)
    _has_any: dict[tuple[str, ...], bool] = field(default_factory=dict)
    _others: dict[frozenset[str], tuple[str, ...]] = field(default_factory=dict)

    def without(self, names: frozenset[str]) -> Callable[[tuple[str, ...]], Hashable]:
        """Return a function that returns the cells of a row, except for some columns."""
        if names not in self._getters:
            indexes = [index for name, index in self.read.items() if name not in names]
            self._getters[names] = itemgetter(*indexes) if indexes else len
        return self._getters[names]

    def indexes(self, names: tuple[str, ...]) -> list[int | None]:
        """Return the index of each of some columns, `None` where there is no such column."""
        found = self._indexes.get(names)
        if found is None:
            found = self._indexes[names] = [*map(self.read.get, names)]
        return found

    def has_any(self, names: tuple[str, ...]) -> bool:
        """Tell whether one of some columns is read."""
        found = self._has_any.get(names)
        if found is None:
            found = self._has_any[names] = not self.read.keys().isdisjoint(names)
        return found

    def names_without(self, names: frozenset[str]) -> tuple[str, ...]:
        """Return the names of the columns that are read, except for some."""
        found = self._others.get(names)
        if found is None:
            found = self._others[names] = tuple(self.read.keys() - names)
        return found


class TableRecord(Record):
    """One row of a table."""

    __slots__ = ("columns", "row")

    def __init__(self, columns: TableColumns, row: Row) -> None:
        self.columns, self.row = columns, row

    @property
    def values(self) -> dict[str, Any]:
        """By canonical column name; further sidecar keys stand beside the columns."""
        cells = self.row.cells
        return {name: cells[index] for name, index in self.columns.read.items()}

    def cell(self, name: str) -> Any:
        """Return the cell of a column, `None` where there is no such column."""
        index = self.columns.read.get(name)
        return None if index is None else self.row.cells[index]

    def has(self, name: str) -> bool:
        """Tell whether there is a column."""
        return name in self.columns.read

    def has_any(self, names: tuple[str, ...]) -> bool:
        """Tell whether there is one of some columns."""
        return self.columns.has_any(names)

    def cells(self, names: tuple[str, ...]) -> list[Any]:
        """Return the cells of some columns, `None` where there is no such column."""
        cells = self.row.cells
        return [None if at is None else cells[at] for at in self.columns.indexes(names)]

    def names_without(self, names: frozenset[str]) -> tuple[str, ...]:
        """Return the names of the columns, except for some."""
        return self.columns.names_without(names)

    def cells_without(self, names: frozenset[str]) -> Hashable:
        """Return the table and the cells, except for some columns."""
        return id(self.columns), self.columns.without(names)(self.row.cells)

    def where(self, name: str) -> Place:
        """Return the place of the cell, or of the row if there is no such column."""
        return self.columns.table.place(self.row, self.columns.index_of.get(name, 0))

    def where_missing(self) -> Place:
        """Return the header."""
        table = self.columns.table
        return table.place(table.header)._replace(column=0)


class InlineRecord(Record):
    """One asset in the manifest."""

    __slots__ = ("document", "path", "paths", "values")

    def __init__(
        self, values: dict[str, Any], document: Document, path: Path, paths: dict[str, Path]
    ) -> None:
        self.values, self.document, self.path, self.paths = values, document, path, paths

    values: dict[str, Any]
    document: Document
    path: Path
    paths: dict[str, Path]
    """Path of each value below `path`, which is not its name: long, short, or in `metadata`."""

    def cell(self, name: str) -> Any:
        """Return the value of a key, `None` where there is no such key."""
        return self.values.get(name)

    def has(self, name: str) -> bool:
        """Tell whether there is a key."""
        return name in self.values

    def where(self, name: str) -> Place:
        """Return the place of the value, or of the asset if there is no such key."""
        return self.document.place((*self.path, *self.paths.get(name, ())))

    def where_missing(self) -> Place:
        """Return where the asset begins."""
        return self.document.place(self.path)

    def written(self, name: str) -> str:
        """Return the text of a number, a truth value or a null."""
        return self.document.written((*self.path, *self.paths.get(name, ())))


@cache
def known_columns(schema: str = "scans") -> tuple[str, ...]:
    """Return the columns of a table that are not mere sidecar keys."""
    return tuple(load_schema(schema)["properties"])


def table_records(
    table: TsvTable, further: FurtherColumns, report: Report, schema: str = "scans"
) -> Iterator[TableRecord]:
    """Yield the rows of a table of images; problems with its header go to `report`.

    Parameters
    ----------
    table
        The table as read.
    further
        Decides which further columns are published, and records those of this table.
    report
        Receives problems.
    schema
        Name of the schema that lists its columns.
    """
    index_of: dict[str, int] = {}
    for index, column in enumerate(table.columns):
        name = CANONICAL.get(column, column)
        first = index_of.setdefault(name, index)
        place = table.place(table.header, index)
        if first != index and table.columns[first] != column:
            message = f"gives {name}, as column {table.columns[first]} does"
            report.add(Problem("table.duplicate-header", place, column, message, "keep one"))

    def place_of(name: str) -> Place:
        return table.place(table.header, index_of[name])

    header = table.place(table.header)._replace(column=0)
    report.extend(_column_problems(index_of, place_of, header, schema, further))
    if "metadata" in index_of:
        report.add(_reserved("metadata", place_of("metadata")))
    names = {name: place_of(name) for name in index_of if _is_further(name, schema)}
    further.note(table.file, names)
    left_out = {*RESERVED, *filter(further.is_working, names)}
    read = {name: index for name, index in index_of.items() if name not in left_out}
    columns = TableColumns(table, index_of, read)
    for row in table.rows:
        # A column that is missing has been reported once; it is not missing again in each row.
        yield TableRecord(columns, row)


def _is_further(name: str, schema: str) -> bool:
    is_entity = name in CANONICAL.values()
    return (
        bool(name) and name not in RESERVED and not is_entity and name not in known_columns(schema)
    )


def inline_records(
    document: Document, further: FurtherColumns, report: Report
) -> Iterator[InlineRecord]:
    """Yield the inline assets of a manifest; problems with their keys go to `report`."""
    names: dict[str, Place] = {}
    datasets = document.data.get("datasets") if isinstance(document.data, dict) else None
    for position, dataset in enumerate(datasets if isinstance(datasets, list) else []):
        assets = dataset.get("assets") if isinstance(dataset, dict) else None
        for number, asset in enumerate(assets if isinstance(assets, list) else []):
            if isinstance(asset, dict):
                path = ("datasets", position, "assets", number)
                dataset_id = dataset.get("dataset_id")
                # An identity that is no text has been reported with the manifest.
                group = dataset_id if isinstance(dataset_id, str) else f"dataset-{position + 1}"
                given = {"dataset_id": group, **asset}
                record = _inline_record(document, path, given, further, report)
                for name, at in record.paths.items():
                    if at[0] != "metadata" and _is_further(name, "scans"):
                        names.setdefault(name, document.key_place((*path, *at)))
                        if further.is_working(name):
                            del record.values[name]
                yield record
    further.note(document.file, names)


def _inline_record(
    document: Document,
    path: Path,
    asset: dict[str, Any],
    further: FurtherColumns,
    report: Report,
) -> InlineRecord:
    values: dict[str, Any] = {}
    paths: dict[str, Path] = {}

    def take(name: str, value: Any, at: Path) -> None:
        if name in values:
            message = f"gives {name}, as {'.'.join(map(str, paths[name]))} does"
            place, key = document.key_place((*path, *at)), ".".join(map(str, at))
            report.add(Problem("yaml.duplicate-key", place, key, message, "keep one"))
        else:
            place = document.place((*path, *at))
            values[name], paths[name] = settle_value(value, place, name, report), at

    for name, value in asset.items():
        take(CANONICAL.get(name, name), value, (name,))

    def place_of(name: str) -> Place:
        return document.key_place((*path, *paths[name]))

    header = document.place(path)
    report.extend(_column_problems(list(values), place_of, header, "scans", further))
    metadata = values.get("metadata")
    if isinstance(metadata, dict):
        del values["metadata"]
        for name, value in metadata.items():
            place = document.key_place((*path, "metadata", name))
            if name in RESERVED:
                report.add(_reserved(name, place))
            elif CANONICAL.get(name, name) in known_columns():
                hint = "write it beside metadata, not below"
                message = "is a column, not a sidecar key"
                report.add(Problem("column.reserved", place, f"metadata.{name}", message, hint))
            else:
                take(name, value, ("metadata", name))
    refused = RESERVED.keys() - {"metadata"}
    values = {name: value for name, value in values.items() if name not in refused}
    return InlineRecord(values, document, path, paths)


def _column_problems(
    names: Iterable[str],
    place_of: Callable[[str], Place],
    header: Place,
    schema: str,
    further: FurtherColumns,
) -> Iterator[Problem]:
    described = load_schema(schema)["properties"]
    given = [name for name in names if name]
    missing = [name for name in load_schema(schema)["required"] if name not in given]
    # The reader of the assets decides which entities they may have.
    unknown = [name for name in given if name not in {*described, *CANONICAL.values()}]
    renamed = set()
    for name in missing:
        place, hint = header, first_sentence(described[name]["description"])
        near = closest(name, unknown, 0.6)
        if near and closest(near, missing, 0.6) == name:
            renamed.add(near)
            place, hint = place_of(near), f"rename {near!r}"
        yield Problem("column.missing", place, name, "is missing", hint)
    for name in unknown:
        if name in RESERVED and name not in renamed:
            yield _reserved(name, place_of(name))
        elif name not in renamed:
            yield from _misspelt(name, place_of(name), known_columns(schema), further)


def _reserved(name: str, place: Place) -> Problem:
    return Problem("column.reserved", place, name, "cannot be given here", RESERVED[name])


def _misspelt(
    name: str, place: Place, known: Iterable[str], further: FurtherColumns
) -> Iterator[Problem]:
    """Further columns are welcome in the sidecar, but not through a typing error."""
    near = closest(name, [*known, *CANONICAL], 0.85)
    is_word = name.lower() in load_schema("participants")["properties"]  # strain is not stain
    if near and not is_word:
        hint = f"did you mean {near!r}?"
        yield Problem("column.misspelt", place, name, "is not a known column", hint)
    elif not further.is_working(name):
        yield from near_key_problems(name, place)
    elif not further.is_decided:
        yield from near_key_problems(name, place, "it is not published")
