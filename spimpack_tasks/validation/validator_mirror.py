"""Mirrors a dataset without chunks for the official validator, which walks every chunk it sees.

The mirror is a temporary folder outside the dataset. Its files are links to those of the dataset,
and every OME-Zarr is a link to one stub with one small file, since the validator only checks
whether the store is empty. Broken links stay broken.

Our block of `.bidsignore` hides images whose format BIDS does not list. In a mirror, such an image
can have a stub beside it with a listed extension, and its sidecar is shown. So the validator
applies its rules to that sidecar too.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from spimpack_tasks.files.blocks import find_block, replace_block
from spimpack_tasks.validation.inventory import BIDSIGNORE, EntryKind, stem_of_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.validation.inventory import Entry

_ANNEX = ".git/annex/objects/"


@dataclass(frozen=True, slots=True)
class HiddenImage:
    """An image that BIDS cannot hold, which our block of `.bidsignore` hides with its sidecar."""

    image: str
    sidecar: str
    stub: str
    """The path at which the image would be valid."""


def find_hidden(root: str, entries: Iterable[Entry]) -> tuple[HiddenImage, ...]:
    """Return the images that our block of `.bidsignore` hides and that are there."""
    there = {entry.path for entry in entries}
    hidden = {line.removeprefix("/") for line in find_block(_read_bidsignore(root)).splitlines()}
    found: dict[str, HiddenImage] = {}
    for image in sorted(hidden & there):
        stem = stem_of_image(image)
        sidecar, stub = f"{stem}.json", f"{stem}.ome.zarr"
        if stem and sidecar in hidden & there and stub not in there:
            found.setdefault(stub, HiddenImage(image, sidecar, stub))
    return tuple(found.values())


def _read_bidsignore(root: str) -> str:
    try:
        with open(os.path.join(root, BIDSIGNORE), "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, IsADirectoryError):
        return ""


@contextmanager
def mirror_dataset(
    root: str, entries: Iterable[Entry], hidden: tuple[HiddenImage, ...] = ()
) -> Iterator[str]:
    """Make the mirror of a dataset, yield its path, and remove it in any case.

    Parameters
    ----------
    root
        Absolute path of the dataset.
    entries
        Its entries, sorted by path.
    hidden
        The images that get a stub, and whose sidecars are shown.
    """
    with TemporaryDirectory(prefix="spimpack-") as temporary:
        # A relative link must start from the real path of the folder.
        folder = os.path.realpath(temporary)
        mirror = _Mirror(root, folder)
        for entry in entries:
            mirror.add(entry)
        if hidden:
            mirror.show(hidden)
        yield mirror.folder


class _Mirror:
    """A shadow in the making."""

    def __init__(self, root: str, scratch_folder: str) -> None:
        self.root = root
        self.folder = os.path.join(scratch_folder, "dataset")
        self.store = os.path.join(scratch_folder, "store")
        self.empty_store = os.path.join(scratch_folder, "empty")
        for path in (self.folder, self.store, self.empty_store):
            os.mkdir(path)
        with open(os.path.join(self.store, "zarr.json"), "wb") as file:
            file.write(b"{}")

    def add(self, entry: Entry) -> None:
        """Add the link or stub of an entry, whose parent folder exists already."""
        source, place = os.path.join(self.root, entry.path), os.path.join(self.folder, entry.path)
        if entry.kind in {EntryKind.FOLDER, EntryKind.CLOSED}:
            os.mkdir(place)
        elif entry.kind is EntryKind.STORE:
            os.symlink(self.store if _holds_data(source) else self.empty_store, place)
        elif entry.kind is EntryKind.CYCLE:
            os.symlink(entry.name, place)
        elif _ANNEX in entry.link:
            # The validator knows the key of git-annex, and its repository, by the text of the link.
            target = os.path.join(os.path.dirname(source), entry.link)
            os.symlink(os.path.relpath(target, os.path.dirname(place)), place)
        elif entry.kind is EntryKind.BROKEN:
            os.symlink(entry.link, place)
        else:
            os.symlink(source, place)

    def show(self, hidden: tuple[HiddenImage, ...]) -> None:
        """Add the stubs of hidden images, and hide their sidecars no longer."""
        for image in hidden:
            os.symlink(self.store, os.path.join(self.folder, image.stub))
        shown = {f"/{image.sidecar}" for image in hidden}
        text = _read_bidsignore(self.root)
        lines = find_block(text).splitlines(keepends=True)
        block = "".join(line for line in lines if line.strip() not in shown)
        place = os.path.join(self.folder, BIDSIGNORE)
        os.unlink(place)
        with open(place, "wb") as file:
            file.write(replace_block(text, block).encode("utf-8", "surrogateescape"))


def _holds_data(store: str) -> bool:
    """Tell whether the validator would see a file that is not empty."""
    pending = [store]
    while pending:
        with os.scandir(pending.pop()) as items:
            for item in items:
                if item.name.startswith("."):
                    continue
                if os.path.isdir(item.path):
                    pending.append(item.path)
                elif os.path.isfile(item.path) and item.stat().st_size:
                    return True
    return False
