"""Compares a dataset with a dandiset before anything is brought there, by requests that only read.

It takes one listing of the assets, and one request for each Zarr: a listing does not tell whether
the archive has finished with it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import count_of
from spimpack_tasks.publishing.portals.dandi_client import COMPLETE, RemoteZarr
from spimpack_tasks.publishing.portals.dandi_errors import IngestError
from spimpack_tasks.publishing.portals.dandi_made import Made, MadeAssets
from spimpack_tasks.publishing.portals.dandi_records import ASSETS_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spimpack_tasks.publishing.objects import Item
    from spimpack_tasks.publishing.portals.dandi_client import DandiClient, RemoteAsset
    from spimpack_tasks.publishing.portals.dandi_files import DigestedFiles, LocalAsset
    from spimpack_tasks.publishing.portals.dandi_records import Records
    from spimpack_tasks.publishing.publication import Publication

MADE = "made"
"""Name of the record of the assets that we made."""
_MOST_SHOWN = 20
"""Faults named in a message; the others are counted."""
_THREADS = 8
"""Requests at a time: the archive answers in tens of milliseconds, and must serve others."""
COMPUTED = frozenset(
    {
        "@context",
        "access",
        "assetsSummary",
        "citation",
        "contentSize",
        "contentUrl",
        "dateCreated",
        "datePublished",
        "digest",
        "doi",
        "id",
        "identifier",
        "manifestLocation",
        "path",
        "publishedBy",
        "repository",
        "schemaVersion",
        "url",
        "version",
    }
)
"""Keys of metadata that the archive sets itself."""


class Action(StrEnum):
    """The difference of an asset from the dataset."""

    SAME = "same"
    NEW = "new"
    CHANGED = "changed"
    DESCRIBED = "described"
    """Only the metadata differ."""


class Planned(NamedTuple):
    """An asset as it is to be."""

    path: str
    action: Action
    is_zarr: bool
    size: int
    digest: str
    sha256: str
    metadata_id: str
    """Digest of the metadata that it gets."""
    asset_id: str
    """Of the asset that is there, empty for none."""
    content_id: str
    """Identity of the file or the Zarr of that asset."""

    @property
    def is_brought(self) -> bool:
        """Whether its bytes are brought."""
        return self.action in {Action.NEW, Action.CHANGED}


@dataclass(slots=True)
class DandiLook:
    """The difference between a dataset and a dandiset."""

    planned: list[Planned] = field(default_factory=list)
    draft_differs: bool = False
    removed: list[tuple[str, str]] = field(default_factory=list)
    """Path and identity of assets of ours that the dataset no longer has."""
    edited: list[str] = field(default_factory=list)
    """Assets that were ours, and have been changed since."""
    foreign: list[str] = field(default_factory=list)
    zarr_users: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Path and identity of all assets of each Zarr."""
    known_tags: set[str] = field(default_factory=set)
    """Entity tags of files that the dandiset has."""

    def of(self, action: Action) -> list[Planned]:
        """Return the assets with one kind of difference."""
        return [each for each in self.planned if each.action is action]

    @property
    def has_changes(self) -> bool:
        """Whether anything is to be brought; what is pruned does not count."""
        return self.draft_differs or any(each.action is not Action.SAME for each in self.planned)

    @property
    def bytes_to_bring(self) -> int:
        """Bytes of new and changed assets, those that the archive may have included."""
        return sum(each.size for each in self.planned if each.is_brought)


def look_at(
    publication: Publication,
    items: Sequence[Item],
    client: DandiClient,
    records: Records,
    files: DigestedFiles,
) -> DandiLook:
    """Compare a dataset with a dandiset.

    Parameters
    ----------
    publication
        The local records.
    items
        The outputs of the dataset.
    client
        The archive.
    records
        Metadata of the dandiset and of the assets.
    files
        The files with their digests.

    Raises
    ------
    IngestError
        The records do not fit the dataset, or the archive takes no such records or files.
    RemoteError
        The archive refuses it.
    """
    _check_records(items, records)
    _check_files(items, files)
    check_schema(records.schema_version, *client.schema_versions())
    client.check_token()
    draft = client.draft()
    there = {asset.path: asset for asset in client.assets()}
    made_assets = MadeAssets(publication.path(MADE))
    made = made_assets.read()
    look = DandiLook(draft_differs=not is_stated(records.dandiset, draft))
    look.zarr_users = _users_of(there.values())
    look.known_tags = {asset.digest for asset in there.values() if asset.blob}
    zarrs = _zarrs_of(client, items, there)
    for item in items:
        local, asset = files.asset(item), there.get(item.name)
        look.planned.append(_compare(local, records, asset, made.get(item.name), zarrs))
    _sort_others(look, there, made)
    return look


