"""The publications of a dataset that its records know; nothing is asked of a service."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.publishing.links import Link, links_of, public_address
from spimpack_tasks.remote.location import RECORDS, Location, LocationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.state.store import Store


@dataclass(frozen=True, slots=True)
class KnownPublication:
    """The last state of a dataset that was committed to one location."""

    location: Location
    address: str
    """Where anybody can read it, if it is public."""
    plan_id: str
    """Identity of the plan of the dataset that was published."""
    inventory: str
    """SHA-256 of the inventory."""
    objects: int
    bytes: int
    images: tuple[str, ...]
    """Paths of images that can be opened by their address."""

    @property
    def links(self) -> list[Link]:
        """Links to the first image."""
        return links_of(self.address, self.images[0]) if self.images else []

    def as_dict(self) -> dict[str, Any]:
        """Return the publication as a JSON-ready mapping."""
        return {
            "location": str(self.location),
            "address": self.address,
            "plan": self.plan_id,
            "inventory": self.inventory,
            "objects": self.objects,
            "bytes": self.bytes,
        }


def find_publications(store: Store) -> list[KnownPublication]:
    """Return the publications of a dataset, by location."""
    return sorted(_find(store), key=lambda each: str(each.location))


def _find(store: Store) -> Iterator[KnownPublication]:
    try:
        names = os.listdir(store.path(RECORDS))
    except FileNotFoundError:
        return
    for name in names:
        target: dict[str, Any] = read_json(store.path(RECORDS, name, "target.json"), dict, {})
        committed: dict[str, Any] = read_json(store.path(RECORDS, name, "committed.json"), dict, {})
        try:
            location = Location.parse(str(target["url"]), str(target["endpoint_url"]))
            yield KnownPublication(
                location,
                public_address(location, str(target.get("region", ""))),
                str(committed["plan_id"]),
                str(committed["inventory"]),
                int(committed["objects"]),
                int(committed["bytes"]),
                tuple(map(str, committed["images"])),
            )
        except (LocationError, LookupError, TypeError, ValueError):
            continue  # a record of a run that has committed nothing, or one that is damaged
