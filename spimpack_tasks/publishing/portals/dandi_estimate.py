"""Counts what a run would do at the DANDI archive, by requests that only read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.publishing.objects import TEXTS, units_of
from spimpack_tasks.publishing.portals.dandi import connected
from spimpack_tasks.publishing.portals.dandi_client import MOST_DELETED, MOST_SIGNED
from spimpack_tasks.publishing.portals.dandi_digests import parts_of
from spimpack_tasks.publishing.portals.dandi_files import DigestedFiles
from spimpack_tasks.publishing.portals.dandi_look import Action, look_at
from spimpack_tasks.publishing.portals.dandi_sending import differences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spimpack_tasks.publishing.objects import Item
    from spimpack_tasks.publishing.portals.dandi_client import DandiClient
    from spimpack_tasks.publishing.portals.dandi_look import DandiLook, Planned
    from spimpack_tasks.publishing.portals.dandi_records import Records
    from spimpack_tasks.publishing.portals.dandi_target import DandiTarget


class Estimate(NamedTuple):
    """The bytes and the writing requests of a run without faults.

    A file that another dandiset of the archive has costs neither its bytes nor its parts; only a
    writing request could tell that.
    """

    bytes: int
    requests: Counter[str]
    """Number by method: DELETE, POST, PUT."""


def preview(
    target: DandiTarget, records: Records, advance: Callable[[int], None] = lambda _count: None
) -> tuple[DandiLook, Estimate]:
    """Return the difference of a dataset from its dandiset, and the work of a run.

    Parameters
    ----------
    target
        The dataset and the dandiset.
    records
        Metadata of the dandiset and of the assets.
    advance
        Receives bytes that are compared.

    Raises
    ------
    SpimpackError
        Dataset or records cannot be ingested, or the archive refuses it.
    """
    publication, items = target.publication(), target.sound_items()
    with (
        connected(target) as client,
        DigestedFiles(publication, target.dataset, keep=False, advance=advance) as files,
    ):
        found = look_at(publication, items, client, records, files)
        return found, _Count(found, client, files).of(items, prunes=target.prune)


class _Count:
    """Counts requests and bytes."""

    def __init__(self, found: DandiLook, client: DandiClient, files: DigestedFiles) -> None:
        self._found = found
        self._client = client
        self._files = files
        self._bytes = 0
        self._requests: Counter[str] = Counter()
        self._tags = set(found.known_tags)
        self._begun: set[tuple[str, str]] = set()

    def of(self, items: Sequence[Item], *, prunes: bool) -> Estimate:
        """Return the counts of a run."""
        units = set(units_of(items))
        by_name = {item.name: item for item in items}
        for planned in self._found.planned:
            item = by_name[planned.path]
            is_gone = False
            if planned.is_brought and item.is_store:
                is_gone = self._add_zarr(item, planned)
            elif planned.is_brought:
                unit = item.name if item.name in units else item.bucket
                self._add_blob(TEXTS if item.is_text else unit, planned)
            if planned.action is not Action.SAME:
                self._requests["PUT" if planned.asset_id and not is_gone else "POST"] += 1
        self._requests["PUT"] += self._found.draft_differs
        self._requests["DELETE"] += len(self._found.removed) if prunes else 0
        return Estimate(self._bytes, +self._requests)

    def _add_blob(self, unit: str, planned: Planned) -> None:
        if (unit, planned.digest) not in self._begun:
            self._begun.add((unit, planned.digest))
            self._requests["POST"] += 1
        if planned.digest not in self._tags:
            self._tags.add(planned.digest)
            self._bytes += planned.size
            self._requests["POST"] += 3  # complete twice, validate
            self._requests["PUT"] += sum(1 for _ in parts_of(planned.size))

    def _add_zarr(self, item: Item, planned: Planned) -> bool:
        """Add a Zarr; tell whether its asset is deleted first."""
        files = self._files.zarr_files(item)
        zarr_id = planned.content_id
        if not zarr_id:
            zarr = self._client.find_zarr(planned.path)
            zarr_id = zarr.zarr_id if zarr else ""
            self._requests["POST"] += 1
            if zarr and zarr.checksum == planned.digest:
                return False
        there = self._client.zarr_files(zarr_id) if zarr_id else {}
        extra, lacking = differences(files, there)
        self._bytes += sum(files[name].size for name in lacking)
        self._requests["PUT"] += len(lacking)
        self._requests["POST"] += -(-len(lacking) // MOST_SIGNED) + 1  # finalize
        self._requests["DELETE"] += -(-len(extra) // MOST_DELETED)
        is_gone = planned.content_id in self._found.zarr_users
        self._requests["DELETE"] += is_gone
        return is_gone
