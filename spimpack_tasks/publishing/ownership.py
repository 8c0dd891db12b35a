"""Tells which objects at a location are ours.

They are named as they are by the journal, by an inventory of this dataset, or by an announcement.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.publishing.objects import owner_of
from spimpack_tasks.remote.announcements import FOLDER as ANNOUNCEMENTS
from spimpack_tasks.remote.announcements import announced, read_announcement
from spimpack_tasks.remote.inventory import (
    ALL,
    NAME,
    STATE,
    Inventory,
    InventoryError,
    LaterInventoryError,
    identity_of,
    parse_inventory,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spimpack_tasks.publishing.journal import Entries
    from spimpack_tasks.publishing.objects import Item
    from spimpack_tasks.publishing.publication import Publication
    from spimpack_tasks.remote.inventory import Listed
    from spimpack_tasks.remote.object_store import ObjectStore


Versions = dict[str, set[tuple[int, str]]]
"""Size and entity tag of each known state of objects, by their name."""


class ForeignInventoryError(SpimpackError):
    """There is an object in place of the inventory that this program has not written."""

    exit_code = ExitCode.CONFLICT


@dataclass(slots=True)
class Ownership:
    """The objects at a location that are ours."""

    dataset: str
    """Identity of the dataset, empty where it has none yet."""
    datasets: set[str]
    """Identities of which an inventory names objects of ours."""
    written: Versions = field(default_factory=dict)
    """States of objects that we have written."""
    adopted: Versions = field(default_factory=dict)
    """States of objects that another has written, with the bytes of ours."""
    unfinished: tuple[str, ...] = ()
    """Names of the announcements of runs that have not ended."""
    read: int = 0
    """Inventories and announcements that were read for it."""

    def may_replace(self, name: str, now: tuple[int, str]) -> bool:
        """Tell whether an object is known as it is."""
        return self.may_delete(name, now) or now in self.adopted.get(name, ())

    def may_delete(self, name: str, now: tuple[int, str]) -> bool:
        """Tell whether an object is known to be written by us as it is."""
        return now in self.written.get(name, ())

    def add_inventory(self, inventory: Inventory) -> None:
        """Take up the objects of an inventory of ours."""
        for name, each in inventory.objects.items():
            self._add(name, (each.size, each.etag), is_adopted=name in inventory.adopted)

    def add_records(self, journals: Iterable[Entries], to_prune: Mapping[str, Listed]) -> None:
        """Take up the objects that our own records name."""
        for name, each in to_prune.items():
            self._add(name, (each.size, each.etag), is_adopted=False)
        for journal in journals:
            for name, entry in journal.items():
                self._add(name, (entry.size, entry.etag), is_adopted=entry.is_adopted)

    def _add(self, name: str, state: tuple[int, str], *, is_adopted: bool) -> None:
        known = self.adopted if is_adopted else self.written
        known.setdefault(name, set()).add(state)

    def look_further(
        self,
        publication: Publication,
        store: ObjectStore,
        listed: Mapping[str, tuple[int, str]],
        present: bytes,
        owners: Mapping[str, Item],
    ) -> None:
        """Read earlier inventories and announcements, if there is an object that is not known."""
        announcements = announced(listed)
        mine = f"{ANNOUNCEMENTS}{publication.owner}-" if announcements else ""
        self.unfinished = tuple(name for name in announcements if name.startswith(mine))
        unknown = self._find_unknown(listed, publication.read_objects("strangers"))
        if not unknown:
            return
        for each in _earlier_inventories(store, listed, identity_of(present)):
            self.read += 1
            if each.dataset in {*self.datasets, ""}:
                self.add_inventory(each)
        self.read += len(announcements)
        for name in announcements:
            found = read_announcement(store, name)
            is_mine = name.startswith(mine) or found.dataset in self.datasets - {""}
            if not is_mine and found.dataset and self.dataset:
                continue  # of another dataset
            named = found.names(listed)
            taken = {n for n in named if is_mine or owner_of(n, owners) is not None}
            for one in taken & unknown:
                self._add(one, listed[one], is_adopted=False)
            if name not in self.unfinished and taken == named:
                self.unfinished += (name,)
            if taken:
                self.dataset = self.dataset or found.dataset

    def _find_unknown(
        self, listed: Mapping[str, tuple[int, str]], strangers: Mapping[str, Listed]
    ) -> set[str]:
        """Return objects of which the inventory and the journal do not tell whose they are.

        Those that an earlier look has found to be of another are known.
        """
        return {
            name
            for name, now in listed.items()
            if not self.may_replace(name, now)
            and not name.startswith(STATE)
            and strangers.get(name) != (now[0], "", now[1])
        }


def parse_present(text: bytes, listed: Iterable[str], place: object) -> Inventory:
    """Return the present inventory, an empty one where there is none.

    Parameters
    ----------
    text
        Content of its object; empty for none.
    listed
        Names of the objects that are there.
    place
        The location, for the message.

    Raises
    ------
    LaterInventoryError
        It is of a later version.
    ForeignInventoryError
        This program has not written it.
    """
    try:
        return parse_inventory(text) if text else Inventory({})
    except LaterInventoryError:
        raise
    except InventoryError as error:
        if f"{ALL}{identity_of(text)}.json" in listed:
            return Inventory({})  # what is there is compared byte by byte
        message = (
            f"{place}/{NAME} is damaged, or of another program; move it away, and publish again"
        )
        raise ForeignInventoryError(message) from error


def _earlier_inventories(
    store: ObjectStore, listed: Iterable[str], present: str
) -> Iterator[Inventory]:
    for name in listed:
        if name.startswith(ALL) and present not in name:
            found = store.read(name)
            with suppress(InventoryError):
                yield parse_inventory(found[0] if found else b"")
