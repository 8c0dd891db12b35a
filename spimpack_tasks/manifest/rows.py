"""Reads the cells that all rows have, and reports problems with the place of the cell."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Problem, Severity
from spimpack_tasks.files.near_paths import path_hint
from spimpack_tasks.files.roots import is_within
from spimpack_tasks.manifest.coerce import (
    ValueRefusedError,
    check_value,
    coerce_text,
    refuse_mixed_separators,
)
from spimpack_tasks.manifest.near_keys import near_key
from spimpack_tasks.manifest.products import hint_for_product, is_product_name
from spimpack_tasks.manifest.schema_check import explain, property_validator, shown_value
from spimpack_tasks.model.entities import ENTITIES, MISSING
from spimpack_tasks.model.labels import ALLOWED, looks_recast, probable_label
from spimpack_tasks.model.selection import WHOLE, Selection
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import Source, folder_of_scene, look_inside
from spimpack_tasks.volumes.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.errors import Place, Report
    from spimpack_tasks.manifest.find_sources import SourceFinder
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.model.labels import LabelForm
    from spimpack_tasks.volumes.formats import Format


_KEPT_TEXTS = 4096
"""Texts of cells of which the result is remembered: most columns have few, and times have many."""
_NOTHING: dict[str, str] = {}
"""Shared by all rows that say nothing, which may be a hundred thousand."""


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
        place = record.where(key) if record.has(key) else record.where_missing()
        if (place, key) not in self.reported:
            self.reported.add((place, key))
            self.report.add(Problem(code, place, key, message, hint))

    def text(self, record: Record, key: str) -> str:
        """Return the text under a column that must hold text, empty where there is none."""
        value = record.cell(key)
        if isinstance(value, str):
            return value
        if value is not None:
            given = record.written(key) or shown_value(value)
            hint = f"put quotes around it: '{given}'" if record.written(key) else ""
            self.add(record, key, "value.type", f"must be text, not {given}", hint)
        return ""

    def is_empty(self, record: Record, key: str, hint: str) -> bool:
        """Tell whether a required column holds nothing, and report it; a missing one has been."""
        value = record.cell(key) if record.has(key) else MISSING
        empty = value is None or (isinstance(value, str) and value.strip() in {"", MISSING})
        if empty and record.has(key):
            what = f"is {MISSING}, but needs a value" if value == MISSING else "is empty"
            self.add(record, key, "value.empty", what, hint)
        return empty

    def names(self, record: Record, key: str) -> list[str] | None:
        """Return the names in a list, or between separators; `None` where these are unclear."""
        value = record.cell(key)
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

    def plain_columns(self, record: Record, columns: tuple[str, ...]) -> dict[str, str]:
        """Return the texts of the columns that say something, checked by the schema of scans."""
        if not record.has_any(columns):
            return _NOTHING
        found = {}
        for key in columns:
            text = self.text(record, key).strip() if record.has(key) else ""
            if text and text != MISSING:
                problem = cell_problem("scans", key, text)
                if problem:
                    self.add(record, key, *problem)
                else:
                    found[key] = text
        return found or _NOTHING

    def sidecar_columns(
        self, record: Record, known: frozenset[str]
    ) -> tuple[dict[str, Any], set[str]]:
        """Return the sidecar values from columns that are not `known`, and the refused keys."""
        found: dict[str, Any] = {}
        refused = set()
        names = record.names_without(known)
        for key, given in zip(names, record.cells(names), strict=True):
            try:
                value = sidecar_value(key, given, record.written(key))
            except ValueRefusedError as error:
                refused.add(key)
                self.add(record, key, error.code, error.message, error.hint or near_key(key))
            else:
                if value is not None:
                    found[key] = value
        return found, refused


def sidecar_value(key: str, value: Any, written: str) -> Any:
    """Return the JSON value of a sidecar key, `None` where nothing is said.

    Raises
    ------
    ValueRefusedError
        It is not of the type that BIDS wants for `key`.
    """
    if isinstance(value, str):
        return coerce_text(key, value)
    return None if value is None else check_value(key, value, written)


@lru_cache(_KEPT_TEXTS)
def split_names(text: str) -> tuple[str, ...]:
    """Return the names that stand between semicolons, or commas, whether or not both are there."""
    return tuple(name.strip() for name in text.replace(",", ";").split(";"))


@lru_cache(_KEPT_TEXTS)
def cell_problem(schema: str, column: str, text: str) -> tuple[str, str, str] | None:
    """Return code, message and hint of what the schema of a table finds wrong with a cell."""
    for error in property_validator(schema, column).iter_errors(text):
        return explain(error)
    return None


SCENE_COLUMN = "scene"
"""Column that names one image of a source that holds several."""
READER_COLUMN = "reader"
"""Column that names the library that reads a source."""
AXES_COLUMN = "axes"
"""Column that names the axes of a source that does not say them."""

_CHOICES = (SCENE_COLUMN, AXES_COLUMN, READER_COLUMN)
"""Columns of what a user chooses in a source."""
_COLUMN_OF_CODE = {"source.scene": SCENE_COLUMN, "value.choice": READER_COLUMN}
"""Column that is wrong where a source is refused, by the code; for others it is the path."""
_FORMS = {"label": ("value.label", "letters and digits"), "index": ("value.index", "digits")}
"""Problem code, and a name for the characters allowed, by the form of an entity."""


def source_path(folder: str, text: str) -> str:
    """Return the absolute path that a cell gives, in a table of a manifest in `folder`."""
    if text.startswith("/"):
        return text
    path = os.path.expanduser(text) if text == "~" or text.startswith("~/") else text
    return os.path.join(folder, path)


class WrittenLabels:
    """The labels in all tables and inline assets; looked at only if a text is no label."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = records
        self._texts: dict[str, dict[str, dict[str, Place]]] = {}

    def advice(self, name: str, form: LabelForm, text: str) -> str:
        """Return what to write in place of a text that is no label of the entity `name`."""
        label, what = probable_label(form, text), _FORMS[form][1]
        others = self._texts_by_label(name, form).get(label, {}).keys() - {text}
        if label and not others:
            return f"write {shown_value(label)}"
        if label:
            other = min(others)
            where = self._texts[name][label][other]
            same = f"write {shown_value(label)} if it is the same as {shown_value(other)} ({where})"
            return f"{same}, otherwise another label of {what}"
        if looks_recast(text):
            return f"write {what} only; a spreadsheet keeps labels in columns formatted as text"
        return f"write {what} only"

    def _texts_by_label(self, name: str, form: LabelForm) -> dict[str, dict[str, Place]]:
        """Return the texts of a column, each with its first place, by the label it is or means."""
        if name not in self._texts:
            found: dict[str, dict[str, Place]] = {}
            prefix = next(short for entity, _, _, short in _ENTITIES if entity == name)
            for record in self.records:
                text = record.cell(name)
                if isinstance(text, str) and text not in {"", MISSING}:
                    text = text.removeprefix(prefix)
                    label = text if is_label(form, text) else probable_label(form, text)
                    found.setdefault(label, {}).setdefault(text, record.where(name))
            self._texts[name] = found
        return self._texts[name]


