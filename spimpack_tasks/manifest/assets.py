"""Converts records: from the text of one row to one validated asset.

This module makes all checks that need a single row only. `packaging.rules` checks several rows and
the output, and `manifest.sidecars` composes the sidecar.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.natural_order import find_fall, sort_numbered
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.manifest.acquisition import AcquisitionReader
from spimpack_tasks.manifest.headers import HeaderFacts
from spimpack_tasks.manifest.merges import (
    AXIS_COLUMN,
    PREFIX,
    SEPARATOR,
    WILDCARD,
    expand_path,
    fixed_part,
    has_wildcards,
    split_paths,
)
from spimpack_tasks.manifest.rows import (
    AXES_COLUMN,
    READER_COLUMN,
    SCENE_COLUMN,
    RowReader,
)
from spimpack_tasks.model.entities import SUFFIX, stem
from spimpack_tasks.model.plan import SAMPLE_COLUMNS, SCAN_COLUMNS, Asset
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import look_inside
from spimpack_tasks.volumes.merged.request import POLICIES, Policies, merge_of_text
from spimpack_tasks.volumes.merged.sources import merge_sources

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.manifest.rows import WrittenLabels
    from spimpack_tasks.manifest.sidecars import SidecarReader
    from spimpack_tasks.volumes.examine import Source

_MERGE_COLUMNS = (AXIS_COLUMN, *(PREFIX + name for name in POLICIES))
_OF_ONE_FILE = (
    (SCENE_COLUMN, "source.scene", "an image in a file"),
    (READER_COLUMN, "source.merge", "a reader of one file"),
)
"""Columns that a row of several files cannot have, with the problem's code and what they name."""
_SEVERAL = "names several files, and no axis along which they make up one image"
_AXIS_HINT = "write T, C or Z into merge_axis, or give the path of one file"

NO_FACTS = HeaderFacts()
"""Of a row without a source."""


