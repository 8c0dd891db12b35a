"""Reads the rows of a manifest and its tables: images first, then the photos of their samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.manifest.assets import AssetReader
from spimpack_tasks.manifest.photos import PhotoReader
from spimpack_tasks.manifest.rows import WrittenLabels
from spimpack_tasks.manifest.sidecars import SidecarReader, read_defaults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.manifest.headers import Headers
    from spimpack_tasks.manifest.load import Inputs
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.model.plan import Asset


class PlacedAsset(NamedTuple):
    """An asset and the record it came from."""

    record: Record
    asset: Asset

    @property
    def path_column(self) -> str:
        """The column that names the source."""
        return "photo_path" if self.asset.is_photo else "spim_path"


def read_assets(
    inputs: Inputs, headers: Headers, report: Report, roots: tuple[str, ...]
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
    """
    required = inputs.description.get("RequiredMicroscopyFields", [])
    names = (
        [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    )
    images: list[PlacedAsset] = []
    photos: list[PlacedAsset] = []
    labels = WrittenLabels([r for part in inputs.parts for r in (*part.records, *part.photos)])
    for part in inputs.parts:
        defaults = read_defaults(part.document, report)
        sidecars = SidecarReader(defaults, names, headers, report, is_raw=inputs.is_raw)
        reader = AssetReader(part.folder, labels, sidecars, report)
        reader.roots = roots
        images += _read_rows(part.records, reader)
        inputs.sources += reader.looked_for
    for part in inputs.parts:
        photo_reader = PhotoReader(part.folder, labels, (i.asset for i in images), report)
        photo_reader.roots = roots
        photos += _read_rows(part.photos, photo_reader)
        inputs.sources += photo_reader.looked_for
    return [*images, *photos]


def _read_rows(
    records: Iterable[Record], reader: AssetReader | PhotoReader
) -> Iterator[PlacedAsset]:
    for record in records:
        asset = reader.read(record)
        if asset is not None:
            yield PlacedAsset(record, asset)
