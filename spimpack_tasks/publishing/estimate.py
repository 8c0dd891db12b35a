"""The objects, bytes and requests of a run before it begins.

The numbers are those of a run by one process without faults that does not take so long that its
lease is renewed (a third of `leases.TTL_S`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of, size_in_words
from spimpack_tasks.files.store_files import is_metadata_key
from spimpack_tasks.publishing.objects import LocalObject, Rank
from spimpack_tasks.publishing.reading import digest_for, is_equal
from spimpack_tasks.remote.etags import PART_BYTES
from spimpack_tasks.remote.object_store import DELETED_AT_ONCE

if TYPE_CHECKING:
    from spimpack_tasks.publishing.look import Look
    from spimpack_tasks.publishing.objects import Item


@dataclass(frozen=True, slots=True)
class Estimate:
    """The work of a run before it starts."""

    objects: int
    """Objects to send."""
    bytes: int
    adopted: int
    """Objects that are there with equal content, and only have to be noted."""
    deleted: int
    requests: Counter[str]
    """By kind: LIST, GET, PUT (all that write) and DELETE."""

    @property
    def writing(self) -> int:
        """Requests that write."""
        return self.requests["PUT"] + self.requests["DELETE"]


def estimate(items: list[Item], found: Look) -> Estimate:
    """Return what a run would do; files that may be there already are read.

    Parameters
    ----------
    items
        The outputs of the dataset.
    found
        Their difference from the location, with the listing.
    """
    requests = Counter({"LIST": found.pages, "GET": 1 + found.earlier})
    if found.is_current:
        return Estimate(0, 0, 0, 0, requests)
    adopted = {each.name for each in found.to_send if _is_there(each, found)}
    sent = [each for each in found.to_send if each.name not in adopted]
    sent += _closed(items, found, sent, requests)
    for local in sent:
        parts = -(-local.size // PART_BYTES)
        requests["PUT"] += 1 if parts <= 1 else parts + 2
    # The lease is taken and given back, and a new inventory is written twice.
    is_new = bool(sent or found.stale or not found.etag)
    requests["PUT"] += 2 + 2 * is_new + found.tries_conditions + bool(found.announced)
    requests["GET"] += bool(found.lease)
    requests["DELETE"] += bool(found.unfinished or found.announced)
    left = [name for name in found.stale if not _is_in_store(items, name)]
    if found.stale:
        requests["LIST"] += found.pages
        roots = sum(map(is_metadata_key, left))
        for some in (roots, len(left) - roots):
            requests["DELETE"] += -(-some // DELETED_AT_ONCE)
    size = sum(each.size for each in sent)
    return Estimate(len(sent), size, len(adopted), len(found.stale), +requests)


def _is_there(local: LocalObject, found: Look) -> bool:
    there = found.listed.get(local.name)
    return there is not None and is_equal(digest_for(local, there), there)


def _closed(
    items: list[Item], found: Look, sent: list[LocalObject], requests: Counter[str]
) -> list[LocalObject]:
    """Return root metadata that are sent again, after counting the requests that delete them."""
    again = []
    for item in (item for item in items if item.is_store):
        ours = [each for each in sent if item.owns(each.name)]
        stale = [name for name in found.stale if item.owns(name)]
        if not stale and (not ours or [each.rank for each in ours] == [Rank.ROOT]):
            continue
        roots = found.roots[item.name]
        requests["DELETE"] += any(each.name in found.listed for each in roots) + bool(stale)
        names = {each.name for each in ours}
        again += [each for each in roots if each.name not in names]
    return again


def _is_in_store(items: list[Item], name: str) -> bool:
    return any(item.is_store and item.owns(name) for item in items)


def lines_of(location: object, found: Look, planned: Estimate, price: float = 0.0) -> list[str]:
    """Return the lines that describe a run.

    Parameters
    ----------
    location
        Where it would publish.
    found
        The difference from the location.
    planned
        What it would do.
    price
        Of 1,000 writing requests, 0 where it is not known.
    """
    whole = f"{count_of(found.wanted, 'object')} ({size_in_words(found.size)})"
    if found.is_current:
        return [f"Nothing to do: {whole} at {location}"]
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(planned.requests.items()))
    lines = [
        f"{whole} for {location}",
        f"to send: {count_of(planned.objects, 'object')}, {size_in_words(planned.bytes)}",
    ]
    if planned.adopted:
        lines.append(f"there already: {count_of(planned.adopted, 'object')}")
    if planned.deleted:
        lines.append(f"to delete: {count_of(planned.deleted, 'object')}")
    lines.append(f"requests: {kinds}")
    if price:
        lines.append(f"price of the writing requests: {price * planned.writing / 1000:.4f}")
    return [*lines, "nothing was changed"]
