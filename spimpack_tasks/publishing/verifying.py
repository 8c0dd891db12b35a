"""Compares what is published with its inventory, from any machine, without records of ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from spimpack_tasks.errors import printable
from spimpack_tasks.publishing.links import images_in
from spimpack_tasks.remote.announcements import FOLDER, announced, read_announcement
from spimpack_tasks.remote.credentials import anonymous, find_credentials
from spimpack_tasks.remote.inventory import (
    STATE,
    InventoryError,
    fetch_inventory,
    parse_inventory,
)
from spimpack_tasks.remote.isolated import run_isolated
from spimpack_tasks.remote.object_store import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.remote.inventory import Inventory, Listed
    from spimpack_tasks.remote.location import Location
    from spimpack_tasks.remote.object_store import RemoteObject

_THREADS = 8
"""Objects that are read at a time, of which each thread holds a few pieces of 1 MiB."""


class Fault(StrEnum):
    """Kind of deviation of a published object."""

    MISSING = "missing"
    TRUNCATED = "another size"
    ALTERED = "altered"
    EXTRA = "extra"
    CHECKSUM = "checksum differs"


REMEDIES = {
    Fault.MISSING: "spimpack publish sends it again",
    Fault.TRUNCATED: "spimpack publish sends it again, if it is one of ours; else move it away",
    Fault.ALTERED: "it was written by another since; move it away, then spimpack publish",
    Fault.EXTRA: "it is not of the dataset; spimpack never removes what it did not write",
    Fault.CHECKSUM: "the inventory or the object was changed; spimpack publish again",
}
"""The remedy for each deviation."""
INTERRUPTED = "a publication was interrupted; run spimpack publish again"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One object that is not as the inventory has it."""

    name: str
    fault: Fault
    detail: str = ""

    def __str__(self) -> str:
        """Render as one line."""
        detail = f" ({self.detail})" if self.detail else ""
        return printable(f"{self.fault}: {self.name}{detail}")

    def as_dict(self) -> dict[str, str]:
        """Return the deviation as a JSON-ready mapping."""
        return {"path": self.name, "fault": str(self.fault), "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification."""

    objects: int
    bytes: int
    deviations: list[Deviation]
    images: list[str]
    """Images that can be opened by their address."""
    sample: str
    """An object that is there and not empty, the description if possible."""
    is_interrupted: bool = False
    """Whether a run has announced a publication, and has not ended."""


def verify_published(
    location: Location,
    *,
    full: bool,
    is_anonymous: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Verification:
    """Compare what is at a location with its inventory.

    Parameters
    ----------
    location
        Of the dataset.
    full
        Whether each object is read and its SHA-256 compared; a listing is compared if not.
    is_anonymous
        Whether it is read as anybody can, without credentials.
    advance
        Receives bytes that were read.

    Raises
    ------
    InventoryError
        Nothing is published there.
    RemoteError
        The service refuses it or cannot be reached.
    """
    credentials = anonymous(location) if is_anonymous else find_credentials(location)
    return run_isolated(
        lambda tell: _verify(ObjectStore(location, credentials), full=full, advance=tell), advance
    )


def list_images(location: Location, *, is_anonymous: bool = False) -> list[str]:
    """Return the images of a published dataset that can be opened by their address.

    Raises
    ------
    InventoryError
        Nothing is published there.
    RemoteError
        The service refuses it or cannot be reached.
    """
    credentials = anonymous(location) if is_anonymous else find_credentials(location)
    return run_isolated(
        lambda _: images_in(_require_inventory(ObjectStore(location, credentials)).objects)
    )


def _verify(store: ObjectStore, *, full: bool, advance: Callable[[int], None]) -> Verification:
    inventory = _require_inventory(store)
    listed = list(store.list())
    deviations = list(_compare(listed, inventory))
    is_interrupted = bool(deviations) and _is_interrupted(
        store, (each.name for each in listed), {inventory.dataset, ""}
    )
    if full:
        wrong = {each.name for each in deviations}
        objects = {n: each for n, each in inventory.objects.items() if n not in wrong}
        deviations += _compare_content(store, objects, advance)
    deviations.sort(key=lambda each: each.name)
    wrong = {each.name for each in deviations}
    there = [n for n, one in inventory.objects.items() if one.size and n not in wrong]
    sample = next(filter(lambda name: name == "dataset_description.json", there), "")
    images = [image for image in images_in(inventory.objects) if image not in wrong]
    return Verification(
        len(inventory.objects),
        inventory.size,
        deviations,
        images,
        sample or next(iter(there), "dataset_description.json"),
        is_interrupted,
    )


def _is_interrupted(store: ObjectStore, listed: Iterable[str], datasets: set[str]) -> bool:
    """Tell whether there is a valid announcement of one of some datasets."""
    found = (read_announcement(store, name) for name in announced(listed))
    return any(each.is_valid and each.dataset in datasets for each in found)


def _require_inventory(store: ObjectStore) -> Inventory:
    found = fetch_inventory(store)
    if found is None:
        if announced(each.name for each in store.list(FOLDER.rstrip("/"))):
            message = f"{store.location}: {INTERRUPTED}"
            raise InventoryError(message)
        message = (
            f"{store.location} holds no inventory, so no dataset is published there; look at the "
            "address, or publish with spimpack publish"
        )
        raise InventoryError(message)
    return parse_inventory(found[0])


def _compare(listed: Iterable[RemoteObject], inventory: Inventory) -> Iterator[Deviation]:
    missing = set(inventory.objects)
    for there in listed:
        if there.name.startswith(STATE):
            continue
        recorded = inventory.objects.get(there.name)
        missing.discard(there.name)
        if recorded is None:
            yield Deviation(there.name, Fault.EXTRA)
        elif recorded.size != there.size:
            detail = f"{recorded.size:,} bytes recorded, is {there.size:,}"
            yield Deviation(there.name, Fault.TRUNCATED, detail)
        elif recorded.etag != there.etag:
            yield Deviation(there.name, Fault.ALTERED, "its entity tag is another")
    for name in missing:
        yield Deviation(name, Fault.MISSING)


def _compare_content(
    store: ObjectStore, objects: dict[str, Listed], advance: Callable[[int], None]
) -> Iterator[Deviation]:
    def read(name: str) -> Deviation | None:
        found = store.read_pieces(name)
        if found is None:
            return Deviation(name, Fault.MISSING)
        digest = sha256()
        for piece in found[1]:
            digest.update(bytes(piece))
            advance(len(piece))
        if digest.hexdigest() == objects[name].sha256:
            return None
        detail = f"recorded {objects[name].sha256}, is {digest.hexdigest()}"
        return Deviation(name, Fault.CHECKSUM, detail)

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from filter(None, pool.map(read, objects))
