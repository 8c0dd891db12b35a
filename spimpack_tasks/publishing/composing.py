"""Composes the inventory of the objects that are acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.remote.inventory import Inventory, Listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.publishing.journal import Entries
    from spimpack_tasks.publishing.objects import Item, LocalObject


def compose_inventory(
    items: Iterable[Item],
    locals_: Mapping[str, list[LocalObject]],
    journals: Mapping[str, Entries],
    dataset: str = "",
    name: str = "",
) -> Inventory:
    """Return the inventory of the objects that are acknowledged.

    Parameters
    ----------
    items
        The outputs of the dataset.
    locals_
        Their objects, by output.
    journals
        The acknowledged objects, by bucket.
    dataset, name
        Identity and name of the dataset.
    """
    objects, adopted = {}, set()
    for item in items:
        journal = journals[item.bucket]
        for local in locals_[item.name]:
            entry = journal.get(local.name)
            if entry is not None and entry.fits(local):
                objects[local.name] = Listed(entry.size, entry.sha256, entry.etag)
                if entry.is_adopted:
                    adopted.add(local.name)
    return Inventory(objects, dataset, name, frozenset(adopted))
