"""The inventory: what a published dataset consists of. Writing it is what publishes the dataset.

    <prefix>/.spimpack/inventory.json               the current one
    <prefix>/.spimpack/inventories/<sha256>.json    each one, under the SHA-256 of its bytes

It names each object with size, SHA-256 and entity tag, in the order of their names. It holds no
time, no host and no path of a machine, so equal copies of a dataset have equal inventories. The
identity of the dataset tells it from others; early inventories have none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.remote.etags import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.remote.object_store import ObjectStore

STATE = ".spimpack/"
NAME = f"{STATE}inventory.json"
ALL = f"{STATE}inventories/"
VERSION = 1
"""Raise it when a reader of this version would misunderstand an inventory."""


class Listed(NamedTuple):
    """One object of an inventory."""

    size: int
    sha256: str
    etag: str


class InventoryError(SpimpackError):
    """There is no inventory, or none that this version understands."""

    exit_code = ExitCode.FAILED


class LaterInventoryError(InventoryError):
    """A later version of this program has written the inventory."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The objects of a published dataset by name."""

    objects: Mapping[str, Listed]
    dataset: str = ""
    """Identity of the dataset; empty in early inventories."""
    name: str = ""
    """Name of the dataset, for messages."""
    adopted: frozenset[str] = frozenset()
    """Objects that were there with the bytes that ours have; they are never deleted."""

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(listed.size for listed in self.objects.values())

    def dump(self) -> bytes:
        """Return the text, one object a line."""
        lines = ",\n".join(
            f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(listed)}"
            for name, listed in sorted(self.objects.items())
        )
        head: dict[str, Any] = {"version": VERSION, "part_size": PART_BYTES}
        if self.dataset:
            head |= {"dataset": self.dataset, "name": self.name}
        if self.adopted:
            head["adopted"] = sorted(self.adopted)
        start = json.dumps(head, ensure_ascii=False)[:-1]
        return f'{start}, "objects": {{\n{lines}\n}}}}\n'.encode()


def identity_of(text: bytes) -> str:
    """Return the identity of an inventory: the SHA-256 of its bytes."""
    return sha256(text).hexdigest()


def parse_inventory(text: bytes) -> Inventory:
    """Return the inventory of a text.

    Raises
    ------
    LaterInventoryError
        It is of a later version.
    InventoryError
        It is damaged.
    """
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            message = f"the inventory has version {data['version']}; use a later spimpack_tasks"
            raise LaterInventoryError(message)
        return Inventory(
            {str(name): Listed(*values) for name, values in data["objects"].items()},
            str(data.get("dataset", "")),
            str(data.get("name", "")),
            frozenset(map(str, data.get("adopted", ()))),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        message = "the inventory is damaged; move it away, and publish the dataset again"
        raise InventoryError(message) from error


def fetch_inventory(store: ObjectStore) -> tuple[bytes, str] | None:
    """Return text and entity tag of the current inventory, `None` where there is none."""
    return store.read(NAME)
