"""Understands records: from the text of one row to one validated asset.

Everything that can be said by looking at a single row is said here; what concerns several rows,
or the output, is in `packaging.rules`.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity
from spimpack_tasks.model.entities import ENTITIES, stem
from spimpack_tasks.model.orientation import normalise_orientation
from spimpack_tasks.model.plan import Asset
from spimpack_tasks.packaging.coerce import (
    MISSING,
    ValueRefusedError,
    check_value,
    coerce_text,
    near_key,
)
from spimpack_tasks.packaging.records import known_columns
from spimpack_tasks.packaging.schema_check import explain, make_validator
from spimpack_tasks.readers.formats import Source, SourceRefusedError, examine_source
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.errors import Report
    from spimpack_tasks.packaging.records import Record

SAMPLE_COLUMNS = ("sample_type", "pathology", "derived_from")
SCAN_COLUMNS = ("acq_time",)

# Sidecar keys that have a column of their own, so that they cannot be said twice.
_OWN_COLUMN = {
    "OrientationStringXYZ": "orientation_string_xyz",
    "SampleStaining": "sample_staining",
}


class AssetReader:
    """Turns the records of one manifest into assets."""

    def __init__(self, folder: str, required_keys: Iterable[str], report: Report) -> None:
        self.folder = folder
        self.required_keys = tuple(required_keys)
        self.report = report
        self.real_directories: dict[str, str] = {}

    def read(self, record: Record) -> Asset | None:
        """Return the asset of a record, `None` where the record has an error."""
        before = len(self.report.problems)
        entities = self._entities(record)
        source = self._source(record)
        sidecar = self._sidecar(record)
        sample = self._plain_columns(record, SAMPLE_COLUMNS)
        scan = self._plain_columns(record, SCAN_COLUMNS)
        dataset_id = self._text(record, "dataset_id")
        new = self.report.problems[before:]
        if source is None or any(problem.severity is Severity.ERROR for problem in new):
            return None
        return Asset(
            key=stem(entities),
            dataset_id=dataset_id,
            entities=entities,
            source=source.path,
            stamp=(source.size, source.mtime_ns),
            extension=source.extension,
            valid_in_bids=source.format.valid_in_bids,
            sidecar=sidecar,
            sample=sample,
            scan=scan,
        )

    def _add(self, record: Record, key: str, code: str, message: str, hint: str = "") -> None:
        self.report.add(Problem(code, record.where(key), key, message, hint))

    def _text(self, record: Record, key: str) -> str:
        """Return the text under a column that must hold text, empty where it is absent."""
        value = record.values.get(key, "")
        if isinstance(value, str):
            return value
        given = "empty" if value is None else repr(value)
        self._add(record, key, "value.type", f"must be text, not {given}", "put quotes around it")
        return ""

    def _entities(self, record: Record) -> dict[str, str]:
        entities = {}
        for entity in ENTITIES:
            if entity.name not in record.values:
                continue
            value = record.values[entity.name]
            text = self._text(record, entity.name)
            if text and not (text == MISSING and not entity.required):
                problem = _label_problem(entity.form, text)
                if problem:
                    self._add(record, entity.name, *problem)
                entities[entity.name] = text
            elif entity.required and isinstance(value, str):
                self._add(record, entity.name, "value.empty", "is empty", f"give the {entity.name}")
        return entities

    def _source(self, record: Record) -> Source | None:
        text = self._text(record, "spim_path")
        if not text.strip():
            if isinstance(record.values.get("spim_path"), str):
                hint = "give the path of the image"
                self._add(record, "spim_path", "value.empty", "is empty", hint)
            return None
        path = os.path.expanduser(text) if text == "~" or text.startswith("~/") else text
        try:
            return examine_source(self._real(os.path.join(self.folder, path)))
        except SourceRefusedError as refused:
            hint = refused.hint
            if text != text.strip():
                hint = "the path begins or ends with a blank; take it out"
            self._add(record, "spim_path", refused.code, refused.message, hint)
            return None

    def _real(self, path: str) -> str:
        """Resolve links as `os.path.realpath` does, but each directory only once."""
        head, name = os.path.split(path.rstrip("/") or "/")
        if head not in self.real_directories:
            self.real_directories[head] = os.path.realpath(head)
        real = os.path.join(self.real_directories[head], name)
        if name in {"", ".", ".."} or os.path.islink(real):
            resolved = os.path.realpath(path)
            return resolved if os.path.exists(resolved) else real
        return real

    def _sidecar(self, record: Record) -> dict[str, Any]:
        sidecar: dict[str, Any] = {}
        columns = {key: value for key, value in record.values.items() if key not in known_columns()}
        metadata = record.values.get("metadata", {})
        if isinstance(metadata, dict):
            columns |= metadata
        else:
            message = f"must be a mapping, not {metadata!r}"
            self._add(record, "metadata", "value.type", message)
        for key, value in columns.items():
            coerced = self._sidecar_value(record, key, value)
            if coerced is not None:
                sidecar[key] = coerced
        self._check_pixel_size(record, sidecar)
        for key in self.required_keys:
            if key not in sidecar and key not in _OWN_COLUMN:
                hint = f"RequiredMicroscopyFields asks for it; give it in a column {key}"
                self._add(record, key, "sidecar.required", "is missing or empty", hint)
        sidecar["OrientationStringXYZ"] = self._orientation(record)
        sidecar["SampleStaining"] = self._staining(record)
        return dict(sorted(sidecar.items()))

    def _sidecar_value(self, record: Record, key: str, value: Any) -> Any:
        if key in _OWN_COLUMN:
            hint = f"give it in the column {_OWN_COLUMN[key]}"
            self._add(record, key, "column.reserved", "is made by this program", hint)
            return None
        try:
            return coerce_text(key, value) if isinstance(value, str) else check_value(key, value)
        except ValueRefusedError as refused:
            hint = refused.hint or near_key(key)
            self._add(record, key, refused.code, refused.message, hint)
            return None

    def _check_pixel_size(self, record: Record, sidecar: dict[str, Any]) -> None:
        given = [key for key in ("PixelSize", "PixelSizeUnits") if key in sidecar]
        if len(given) == 1:
            other = "PixelSizeUnits" if given == ["PixelSize"] else "PixelSize"
            hint = "BIDS wants both"
            self._add(record, other, "sidecar.pixel-size", f"is missing beside {given[0]}", hint)

    def _orientation(self, record: Record) -> str:
        key = "orientation_string_xyz"
        text = self._text(record, key)
        code = normalise_orientation(text)
        if code is None and isinstance(record.values.get(key), str):
            problem = "value.orientation" if text.strip() else "value.empty"
            message = f"{text!r} is not an orientation" if text.strip() else "is empty"
            hint = "write one letter each of L/R, A/P and S/I, such as RPI"
            self._add(record, key, problem, message, hint)
        return code or ""

    def _staining(self, record: Record) -> list[str]:
        key = "sample_staining"
        value = record.values.get(key, [])
        given = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in given):
            hint = "write names, in quotes where YAML would read a number"
            self._add(record, key, "value.type", f"must be names, not {value!r}", hint)
            return []
        names = given if isinstance(value, list) else re.split("[;,]", str(value))
        names = [name.strip() for name in names]
        if key in record.values and not any(names):
            self._add(record, key, "value.empty", "is empty", "name the stain of each channel")
        elif "" in names:
            hint = "name every channel, in order, with one semicolon between two"
            self._add(record, key, "value.staining", f"{value!r} leaves a channel out", hint)
        return names

    def _plain_columns(self, record: Record, columns: tuple[str, ...]) -> dict[str, str]:
        found = {}
        for key in columns:
            text = self._text(record, key).strip() if key in record.values else ""
            if text and text != MISSING:
                problem = cell_problem("scans", key, text)
                if problem:
                    self._add(record, key, *problem)
                found[key] = text
        return found


@cache
def _label_problem(form: str, text: str) -> tuple[str, str, str] | None:
    allowed, what = ("0-9", "digits") if form == "index" else ("A-Za-z0-9", "letters and digits")
    if re.fullmatch(f"[{allowed}]+", text):
        return None
    cleaned = re.sub(f"[^{allowed}]", "", text)
    hint = f"write {cleaned!r}" if cleaned else ""
    return f"value.{form}", f"{text!r} has other characters than {what}", hint


@cache
def cell_problem(schema: str, column: str, text: str) -> tuple[str, str, str] | None:
    """Return code, message and hint of what the schema of a table finds wrong with a cell."""
    properties = load_schema(schema)["properties"]
    for error in make_validator(properties.get(column, {})).iter_errors(text):
        return explain(error)
    return None
