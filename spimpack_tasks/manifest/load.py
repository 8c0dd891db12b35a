"""Reads a manifest and its tables into one value, collecting all problems on the way.

Tables lie beside the manifest or below its folder. Digests of all texts are kept, so a later check
can detect changes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Place, Problem, Report
from spimpack_tasks.files.input_files import digest_of
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.spreadsheets import read_as_table
from spimpack_tasks.files.text import (
    MAX_MANIFEST_BYTES,
    MAX_TABLE_BYTES,
    is_spreadsheet,
    read_bytes,
    read_text,
)
from spimpack_tasks.files.tsv import parse_tsv
from spimpack_tasks.files.yaml_marks import Document, load_yaml
from spimpack_tasks.manifest.absent_values import settle_table
from spimpack_tasks.manifest.column_descriptions import (
    Descriptions,
    description_problems,
    parse_descriptions,
)
from spimpack_tasks.manifest.further_columns import ColumnUse, FurtherColumns
from spimpack_tasks.manifest.products import STUDY_KEY, is_study, list_products, manifest_of
from spimpack_tasks.manifest.records import inline_records, table_records
from spimpack_tasks.manifest.schema_check import schema_problems, unlisted_key_problems
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.state.snapshot import SourceTrace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spimpack_tasks.files.tsv import TsvTable
    from spimpack_tasks.manifest.records import Record


SCANS_KEYS = ("scans_tsv", "datasets_tsv")
"""Keys of the manifest that name a scans table."""

NOTHING_EDITED: Mapping[str, str] = MappingProxyType({})

_ROW_KEYS = frozenset({*SCANS_KEYS, "datasets"})
"""Keys of the manifest that hold rows, or name a table of them."""


@dataclass(slots=True)
class Inputs:
    """Everything that was read, not yet understood."""

    manifest: str
    """Absolute path of the manifest."""
    document: Document
    records: list[Record] = field(default_factory=list)
    photos: list[Record] = field(default_factory=list)
    participants: TsvTable | None = None
    description_of_participants: Descriptions | None = None
    described_participants: dict[str, Any] = field(default_factory=dict)
    """The descriptions of columns in all parts."""
    texts: dict[str, str] = field(default_factory=dict)
    """Digest of each file that was looked for, empty where there is none that can be read."""
    sources: list[str] = field(default_factory=list)
    """Absolute path of each source that was looked for, links not resolved."""
    wildcards: dict[str, list[str]] = field(default_factory=dict)
    """The files that each path with wildcards stood for."""
    products: Mapping[str, str] = field(default_factory=dict)
    """Paths of what other stages of a study make, by the names that rows give them."""
    trace: SourceTrace = field(default_factory=SourceTrace, repr=False)
    """The state of the sources when they were looked at."""
    tables: list[str] = field(default_factory=list)
    """The scans tables that were read, as messages name them."""
    columns: list[ColumnUse] = field(default_factory=list)
    """The use of the further columns of each table."""
    lost_rows: bool = False
    """Whether rows may be missing for a reason that has been reported."""
    edited: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Texts that count instead of those of the files at these absolute paths."""
    included: list[Inputs] = field(default_factory=list)
    """Those of the manifests that this one includes."""

    @property
    def parts(self) -> list[Inputs]:
        """These inputs and those of included manifests."""
        return [self, *self.included]

    @property
    def participant_tables(self) -> list[TsvTable]:
        """The tables of participants of all parts."""
        return [part.participants for part in self.parts if part.participants is not None]

    @property
    def descriptions(self) -> list[Descriptions]:
        """The descriptions of participants of all parts."""
        parts = (part.description_of_participants for part in self.parts)
        return [descriptions for descriptions in parts if descriptions is not None]

    @property
    def folder(self) -> str:
        """The manifest's folder, where relative paths start."""
        return os.path.dirname(self.manifest)

    @property
    def is_raw(self) -> bool:
        """Whether the dataset holds raw recordings."""
        return self.description.get("DatasetType") != "derivative"

    @property
    def description(self) -> dict[str, Any]:
        """The manifest's dataset_description, empty where it is no mapping."""
        data = self.document.data
        value = data.get("dataset_description") if isinstance(data, dict) else None
        return value if isinstance(value, dict) else {}