class RowReader(CellReader):
    """Reads what all rows of one manifest have: entities, and the path of a source."""

    path_column = "spim_path"
    formats: tuple[Format, ...] = FORMATS
    sources: SourceFinder
    """Set before the first row is read."""

    def __init__(self, folder: str, labels: WrittenLabels, report: Report) -> None:
        super().__init__(report)
        self.folder = folder
        self.roots: tuple[str, ...] = ()
        """Folders outside of which nothing is looked at; none where there is no such limit."""
        self.known_directories: dict[str, bool] = {}
        """Whether a directory lies in the roots."""
        self.labels = labels
        self.listings: dict[str, dict[str, str]] = {}
        self.products: Mapping[str, str] = {}
        """Paths of what other stages of a study make, by the names that rows give them."""
        self.looked_for: list[str] = []
        """Absolute path of each source and of what else it lies in, links not resolved."""
        self.listed: Mapping[str, frozenset[str]] = {}
        """Names of the files of metadata beside the sources, by folder."""

    def entities(self, record: Record) -> dict[str, str] | None:
        """Return the labels by entity, `None` where one that is needed cannot be used."""
        entities, refused = {}, False
        values = record.cells(_NAMES)
        for (name, form, required, prefix), value in zip(_ENTITIES, values, strict=True):
            if value is None and not required:
                continue
            if isinstance(value, str) and is_label(form, label := value.removeprefix(prefix)):
                entities[name] = label
                continue
            if required and self.is_empty(record, name, f"give the {name}"):
                refused = True
                continue
            text = self.text(record, name).removeprefix(prefix)
            refused = refused or not isinstance(value, str | None)
            if text and text != MISSING:
                if not is_label(form, text):
                    refused = True
                    code, what = _FORMS[form]
                    message = f"{shown_value(text)} has other characters than {what}"
                    self.add(record, name, code, message, self.labels.advice(name, form, text))
                entities[name] = text
        return None if refused else entities

    def group(self, record: Record) -> str:
        """Return the logical group of a row, empty where there is none."""
        text = self.text(record, "dataset_id")
        return "" if text == MISSING else text

    def source(self, record: Record) -> Source | None:
        """Return the source that a row names, `None` where it cannot be packaged."""
        if self.is_empty(record, self.path_column, "give the path of the image"):
            return None
        text = self.text(record, self.path_column)
        if not text:
            return None
        whole = self.place_of(text)
        if self.roots and not self.is_in_roots(whole):
            self.add_outside_roots(record, whole)
            return None
        try:
            return self._examine(record, whole)
        except SourceRefusedError as refused:
            hint = refused.hint
            if text != text.strip():
                hint = "the path begins or ends with a blank; take it out"
            elif text in self.products:
                hint = "another stage makes it; spimpack run STUDY does all of them in their order"
            elif is_product_name(text):
                hint = hint_for_product(text, self.products)
            elif "://" in text:
                hint = "a URL is not read; give the path of a file on this machine"
            elif refused.code == "source.missing" and not os.path.lexists(whole):
                hint = path_hint(whole, self.listings) or hint
            column = _COLUMN_OF_CODE.get(refused.code, self.path_column)
            self.add(record, column, refused.code, refused.message, hint)
            return None

    def place_of(self, text: str) -> str:
        """Return the absolute path that a cell names: a file, or what another stage makes."""
        return self.products.get(text) or source_path(self.folder, text)

    def add_outside_roots(self, record: Record, path: str) -> None:
        """Report a path outside of the roots."""
        message = f"{path!r} is outside the folders that may be used here"
        hint = "start spimpack ui with --root for its folder as well"
        self.add(record, self.path_column, "source.outside-roots", message, hint)

    def _examine(self, record: Record, whole: str) -> Source | None:
        """Return the source at a path, with the image in it and the axes that the row names."""
        selection = self._selection(record) if record.has_any(_CHOICES) else WHOLE
        scene = selection.scene
        if not scene:
            self.looked_for.append(whole)
            return self.sources.look_at(whole, selection)
        source = self.sources.find(whole, selection.reader)
        if source.format.directory and source.format.endings:
            whole, selection = folder_of_scene(whole, scene), selection._replace(scene="")
        elif not source.format.has_scenes:
            what = f"{whole!r} is {source.format.name}, of which no image can be chosen"
            raise SourceRefusedError("source.scene", what, "leave the cell empty")
        self.looked_for.append(whole)
        return self.sources.look_at(whole, selection)

    def _selection(self, record: Record) -> Selection:
        """Return the choices of the user in the source of a row."""
        scene, axes = self.chosen_text(record, SCENE_COLUMN), self.chosen_text(record, AXES_COLUMN)
        chosen = Selection(scene, axes.lower(), self.chosen_text(record, READER_COLUMN))
        return chosen if any(chosen) else WHOLE

    def chosen_text(self, record: Record, column: str) -> str:
        """Return the text of a column that only images have, nothing where it is empty."""
        text = self.text(record, column) if self.path_column == "spim_path" else ""
        return "" if text == MISSING else text

    def look_ahead(self, records: Iterable[Record]) -> None:
        """Look at the sources of rows to come, side by side; nothing is reported."""
        nothing = {None, "", MISSING}
        plain = (
            record
            for record in records
            if all(record.cell(column) in nothing for column in _CHOICES)
        )
        texts = (record.cell(self.path_column) for record in plain)
        paths = [self.place_of(t) for t in texts if isinstance(t, str) and t]
        allowed = filter(self.is_in_roots, paths) if self.roots else paths
        self.sources.look_ahead(allowed)

    def look_inside(self, source: Source) -> Source:
        """Return a source after a look at its content."""
        return look_inside(source)

    def is_in_roots(self, path: str) -> bool:
        """Tell whether a path lies in the roots, looking at each directory only once."""
        head, name = os.path.split(path.rstrip("/"))
        if head not in self.known_directories:
            self.known_directories[head] = is_within(head, self.roots)
        is_plain = name not in {"", ".", ".."} and not os.path.islink(path.rstrip("/"))
        return self.known_directories[head] and (is_plain or is_within(path, self.roots))


_ENTITIES = tuple((e.name, e.form, e.required, f"{e.short}-") for e in ENTITIES)
_NAMES = tuple(e.name for e in ENTITIES)


_LABELS = {form: re.compile(f"[{characters}]+") for form, characters in ALLOWED.items()}


def is_label(form: str, text: str) -> bool:
    """Tell whether a text has nothing but the characters of a label."""
    return _LABELS[form].fullmatch(text) is not None
