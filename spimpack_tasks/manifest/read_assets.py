"""Reads the rows of a manifest and its tables: images first, then the photos of their samples.

Facts: BIDS 1.10, microscopy, "Photos of the samples": the suffix `photo`, and `IntendedFor`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import suggestion
from spimpack_tasks.manifest.assets import AssetReader
from spimpack_tasks.manifest.find_sources import AHEAD, SourceFinder
from spimpack_tasks.manifest.part import ALL
from spimpack_tasks.manifest.records import CANONICAL, known_columns
from spimpack_tasks.manifest.rows import RowReader, WrittenLabels
from spimpack_tasks.manifest.schema_check import shown_value
from spimpack_tasks.manifest.sidecars import SidecarReader, read_defaults
from spimpack_tasks.model.entities import ENTITIES, MISSING, PHOTO_SUFFIX, SUFFIX, stem
from spimpack_tasks.model.plan import Asset
from spimpack_tasks.volumes.formats import PHOTO_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.manifest.headers import Headers
    from spimpack_tasks.manifest.load import Inputs
    from spimpack_tasks.manifest.part import Part
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.state.snapshot import SourceTrace


_KNOWN_COLUMNS = frozenset([*known_columns("photos"), *CANONICAL.values()])
_NOT_OF_PHOTOS = [entity.name for entity in ENTITIES if not entity.of_photos]


class PlacedAsset(NamedTuple):
    """An asset and the record it came from."""

    record: Record
    asset: Asset

    @property
    def path_column(self) -> str:
        """The column that names the source."""
        return "photo_path" if self.asset.is_photo else "spim_path"


def read_assets(
    inputs: Inputs, headers: Headers, report: Report, roots: tuple[str, ...], part: Part = ALL
) -> list[PlacedAsset]:
    """Return the assets of all rows whose labels can be used; the report gets what is wrong.

    Parameters
    ----------
    inputs
        Manifest and tables; the paths that were looked for are added.
    headers
        The headers read so far; those that are read for this are added.
    report
        Gets the problems.
    roots
        Folders outside of which no source is looked at; none where there is no such limit.
    part
        The rows that are wanted; mistakes in the others are not told.
    """
    required = inputs.description.get("RequiredMicroscopyFields", [])
    names = (
        [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    )
    images: list[PlacedAsset] = []
    labels = WrittenLabels([r for each in inputs.parts for r in (*each.records, *each.photos)])
    for each in inputs.parts:
        defaults = read_defaults(each.document, report)
        sidecars = SidecarReader(defaults, names, headers, report, is_raw=inputs.is_raw)
        reader = AssetReader(each.folder, labels, sidecars, report)
        reader.products = each.products
        records = [record for record in each.records if part.may_hold(record)]
        found = _read_rows(records, reader, roots, inputs.trace)
        images += (placed for placed in found if part.holds(*placed))
        inputs.sources += reader.looked_for
        inputs.wildcards |= reader.wildcards
    subjects: set[str] = set()
    if not part.is_all:
        keys = {placed.asset.key for placed in images}
        report.extend(part.problems((r for each in inputs.parts for r in each.records), keys))
        subjects = {placed.asset.subject_label for placed in images}
    photos: list[PlacedAsset] = []
    for each in inputs.parts:
        if each.photos:
            photo_reader = PhotoReader(each.folder, labels, (i.asset for i in images), report)
            wanted = [record for record in each.photos if part.may_hold(record)]
            found = _read_rows(wanted, photo_reader, roots, inputs.trace)
            photos += (p for p in found if part.is_all or p.asset.subject_label in subjects)
            inputs.sources += photo_reader.looked_for
    return [*images, *photos]


def _read_rows(
    records: list[Record],
    reader: AssetReader | PhotoReader,
    roots: tuple[str, ...],
    trace: SourceTrace,
) -> Iterator[PlacedAsset]:
    reader.roots = roots
    reader.sources = SourceFinder(reader.formats, reader.look_inside)
    looked_at = 0
    for number, record in enumerate(records):
        if number >= looked_at and reader.sources.is_slow:
            looked_at = number + AHEAD
            reader.look_ahead(records[number:looked_at])
        before = len(reader.looked_for)
        asset = reader.read(record)
        stamps = asset.sources if asset is not None else ()
        paths = reader.looked_for[before:]
        trace.add_image(paths, stamps, reader.sources.statuses, reader.listed)
        if asset is not None:
            yield PlacedAsset(record, asset)
    # The finder refers to the reader: as a cycle, both would keep all rows in memory.
    del reader.sources


class PhotoReader(RowReader):
    """Turns the rows of a photos table into assets."""

    path_column = "photo_path"
    formats = PHOTO_FORMATS

    def __init__(
        self, folder: str, labels: WrittenLabels, images: Iterable[Asset], report: Report
    ) -> None:
        super().__init__(folder, labels, report)
        self.images = {image.key: image.entities for image in images}

    def read(self, record: Record) -> Asset | None:
        """Return the asset of a record, `None` where its entities have an error."""
        for name in _NOT_OF_PHOTOS:
            if record.cell(name) not in {None, "", MISSING}:
                self.add(record, name, "column.reserved", "is no entity of a photo", "leave it out")
        entities = self.entities(record)
        source = self.source(record)
        sidecar, refused = self.sidecar_columns(record, _KNOWN_COLUMNS)
        dataset_id = self.group(record)
        if entities is None:
            return None
        entities = {k: v for k, v in entities.items() if k not in _NOT_OF_PHOTOS}
        return Asset(
            key=stem(entities, PHOTO_SUFFIX),
            dataset_id=dataset_id,
            source=source.path if source else "",
            stamp=source.stamp if source else "",
            extension=source.extension if source else "",
            valid_in_bids=True,
            format=source.format.name if source else "",
            sidecar=dict(sorted((sidecar | dict.fromkeys(refused)).items())),
            suffix=PHOTO_SUFFIX,
            intended_for=tuple(self._intended_for(record, entities)),
        )

    def _intended_for(self, record: Record, entities: dict[str, str]) -> list[str]:
        """Return the keys of the images that a photo belongs to."""
        key = "IntendedFor"
        given = [name for name in self.names(record, key) or [] if name not in {"", MISSING}]
        if not given:
            return self._images_of_sample(record, entities)
        found = [_key_of(name) for name in given]
        for name, image in zip(given, found, strict=True):
            if image not in self.images or not image.startswith(f"sub-{entities['subject']}_"):
                subject = [k for k in self.images if k.startswith(f"sub-{entities['subject']}_")]
                hint = suggestion(image, subject) or "give the file name of an image in the dataset"
                message = f"{shown_value(name)} is no image of sub-{entities['subject']}"
                self.add(record, key, "photo.intended-for", message, hint)
        return found

    def _images_of_sample(self, record: Record, entities: dict[str, str]) -> list[str]:
        found = [key for key, own in self.images.items() if entities.items() <= own.items()]
        if not found:
            message = "there is no image of this sample, so the photo belongs to none"
            hint = "check the labels, or name the images in a column IntendedFor"
            self.warn(record, "sample", "photo.no-image", message, hint)
        return found


def _key_of(name: str) -> str:
    """Return the key of the image that a file name, a path or a BIDS URI names."""
    file = name.rpartition("/")[2]
    return re.sub(rf"(_{SUFFIX})\..*", r"\1", file)
