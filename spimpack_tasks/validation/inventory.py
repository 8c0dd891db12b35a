"""Inventory of a dataset, with every OME-Zarr as one entry: its chunks are never walked.

Names that begin with a dot are left out, except `.bidsignore`; the official validator does the
same. `sourcedata`, `derivatives` and `code` are not entered: their content is not part of the
dataset.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.stamps import ZARR_METADATA, stamp_text, write_stamp
from spimpack_tasks.volumes.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BIDSIGNORE = ".bidsignore"
_NOT_ENTERED = frozenset({"sourcedata", "derivatives", "code"})

Identity = tuple[int, int]


class NoDatasetError(SpimpackError):
    """There is no directory at the path of the dataset."""

    exit_code = ExitCode.BAD_INPUT


class EntryKind(StrEnum):
    """Kind of an entry, with links followed."""

    FILE = "file"
    FOLDER = "folder"
    STORE = "store"
    """A directory that is one image: an OME-Zarr."""
    CLOSED = "closed"
    """A folder that is not entered."""
    BROKEN = "broken"
    """A link that leads nowhere."""
    CYCLE = "cycle"
    """A link that leads back to itself, or to a folder above."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a dataset."""

    path: str
    """Relative to the dataset, with `/`."""
    kind: EntryKind
    link: str = ""
    """The text of the link, empty where there is none."""
    stamp: str = ""
    """Size and time of the file or store, links followed."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def check_directory(root: str) -> None:
    """Raise unless a path is a directory.

    Raises
    ------
    NoDatasetError
        There is no directory at `root`.
    """
    if not os.path.isdir(root):
        what = f"{root} is no directory" if root else "no directory is given"
        raise NoDatasetError(f"{what}; give the directory of a BIDS dataset")


def take_inventory(root: str) -> tuple[Entry, ...]:
    """Return all that a dataset holds, sorted by path.

    Raises
    ------
    NoDatasetError
        There is no directory at `root`.
    OSError
        A folder cannot be read.
    """
    check_directory(root)
    found = []
    pending: list[tuple[str, tuple[Identity, ...]]] = [("", (_identify(os.stat(root)),))]
    while pending:
        folder, above = pending.pop()
        for entry, identity in _look_into(root, folder, above):
            found.append(entry)
            if entry.kind is EntryKind.FOLDER:
                pending.append((entry.path, (*above, identity)))
    return tuple(sorted(found, key=lambda entry: entry.path))


def stem_of_image(path: str) -> str:
    """Return the path of an image without its extension, empty where it is no known format."""
    form = format_of(path)
    endings = form.endings if form else ()
    ending = next((ending for ending in endings if path.lower().endswith(ending)), "")
    return path[: -len(ending)] if ending else ""


def _look_into(
    root: str, folder: str, above: tuple[Identity, ...]
) -> Iterator[tuple[Entry, Identity]]:
    with os.scandir(os.path.join(root, folder)) as items:
        for item in items:
            path = f"{folder}/{item.name}" if folder else item.name
            if item.name.startswith(".") and path != BIDSIGNORE:
                continue
            link = os.readlink(item.path) if item.is_symlink() else ""
            try:
                status = item.stat()
            except OSError as error:
                if not link:
                    raise
                looped = error.errno == errno.ELOOP
                yield Entry(path, EntryKind.CYCLE if looped else EntryKind.BROKEN, link), (0, 0)
                continue
            identity = _identify(status)
            if stat.S_ISREG(status.st_mode):
                stamp = write_stamp(status.st_size, status.st_mtime_ns)
                yield Entry(path, EntryKind.FILE, link, stamp), identity
            elif stat.S_ISDIR(status.st_mode):
                kind = EntryKind.CYCLE if identity in above else _kind_of_folder(item, path)
                stamp = stamp_text(item.path) if kind is EntryKind.STORE else ""
                yield Entry(path, kind, link, stamp), identity


def _kind_of_folder(item: os.DirEntry[str], path: str) -> EntryKind:
    if path in _NOT_ENTERED:
        return EntryKind.CLOSED
    # No folder of BIDS has a dot in its name, so one that holds Zarr metadata is a misnamed image.
    is_store = item.name.lower().endswith(".zarr") or (
        "." in item.name and any(os.path.lexists(f"{item.path}/{name}") for name in ZARR_METADATA)
    )
    return EntryKind.STORE if is_store else EntryKind.FOLDER


def _identify(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino
