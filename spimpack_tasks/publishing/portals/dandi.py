"""The steps of an ingest: look, bring bytes, register assets, describe the dandiset, prune.

An asset is registered last, when all its bytes are at the archive and the checksums agree. Each
step may be repeated: the archive shows what is there, and the next run finds all that a killed one
has left.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import OutputError, SupersededError, count_of
from spimpack_tasks.publishing.objects import UnpackagedError, items_of_unit
from spimpack_tasks.publishing.portals.dandi_errors import (
    ChangedAssetError,
    OccupiedZarrError,
    PathTakenError,
)
from spimpack_tasks.publishing.portals.dandi_files import DigestedFiles, checksum_of
from spimpack_tasks.publishing.portals.dandi_look import (
    COMPUTED,
    MADE,
    Action,
    DandiLook,
    Planned,
    is_stated,
    look_at,
    metadata_of,
)
from spimpack_tasks.publishing.portals.dandi_made import MadeAssets
from spimpack_tasks.publishing.portals.dandi_records import parse_records
from spimpack_tasks.publishing.portals.dandi_sending import THREADS, Bringer
from spimpack_tasks.remote.rate import Bunched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spimpack_tasks.publishing.objects import Item
    from spimpack_tasks.publishing.portals.dandi_client import DandiClient
    from spimpack_tasks.publishing.portals.dandi_records import Records
    from spimpack_tasks.publishing.portals.dandi_target import DandiTarget
    from spimpack_tasks.publishing.publication import Publication

ENDS = ("registered", "described", "pruned", "ingested")
"""Records of the steps behind the bringing of bytes, in their order."""


@contextmanager
def connected(target: DandiTarget) -> Iterator[DandiClient]:
    """Hold a client of the archive, whose connections are closed at the end."""
    client = target.client()
    try:
        yield client
    finally:
        client.close()


def open_ingest(
    target: DandiTarget,
    ingest_id: str,
    run_id: str,
    records: Mapping[str, str],
    advance: Callable[[int], None] = lambda _count: None,
) -> DandiLook:
    """Look at the archive, and note the differences.

    Parameters
    ----------
    target
        The dataset and the dandiset.
    ingest_id, run_id
        Identities of the ingest and of the run.
    records
        Texts of the two records by name; all steps of the run use these.
    advance
        Receives bytes that are compared.

    Raises
    ------
    SpimpackError
        Dataset or records cannot be ingested, or the archive refuses it.
    """
    publication, items = target.publication(), target.sound_items()
    with (
        publication.opening(ingest_id),
        connected(target) as client,
        DigestedFiles(publication, target.dataset, keep=True, advance=advance) as files,
    ):
        publication.begin_progress()
        found = look_at(publication, items, client, parse_records(records), files)
        _adopt(publication, found)
        publication.write("records", records)
        is_current = not found.has_changes and not (target.prune and found.removed)
        publication.write("opened", _describe(found, run_id) | {"is_current": is_current})
        for name in ENDS if is_current else ():
            publication.write(name, {"run_id": run_id, "assets": 0})
    return found


def _adopt(publication: Publication, found: DandiLook) -> None:
    """Note the identity of assets that a killed run has made."""
    assets = MadeAssets(publication.path(MADE))
    made = assets.read()
    for each in found.of(Action.SAME):
        known = made.get(each.path)
        if known and not known.asset_id and known.metadata_id == each.metadata_id:
            assets.note(each.path, each.asset_id, each.metadata_id)


def _describe(found: DandiLook, run_id: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "planned": found.planned,
        "draft_differs": found.draft_differs,
        "removed": found.removed,
        "zarr_users": found.zarr_users,
    }


def recall(publication: Publication, run_id: str) -> DandiLook | None:
    """Return what a run has found, `None` where it has not looked."""
    record = publication.read("opened")
    if record.get("run_id") != run_id:
        return None
    planned = [Planned(path, Action(action), *rest) for path, action, *rest in record["planned"]]
    removed = [(path, asset_id) for path, asset_id in record["removed"]]
    users = {key: [(path, each) for path, each in v] for key, v in record["zarr_users"].items()}
    return DandiLook(planned, bool(record["draft_differs"]), removed, zarr_users=users)


def unit_record(unit: str) -> str:
    """Return the name of the record of a unit whose bytes are there."""
    return f"unit-{blake2b(unit.encode(), digest_size=8).hexdigest()}"


def bring_unit(
    target: DandiTarget,
    ingest_id: str,
    run_id: str,
    unit: str,
    on_message: Callable[[tuple[str, int]], None],
) -> None:
    """Bring the bytes of a unit, and note their identities at the archive.

    Parameters
    ----------
    target
        The dataset and the dandiset.
    ingest_id, run_id
        Identities of the ingest and of the run.
    unit
        One of `objects.units_of`, or `objects.TEXTS`.
    on_message
        Receives the name of an output with its bytes when it begins, and an empty name with the
        bytes that are there since.

    Raises
    ------
    SpimpackError
        An output has changed, or the archive refuses it.
    """
    publication = target.publication()
    with publication.sending(ingest_id, unit), connected(target) as client:
        found = _recalled(publication, run_id)
        planned = {each.path: each for each in found.planned if each.is_brought}
        items = [item for item in items_of_unit(target.items(), unit) if item.name in planned]
        told = Bunched(lambda count: on_message(("", count)))
        with DigestedFiles(publication, target.dataset, keep=True) as files:
            unit_ = _Unit(client, files, found, Bringer(client, told.add))
            brought = unit_.bring_files([i for i in items if not i.is_store], planned)
            for item in items:
                if item.is_store:
                    on_message((item.name, planned[item.name].size))
                    brought[item.name] = unit_.bring_zarr(item, planned[item.name])
        told.flush()
        record = {"run_id": run_id, "brought": brought, "gone": sorted(unit_.gone)}
        publication.write(unit_record(unit), record)


def _recalled(publication: Publication, run_id: str) -> DandiLook:
    found = recall(publication, run_id)
    if found is None:
        message = f"superseded: another run has taken over the ingest into {publication.location}"
        raise SupersededError(message)
    return found


class _Unit:
    """Brings the outputs of one unit."""

    def __init__(
        self, client: DandiClient, files: DigestedFiles, found: DandiLook, bringer: Bringer
    ) -> None:
        self._client = client
        self._files = files
        self._found = found
        self._bringer = bringer
        self.gone: set[str] = set()
        """Paths whose assets were deleted from the draft before their Zarrs were changed."""

    def bring_files(self, items: list[Item], planned: Mapping[str, Planned]) -> dict[str, str]:
        """Bring outputs that are one file, equal ones once; return their identities by path."""
        by_digest: dict[str, list[str]] = {}
        first = []
        for item in items:
            [(local, entry)] = self._files.files(item)
            if entry.etag != planned[item.name].digest:
                raise _changed(item.name)
            paths = by_digest.setdefault(entry.etag, [])
            if not paths:
                first.append((local, entry))
            paths.append(item.name)
        with ThreadPoolExecutor(THREADS) as pool:
            blobs = list(pool.map(lambda each: self._bringer.bring_blob(*each), first))
        return {
            path: blob
            for (_, entry), blob in zip(first, blobs, strict=True)
            for path in by_digest[entry.etag]
        }

    def bring_zarr(self, item: Item, planned: Planned) -> str:
        """Bring a Zarr; return its identity."""
        files = self._files.zarr_files(item)
        if checksum_of(files) != planned.digest:
            raise _changed(item.name)
        return self._bringer.bring_zarr(
            planned, files, lambda zarr_id: self._free(zarr_id, planned.path)
        )

    def _free(self, zarr_id: str, path: str) -> None:
        """Delete the asset of a Zarr that is to change from the draft."""
        users = self._found.zarr_users.pop(zarr_id, [])
        others = [user for user, _ in users if user != path]
        if others:
            message = (
                f"the Zarr of {path} is that of the asset {others[0]} as well, which would change "
                "with it; delete one of them at the archive"
            )
            raise OccupiedZarrError(message)
        for user, asset_id in users:
            self._client.delete_asset(asset_id, user)
            self.gone.add(user)


def _changed(name: str) -> ChangedAssetError:
    return ChangedAssetError(f"{name} has changed while it was ingested; run it again")


def register_assets(target: DandiTarget, ingest_id: str, run_id: str, units: list[str]) -> int:
    """Make or replace all assets that differ; return their number.

    Raises
    ------
    SpimpackError
        The dataset has changed meanwhile, or the archive refuses an asset.
    """
    publication = target.publication()
    try:
        target.sound_items()
    except UnpackagedError as error:
        message = f"changed while it was ingested, so no asset was made: {error}"
        raise OutputError(message) from error
    with publication.sending(ingest_id, "assets"), connected(target) as client:
        found = _recalled(publication, run_id)
        some = [each for each in found.planned if each.action is not Action.SAME]
        registrar = _Registrar(client, parse_records(publication.read("records")), publication)
        for unit in units:
            registrar.take(publication.read(unit_record(unit)))
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(registrar.register, some):
                pass
        publication.write("registered", {"run_id": run_id, "assets": len(some)})
    return len(some)


class _Registrar:
    """Makes and replaces assets."""

    def __init__(self, client: DandiClient, records: Records, publication: Publication) -> None:
        self._client = client
        self._records = records
        self._made = MadeAssets(publication.path(MADE))
        self._brought: dict[str, str] = {}
        self._gone: set[str] = set()

    def take(self, record: Mapping[str, Any]) -> None:
        """Take the record of a unit."""
        self._brought |= record.get("brought", {})
        self._gone |= set(record.get("gone", ()))

    def register(self, planned: Planned) -> None:
        """Make or replace an asset."""
        path = planned.path
        metadata = metadata_of(self._records.assets[path], planned)
        content_id = self._brought.get(path, planned.content_id)
        content = {"zarr" if planned.is_zarr else "blob": content_id}
        self._made.note(path, "", planned.metadata_id)
        asset_id = "" if path in self._gone else planned.asset_id
        made = self._client.replace_asset(asset_id, metadata, **content) if asset_id else ""
        if not made:
            try:
                made = self._client.add_asset(metadata, **content)
            except PathTakenError:
                made = self._take_over(metadata, content)
        self._made.note(path, made, planned.metadata_id)

    def _take_over(self, metadata: Mapping[str, Any], content: Mapping[str, str]) -> str:
        """Take the asset that is there, by a request whose reply was lost or of another client."""
        path = str(metadata["path"])
        found = self._client.find_asset(path)
        if found is None:
            message = f"{path}: the archive has an asset at a folder of it, or below it"
            raise PathTakenError(message)
        if (found.blob or found.zarr) in content.values() and is_stated(metadata, found.metadata):
            return found.asset_id
        return self._client.replace_asset(found.asset_id, metadata, **content)


def describe_dandiset(target: DandiTarget, ingest_id: str, run_id: str) -> None:
    """Replace the metadata of the draft if they differ; keys that ours do not state are kept."""
    publication = target.publication()
    with publication.sending(ingest_id, "dandiset"), connected(target) as client:
        if _recalled(publication, run_id).draft_differs:
            kept = {k: v for k, v in client.draft().items() if k not in COMPUTED}
            ours = dict(parse_records(publication.read("records")).dandiset)
            client.put_draft(str(ours["name"]), kept | ours)
        publication.write("described", {"run_id": run_id})


def prune_assets(target: DandiTarget, ingest_id: str, run_id: str) -> int:
    """Delete assets of ours that the dataset no longer has, if asked for; return their number."""
    publication = target.publication()
    with publication.sending(ingest_id, "prune"), connected(target) as client:
        removed = _recalled(publication, run_id).removed if target.prune else []
        made = MadeAssets(publication.path(MADE))
        for path, asset_id in removed:
            client.delete_asset(asset_id, path)
            made.forget(path)
        publication.write("pruned", {"run_id": run_id, "assets": len(removed)})
    return len(removed)


def end_ingest(target: DandiTarget, ingest_id: str, run_id: str) -> str:
    """Note that all is done, and return the line that a user reads."""
    publication = target.publication()
    with publication.sending(ingest_id, "end"):
        publication.write("ingested", {"run_id": run_id})
        for name in os.listdir(publication.path()):
            if name.startswith("unit-"):
                with suppress(FileNotFoundError):
                    os.unlink(publication.path(name))
    count = int(publication.read("registered").get("assets", 0))
    return f"brought {count_of(count, 'asset')} to {publication.location}"
