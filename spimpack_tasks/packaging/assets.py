"""Understands records: from the text of one row to one validated asset.

Everything that can be said by looking at a single row is said here; what concerns several rows,
or the output, is in `packaging.rules`.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from spimpack_tasks.errors import Problem
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
from spimpack_tasks.packaging.records import OWN_COLUMN, known_columns
from spimpack_tasks.packaging.schema_check import explain, property_validator, shown_value
from spimpack_tasks.readers.formats import Source, SourceRefusedError, examine_source
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.errors import Place, Report
    from spimpack_tasks.packaging.headers import Headers
    from spimpack_tasks.packaging.records import Record

SAMPLE_COLUMNS = ("sample_type", "pathology", "derived_from")
SCAN_COLUMNS = ("acq_time",)

_FORMS = {
    "label": ("value.label", "A-Za-z0-9", "letters and digits"),
    "index": ("value.index", "0-9", "digits"),
}
"""Problem code, characters allowed, and their name, by the form of an entity."""


_PIXEL_KEYS = {"PixelSize", "PixelSizeUnits"}


class AssetReader:
    """Turns the records of one manifest into assets."""

    def __init__(
        self, folder: str, required_keys: Iterable[str], headers: Headers, report: Report
    ) -> None:
        self.folder = folder
        self.headers = headers
        self.required_keys = [key for key in required_keys if key not in OWN_COLUMN]
        self.report = report
        self.real_directories: dict[str, str] = {}
        self.told: set[tuple[Place, str]] = set()

    def read(self, record: Record) -> Asset | None:
        """Return the asset of a record, `None` where its entities have an error.

        Where something else is wrong the asset is returned with that left empty, so that the rules
        still see its place in the dataset. The report has an error then, so nothing is packaged.
        """
        entities = self._entities(record)
        source = self._source(record)
        sidecar = self._sidecar(record, source)
        sample = self._plain_columns(record, SAMPLE_COLUMNS)
        scan = self._plain_columns(record, SCAN_COLUMNS)
        dataset_id = self._text(record, "dataset_id")
        if entities is None:
            return None
        return Asset(
            key=stem(entities),
            dataset_id=dataset_id,
            entities=entities,
            source=source.path if source else "",
            stamp=(source.size, source.mtime_ns) if source else (0, 0),
            extension=source.extension if source else "",
            valid_in_bids=source is not None and source.format.valid_in_bids,
            sidecar=sidecar,
            sample=sample,
            scan=scan,
        )

    def _add(self, record: Record, key: str, code: str, message: str, hint: str = "") -> None:
        self.report.add(Problem(code, record.where(key), key, message, hint))

    def _text(self, record: Record, key: str) -> str:
        """Return the text under a column that must hold text, empty where there is none."""
        value = record.values.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            given = record.written(key) or shown_value(value)
            hint = f"put quotes around it: '{given}'" if record.written(key) else ""
            self._add(record, key, "value.type", f"must be text, not {given}", hint)
        return ""

    def _is_empty(self, record: Record, key: str, hint: str) -> bool:
        """Tell whether a required column holds nothing, and report it; a missing one has been."""
        value = record.values.get(key, MISSING)
        empty = value is None or (isinstance(value, str) and value.strip() in {"", MISSING})
        if empty and key in record.values:
            what = f"is {MISSING}, but needs a value" if value == MISSING else "is empty"
            self._add(record, key, "value.empty", what, hint)
        return empty

    def _entities(self, record: Record) -> dict[str, str] | None:
        entities, refused = {}, False
        for name, form, required in _ENTITIES:
            if required and self._is_empty(record, name, f"give the {name}"):
                refused = True
                continue
            text = self._text(record, name)
            refused = refused or not isinstance(record.values.get(name, ""), str | None)
            if text and text != MISSING:
                problem = _label_problem(form, text)
                if problem:
                    refused = True
                    self._add(record, name, *problem)
                entities[name] = text
        return None if refused else entities

    def _source(self, record: Record) -> Source | None:
        if self._is_empty(record, "spim_path", "give the path of the image"):
            return None
        text = self._text(record, "spim_path")
        if not text:
            return None
        path = os.path.expanduser(text) if text == "~" or text.startswith("~/") else text
        try:
            return examine_source(self._real(os.path.join(self.folder, path)), path)
        except SourceRefusedError as refused:
            hint = refused.hint
            if text != text.strip():
                hint = "the path begins or ends with a blank; take it out"
            elif "://" in text:
                hint = "a URL is not read; give the path of a file on this machine"
            self._add(record, "spim_path", refused.code, refused.message, hint)
            return None

    def _real(self, path: str) -> str:
        """Resolve links as `os.path.realpath` does, but each directory only once."""
        if "\0" in path:
            return path  # no file has such a name; examining it says so
        head, name = os.path.split(path.rstrip("/") or "/")
        if head not in self.real_directories:
            self.real_directories[head] = os.path.realpath(head)
        real = os.path.join(self.real_directories[head], name)
        if name in {"", ".", ".."} or os.path.islink(real):
            resolved = os.path.realpath(path)
            return resolved if os.path.exists(resolved) else real
        return real

    def _sidecar(self, record: Record, source: Source | None) -> dict[str, Any]:
        sidecar: dict[str, Any] = {}
        refused = set()
        values = record.values
        metadata = values.get("metadata")
        if metadata is not None:
            message = f"must be a mapping, not {shown_value(metadata)}"
            self._add(record, "metadata", "value.type", message)
        for key in values.keys() - _KNOWN_COLUMNS:
            try:
                coerced = self._sidecar_value(record, key, values[key])
            except ValueRefusedError as error:
                refused.add(key)
                self._add(record, key, error.code, error.message, error.hint or near_key(key))
            else:
                if coerced is not None:
                    sidecar[key] = coerced
        if source is not None and not _PIXEL_KEYS & (sidecar.keys() | refused):
            sidecar |= self.headers.facts(source)
        self._check_required(record, sidecar.keys() | refused)
        sidecar |= dict.fromkeys(refused)
        sidecar["OrientationStringXYZ"] = self._orientation(record)
        sidecar["SampleStaining"] = self._staining(record)
        return dict(sorted(sidecar.items()))

    def _sidecar_value(self, record: Record, key: str, value: Any) -> Any:
        if isinstance(value, str):
            return coerce_text(key, value)
        return None if value is None else check_value(key, value, record.written(key))

    def _check_required(self, record: Record, given: set[str]) -> None:
        """Report keys that the manifest or another key asks for, each once where it would stand."""
        dependent = load_schema("sidecar")["dependentRequired"]
        for key in given & dependent.keys():
            for other in dependent[key]:
                if other not in given:
                    message, hint = f"is missing beside {key}", "BIDS wants both"
                    self._add_once(record, other, "sidecar.incomplete", message, hint)
                    given = given | {other}
        for key in self.required_keys:
            if key not in given:
                hint = f"RequiredMicroscopyFields asks for it; give it in a column {key}"
                self._add_once(record, key, "sidecar.required", "is missing or empty", hint)

    def _add_once(self, record: Record, key: str, code: str, message: str, hint: str) -> None:
        """Report an absent value; a column that is not there is one mistake, not one a row."""
        place = record.where(key) if key in record.values else record.where_missing()
        if (place, key) not in self.told:
            self.told.add((place, key))
            self.report.add(Problem(code, place, key, message, hint))

    def _orientation(self, record: Record) -> str:
        key = "orientation_string_xyz"
        hint = "write one letter each of L/R, A/P and S/I, such as RPI"
        if self._is_empty(record, key, hint):
            return ""
        text = self._text(record, key)
        code = normalise_orientation(text)
        if code is None and text:
            self._add(
                record, key, "value.orientation", f"{shown_value(text)} is not an orientation", hint
            )
        return code or ""

    def _staining(self, record: Record) -> list[str]:
        key = "sample_staining"
        if key not in record.values:
            return []
        value = record.values[key]
        given = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(item, str) for item in given):
            shown = record.written(key) or shown_value(value)
            hint = "write names, in quotes where YAML would read a number"
            self._add(record, key, "value.type", f"must be names, not {shown}", hint)
            return []
        if isinstance(value, list):
            names = tuple(name.strip() for name in value)
        else:
            names = _split_stains(value or "")
        if not any(names):
            self._add(record, key, "value.empty", "is empty", "name the stain of each channel")
            return []
        if "" in names:
            hint = "name every channel, in order, with one semicolon between two"
            self._add(
                record, key, "value.staining", f"{shown_value(value)} leaves a channel out", hint
            )
            return []
        return list(names)

    def _plain_columns(self, record: Record, columns: tuple[str, ...]) -> dict[str, str]:
        found = {}
        for key in columns:
            text = self._text(record, key).strip() if key in record.values else ""
            if text and text != MISSING:
                problem = cell_problem("scans", key, text)
                if problem:
                    self._add(record, key, *problem)
                else:
                    found[key] = text
        return found


_PREFIX = re.compile(f"({'|'.join(entity.short for entity in ENTITIES)})-")
_ENTITIES = tuple((entity.name, entity.form, entity.required) for entity in ENTITIES)
_KNOWN_COLUMNS = frozenset(known_columns())


@cache
def _split_stains(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in re.split("[;,]", text))


@cache
def _label_problem(form: str, text: str) -> tuple[str, str, str] | None:
    code, allowed, what = _FORMS[form]
    if re.fullmatch(f"[{allowed}]+", text):
        return None
    cleaned = _PREFIX.sub("", normalize("NFKD", text.strip()))
    if form == "label":  # 1.0 is no number with the point taken out
        cleaned = re.sub(f"[^{allowed}]", "", cleaned)
    good = re.fullmatch(f"[{allowed}]+", cleaned)
    hint = f"write {shown_value(cleaned)}" if good else f"write {what} only"
    return code, f"{shown_value(text)} has other characters than {what}", hint


@cache
def cell_problem(schema: str, column: str, text: str) -> tuple[str, str, str] | None:
    """Return code, message and hint of what the schema of a table finds wrong with a cell."""
    for error in property_validator(schema, column).iter_errors(text):
        return explain(error)
    return None
