"""Walking and remaking directory trees such as OME-Zarr stores, in order and in little memory."""

from __future__ import annotations

import os
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def files_below(root: str, *, follow_links: bool = True) -> Iterator[str]:
    """Yield the relative path of each file below `root`, in the order of the paths' bytes.

    The order is that of `LC_ALL=C sort`, and no more than the names along one path are kept in
    memory. A link to a file counts as a file. A link to a directory is followed, so that a store
    which is put together from links comes out whole, unless `follow_links` is false: then it counts
    as a file.

    Raises
    ------
    OSError
        A folder cannot be read, or the links go round in a circle (ELOOP, ENAMETOOLONG).
    """
    pending = [""]
    while pending:
        path = pending.pop()
        if path and not path.endswith("/"):
            yield path
            continue
        with os.scandir(os.path.join(root, path)) as entries:
            found = [
                path + entry.name + ("/" if entry.is_dir(follow_symlinks=follow_links) else "")
                for entry in entries
            ]
        pending += sorted(found, key=os.fsencode, reverse=True)


def remake_tree(source: str, destination: str, make_file: Callable[[str, str], None]) -> None:
    """Make a tree of real directories like `source`, each file of it by `make_file`.

    `make_file` gets the file's absolute source and the path at which to make it. Folders that are
    there already are used.
    """
    os.makedirs(destination, exist_ok=True)
    known = {""}
    for path in files_below(source):
        folder = path.rpartition("/")[0]
        if folder not in known:
            os.makedirs(os.path.join(destination, folder), exist_ok=True)
            known.add(folder)
        make_file(f"{source}/{path}", f"{destination}/{path}")


def same_tree(source: str, other: str, same_file: Callable[[str, str], bool]) -> bool:
    """Tell whether two trees hold files of the same names that `same_file` finds equal."""
    if os.path.islink(other) or not os.path.isdir(other):
        return False
    pairs = zip_longest(files_below(source), files_below(other))
    return all(a == b and same_file(f"{source}/{a}", f"{other}/{b}") for a, b in pairs)


def drop_strays(source: str, other: str) -> None:
    """Remove entries of our tree that `source` lacks, or that have another kind there."""
    for folder, _, names in os.walk(other, topdown=False):
        inside = source + folder[len(other) :]
        for name in names:
            if not os.path.isfile(f"{inside}/{name}"):
                os.unlink(f"{folder}/{name}")
        if not os.path.isdir(inside):
            os.rmdir(folder)


def size_below(root: str) -> int:
    """Return the number of bytes in a file, or in all files of a tree."""
    if not os.path.isdir(root):
        return os.stat(root).st_size
    return sum(os.stat(f"{root}/{path}").st_size for path in files_below(root))
