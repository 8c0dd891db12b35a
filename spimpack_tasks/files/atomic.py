"""Puts files and folders into a directory tree so that each appears whole or not at all.

Everything is made under a temporary name in a folder of the tree that only we use, and renamed to
its final path. Folders are entered one by one without following links. So a link in a path, even
one that another user puts there meanwhile, never leads a write out of the tree.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import closing, contextmanager, suppress
from enum import Enum
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from spimpack_tasks.files.beneath import ENTER, open_beneath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import IO

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

PART = ".part"
"""End of the temporary name of a file that is written beside its place."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Errors of a disk that takes no more."""
# Errors of rename when a directory occupies the path of a file, or a full one any path.
_IN_THE_WAY = {errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR}

_HERE, _NO_REPLACE = -100, 1  # AT_FDCWD and RENAME_NOREPLACE of Linux


class OpenTree:
    """A directory tree that is written to: its folders are entered without following a link.

    The folder that was entered last stays open, since outputs that follow one another often lie in
    the same one.
    """

    def __init__(self, root: str) -> None:
        self._root = os.open(root, ENTER & ~os.O_NOFOLLOW)
        self._path = ""
        self._last: int | None = None

    def close(self) -> None:
        """Close the folders."""
        self._leave()
        os.close(self._root)

    def folder(self, path: str, *, create: bool = False) -> int:
        """Return a descriptor of the folder `path`, which is open until another one is asked for.

        Raises
        ------
        OSError
            A component is missing (unless `create`), no directory, or a link (ELOOP or ENOTDIR).
        """
        if not path:
            return self._root
        if self._last is None or path != self._path:
            self._leave()
            self._last = open_beneath(self._root, path, create=create)
            self._path = path
        return self._last

    def _leave(self) -> None:
        if self._last is not None:
            os.close(self._last)
            self._last = None

    def move_in(self, temporary: str, path: str, aside: str = "") -> None:
        """Rename `temporary` (absolute) to `path`, replacing what is there.

        A file or link is replaced in one step. A directory cannot be: it is moved to a temporary
        name first (`aside`, or one beside `temporary`), so for a moment there is nothing at `path`,
        never half of something.
        """
        try:
            self._move_in(temporary, path, aside)
        except FileNotFoundError:  # the folder was removed since it was opened
            self._leave()
            self._move_in(temporary, path, aside)

    def _move_in(self, temporary: str, path: str, aside: str) -> None:
        head, _, name = path.rpartition("/")
        parent = self.folder(head, create=True)
        try:
            os.rename(temporary, name, dst_dir_fd=parent)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            old = aside or temporary + ".old"
            os.rename(name, old, src_dir_fd=parent)
            os.rename(temporary, name, dst_dir_fd=parent)
            discard(old)

    def remove(self, path: str, temporary: str) -> None:
        """Remove `path`, if it is there, and the folders that are empty then."""
        head, _, name = path.rpartition("/")
        with suppress(FileNotFoundError):
            os.rename(name, temporary, src_dir_fd=self.folder(head))
            discard(temporary)
        while head:
            above, _, name = head.rpartition("/")
            try:
                os.rmdir(name, dir_fd=self.folder(above))
            except FileNotFoundError:
                pass
            except OSError:  # not empty: something else lives here
                return
            if self._path == head:
                self._leave()
            head = above


def write_new(path: str, data: bytes) -> None:
    """Write a file that must not exist yet."""
    write_pieces(path, [data])


def write_pieces(path: str, pieces: Iterable[bytes]) -> None:
    """Write a file that must not exist yet, piece by piece."""
    descriptor = os.open(path, _CREATE, 0o666)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:  # a disk that is all but full takes a part
                rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


class Durability(Enum):
    """Guarantee that a file is complete once it has its final name."""

    PLAIN = "plain"
    """None: the file has its name from the start, and completeness is recorded elsewhere."""
    WHOLE = "whole"
    """Whole unless the machine loses power: it is written aside and renamed."""
    SAFE = "safe"
    """Whole even after a power cut: it is on the disk before it is renamed."""


