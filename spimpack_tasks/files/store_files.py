"""Opens files of a folder that is one image, such as an OME-Zarr, and explains failures.

A chunk without a file is a chunk of zeros. A file that is there but cannot be opened is damage, and
must not be taken for zeros: a link whose content was not fetched, a folder or a pipe in its place.

Stores may be put together of links. A link is followed

- into the store, or the folder that holds it;
- into the annex of a repository of git that the store lies in (DataLad);
- from a file to the file of the same name in another store (as the backend `symlink-tree` has it),
  from where it may lead on by the same rules;
- to where the user allows it, see `outside`.

Any other link leads to a file that is not part of the image, and is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from spimpack_tasks.files.annex import LONGEST_POINTER, POINTERS
from spimpack_tasks.files.outside import REMEDY, is_allowed, is_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
ELSEWHERE = "elsewhere.json"
"""Name of the record of an image that lies in an object store, in place of the image."""
METADATA_FILES = frozenset((*METADATA, ".zmetadata"))
"""Names of all files of a store that hold no voxels."""
MOST_LINKS = 16
"""Stores that a link may lead through."""
_SHOWN = 100
"""Characters of the text of a link that a message has."""
_FETCH = "get its content, such as by `datalad get` or `git lfs pull`"


def is_chunk_key(key: str) -> bool:
    """Tell whether the end of a path is the key of a chunk, below the folder of an array."""
    parts = key.split("/")
    first = len(parts)
    while first > 1 and parts[first - 1].replace(".", "").isdigit():
        first -= 1
    if first == len(parts):
        return parts[-1] == "c"  # the only chunk of an array without axes
    return all(part.strip(".") == part and ".." not in part for part in parts[first:])


def is_zarr_key(key: str) -> bool:
    """Tell whether a path below an OME-Zarr is one that its writer makes, notes included."""
    first = key.partition("/")[0]
    return is_metadata_key(key) or first == ".finished" or ("/" in key and is_chunk_key(key))


def is_metadata_key(key: str) -> bool:
    """Tell whether a path is that of metadata of Zarr."""
    return key.rpartition("/")[2] in METADATA_FILES


def is_elsewhere(path: str) -> bool:
    """Tell whether a folder has only the record of an image that lies in an object store."""
    return os.path.isfile(f"{path}/{ELSEWHERE}")


class StoreFiles:
    """Files of a store, with remembered results for its folders."""

    def __init__(self, root: str, most_links: int = MOST_LINKS) -> None:
        self.root = os.path.realpath(root)
        self._most_links = most_links
        self._folders = {""}
        self._others: dict[str, StoreFiles] = {}
        self._allowed = [each for each in (_folder_of(self.root), _annex_of(self.root)) if each]

    def open(self, name: str) -> BinaryIO | None:
        """Open a file, given its path below the store; return `None` where there is none.

        Raises
        ------
        OSError
            It is there but cannot be opened, or leads out of the store; the message names it.
        """
        if not self.has(name):
            return None
        path = f"{self.root}/{name}"
        # Without O_NONBLOCK, opening a pipe waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = os.fdopen(descriptor, "rb")
        try:
            self._check_content(name, file)
        except OSError:
            file.close()
            raise
        return file

    def has(self, name: str) -> bool:
        """Tell whether there is a file that can be read.

        Raises
        ------
        OSError
            As for `open`; `NotADirectoryError` if a file occupies the path of its folder.
        """
        return self._enter(os.path.dirname(name)) and self._look(name, is_folder=False)

    def check(self, most_without_links: int | None = None) -> None:
        """Make sure that all files can be opened, as far as their names and links tell.

        Parameters
        ----------
        most_without_links
            Number of names after which the check ends if no link was among them; all by default.

        Raises
        ------
        OSError
            As for `open`, for the first file that cannot be opened.
        """
        has_links = False
        for seen, (name, entry) in enumerate(self._walk(), start=1):
            has_links = has_links or entry.is_symlink()
            if entry.is_symlink():
                self._look(name, is_folder=entry.is_dir())
            elif not entry.is_file() and not entry.is_dir():
                raise _error(errno.EINVAL, name, "is neither a file nor a folder")
            if most_without_links is not None and seen >= most_without_links and not has_links:
                return

    def _walk(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield all names, those of a folder before those in it."""
        pending = [""]
        while pending:
            folder = pending.pop()
            with os.scandir(f"{self.root}/{folder}") as entries:
                found = sorted(entries, key=lambda entry: entry.name)
            for entry in found:
                name = f"{folder}/{entry.name}" if folder else entry.name
                yield name, entry
                if entry.is_dir():
                    pending.append(name)

    def _enter(self, folder: str) -> bool:
        """Tell whether there is a folder that may be entered."""
        if folder not in self._folders:
            if not self._enter(os.path.dirname(folder)) or not self._look(folder, is_folder=True):
                return False
            self._folders.add(folder)
        return True

    def _look(self, name: str, *, is_folder: bool) -> bool:
        path = f"{self.root}/{name}"
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(status.st_mode):
            status = self._follow(path, name, is_folder=is_folder)
        if is_folder and not stat.S_ISDIR(status.st_mode):
            raise _error(errno.ENOTDIR, name, "is not a folder")
        if not is_folder and not stat.S_ISREG(status.st_mode):
            raise _error(errno.EINVAL, name, "is not a regular file")
        return True

    def _follow(self, path: str, name: str, *, is_folder: bool) -> os.stat_result:
        """Return the target of a link."""
        target = os.readlink(path)
        shown = repr(target if len(target) <= _SHOWN else f"{target[:_SHOWN]}…")
        try:
            status = os.stat(path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _error(errno.ELOOP, name, "is a link that leads back to itself") from None
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise
            what = f"is a link to {shown}, which is not there; {_FETCH}"
            raise _error(errno.ENOENT, name, what) from None
        if not self._may_follow(path, name, target, is_folder=is_folder):
            what = f"is a link out of the image, to {shown}, which is not followed; {REMEDY}"
            raise _error(errno.EPERM, name, what)
        return status

    def _may_follow(self, path: str, name: str, target: str, *, is_folder: bool) -> bool:
        real = os.path.realpath(path)
        if any(is_within(real, folder) for folder in self._allowed) or is_allowed(real):
            return True
        there = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if is_folder or not there.endswith(f"/{name}") or not self._most_links:
            return False
        root = there.removesuffix(f"/{name}")
        if root not in self._others:
            if not any(os.path.isfile(f"{root}/{each}") for each in METADATA):
                return False
            self._others[root] = StoreFiles(root, self._most_links - 1)
        return self._others[root].has(name)

    def _check_content(self, name: str, file: BinaryIO) -> None:
        """Refuse a pointer file, whose content was not fetched."""
        if os.fstat(file.fileno()).st_size > LONGEST_POINTER:
            return
        start = file.read(max(map(len, POINTERS)))
        file.seek(0)
        if start.startswith(POINTERS):
            what = f"only stands for its content, which is not there; {_FETCH}"
            raise _error(errno.ENOENT, name, what)


def _error(number: int, name: str, what: str) -> OSError:
    return OSError(number, f"{name!r} in it {what}")


def _folder_of(root: str) -> str:
    """Return the folder that holds a store, unless that would be the whole machine."""
    folder = os.path.dirname(root)
    return root if folder == "/" else folder


def _annex_of(root: str) -> str:
    """Return git-annex's folder of content in the repository of a store, if there is one."""
    folder = root
    while not os.path.lexists(f"{folder}/.git"):
        if folder == "/":
            return ""
        folder = os.path.dirname(folder)
    objects = f"{os.path.realpath(f'{folder}/.git')}/annex/objects"
    # A link there could lead anywhere.
    return objects if os.path.realpath(objects) == objects else ""
