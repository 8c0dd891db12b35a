"""Converts records: from the text of one row to one validated asset.

This module makes all checks that need a single row only. `packaging.rules` checks several rows and
the output, and `manifest.sidecars` composes the sidecar.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING

from spimpack_tasks.files.near_paths import path_hint
from spimpack_tasks.files.roots import is_within
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.manifest.cells import CellReader
from spimpack_tasks.manifest.coerce import MISSING
from spimpack_tasks.manifest.headers import HeaderFacts
from spimpack_tasks.manifest.schema_check import shown_value
from spimpack_tasks.model.entities import ENTITIES, SUFFIX, stem
from spimpack_tasks.model.labels import ALLOWED, looks_recast, probable_label
from spimpack_tasks.model.plan import Asset
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import Source, examine_source
from spimpack_tasks.volumes.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.errors import Place, Report
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.manifest.sidecars import SidecarReader
    from spimpack_tasks.model.labels import LabelForm
    from spimpack_tasks.volumes.formats import Format

SAMPLE_COLUMNS = ("sample_type", "pathology", "derived_from")
SCAN_COLUMNS = ("acq_time",)
SCENE_COLUMN = "scene"
"""Column that names one image of a source that holds several."""

_FORMS = {"label": ("value.label", "letters and digits"), "index": ("value.index", "digits")}
"""Problem code, and a name for the characters allowed, by the form of an entity."""


def source_path(folder: str, text: str) -> str:
    """Return the absolute path that a cell gives, in a table of a manifest in `folder`."""
    path = os.path.expanduser(text) if text == "~" or text.startswith("~/") else text
    return os.path.join(folder, path)


class WrittenLabels:
    """The labels in all tables and inline assets; used only if a text is not a label."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = records
        self._texts: dict[str, dict[str, dict[str, Place]]] = {}

    def advice(self, name: str, form: LabelForm, text: str) -> str:
        """Return a suggestion for a text that is not a label of the entity `name`."""
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
                text = record.values.get(name)
                if isinstance(text, str) and text not in {"", MISSING}:
                    text = text.removeprefix(prefix)
                    label = text if is_label(form, text) else probable_label(form, text)
                    found.setdefault(label, {}).setdefault(text, record.where(name))
            self._texts[name] = found
        return self._texts[name]