class WrittenAside:
    """A file that gets its own name when it is whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.is_left = False

    def leave(self) -> None:
        """Let nothing come of the file."""
        self.is_left = True


@contextmanager
def replacing(path: str, durability: Durability) -> Iterator[WrittenAside]:
    """Open a new file that takes the place of another when the context ends well.

    The temporary name is that of the file with `.part` behind it, so no two processes may write the
    same file, and the next attempt replaces what a killed one has left.

    Raises
    ------
    OSError
        The disk refuses the file; nothing of it is left.
    """
    require_plain_place(path)
    is_aside = durability is not Durability.PLAIN
    aside = f"{path}{PART}" if is_aside else path
    if not is_aside:
        # A new file: another image may have the old one as well, by a hard link.
        with suppress(FileNotFoundError):
            os.unlink(path)
    is_done = False
    try:
        with open(aside, "wb" if is_aside else "xb") as file:
            written = WrittenAside(file)
            yield written
            file.flush()
            if durability is Durability.SAFE and not written.is_left:
                os.fdatasync(file.fileno())
        if is_aside and not written.is_left:
            os.rename(aside, path)
        is_done = not written.is_left
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            error.filename = path  # a write does not know it
        raise
    finally:
        if not is_done:
            with suppress(FileNotFoundError):
                os.unlink(aside)


def require_plain_place(path: str) -> None:
    """Refuse to replace a device, pipe or socket: `/dev/null` would become a file for everyone.

    Raises
    ------
    OSError
        There is one.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # nothing is there, or the write tells why it fails
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EEXIST, "is a device, pipe or socket, and is not replaced", path)


def name_aside(path: str) -> str:
    """Return a temporary name beside a path that no other process uses."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{token_hex(4)}")


def write_together(directory: str, texts: Mapping[str, str]) -> None:
    """Write several new files into a directory: all of them, or none.

    They are whole under temporary names before the first of their own names is taken, and taking a
    name fails where there is something.

    Raises
    ------
    OSError
        One of them is there already (FileExistsError), or the disk does not take them.
    """
    with TemporaryDirectory(prefix=".spimpack-", dir=directory) as aside:
        for name, text in texts.items():
            write_new(os.path.join(aside, name), text.encode())
        taken = []
        try:
            for name in texts:
                write_new(os.path.join(directory, name), b"")
                taken.append(os.path.join(directory, name))
        except OSError:
            for path in taken:
                os.unlink(path)
            raise
        for name in texts:
            os.rename(os.path.join(aside, name), os.path.join(directory, name))


def replace_together(contents: Mapping[str, bytes]) -> None:
    """Write several files, each in one step, none before all can be written.

    They are synced before the first of them is renamed. Each keeps the permissions of the file that
    it replaces.

    Parameters
    ----------
    contents
        By absolute path.

    Raises
    ------
    OSError
        The disk does not take them.
    """
    temporary: dict[str, str] = {}
    try:
        for path, data in contents.items():
            temporary[path] = name_aside(path)
            write_new(temporary[path], data)
            with suppress(FileNotFoundError):
                os.chmod(temporary[path], stat.S_IMODE(os.stat(path).st_mode))
        for folder in {os.path.dirname(path) for path in contents}:
            sync_disk(folder)
        for path, aside in temporary.items():
            os.rename(aside, path)
    except OSError:
        for aside in temporary.values():
            with suppress(FileNotFoundError):
                os.unlink(aside)
        raise


def move_into_place(root: str, temporary: str, path: str, aside: str = "") -> None:
    """Rename `temporary` (absolute) to `path` below `root`, as `OpenTree.move_in` does."""
    with closing(OpenTree(root)) as tree:
        tree.move_in(temporary, path, aside)


def move_to_free(source: str, target: str) -> None:
    """Rename a file or folder to a path at which nothing lies.

    Linux does this in one step (renameat2); where a disk cannot, there is a look before.

    Raises
    ------
    FileExistsError
        Something lies there.
    """
    import ctypes  # noqa: PLC0415 - needed only where something was written

    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        paths = os.fsencode(source), os.fsencode(target)
        if not libc.renameat2(_HERE, paths[0], _HERE, paths[1], _NO_REPLACE):
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), target)
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(source, target)


def write_at(path: str, data: bytes) -> None:
    """Write a small file to an absolute path in one step.

    Raises
    ------
    OSError
        It cannot be written; nothing is left of it then.
    """
    require_plain_place(path)
    folder, name = os.path.split(path)
    temporary = name_aside(path)
    try:
        write_new(temporary, data)
        move_into_place(folder, temporary, name)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def discard(path: str) -> None:
    """Delete a temporary file, link or folder of ours; a link is not followed."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def sync_disk(root: str) -> None:
    """Wait until all writes below `root` are on the disk (syncfs of Linux, else sync).

    One call for many files: syncing each of 1,000 small files takes seconds.
    """
    import ctypes  # noqa: PLC0415 - needed only where something was written

    descriptor = os.open(root, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if hasattr(libc, "syncfs"):
            if libc.syncfs(descriptor) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), root)
        else:
            os.sync()
    finally:
        os.close(descriptor)
