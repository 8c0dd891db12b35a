"""Announcements: the objects that a run will write or delete, named before the first request.

    <prefix>/.spimpack/unfinished/<owner>-<digest>.json          of a run that has not ended
    <prefix>/.spimpack/unfinished/<owner>-image-<digest>.json    of an image that is streamed

The owner is a dataset in one folder. A run that ends deletes its announcements. After a kill, the
objects that one names are known to be of that owner, though no inventory names them yet; another
copy of the dataset takes over those that belong to outputs of its own. A streamed image has the
keys below its folder that a Zarr can have, and no others.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from spimpack_tasks.files.store_files import is_zarr_key
from spimpack_tasks.remote.inventory import STATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spimpack_tasks.remote.object_store import ObjectStore

FOLDER = f"{STATE}unfinished/"


def announce(store: ObjectStore, owner: str, sizes: Mapping[str, int], dataset: str = "") -> str:
    """Write an announcement, and return its name.

    Parameters
    ----------
    store
        The objects below the location.
    owner
        Our identity.
    sizes
        Bytes of each object: as it will be written, or of one that will be deleted.
    dataset
        Identity of the dataset.
    """
    lines = ",\n".join(
        f"{json.dumps(name, ensure_ascii=False)}: {size}" for name, size in sorted(sizes.items())
    )
    head = f'{{"version": 1, "dataset": {json.dumps(dataset)}, "objects": {{'
    text = f"{head}\n{lines}\n}}}}\n".encode()
    name = f"{FOLDER}{owner}-{sha256(text).hexdigest()[:32]}.json"
    store.write(name, text)
    return name


class Claim(NamedTuple):
    """The announcement of a writer of an image."""

    name: str
    etag: str
    voxels: str
    """Identity of the voxels, and of their names."""


def claim_folder(store: ObjectStore, owner: str, folder: str, voxels: str) -> Claim:
    """Announce that one writer writes an image, from now on.

    Parameters
    ----------
    store
        The objects below the location.
    owner
        Our identity.
    folder
        Name of the image.
    voxels
        What the voxels that will be there, and their names, are known by.
    """
    values = {"version": 1, "objects": {}, "image": folder, "voxels": voxels}
    text = json.dumps(values | {"writer": uuid4().hex}, ensure_ascii=False).encode() + b"\n"
    name = f"{FOLDER}{owner}-{_mark_of(folder)}"
    return Claim(name, store.write(name, text), voxels)


def find_claims(store: ObjectStore, folder: str) -> list[Claim]:
    """Return the announcements of all writers of an image."""
    mark, claims = _mark_of(folder), []
    for name in [each.name for each in store.list(FOLDER.rstrip("/"))]:
        found = store.read(name) if name.endswith(mark) else None
        if found is not None:
            claims.append(Claim(name, found[1], str(_parse(found[0]).get("voxels", "unknown"))))
    return claims


def _mark_of(folder: str) -> str:
    return f"image-{sha256(folder.encode()).hexdigest()[:32]}.json"


def _parse(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def announced(listed: Iterable[str]) -> list[str]:
    """Return the names of the announcements in a listing."""
    return [name for name in listed if name.startswith(FOLDER)]


class Announcement(NamedTuple):
    """The objects that a run may write or delete."""

    dataset: str
    """Identity of the dataset; empty in early announcements."""
    sizes: Mapping[str, int]
    image: str
    """Folder of an image that is streamed, with a slash at its end; empty for none."""

    def names(self, listed: Mapping[str, tuple[int, str]]) -> set[str]:
        """Return the objects that are there, given size and entity tag of all, and as announced."""
        known = {
            name for name, size in self.sizes.items() if name in listed and listed[name][0] == size
        }
        if self.image:
            cut = len(self.image)
            known |= {n for n in listed if n.startswith(self.image) and is_zarr_key(n[cut:])}
        return known

    @property
    def is_valid(self) -> bool:
        """Whether it names anything; one that is damaged does not."""
        return bool(self.sizes or self.image)


def read_announcement(store: ObjectStore, name: str) -> Announcement:
    """Return an announcement by its name; one that is damaged names nothing."""
    found = store.read(name)
    values = _parse(found[0]) if found else {}
    sizes, image, dataset = values.get("objects"), values.get("image"), values.get("dataset")
    return Announcement(
        dataset if isinstance(dataset, str) else "",
        sizes if isinstance(sizes, dict) else {},
        f"{image}/" if isinstance(image, str) and image else "",
    )
