"""Looks into folders, but never outside of the roots that a user may see (see `files.roots`)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from spimpack_tasks.errors import printable
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.files.plane_names import differ_in_numbers, is_plane
from spimpack_tasks.files.roots import check_within, is_within, normal, steps_between
from spimpack_tasks.files.tsv import fits_cell
from spimpack_tasks.volumes.examine import format_of_source
from spimpack_tasks.volumes.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_LOOKED_AT = 20_000
"""Number of names that are read in a folder; the system gives them in no order."""
MOST_SHOWN = 200
"""Entries of a folder on a page; more than these nobody scrolls through."""
_TASTED = 50
"""Number of names in an inner folder that decide whether it holds the planes of one image."""


class ListingKind(StrEnum):
    """Kind of an entry of a folder, for a user who wants to choose one."""

    FOLDER = "folder"
    IMAGE = "image"
    FILE = "file"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ListingEntry:
    """One entry of a folder."""

    name: str
    """Name for display; characters that cannot be shown are escaped."""
    path: str
    """Absolute, links not resolved."""
    kind: ListingKind
    detail: str
    """The format of an image, and why something cannot be chosen; else empty."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Content of a folder."""

    folder: str
    """Absolute, links not resolved."""
    parents: tuple[str, ...]
    """The folders from the root down to this one, both included."""
    entries: tuple[ListingEntry, ...]
    """Folders first, then files and images, each in natural order. A folder that may be an image,
    by the names of the planes in it, is there as both."""
    note: str = ""
    """Reason why the folder cannot be read, or a note that it is shown in part; else empty."""

    def of_kind(self, kind: ListingKind) -> tuple[ListingEntry, ...]:
        """Return the entries of a kind."""
        return tuple(entry for entry in self.entries if entry.kind is kind)


def list_folder(path: str, roots: Sequence[str], contains: str = "") -> Listing:
    """Return the content of the folder at an absolute path.

    Parameters
    ----------
    path
        The folder.
    roots
        Absolute paths of the folders that may be seen.
    contains
        A text that the names of entries must contain, ignoring case.

    Raises
    ------
    OutsideRootsError
        The path leaves the roots.
    """
    folder = normal(path)
    parents = tuple(steps_between(check_within(path, roots), folder))
    try:
        with os.scandir(folder) as found:
            names, is_all = _read_names(found, contains.casefold())
    except OSError as error:
        return Listing(folder, parents, (), f"cannot be read: {error.strerror}")
    names.sort(key=lambda name: natural(_shown(name)))
    entries = [_examine(folder, name, roots) for name in names[:MOST_SHOWN]]
    entries += [
        replace(entry, kind=ListingKind.IMAGE, detail="folder of planes")
        for entry in entries
        if entry.kind is ListingKind.FOLDER and _holds_planes(entry.path)
    ]
    entries.sort(key=lambda entry: (entry.kind is not ListingKind.FOLDER, natural(entry.name)))
    return Listing(folder, parents, tuple(entries), _note(len(names), is_all=is_all))


def _read_names(found: Iterable[os.DirEntry[str]], contains: str) -> tuple[list[str], bool]:
    """Return the names that are not hidden, and whether all were read."""
    names: list[str] = []
    for number, entry in enumerate(found):
        if number == MOST_LOOKED_AT:
            return names, False
        if not entry.name.startswith(".") and contains in _shown(entry.name).casefold():
            names.append(entry.name)
    return names, True


def _examine(folder: str, name: str, roots: Sequence[str]) -> ListingEntry:
    path = os.path.join(folder, name)
    kind, detail = _kind(path, name, roots)
    if not fits_cell(name):
        kind, detail = ListingKind.REFUSED, "its name fits into no table; rename it"
    return ListingEntry(printable(_shown(name)), path, kind, detail)


def _kind(path: str, name: str, roots: Sequence[str]) -> tuple[ListingKind, str]:
    if os.path.islink(path):
        if not is_within(path, roots):
            return ListingKind.REFUSED, "leads out of the folders that may be seen"
        if not os.path.exists(path):
            return ListingKind.REFUSED, "leads to nothing"
    form = format_of(name)
    is_folder = os.path.isdir(path)
    if form is not None and form.directory == is_folder:
        return ListingKind.IMAGE, form.name
    if is_folder:
        inner = format_of_source(path) if form is None else None
        is_zarr = inner is not None and bool(inner.endings)
        return (ListingKind.IMAGE, inner.name) if inner and is_zarr else (ListingKind.FOLDER, "")
    return (
        (ListingKind.FILE, "")
        if os.path.isfile(path)
        else (ListingKind.REFUSED, "is no regular file")
    )


def _holds_planes(folder: str) -> bool:
    """Tell whether the first names in a folder are planes that differ in numbers only."""
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry in islice(found, _TASTED)]
    except OSError:
        return False
    planes = [name for name in names if is_plane(name)]
    return len(planes) > 1 and differ_in_numbers(planes)


def _shown(name: str) -> str:
    """Return a name as text; bytes that are not UTF-8 are replaced by marks."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _note(found: int, *, is_all: bool) -> str:
    if not is_all:
        return (
            f"holds more than {MOST_LOOKED_AT:,} entries, not all are shown; type a part of a name"
        )
    if found > MOST_SHOWN:
        return f"shows {MOST_SHOWN} of {found:,} entries; type a part of a name"
    return ""