def load_inputs(
    manifest: str, report: Report, edited: Mapping[str, str] = NOTHING_EDITED
) -> Inputs:
    """Read the manifest at an absolute path, and the tables it names or finds beside it.

    `edited` has texts that replace those on disk, by absolute path. Included manifests are read as
    well.
    """
    inputs = _load_one(manifest, report, edited)
    data = inputs.document.data
    if isinstance(data, dict) and isinstance(data.get("include"), list):
        for index, name in enumerate(data["include"]):
            if isinstance(name, str):
                _include(inputs, name, index, report)
    return inputs


def _include(inputs: Inputs, name: str, index: int, report: Report) -> None:
    """Read a manifest that another one includes."""
    place, key = inputs.document.place(("include", index)), f"include[{index}]"
    path = os.path.normpath(os.path.join(inputs.folder, name))
    if not _is_below(path, inputs.folder):
        message = f"{name!r} lies outside the manifest's folder"
        hint = "put the manifest that includes others above them"
        report.add(Problem("include.outside", place, key, message, hint))
        return
    if path in {part.manifest for part in inputs.parts}:
        message = f"{name!r} is read already"
        report.add(Problem("include.twice", place, key, message, "leave it out"))
        return
    if not os.path.lexists(path):
        message = f"{name!r} does not exist"
        report.add(Problem("include.missing", place, key, message, "check the path"))
        inputs.texts[path] = ""
        return
    part = _load_one(path, report, inputs.edited)
    if isinstance(part.document.data, dict) and "include" in part.document.data:
        message = "an included manifest cannot include others"
        hint = f"list them in {inputs.document.file}"
        where = part.document.key_place(("include",))
        report.add(Problem("include.nested", where, "include", message, hint))
    inputs.texts |= part.texts
    inputs.tables += part.tables
    inputs.lost_rows |= part.lost_rows
    inputs.included.append(part)


def _load_one(manifest: str, report: Report, edited: Mapping[str, str]) -> Inputs:
    """Read a manifest and its own tables."""
    name = shown(manifest)
    inputs = Inputs(manifest, Document(name), edited=edited)
    text = _text(inputs, manifest, Place(name), MAX_MANIFEST_BYTES, report)
    if text is None:
        return inputs
    before = len(report.problems)
    inputs.document = load_yaml(text, name, report)
    _look_for_study(inputs, report)
    if inputs.document.data is None and len(report.problems) == before:
        message, hint = "is empty", "start with: spimpack init"
        report.add(Problem("manifest.empty", Place(name), "", message, hint))
    if not isinstance(inputs.document.data, dict):
        if inputs.document.data is not None:
            message = "must hold keys such as dataset_description:"
            report.add(Problem("manifest.form", Place(name, 1, 1), "", message))
        return inputs
    _read_rows(inputs, report)
    return inputs


def _look_for_study(inputs: Inputs, report: Report) -> None:
    """Take the manifest out of a study that holds it, or read the study that it names."""
    whole, data = inputs.document, inputs.document.data
    if is_study(data):
        inputs.products = list_products(data, inputs.folder)
        inputs.document = manifest_of(whole, report)
    elif isinstance(data, dict) and isinstance(name := data.get(STUDY_KEY), str) and name:
        path = os.path.normpath(os.path.join(inputs.folder, name))
        place = whole.place((STUDY_KEY,))
        text = _text(inputs, path, place, MAX_MANIFEST_BYTES, report)
        if text is None:
            return
        study = load_yaml(text, shown(path), report)
        if is_study(study.data):
            inputs.products = list_products(study.data, os.path.dirname(path))
        elif not report.errors:
            message, hint = f"{name!r} is no study", "a study has the key stages:"
            report.add(Problem("study.form", place, STUDY_KEY, message, hint))