def _check_records(items: Iterable[Item], records: Records) -> None:
    names = {item.name for item in items}
    lacking = sorted(names - set(records.assets))
    stale = sorted(set(records.assets) - names)
    if lacking:
        number = count_of(len(lacking), "file")
        what = f"has no record of {number} of the dataset, such as {lacking[0]}"
    elif stale:
        number = count_of(len(stale), "record")
        what = f"has {number} of files that are not in the dataset, such as {stale[0]}"
    else:
        return
    message = f"{ASSETS_TEXT} {what}; make the records again"
    raise IngestError(message)


def _check_files(items: Iterable[Item], files: DigestedFiles) -> None:
    refusals = [line for item in items for line in files.refusals(item)]
    if refusals:
        more = len(refusals) - _MOST_SHOWN
        lines = refusals[:_MOST_SHOWN] + ([f"and {more:,} more"] if more > 0 else [])
        raise IngestError("\n".join(lines))


def check_schema(ours: str, theirs: str, allowed: Sequence[str]) -> None:
    """Make sure that the archive takes metadata of a version of the schema.

    Raises
    ------
    IngestError
        It does not.
    """
    is_near = ours.split(".")[:2] == theirs.split(".")[:2]
    if ours and theirs and not is_near and ours not in allowed:
        message = (
            f"the records are of version {ours} of the schema of DANDI, and the archive takes "
            f"{theirs}; make them for that one"
        )
        raise IngestError(message)


def is_stated(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Tell whether metadata at the archive hold what ours state."""
    return all(theirs.get(key) == value for key, value in ours.items() if key not in COMPUTED)


def metadata_of(record: Mapping[str, Any], asset: LocalAsset | Planned) -> dict[str, Any]:
    """Return the metadata of an asset: its record with path, size and digests."""
    digest = {"dandi:dandi-zarr-checksum": asset.digest}
    if not asset.is_zarr:
        digest = {"dandi:dandi-etag": asset.digest, "dandi:sha2-256": asset.sha256}
    facts = {"path": asset.path, "contentSize": asset.size, "digest": digest}
    return {**record, "schemaKey": "Asset", **facts}


def identify_metadata(metadata: Mapping[str, Any]) -> str:
    """Return a digest of metadata."""
    return blake2b(json.dumps(metadata, sort_keys=True).encode(), digest_size=12).hexdigest()


def _zarrs_of(
    client: DandiClient, items: Iterable[Item], there: Mapping[str, RemoteAsset]
) -> dict[str, RemoteZarr]:
    """Return the state of each Zarr that an output has at the archive, by its identity."""
    assets = [there[item.name] for item in items if item.is_store and item.name in there]
    ids = sorted({asset.zarr for asset in assets if asset.zarr})
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(ids, pool.map(client.zarr, ids), strict=True))


def _compare(
    local: LocalAsset,
    records: Records,
    asset: RemoteAsset | None,
    made: Made | None,
    zarrs: Mapping[str, RemoteZarr],
) -> Planned:
    record = records.assets[local.path]
    metadata = metadata_of(record, local)
    metadata_id = identify_metadata(metadata)
    action, content_id = Action.NEW, ""
    if asset is not None:
        content_id = asset.zarr if local.is_zarr else asset.blob
        is_ours = made is not None and made.asset_id == asset.asset_id
        # An asset that is edited gets another identity, so one of ours is as we made it.
        is_same = is_ours and made is not None and made.metadata_id == metadata_id
        is_described = is_same or (not is_ours and is_stated(metadata, asset.metadata))
        action = Action.SAME if is_described else Action.DESCRIBED
        if local.is_zarr:
            zarr = zarrs.get(asset.zarr)
            has_content = zarr is not None and is_whole(zarr, local.digest)
        else:
            has_content = is_same or (asset.digest, asset.size) == (local.digest, local.size)
        if not has_content:
            action = Action.CHANGED
    asset_id = asset.asset_id if asset else ""
    return Planned(
        local.path,
        action,
        local.is_zarr,
        local.size,
        local.digest,
        local.sha256,
        metadata_id,
        asset_id,
        content_id,
    )


def is_whole(zarr: RemoteZarr, checksum: str) -> bool:
    """Tell whether the archive has finished with a Zarr, and it has a checksum."""
    return zarr.status == COMPLETE and zarr.checksum == checksum


def _users_of(assets: Iterable[RemoteAsset]) -> dict[str, list[tuple[str, str]]]:
    users = defaultdict(list)
    for asset in assets:
        if asset.zarr:
            users[asset.zarr].append((asset.path, asset.asset_id))
    return dict(users)


def _sort_others(
    look: DandiLook, there: Mapping[str, RemoteAsset], made: Mapping[str, Made]
) -> None:
    """Sort the assets that the dataset does not have: ours, once ours, of others."""
    wanted = {each.path for each in look.planned}
    for path, asset in sorted(there.items()):
        if path in wanted:
            continue
        known = made.get(path)
        if known is None:
            look.foreign.append(path)
        elif known.asset_id == asset.asset_id:
            look.removed.append((path, asset.asset_id))
        else:
            look.edited.append(path)
