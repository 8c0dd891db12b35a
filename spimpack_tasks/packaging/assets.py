"""Understands records: from the text of one row to one validated asset.

Everything that can be said by looking at a single row is said here; what concerns several rows,
or the output, is in `packaging.rules`, and what goes into the sidecar in `packaging.sidecars`.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import normalize

from spimpack_tasks.files.roots import is_within
from spimpack_tasks.model.entities import ENTITIES, SUFFIX, stem
from spimpack_tasks.model.plan import Asset
from spimpack_tasks.packaging.cells import CellReader
from spimpack_tasks.packaging.coerce import MISSING
from spimpack_tasks.packaging.headers import HeaderFacts
from spimpack_tasks.packaging.schema_check import shown_value
from spimpack_tasks.readers.formats import (
    FORMATS,
    Source,
    SourceRefusedError,
    examine_source,
    stamp_text,
)

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report
    from spimpack_tasks.packaging.records import Record
    from spimpack_tasks.packaging.sidecars import SidecarReader
    from spimpack_tasks.readers.formats import SourceFormat

SAMPLE_COLUMNS = ("sample_type", "pathology", "derived_from")
SCAN_COLUMNS = ("acq_time",)
SCENE_COLUMN = "scene"
"""Column that names one image of a source that holds several."""

_FORMS = {
    "label": ("value.label", "A-Za-z0-9", "letters and digits"),
    "index": ("value.index", "0-9", "digits"),
}
"""Problem code, characters allowed, and their name, by the form of an entity."""


def source_path(folder: str, text: str) -> str:
    """Return the absolute path that a cell gives, in a table of a manifest in `folder`."""
    path = os.path.expanduser(text) if text == "~" or text.startswith("~/") else text
    return os.path.join(folder, path)


class RowReader(CellReader):
    """Reads what all rows of one manifest have: entities, and the path of a source."""

    path_column = "spim_path"
    formats: tuple[SourceFormat, ...] = FORMATS

    def __init__(self, folder: str, report: Report) -> None:
        super().__init__(report)
        self.folder = folder
        self.roots: tuple[str, ...] = ()
        """Folders outside of which nothing is looked at; none where there is no such limit."""
        self.known_directories: dict[str, bool] = {}
        """Whether a directory lies in the roots."""
        self.real_directories: dict[str, str] = {}
        self.looked_for: list[str] = []
        """Absolute path of each source and of what else it lies in, links not resolved."""

    def entities(self, record: Record) -> dict[str, str] | None:
        """Return the labels by entity, `None` where one that is needed cannot be used."""
        entities, refused = {}, False
        for name, form, required in _ENTITIES:
            if required and self.is_empty(record, name, f"give the {name}"):
                refused = True
                continue
            text = self.text(record, name)
            refused = refused or not isinstance(record.values.get(name, ""), str | None)
            if text and text != MISSING:
                problem = _label_problem(form, text)
                if problem:
                    refused = True
                    self.add(record, name, *problem)
                entities[name] = text
        return None if refused else entities

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
            self.add(record, self.path_column, refused.code, refused.message, hint)
            return None

    def _examine(self, record: Record, whole: str) -> Source | None:
        """Return the source at a path, or the image in it that the row names."""
        scene = self.text(record, SCENE_COLUMN) if self.path_column == "spim_path" else ""
        if not scene:
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
        """Tell whether a path lies in the roots, looking at each directory only once."""
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

    def __init__(self, folder: str, sidecars: SidecarReader, report: Report) -> None:
        super().__init__(folder, report)
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
        dataset_id = self.text(record, "dataset_id")
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


_PREFIX = re.compile(f"({'|'.join(entity.short for entity in ENTITIES)})-")
_ENTITIES = tuple((entity.name, entity.form, entity.required) for entity in ENTITIES)


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
