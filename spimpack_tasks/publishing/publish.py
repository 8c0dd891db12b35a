"""The steps of a publication, as functions that run in a process of their own (`isolated`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import OutputError, count_of
from spimpack_tasks.publishing.committing import commit, inventory_of, prune
from spimpack_tasks.publishing.counts import Counts
from spimpack_tasks.publishing.dataset_identity import keep_identity
from spimpack_tasks.publishing.failures import OccupiedObjectError, occupied_by
from spimpack_tasks.publishing.look import Look, look_at
from spimpack_tasks.publishing.objects import (
    Item,
    UnpackagedError,
    items_of_unit,
)
from spimpack_tasks.publishing.sending import Sender
from spimpack_tasks.publishing.target import Target, identify
from spimpack_tasks.remote.announcements import announce
from spimpack_tasks.remote.errors import RemoteError
from spimpack_tasks.remote.inventory import identity_of
from spimpack_tasks.remote.isolated import run_isolated
from spimpack_tasks.remote.object_store import ObjectStore
from spimpack_tasks.remote.rate import Bunched, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.publishing.publication import Publication


def make_run_id(publication_id: str) -> str:
    """Return an identity for a run that begins now."""
    return f"{publication_id[:16]}-{time.time_ns():x}"


ENDS = ("committed", "pruned", "published")
"""Records of the steps behind the sending, in their order."""


def look(target: Target, *, run_id: str = "") -> Look:
    """Compare a dataset with its location, without a change there.

    Parameters
    ----------
    target
        The dataset and the location.
    run_id
        Identity of the run that is to build on it; where it is empty, no record is written.

    Raises
    ------
    SpimpackError
        The dataset is not as it was packaged, or the location is refused.
    """
    publication, items = target.publication(), target.sound_items()
    if not run_id:
        return run_isolated(
            lambda _: _look(
                target, publication, items, ObjectStore(publication.location), save=False
            )
        )
    with publication.opening(identify(target)):
        found = run_isolated(
            lambda _: _look(target, publication, items, ObjectStore(publication.location))
        )
        publication.write("looked", _describe(found, run_id))
    return found


def _look(
    target: Target,
    publication: Publication,
    items: list[Item],
    store: ObjectStore,
    *,
    save: bool = True,
) -> Look:
    """Look at the location, and refuse a run that would delete what the user may have forgotten."""
    found = look_at(publication, items, store, save=save, replaces=target.replace_dataset)
    target.require_choice(found.stale)
    return found


def _describe(found: Look, run_id: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "etag": found.etag,
        "inventory": identity_of(found.inventory) if found.etag else "",
        "is_current": found.is_current,
        "blocked": found.blocked[:1],
        "occupied": found.occupied[:1],
        "lease": found.lease,
        "unfinished": list(found.unfinished),
        "announced": found.announced,
        "objects": found.wanted,
        "bytes": found.size,
        "to_send": len(found.to_send),
    }


def open_publication(target: Target, publication_id: str, run_id: str) -> dict[str, Any]:
    """Look at the location, and take the lease if there is something to do; return the record.

    Raises
    ------
    OccupiedObjectError
        Objects that are not ours are in the way.
    LeaseHeldError
        Another publisher is at work.
    SpimpackError
        As of `look`.
    """
    publication, items = target.publication(), target.sound_items()
    with publication.opening(publication_id):
        publication.begin_progress()
        record = run_isolated(lambda _: _open(publication, items, run_id, target))
        target.keep_included()
        for name in ("opened", *(ENDS if record["is_current"] else ())):
            publication.write(name, record | _describe_dataset(publication, items))
    return record


def _describe_dataset(publication: Publication, items: list[Item]) -> dict[str, Any]:
    """Return which state of the dataset it is, and the images that can be opened."""
    images = [item.name for item in items if item.is_store and item.name.endswith(".ome.zarr")]
    return {"plan_id": publication.store.current_plan_id(), "images": images}


def _open(
    publication: Publication, items: list[Item], run_id: str, target: Target
) -> dict[str, Any]:
    store = ObjectStore(publication.location)
    record = publication.read("looked")
    if record.get("run_id") != run_id:
        record = _describe(_look(target, publication, items, store), run_id)
    if _is_current(publication, record):
        return record
    lease = publication.lease(store)
    if not lease.take(str(record["lease"])):
        # Another run has had the lease since the look, so what was seen may be otherwise by now.
        with lease.kept():
            record = _describe(_look(target, publication, items, store), run_id)
        if _is_current(publication, record):
            lease.give_back()
            return record
    dataset = keep_identity(publication.store)
    announced = record.pop("announced")
    if announced:
        record["unfinished"] = [
            *record["unfinished"],
            announce(store, publication.owner, announced, dataset),
        ]
    record["is_exclusive"] = lease.is_exclusive
    record["proves_by_etag"] = lease.proves_by_etag
    return record


def _is_current(publication: Publication, record: dict[str, Any]) -> bool:
    """Tell whether nothing is to be done.

    Raises
    ------
    OccupiedObjectError
        Objects that are not ours are in the way.
    """
    if record["blocked"]:
        message = (
            f"{publication.location}/{record['blocked'][0]} is inside of an image and not of "
            "ours; move it away, or publish to another place"
        )
        raise OccupiedObjectError(message)
    if record["occupied"]:
        raise occupied_by([f"{publication.location}/{record['occupied'][0]}"])
    return bool(record["is_current"])


def send_unit(
    target: Target,
    publication_id: str,
    unit: str,
    on_message: Callable[[tuple[str, int]], None],
) -> None:
    """Send the objects of a unit.

    Parameters
    ----------
    target
        The dataset and the location.
    publication_id
        Identity of the publication.
    unit
        One of `objects.units_of`, or `objects.TEXTS`.
    on_message
        Receives the name of an output with its bytes when it begins, and an empty name with the
        bytes that have arrived since.

    Raises
    ------
    SendingError
        Some could not be sent.
    """
    publication = target.publication()
    items = items_of_unit(target.items(), unit)
    with publication.sending(publication_id, unit):
        counts = run_isolated(
            lambda tell: _send(target, publication, publication_id, items, tell), on_message
        )
        publication.add_counts(counts)


def _send(
    target: Target,
    publication: Publication,
    publication_id: str,
    items: list[Item],
    tell: Callable[[tuple[str, int]], None],
) -> Counts:
    proves_by_etag = bool(publication.read("opened").get("proves_by_etag"))
    store = ObjectStore(publication.location, proves_by_etag=proves_by_etag)
    lease = publication.lease(store)
    lease.recall()
    told = Bunched(lambda count: tell(("", count)))
    with lease.kept():
        counts = Sender(
            publication,
            publication_id,
            store,
            lease,
            RateLimit(target.limit_rate),
            lambda name, size: tell((name, size)),
            told.add,
        ).send(items)
    told.flush()
    return counts


def commit_inventory(target: Target, publication_id: str, run_id: str) -> None:
    """Make the inventory of the present dataset the current one.

    Raises
    ------
    SupersededError
        Another publisher has put its own there.
    OutputError
        An object was not sent, or its file has changed since.
    """
    publication = target.publication()
    try:
        items = target.sound_items()
    except UnpackagedError as error:
        message = f"changed while it was published, so nothing was committed: {error}"
        raise OutputError(message) from error
    with publication.sending(publication_id, "inventory"):
        run_isolated(lambda _: _commit(publication, items, run_id))


def _commit(publication: Publication, items: list[Item], run_id: str) -> None:
    store = ObjectStore(publication.location)
    publication.lease(store).keep()
    inventory = inventory_of(publication, items)
    opened = publication.read("opened")
    identity = identity_of(inventory.dump())
    if identity != opened.get("inventory"):
        commit(publication, store, inventory, str(opened.get("etag", "")))
    record = {
        "run_id": run_id,
        "inventory": identity,
        "objects": len(inventory.objects),
        "bytes": inventory.size,
    }
    publication.write("committed", record | _describe_dataset(publication, items))


def _end(publication: Publication) -> None:
    store = ObjectStore(publication.location)
    lease = publication.lease(store)
    lease.keep()
    store.delete(map(str, publication.read("opened").get("unfinished", ())))
    lease.give_back()


def prune_remote(target: Target, publication_id: str, run_id: str) -> int:
    """Delete objects of ours that the inventory no longer names; return their number."""
    publication = target.publication()
    with publication.sending(publication_id, "prune"):
        try:
            count = run_isolated(lambda _: _prune(publication))
        except RemoteError as error:
            number = count_of(len(publication.read_objects("to-prune")), "object")
            message = f"published to {publication.location}; {number} could not be deleted: {error}"
            raise OutputError(message) from error
        publication.add_counts(Counts(deleted=count))
        publication.write("pruned", {"run_id": run_id, "objects": count})
    return count


def _prune(publication: Publication) -> int:
    store = ObjectStore(publication.location)
    lease = publication.lease(store)
    lease.keep()
    with lease.kept():
        return prune(publication, store)


def give_back_lease(target: Target, run_id: str) -> None:
    """Let the next publisher have the lease of a run that has failed; it has no other process."""
    publication = target.publication()
    if publication.read("opened").get("run_id") == run_id:
        run_isolated(lambda _: publication.lease(ObjectStore(publication.location)).give_back())


def end_publication(target: Target, publication_id: str, run_id: str) -> str:
    """Delete the announcements, give the lease back, and return the line that a user reads."""
    publication = target.publication()
    with publication.sending(publication_id, "end"):
        try:
            run_isolated(lambda _: _end(publication))
        except RemoteError as error:
            message = f"published to {publication.location}; its announcement is left: {error}"
            raise OutputError(message) from error
        counts = publication.read_counts()
        publication.write("published", {"run_id": run_id})
    committed = publication.read("committed")
    number = count_of(int(committed.get("objects", 0)), "object")
    return f"published {number} to {publication.location}: {counts.in_words()}"