class RowReader(CellReader):
    """Reads the columns that all rows of one manifest share: entities, and the path of a source."""

    path_column = "spim_path"
    formats: tuple[Format, ...] = FORMATS

    def __init__(self, folder: str, labels: WrittenLabels, report: Report) -> None:
        super().__init__(report)
        self.folder = folder
        self.roots: tuple[str, ...] = ()
        """Folders outside of which no path is examined; empty for no such limit."""
        self.known_directories: dict[str, bool] = {}
        """Whether a directory lies in the roots."""
        self.labels = labels
        self.real_directories: dict[str, str] = {}
        self.listings: dict[str, dict[str, str]] = {}
        self.looked_for: list[str] = []
        """Absolute path of each source and of its further files, links not resolved."""

    def entities(self, record: Record) -> dict[str, str] | None:
        """Return the labels by entity, `None` where one that is needed cannot be used."""
        entities, refused = {}, False
        for name, form, required, prefix in _ENTITIES:
            if required and self.is_empty(record, name, f"give the {name}"):
                refused = True
                continue
            text = self.text(record, name).removeprefix(prefix)
            refused = refused or not isinstance(record.values.get(name, ""), str | None)
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
        whole = source_path(self.folder, text)
        if self.roots and not self._is_in_roots(whole):
            message = f"{whole!r} is outside the folders that may be used here"
            hint = "start spimpack ui with --root for its folder as well"
            self.add(record, self.path_column, "source.outside-roots", message, hint)
            return None
        try:
            return self._examine(record, whole)
        except SourceRefusedError as refused:
            hint = refused.hint
            if text != text.strip():
                hint = "the path begins or ends with a blank; take it out"
            elif "://" in text:
                hint = "a URL is not read; give the path of a file on this machine"
            elif refused.code == "source.missing" and not os.path.lexists(whole):
                hint = path_hint(whole, self.listings) or hint
            self.add(record, self.path_column, refused.code, refused.message, hint)
            return None

    def _examine(self, record: Record, whole: str) -> Source | None:
        """Return the source at a path, or the image in it that the row names."""
        scene = self.text(record, SCENE_COLUMN) if self.path_column == "spim_path" else ""
        if scene in {"", MISSING}:
            self.looked_for.append(whole)
            return examine_source(self._real(whole), whole, self.formats)
        source = examine_source(self._real(whole), whole, self.formats)
        inner = scene.strip("/").split("/")
        if not source.format.directory or not source.format.endings:
            what = f"{whole!r} is {source.format.name}, of which no image can be chosen"
            self.add(record, SCENE_COLUMN, "source.scene", what, "leave the cell empty")
        elif not all(inner) or any(part in {".", ".."} or "\0" in part for part in inner):
            hint = "write the path of its folder in the source, such as 0 or A/1/0"
            what = f"{shown_value(scene)} names no image in {whole!r}"
            self.add(record, SCENE_COLUMN, "source.scene", what, hint)
        else:
            whole = "/".join([whole.rstrip("/"), *inner])
            self.looked_for.append(whole)
            return examine_source(self._real(whole), whole, self.formats)
        return None

    def _is_in_roots(self, path: str) -> bool:
        """Tell whether a path lies in the roots, examining each directory only once."""
        head, name = os.path.split(path.rstrip("/"))
        if head not in self.known_directories:
            self.known_directories[head] = is_within(head, self.roots)
        is_plain = name not in {"", ".", ".."} and not os.path.islink(path.rstrip("/"))
        return self.known_directories[head] and (is_plain or is_within(path, self.roots))

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


class AssetReader(RowReader):
    """Turns the rows of the scans tables, and inline assets, into assets."""

    def __init__(
        self, folder: str, labels: WrittenLabels, sidecars: SidecarReader, report: Report
    ) -> None:
        super().__init__(folder, labels, report)
        self.sidecars = sidecars

    def read(self, record: Record) -> Asset | None:
        """Return the asset of a record, `None` where its entities have an error.

        Where something else is wrong the asset is returned with that left empty, so that the rules
        still see its place in the dataset. The report has an error then, so nothing is packaged.
        """
        entities = self.entities(record)
        source = self.source(record)
        sidecar, origins = self.sidecars.read(record, source)
        sample = self.plain_columns(record, SAMPLE_COLUMNS)
        scan = self.plain_columns(record, SCAN_COLUMNS)
        dataset_id = self.group(record)
        if entities is None:
            return None
        facts = self.sidecars.headers.facts(source) if source else HeaderFacts()
        self.looked_for.extend(facts.other_files)
        return Asset(
            key=stem(entities),
            dataset_id=dataset_id,
            entities=entities,
            source=source.path if source else "",
            stamp=(source.size, source.mtime_ns) if source else (0, 0),
            extension=source.extension if source else "",
            valid_in_bids=source is not None and source.format.valid_in_bids,
            sidecar=sidecar,
            format=source.format.name if source else "",
            sample=sample,
            scan=scan,
            origins=origins,
            suffix=SUFFIX,
            source_extension=source.extension if source else "",
            shape_nyx=facts.shape_nyx,
            itemsize=facts.itemsize,
            other_files=tuple((path, stamp_text(path)) for path in facts.other_files),
            left_out=tuple(facts.left_out),
            extras=tuple(facts.extras),
            display_doubts=tuple(facts.display_doubts),
            ome_sizes=facts.ome_sizes,
        )


_ENTITIES = tuple((e.name, e.form, e.required, f"{e.short}-") for e in ENTITIES)


@cache
def is_label(form: str, text: str) -> bool:
    """Tell whether a text has nothing but the characters of a label."""
    return re.fullmatch(f"[{ALLOWED[form]}]+", text) is not None
