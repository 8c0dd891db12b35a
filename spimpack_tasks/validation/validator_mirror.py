"""Mirrors a dataset without chunks for the official validator, which walks every chunk it sees.

The mirror is a temporary folder outside the dataset. Its files are links to those of the dataset,
and every OME-Zarr is a link to one stub with one small file, since the validator only checks
whether the store is empty. Broken links stay broken.

The validator's runtime refuses to read below `/dev`, `/proc` and `/sys`. So the mirror is made
elsewhere, and of a dataset there (`/dev/shm` is a disk in memory) it holds copies of the texts.

Our block of `.bidsignore` hides images whose format BIDS does not list. In a mirror, such an image
can have a stub beside it with a listed extension, and its sidecar is shown. So the validator
applies its rules to that sidecar too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.files.blocks import find_block, replace_block
from spimpack_tasks.validation.bids_validator import ValidatorFailedError
from spimpack_tasks.validation.inventory import BIDSIGNORE, EntryKind, stem_of_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.validation.inventory import Entry

_CLOSED = ("/dev/", "/proc/", "/sys/")
_OTHER_FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108 - a folder of its own is made inside

ANNEX = ".git/annex/objects/"
"""Part of the text of a link into an annex."""


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
    hidden = {line.removeprefix("/") for line in find_block(read_bidsignore(root)).splitlines()}
    hidden &= there
    found: dict[str, HiddenImage] = {}
    for image in sorted(hidden):
        stem = stem_of_image(image)
        sidecar, stub = f"{stem}.json", f"{stem}.ome.zarr"
        if stem and sidecar in hidden and stub not in there:
            found.setdefault(stub, HiddenImage(image, sidecar, stub))
    return tuple(found.values())


def read_bidsignore(root: str) -> str:
    """Return the text of `.bidsignore`, empty where there is none."""
    try:
        with open(os.path.join(root, BIDSIGNORE), "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, IsADirectoryError):
        return ""


@contextmanager
def mirror_dataset(
    root: str,
    entries: Iterable[Entry],
    hidden: tuple[HiddenImage, ...] = (),
    ignored: tuple[str, ...] = (),
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
    ignored
        Further lines of `.bidsignore`.

    Raises
    ------
    ValidatorFailedError
        There is no place for it that the validator can read.
    """
    with tempfile.TemporaryDirectory(prefix="spimpack-", dir=_readable_folder()) as temporary:
        # A relative link must start from the real path of the folder.
        folder = os.path.realpath(temporary)
        mirror = _Mirror(root, folder)
        for entry in entries:
            mirror.add(entry)
        mirror.show(hidden)
        if hidden or ignored:
            mirror.write_bidsignore(hidden, ignored)
        yield mirror.folder


def is_closed(path: str) -> bool:
    """Tell whether the validator's runtime refuses to read a path."""
    return f"{os.path.realpath(path)}/".startswith(_CLOSED)


def _readable_folder() -> str:
    """Return a folder for temporary files that the validator can read.

    Raises
    ------
    ValidatorFailedError
        There is none.
    """
    usual = tempfile.gettempdir()
    for folder in (usual, *_OTHER_FOLDERS):
        if not is_closed(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    message = f"the BIDS validator cannot read below {usual}; set TMPDIR to a folder on a disk"
    raise ValidatorFailedError(message)


class _Mirror:
    """A mirror in the making."""

    def __init__(self, root: str, scratch_folder: str) -> None:
        self.root = root
        self.is_closed = is_closed(root)
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
            os.symlink(self.store if holds_data(source) else self.empty_store, place)
        elif entry.kind is EntryKind.CYCLE:
            os.symlink(entry.name, place)
        elif ANNEX in entry.link:
            # The validator knows the key of git-annex, and its repository, by the text of the link.
            target = os.path.join(os.path.dirname(source), entry.link)
            os.symlink(os.path.relpath(target, os.path.dirname(place)), place)
        elif entry.kind is EntryKind.BROKEN:
            os.symlink(entry.link, place)
        elif self.is_closed and not stem_of_image(entry.path):
            shutil.copyfile(source, place)
        else:
            os.symlink(source, place)

    def show(self, hidden: tuple[HiddenImage, ...]) -> None:
        """Add the stubs of hidden images."""
        for image in hidden:
            os.symlink(self.store, os.path.join(self.folder, image.stub))

    def write_bidsignore(self, hidden: tuple[HiddenImage, ...], ignored: tuple[str, ...]) -> None:
        """Write the lines of the dataset except the sidecars of hidden images, and further ones.

        Our own lines are left out for images that are not in the mirror, since the validator tries
        each line on each file.
        """
        text = read_bidsignore(self.root)
        shown = {image.sidecar for image in hidden}
        lines = find_block(text).splitlines(keepends=True)
        block = "".join(line for line in lines if self._is_needed(line.strip(), shown))
        text = replace_block(text, block)
        if text and ignored and not text.endswith("\n"):
            text += "\n"
        text += "".join(f"{line}\n" for line in ignored)
        place = os.path.join(self.folder, BIDSIGNORE)
        with suppress(FileNotFoundError):
            os.unlink(place)
        with open(place, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))

    def _is_needed(self, line: str, shown: set[str]) -> bool:
        path = line.removeprefix("/")
        return path not in shown and (
            line.startswith("#") or os.path.lexists(os.path.join(self.folder, path))
        )


def holds_data(store: str) -> bool:
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
