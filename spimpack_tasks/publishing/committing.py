"""Makes an inventory the current one, and deletes objects that it no longer names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import OutputError, SupersededError, count_of
from spimpack_tasks.files.store_files import is_metadata_key
from spimpack_tasks.publishing.composing import compose_inventory
from spimpack_tasks.publishing.dataset_identity import read_identity, read_name
from spimpack_tasks.publishing.journal import read_journal
from spimpack_tasks.publishing.objects import TEXTS, Item, find_objects
from spimpack_tasks.publishing.wholeness import require_whole
from spimpack_tasks.remote.errors import ChangedError
from spimpack_tasks.remote.inventory import ALL, NAME, fetch_inventory, identity_of

if TYPE_CHECKING:
    from spimpack_tasks.publishing.publication import Publication
    from spimpack_tasks.remote.inventory import Inventory
    from spimpack_tasks.remote.object_store import ObjectStore


def inventory_of(publication: Publication, items: list[Item]) -> Inventory:
    """Return the inventory of the dataset.

    Raises
    ------
    OutputError
        An object has not been acknowledged, or its file has changed since.
    UnpackagedError
        Files of an image have vanished since.
    """
    root = publication.store.output_dir
    locals_ = {item.name: find_objects(root, item) for item in items}
    require_whole(root, items, locals_)
    buckets = {TEXTS, *(item.bucket for item in items)}
    journals = {bucket: read_journal(publication.journal(bucket)) for bucket in buckets}
    store = publication.store
    inventory = compose_inventory(items, locals_, journals, read_identity(store), read_name(store))
    lacking = [
        local.name
        for found in locals_.values()
        for local in found
        if local.name not in inventory.objects
    ]
    if lacking:
        number = count_of(len(lacking), "object")
        message = (
            f"{number} changed or not sent, such as {lacking[0]}; nothing was committed, run it "
            "again"
        )
        raise OutputError(message)
    return inventory


def commit(publication: Publication, store: ObjectStore, inventory: Inventory, etag: str) -> str:
    """Make an inventory the current one, and return its identity.

    Parameters
    ----------
    publication
        The local records.
    store
        The objects below the location.
    inventory
        Of the dataset.
    etag
        Entity tag of the inventory that was there when the run began; empty for none.

    Raises
    ------
    SupersededError
        Another publisher has put its own there.
    """
    text = inventory.dump()
    identity = identity_of(text)
    store.write(f"{ALL}{identity}.json", text)
    try:
        if etag:
            store.replace(NAME, text, etag)
        else:
            store.create(NAME, text)
    except ChangedError:
        there = fetch_inventory(store)
        if there is None or there[0] != text:  # our own request may have got through before
            message = f"superseded: another publisher has published to {publication.location}"
            raise SupersededError(message) from None
    return identity


def prune(publication: Publication, store: ObjectStore) -> int:
    """Delete objects that the current inventory no longer names, and return their number.

    Only objects of ours are deleted, and only if they are as we have written them. Metadata of
    OME-Zarr go first, so that no image can be opened that lacks chunks.
    """
    objects = publication.read_objects("to-prune")
    if not objects:
        return 0
    now = {each.name: (each.size, "", each.etag) for each in store.list()}
    ours = [n for n, each in objects.items() if now.get(n) == each._replace(sha256="")]
    first = [name for name in ours if is_metadata_key(name)]
    store.delete(first)
    store.delete(sorted({*ours} - {*first}))
    publication.write_objects("to-prune", {})
    return len(ours)
