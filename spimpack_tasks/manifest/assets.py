"""Converts records: from the text of one row to one validated asset.

This module makes all checks that need a single row only. `packaging.rules` checks several rows and
the output, and `manifest.sidecars` composes the sidecar.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.manifest.acquisition import AcquisitionReader
from spimpack_tasks.manifest.headers import HeaderFacts
from spimpack_tasks.manifest.rows import RowReader
from spimpack_tasks.model.entities import SUFFIX, stem
from spimpack_tasks.model.plan import SAMPLE_COLUMNS, SCAN_COLUMNS, Asset
from spimpack_tasks.model.selection import WHOLE

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.manifest.rows import WrittenLabels
    from spimpack_tasks.manifest.sidecars import SidecarReader
    from spimpack_tasks.volumes.examine import Source

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
        self.acquisition = AcquisitionReader()

    def read(self, record: Record) -> Asset | None:
        """Return the asset of a record, `None` where its entities have an error.

        Where something else is wrong the asset is returned with that left empty, so that the rules
        still see its place in the dataset. The report has an error then, so nothing is packaged.
        """
        entities = self.entities(record)
        self.facts = NO_FACTS
        source = self.source(record)
        facts = self.facts
        beside = self.acquisition.join(self.looked_for[-1], facts) if source else None
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
        return Asset(
            key=stem(entities),
            dataset_id=dataset_id,
            source=source.path if source else "",
            stamp=source.stamp if source else "",
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
            left_out=facts.left_out,
            extras=facts.extras,
            display_doubts=facts.display_doubts,
            ome_sizes=facts.ome_sizes,
            selection=replace(source.selection, scene=facts.scene) if source else WHOLE,
            unclear=facts.unclear,
        )

    def look_inside(self, source: Source) -> Source:
        """Return a source by what its header tells, which may be remembered."""
        self.facts = self.sidecars.headers.facts(source)
        extension = self.facts.extension
        is_told = not extension or extension == source.extension
        return source if is_told else replace(source, extension=extension)