class AssetReader(RowReader):
    """Turns the rows of the scans tables, and inline assets, into assets."""

    def __init__(
        self, folder: str, labels: WrittenLabels, sidecars: SidecarReader, report: Report
    ) -> None:
        super().__init__(folder, labels, report)
        self.sidecars = sidecars
        self.facts = NO_FACTS
        """Of the header of the source that was looked at last."""
        self.wildcards: dict[str, list[str]] = {}
        """The files that each path with wildcards stands for."""
        self.acquisition = AcquisitionReader()
        self.listed = self.acquisition.listed

    def read(self, record: Record) -> Asset | None:
        """Return the asset of a record, `None` where its entities have an error.

        Where something else is wrong the asset is returned with that left empty, so that the rules
        still see its place in the dataset. The report has an error then, so nothing is packaged.
        """
        entities = self.entities(record)
        self.facts = NO_FACTS
        source = self.source(record)
        facts = self.facts
        # Each of several merged files may have facts of its own beside it.
        is_one = source is not None and not source.format.key
        beside = self.acquisition.join(self.looked_for[-1], facts) if is_one else None
        if beside is not None:
            facts = beside.facts
            self.looked_for.append(beside.path)
        sidecar, origins = self.sidecars.read(record, source, facts, beside)
        sample = self.plain_columns(record, SAMPLE_COLUMNS)
        scan = self.plain_columns(record, SCAN_COLUMNS)
        dataset_id = self.group(record)
        if entities is None:
            return None
        self.looked_for.extend(facts.other_files)
        selection = source.selection if source else WHOLE
        if facts.scene != selection.scene and source:
            selection = selection._replace(scene=facts.scene)
        return Asset(
            key=stem(entities),
            dataset_id=dataset_id,
            source=source.path if source else "",
            stamp=source.stamp if source else "",
            extension=source.extension if source else "",
            valid_in_bids=source is not None and source.format.valid_in_bids,
            sidecar=sidecar,
            format=source.format.text if source else "",
            sample=sample,
            scan=scan,
            origins=origins,
            suffix=SUFFIX,
            source_extension=source.extension if source else "",
            shape_nyx=facts.shape_nyx,
            itemsize=facts.itemsize,
            other_files=tuple((path, stamp_text(path)) for path in facts.other_files),
            left_out=facts.left_out,
            extras=facts.extras,
            display_doubts=facts.display_doubts,
            ome_sizes=facts.ome_sizes,
            selection=selection,
            unclear=facts.unclear,
        )

    def source(self, record: Record) -> Source | None:
        """Return the source that a row names, `None` where it cannot be packaged."""
        has_list = isinstance(record.cell(self.path_column), list)
        if not has_list and not record.has_any(_MERGE_COLUMNS):
            return self._one_source(record)
        given = self.plain_columns(record, _MERGE_COLUMNS)
        axis = given.pop(AXIS_COLUMN, "")
        if axis:
            names = {name.removeprefix(PREFIX): text for name, text in given.items()}
            return self._merge(record, axis, Policies(**names))
        if self.chosen_text(record, AXIS_COLUMN):
            return None  # it was refused
        for column in given:
            message = "says how files are merged, but no axis is given"
            self.add(record, column, "source.merge", message, _AXIS_HINT)
        if has_list:
            self.add(record, self.path_column, "source.merge", _SEVERAL, _AXIS_HINT)
        return None if has_list or given else self._one_source(record)

    def _one_source(self, record: Record) -> Source | None:
        """Return the source of a row that does not merge files, `None` where it names several."""
        text = record.cell(self.path_column)
        if isinstance(text, str) and (SEPARATOR in text or WILDCARD in text):
            path = self.place_of(text.strip())
            is_allowed = not self.roots or self.is_in_roots(fixed_part(path))
            is_one = os.path.lexists(path) or not (SEPARATOR in text or has_wildcards(path))
            if is_allowed and not is_one:
                self.add(record, self.path_column, "source.merge", _SEVERAL, _AXIS_HINT)
                return None
        return super().source(record)

    def _merge(self, record: Record, axis: str, policies: Policies) -> Source | None:
        for column, code, what in _OF_ONE_FILE:
            if self.chosen_text(record, column):
                message = f"names {what}, and the row merges files"
                self.add(record, column, code, message, "leave the cell empty")
                return None
        hint = "give the paths of the images"
        if record.cell(self.path_column) == []:
            self.add(record, self.path_column, "value.empty", "is an empty list", hint)
        elif self.is_empty(record, self.path_column, hint):
            return None
        paths = self._member_paths(record)
        found = [self._find_member(record, path) for path in paths]
        members = [source for source in found if source is not None]
        if not members or len(members) < len(found):
            return None
        try:
            axes = self.chosen_text(record, AXES_COLUMN)
            merged = merge_sources(members, axis, policies, axes, paths)
            self._look_at_order(record, axis, policies, merged)
            return self.look_inside(merged)
        except SourceRefusedError as refused:
            self.add(record, self.path_column, refused.code, refused.message, refused.hint)
            return None

    def _look_at_order(self, record: Record, axis: str, policies: Policies, merged: Source) -> None:
        """Say where files along time or z are not in the order of their numbers."""
        fall = find_fall(merge_of_text(merged.format.key).names)
        if fall is not None and axis != "C" and not policies.order:
            before, late = fall
            message = f"has {late!r} behind {before!r}, and the files stay in the order written"
            hint = (
                "write merge_order=natural to sort them by their numbers, or table if it is right"
            )
            self.warn(record, self.path_column, "source.order", message, hint)

    def _member_paths(self, record: Record) -> list[str]:
        """Return absolute paths of the files, in the order of the row; none where one is wrong."""
        paths: list[str] = []
        is_right = True
        for text in split_paths(record.cell(self.path_column)):
            if not isinstance(text, str) or not text.strip():
                hint = "write a path between two semicolons, and texts into a list"
                message = f"{text!r} is no path"
                self.add(record, self.path_column, "source.merge", message, hint)
                is_right = False
                continue
            found = self._expand(record, self.place_of(text))
            is_right = is_right and bool(found)
            paths += found
        return paths if is_right else []

    def _expand(self, record: Record, path: str) -> list[str]:
        """Return the files that a path stands for; none where it leads out of the roots.

        The name of a file outside of them must not be told, so no problem names one.
        """
        if self.roots and not self.is_in_roots(fixed_part(path)):
            self.add_outside_roots(record, path)
            return []
        found, folders = expand_path(path)
        if self.roots and not all(map(self.is_in_roots, found)):
            self.add_outside_roots(record, path)
            return []
        if folders:
            self.looked_for += folders
            self.wildcards[path] = found
            if doubt := sort_numbered(found)[1]:
                hint = "name the files one by one, in their order"
                self.add(record, self.path_column, "source.merge", doubt, hint)
                return []
        if not found:
            message, hint = f"{path!r} fits no file", "check the path"
            self.add(record, self.path_column, "source.missing", message, hint)
        return found

    def _find_member(self, record: Record, path: str) -> Source | None:
        self.looked_for.append(path)
        try:
            return look_inside(self.sources.find(path))
        except SourceRefusedError as refused:
            self.add(record, self.path_column, refused.code, refused.message, refused.hint)
            return None

    def look_inside(self, source: Source) -> Source:
        """Return a source by what its header tells, which may be remembered."""
        self.facts = self.sidecars.headers.facts(source)
        extension = self.facts.extension
        is_told = not extension or extension == source.extension
        return source if is_told else replace(source, extension=extension)
