"""The identity of a dataset, which tells it from another one that was published at the same place.

It is made when a dataset is first published, and stands in each inventory. Copies of the dataset
have the same one. Where it is lost, it is taken from the inventory of a dataset that is alike.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from spimpack_tasks.errors import ExitCode, SpimpackError, count_of, printable
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.publishing.objects import DESCRIPTION
from spimpack_tasks.remote.identity import IDENTITY_FILE, identity_in
from spimpack_tasks.remote.inventory import identity_of
from spimpack_tasks.remote.location import RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from spimpack_tasks.publishing.publication import Publication
    from spimpack_tasks.remote.inventory import Inventory
    from spimpack_tasks.state.store import Store


class AnotherDatasetError(SpimpackError):
    """Another dataset is published at the location."""

    exit_code = ExitCode.CONFLICT


def read_identity(store: Store) -> str:
    """Return the identity of a dataset, empty where it has none yet."""
    return identity_in(store.root)


def keep_identity(store: Store, identity: str = "") -> str:
    """Give a dataset an identity where it has none, a new one by default; return what it has.

    Of several processes, one gives it.
    """
    known = read_identity(store)
    if known:
        return known
    path = store.path(IDENTITY_FILE)
    if os.path.exists(path):  # damaged
        os.unlink(path)
    os.makedirs(store.path(RECORDS), exist_ok=True)
    aside = f"{path}-{uuid4().hex}"
    with replacing(aside, Durability.WHOLE) as part:
        part.file.write(json.dumps({"dataset": identity or uuid4().hex}).encode() + b"\n")
    with suppress(FileExistsError):
        os.link(aside, path)
    os.unlink(aside)
    return read_identity(store)


def read_name(store: Store) -> str:
    """Return the `Name` of the dataset (BIDS, "dataset_description.json"), empty for none."""
    return read_json(f"{store.output_dir}/{DESCRIPTION}", _name_of, "")


def _name_of(data: Any) -> str:
    name = data["Name"]
    return name if isinstance(name, str) else ""


def find_identity(
    publication: Publication,
    text: bytes,
    inventory: Inventory,
    sizes: Mapping[str, int],
    read: Callable[[str], bytes],
) -> str:
    """Return the identity under which a dataset is published, empty where it is still to be made.

    Parameters
    ----------
    publication
        The local records.
    text, inventory
        What is published there now.
    sizes
        Bytes of each object of the dataset.
    read
        Returns the content of an object that is there.

    Raises
    ------
    AnotherDatasetError
        Another dataset is published there.
    """
    own = read_identity(publication.store)
    if not text or (own and own == inventory.dataset):
        return own
    if not (own and inventory.dataset):
        is_our_last = publication.read("committed").get("inventory") == identity_of(text)
        if is_our_last or _is_alike(publication.store, inventory, sizes, read):
            return own or inventory.dataset
    raise AnotherDatasetError(_describe(publication, inventory, read))


def _is_alike(
    store: Store,
    inventory: Inventory,
    sizes: Mapping[str, int],
    read: Callable[[str], bytes],
) -> bool:
    """Tell whether two datasets have one name, or half of the published objects path and size."""
    same = sum(sizes.get(name) == listed.size for name, listed in inventory.objects.items())
    if 2 * same >= len(inventory.objects):
        return True
    name = read_name(store)
    return bool(name) and name == _name_there(inventory, read)


def _name_there(inventory: Inventory, read: Callable[[str], bytes]) -> str:
    if inventory.dataset or DESCRIPTION not in inventory.objects:
        return inventory.name
    # An inventory of an early version has no name.
    with suppress(ValueError, TypeError, LookupError, RecursionError):
        return _name_of(json.loads(read(DESCRIPTION)))
    return ""


def _describe(publication: Publication, inventory: Inventory, read: Callable[[str], bytes]) -> str:
    name = _name_there(inventory, read)
    called = f" {printable(name)!r}" if name else ""
    return (
        f"{publication.location} holds another dataset{called} with "
        f"{count_of(len(inventory.objects), 'object')}; publish to another prefix, or replace it "
        "with --replace-dataset"
    )
