"""Walks a folder tree and yields every file that may be an image, and the reason for all others.

Only folders are opened, and one file of a folder that may hold the planes of one image. A skipped
folder is yielded once, without its content. A folder with the name of an OME-Zarr, or with planes,
counts as a file. Memory holds the entered folders and the names along one path.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.files.plane_names import differ_in_numbers, is_plane
from spimpack_tasks.files.stamps import ZARR_METADATA
from spimpack_tasks.model.plan import STATE_DIRECTORY
from spimpack_tasks.scanning.labels import tokens_of
from spimpack_tasks.volumes.formats import format_of
from spimpack_tasks.volumes.ome_zarr.header import looks_like_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUR_DATASET = "holds a dataset that spimpack wrote"
BARE_ZARR = "is a Zarr store, but no OME-Zarr by its metadata"


_looks_like_plane = Deferred("spimpack_tasks.volumes.plane_folder.header:looks_like_plane")


EXCLUDED = "is excluded by "
"""Begins the reason for a path that `--exclude` leaves out."""


class FoundPath(NamedTuple):
    """A file, or a folder that was not entered."""

    path: str
    """Relative to the scanned folder; that of a folder ends with a slash."""
    ignored: str = ""
    """Reason why it is not an image; empty if it may be one."""
    error: str = ""
    """System error for a folder that cannot be read."""


class Walk:
    """One walk through the tree below an absolute path; it can be gone once."""

    def __init__(
        self, root: str, excluded_by: Callable[[str], str], is_fitting: Callable[[str], bool]
    ) -> None:
        self.root = root
        self.excluded_by = excluded_by
        """Returns the glob that leaves a path out, empty where none does."""
        self.is_fitting = is_fitting
        """Tells whether a path fits a pattern of the user's."""
        self.entered: dict[tuple[int, int], str] = {}
        self.links: list[str] = []
        """Links to folders, which come after the folders themselves."""

    def __iter__(self) -> Iterator[FoundPath]:
        """Yield files and folders, in no order that means anything."""
        pending = [""]
        while pending or self.links:
            if not pending:
                pending, self.links = sorted(self.links, key=natural, reverse=True), []
            folder = pending.pop()
            try:
                entries = self._enter(folder)
            except OSError as error:
                yield FoundPath(folder, f"cannot be read: {error.strerror}", error.strerror or "")
                continue
            if isinstance(entries, str):
                is_image = entries == BARE_ZARR and folder and looks_like_image(self._whole(folder))
                yield (
                    FoundPath(folder.removesuffix("/")) if is_image else FoundPath(folder, entries)
                )
                continue
            if self._holds_planes(folder, entries):
                yield FoundPath(folder.removesuffix("/"))
                continue
            for entry in entries:
                found = self._look_at(folder, entry)
                if found is not None:
                    yield found
                else:
                    (self.links if entry.is_symlink() else pending).append(f"{folder}{entry.name}/")

    def _enter(self, folder: str) -> list[os.DirEntry[str]] | str:
        """Return the entries of a folder, or the reason for skipping it."""
        path = os.path.join(self.root, folder)
        status = os.stat(path)
        first = self.entered.setdefault((status.st_dev, status.st_ino), folder)
        if first != folder:
            return f"is the folder {first or '.'!r}, by another way"
        with os.scandir(path) as found:
            entries = list(found)
        return special_folder(entry.name for entry in entries) or entries

    def _whole(self, folder: str) -> str:
        return os.path.join(self.root, folder.removesuffix("/"))

    def _holds_planes(self, folder: str, entries: list[os.DirEntry[str]]) -> bool:
        """Tell whether the files of a folder are the planes of one image.

        They differ only in numbers, and these are no labels.
        """
        names = [entry.name for entry in entries if is_plane(entry.name)]
        names = [name for name in names if not self.excluded_by(folder + name)]
        if not folder or len(names) < 2 or not differ_in_numbers(names):
            return False
        first, last = min(names), max(names)
        if self.is_fitting(folder + first) or tokens_of(first) != tokens_of(last):
            return False
        return bool(_looks_like_plane(os.path.join(self.root, folder, first)))

    def _look_at(self, folder: str, entry: os.DirEntry[str]) -> FoundPath | None:
        """Return an entry with the reason for skipping it, `None` for a folder to enter."""
        path = folder + entry.name
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError as error:
            return FoundPath(path, f"cannot be looked at: {error.strerror}")
        slash = "/" if is_folder else ""
        if entry.name.startswith("."):
            return FoundPath(path + slash, "is hidden")
        glob = self.excluded_by(path)
        if glob:
            return FoundPath(path + slash, f"{EXCLUDED}{glob!r}")
        if is_folder:
            form = format_of(entry.name)
            return FoundPath(path) if form is not None and form.directory else None
        if is_file:
            return FoundPath(path)
        what = "is a link to nothing" if entry.is_symlink() else "is neither a file nor a folder"
        return FoundPath(path, what)


def special_folder(names: Iterator[str]) -> str:
    """Return why a folder with these names in it is not entered, empty where it is."""
    for name in names:
        if name == STATE_DIRECTORY:
            return OUR_DATASET
        if name in ZARR_METADATA:
            return BARE_ZARR
    return ""
