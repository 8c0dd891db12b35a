"""Compares a dataset with what is at its location, before anything is sent.

It takes a listing and the inventory: one request for 1,000 objects, and one more. Objects of ours
that the inventory does not name, after an interrupted run, are known from the journal, an earlier
inventory, or an announcement.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spimpack_tasks.model.buckets import bucket_of
from spimpack_tasks.publishing.composing import compose_inventory
from spimpack_tasks.publishing.dataset_identity import (
    AnotherDatasetError,
    find_identity,
    keep_identity,
    read_identity,
    read_name,
)
from spimpack_tasks.publishing.journal import Entries, read_journal, write_journal
from spimpack_tasks.publishing.objects import (
    TEXTS,
    Item,
    LocalObject,
    Rank,
    find_objects,
    find_others,
    owner_of,
)
from spimpack_tasks.publishing.occupied import find_occupied
from spimpack_tasks.publishing.ownership import Ownership, parse_present
from spimpack_tasks.publishing.publication import Found
from spimpack_tasks.publishing.streamed import note_what_lies_there, require_one_place
from spimpack_tasks.publishing.wholeness import require_whole
from spimpack_tasks.remote.inventory import STATE, Inventory, Listed, fetch_inventory
from spimpack_tasks.remote.leases import NAME as LEASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.publishing.publication import Publication
    from spimpack_tasks.remote.object_store import ObjectStore


@dataclass(slots=True)
class Look:
    """The difference between a dataset and its location."""

    inventory: bytes = b""
    """Text of the present inventory."""
    etag: str = ""
    """Entity tag of it, empty where there is none."""
    pages: int = 0
    """Requests for the listing."""
    wanted: int = 0
    """Objects of the dataset."""
    size: int = 0
    """Bytes of them."""
    to_send: list[LocalObject] = field(default_factory=list)
    """Objects that are not known to be there; their files are read."""
    stale: dict[str, Listed] = field(default_factory=dict)
    """Objects of ours that the dataset no longer has, unchanged."""
    edited: list[str] = field(default_factory=list)
    """Objects of ours that the dataset no longer has, and that another has changed."""
    foreign: list[str] = field(default_factory=list)
    """Objects that are not ours, and in no way of ours."""
    blocked: list[str] = field(default_factory=list)
    """Objects that are not ours, inside of an image of ours."""
    occupied: list[str] = field(default_factory=list)
    """Objects that are not ours, in place of one of ours and with other bytes."""
    is_current: bool = False
    """Whether nothing is to be done."""
    crowded: dict[str, int] = field(default_factory=dict)
    """Number of objects of images that have very many."""
    lease: str = ""
    """Entity tag of the object of the lease, empty where there is none."""
    unfinished: tuple[str, ...] = ()
    """Names of the announcements of runs that have not ended."""
    announced: dict[str, int] = field(default_factory=dict)
    """Objects that a run may write or delete, with their bytes."""
    tries_conditions: bool = False
    """Whether a run would find out if the service keeps conditions, by one more request."""
    earlier: int = 0
    """Earlier inventories and announcements that were read."""
    others: list[str] = field(default_factory=list)
    """Files and folders of the dataset that are not sent."""
    listed: dict[str, Found] = field(default_factory=dict)
    """The objects that are there, for an estimate."""
    owners: dict[str, Item] = field(default_factory=dict)
    """The outputs of the dataset by name."""
    roots: dict[str, list[LocalObject]] = field(default_factory=dict)
    """Root metadata of each OME-Zarr, for an estimate."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each object of the dataset."""
    dataset: str = ""
    """Identity of the dataset, empty where it has none yet."""
    replaced: str = ""
    """Name of another dataset that a run would replace."""

    @property
    def bytes_to_send(self) -> int:
        """Bytes of the objects to send."""
        return sum(each.size for each in self.to_send)


MANY_OBJECTS = 10_000
"""Objects of one image from which its publication is slow, and a remedy is told."""


def look_at(
    publication: Publication,
    items: list[Item],
    store: ObjectStore,
    *,
    save: bool = True,
    replaces: bool = False,
) -> Look:
    """Compare a dataset with its location.

    Parameters
    ----------
    publication
        The local records; the journal is brought up to date with the listing.
    items
        The outputs to send.
    store
        The objects below the location.
    save
        Whether the local records may be written.
    replaces
        Whether another dataset may be there, which is replaced.

    Raises
    ------
    AnotherDatasetError
        Another dataset is published there.
    """
    require_one_place(publication, items)
    listed = {each.name: (each.size, each.etag) for each in store.list()}
    present = fetch_inventory(store)
    look = Look(*(present or (b"", "")), pages=max(1, -(-len(listed) // 1000)))
    inventory = parse_present(look.inventory, listed, publication.location)
    journals = {bucket: read_journal(publication.journal(bucket)) for bucket in _buckets(items)}
    look.owners = {item.name: item for item in items}
    locals_ = _find_locals(publication, items, look)
    note_what_lies_there(items, locals_, listed, journals)
    owned = _find_owned(publication, store, look, inventory, replaces=replaces)
    owned.add_records(journals.values(), publication.read_objects("to-prune"))
    owned.look_further(publication, store, listed, look.inventory, look.owners)
    look.dataset, look.unfinished = owned.dataset, owned.unfinished
    look.earlier += owned.read
    parts = _divide(items, listed, owned, inventory.objects)
    _forget_gone(publication, journals, listed, save=save)
    look.to_send = _find_lacking(items, locals_, journals)
    _sort_unwanted(look, listed, owned, inventory)
    _find_occupied(look, store, listed, owned)
    look.lease = listed[LEASE][1] if LEASE in listed else ""
    look.announced = _to_announce(look, items, locals_, listed, owned)
    look.tries_conditions = "is_exclusive" not in publication.load()
    look.others = find_others(publication.store, items)
    if save:
        _save(publication, look, parts, listed)
    else:
        look.listed = {name: each for part in parts.values() for name, each in part.items()}
        look.roots = {n: [e for e in f if e.rank is Rank.ROOT] for n, f in locals_.items()}
    look.is_current = _is_current(publication, look, locals_, journals)
    return look


def _is_current(
    publication: Publication,
    look: Look,
    locals_: Mapping[str, list[LocalObject]],
    journals: Mapping[str, Entries],
) -> bool:
    """Tell whether nothing is to be done."""
    if not look.etag or look.to_send or look.stale or look.blocked or look.occupied:
        return False
    name = read_name(publication.store)
    items = look.owners.values()
    return compose_inventory(items, locals_, journals, look.dataset, name).dump() == look.inventory


def _save(
    publication: Publication,
    look: Look,
    parts: Mapping[str, Mapping[str, Found]],
    listed: Mapping[str, tuple[int, str]],
) -> None:
    """Note what a run is to know of the location."""
    publication.write_remote(parts)
    publication.write_objects("to-prune", look.stale)
    _note_strangers(publication, look, listed)
    if look.dataset:
        keep_identity(publication.store, look.dataset)


def _find_occupied(
    look: Look, store: ObjectStore, listed: Mapping[str, tuple[int, str]], owned: Ownership
) -> None:
    """Find objects that are not ours, in place of objects to send."""
    others = [each for each in look.to_send if each.name in listed]
    others = [each for each in others if not owned.may_replace(each.name, listed[each.name])]
    look.occupied, read = find_occupied(store, others, listed)
    look.earlier += read


def _find_owned(
    publication: Publication,
    store: ObjectStore,
    look: Look,
    inventory: Inventory,
    *,
    replaces: bool,
) -> Ownership:
    """Return which objects are ours by the present inventory."""

    def read(name: str) -> bytes:
        look.earlier += 1
        return (store.read(name) or (b"", ""))[0]

    try:
        own = find_identity(publication, look.inventory, inventory, look.sizes, read)
    except AnotherDatasetError:
        if not replaces:
            raise
        own = read_identity(publication.store)
        look.replaced = inventory.name or "without a name"
    owned = Ownership(own, {own, inventory.dataset})
    owned.add_inventory(inventory)
    return owned


def _forget_gone(
    publication: Publication,
    journals: Mapping[str, Entries],
    listed: Mapping[str, tuple[int, str]],
    *,
    save: bool,
) -> None:
    """Forget the acknowledged objects that are no longer there as they were."""
    for bucket, journal in journals.items():
        gone = [n for n, e in journal.items() if listed.get(n) != (e.size, e.etag)]
        for name in gone:
            del journal[name]
        if save:
            write_journal(publication.journal(bucket), journal)


def _buckets(items: Iterable[Item]) -> set[str]:
    return {TEXTS, *(item.bucket for item in items)}


def _find_locals(
    publication: Publication, items: Iterable[Item], look: Look
) -> dict[str, list[LocalObject]]:
    root = publication.store.output_dir
    locals_ = {}
    for item in items:
        found = locals_[item.name] = find_objects(root, item)
        look.wanted += len(found)
        look.sizes.update((each.name, each.size) for each in found)
        look.size += sum(each.size for each in found)
        if len(found) > MANY_OBJECTS:
            look.crowded[item.name] = len(found)
    require_whole(root, items, locals_)
    return locals_


def _note_strangers(
    publication: Publication, look: Look, listed: Mapping[str, tuple[int, str]]
) -> None:
    """Note the objects that are not ours, so that the next look need not ask whose they are."""
    found = [*look.foreign, *look.edited, *look.blocked, *look.occupied]
    strangers = {name: Listed(listed[name][0], "", listed[name][1]) for name in found}
    if strangers != publication.read_objects("strangers"):
        publication.write_objects("strangers", strangers)


def _to_announce(
    look: Look,
    items: Iterable[Item],
    locals_: Mapping[str, list[LocalObject]],
    listed: Mapping[str, tuple[int, str]],
    owned: Ownership,
) -> dict[str, int]:
    """Return what a run may write or delete: never an object of another."""
    names = {each.name for each in look.to_send}
    owners = {item.name: item for item in items}
    changed = {owner_of(name, owners) for name in look.stale}
    found = [*look.to_send]
    for item in items:
        some = locals_[item.name] if item.is_store else []
        if item in changed or any(each.name in names for each in some):
            found += [each for each in some if each.rank is Rank.ROOT]  # they are sent last
    sizes = {
        each.name: each.size
        for each in found
        if each.name not in listed or owned.may_replace(each.name, listed[each.name])
    }
    return sizes | {name: each.size for name, each in look.stale.items()}


def _divide(
    items: Iterable[Item],
    listed: Mapping[str, tuple[int, str]],
    owned: Ownership,
    known: Mapping[str, Listed],
) -> dict[str, dict[str, Found]]:
    """Return what is there by bucket."""
    owners = {item.name: item for item in items}
    parts: dict[str, dict[str, Found]] = {TEXTS: {}}
    for name, (size, etag) in listed.items():
        if name.startswith(STATE):
            continue
        item = owner_of(name, owners)
        bucket = item.bucket if item else bucket_of(name)
        one = known.get(name)
        sha256 = one.sha256 if one and (one.size, one.etag) == (size, etag) else ""
        is_ours, is_written = (
            ask(name, (size, etag)) for ask in (owned.may_replace, owned.may_delete)
        )
        parts.setdefault(bucket, {})[name] = Found(size, etag, is_ours, sha256, is_written)
    return parts


def _find_lacking(
    items: Iterable[Item],
    locals_: Mapping[str, list[LocalObject]],
    journals: Mapping[str, Entries],
) -> list[LocalObject]:
    """Return the objects that no journal names as their files are now."""
    lacking = []
    for item in items:
        journal = journals[item.bucket]
        for local in locals_[item.name]:
            entry = journal.get(local.name)
            if entry is None or not entry.fits(local):
                lacking.append(local)
    return lacking


def _sort_unwanted(
    look: Look,
    listed: Mapping[str, tuple[int, str]],
    owned: Ownership,
    inventory: Inventory,
) -> None:
    """Sort the objects that are there and that the dataset does not have."""
    for name, now in listed.items():
        if name.startswith(STATE) or name in look.sizes:
            continue
        if owned.may_delete(name, now):
            look.stale[name] = Listed(now[0], "", now[1])
        elif owner_of(name, look.owners) is not None:
            look.blocked.append(name)
        elif name in inventory.objects and not owned.may_replace(name, now):
            look.edited.append(name)
        else:
            look.foreign.append(name)