def _read_rows(inputs: Inputs, report: Report) -> None:
    schema = load_schema("manifest")
    found = list(schema_problems(inputs.document, schema))
    report.extend(found)
    report.extend(unlisted_key_problems(inputs.document, schema))
    before = len(report.problems)
    tables = list(_tables(inputs, SCANS_KEYS, "scans.tsv", report))
    # A table under a misspelt key, or of a wrong form, is the reason why there are no rows.
    others = schema["properties"].keys() - _ROW_KEYS
    misplaced = any(re.split(r"[.[]", problem.key)[0] not in others for problem in found)
    inputs.lost_rows = misplaced or len(report.problems) > before
    further = FurtherColumns.of(inputs.document)
    for table in tables:
        inputs.tables.append(table.file)
        inputs.records.extend(table_records(table, further, report))
    inputs.records.extend(inline_records(inputs.document, further, report))
    for table in _tables(inputs, ("photos_tsv",), "photos.tsv", report):
        inputs.photos.extend(table_records(table, further, report, "photos"))
    report.extend(further.problems(inputs.document, report.problems))
    inputs.columns = further.uses
    for table in _tables(inputs, ("participants_tsv",), "participants.tsv", report):
        inputs.participants = table
    _read_descriptions(inputs, report)


def _read_descriptions(inputs: Inputs, report: Report) -> None:
    """Read the user's participants.json, if there is one."""
    before = len(report.problems)
    for path, place in _named_files(inputs, ("participants_json",), "participants.json", report):
        text = _text(inputs, path, place, MAX_MANIFEST_BYTES, report)
        descriptions = None if text is None else parse_descriptions(text, shown(path), report)
        if descriptions is not None:
            report.extend(description_problems(descriptions, inputs.participants))
            inputs.description_of_participants = descriptions
    if len(report.problems) > before:
        inputs.description_of_participants = None


def _text(inputs: Inputs, path: str, blame: Place, limit: int, report: Report) -> str | None:
    """Return the text at a path as it was edited, or as the disk has it, and note its digest."""
    text = inputs.edited.get(path)
    if text is None:
        text = read_text(path, name=shown(path), blame=blame, limit=limit, report=report)
    inputs.texts[path] = digest_of(text)
    return text


def _tables(
    inputs: Inputs, keys: tuple[str, ...], default: str, report: Report
) -> Iterator[TsvTable]:
    """Read the tables that `keys` name; where none does, the default one if it is there."""
    for path, place in _named_files(inputs, keys, default, report):
        yield from _table(inputs, path, place, report)


def _named_files(
    inputs: Inputs, keys: tuple[str, ...], default: str, report: Report
) -> Iterator[tuple[str, Place]]:
    """Yield the files that `keys` name, each with the place that names it, or the default one."""
    data = inputs.document.data
    for key, path in table_paths(data, inputs.folder, keys, default):
        if not key:
            inputs.texts[path] = ""
            if path in inputs.edited or os.path.lexists(path):
                yield path, Place(inputs.document.file)
            continue
        place = inputs.document.place((key,))
        if path in inputs.texts:
            continue  # both keys name one table
        if _is_below(path, inputs.folder):
            yield path, place
        else:
            message = f"{data[key]!r} lies outside the manifest's folder"
            hint = "put the table beside the manifest and give its relative path"
            report.add(Problem("table.outside", place, key, message, hint))


def table_paths(
    data: dict[str, Any], folder: str, keys: tuple[str, ...], default: str
) -> Iterator[tuple[str, str]]:
    """Yield key and path of each table that a manifest names; without a key, of the default.

    A table beside a manifest that includes others may be that of one of them.
    """
    if not data.get("include") and not any(key in data for key in keys):
        yield "", os.path.join(folder, default)
    for key in keys:
        if isinstance(data.get(key), str) and data[key].strip():
            yield key, os.path.normpath(os.path.join(folder, data[key]))


def _is_below(path: str, folder: str) -> bool:
    if "\0" in path:
        return True  # no file has such a name; reading it says so
    real = os.path.realpath(folder)
    return os.path.commonpath([real, os.path.realpath(path)]) == real


def _table(inputs: Inputs, path: str, blame: Place, report: Report) -> Iterator[TsvTable]:
    table = None
    if is_spreadsheet(path):
        data = read_bytes(path, name=shown(path), blame=blame, limit=MAX_TABLE_BYTES, report=report)
        inputs.texts[path] = digest_of(data)
        if data is not None:
            table = read_as_table(shown(path), data, report)
    else:
        text = _text(inputs, path, blame, MAX_TABLE_BYTES, report)
        if text is not None:
            table = parse_tsv(text, shown(path), report)
    if table is not None:
        yield settle_table(table, report)
