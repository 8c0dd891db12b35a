"""Copies files and trees, and resumes interrupted copies.

Data that count as copied are on the disk. Of a file, that is all but the last step: each step is
synced before the next one begins. Of a tree, it is each file that has the time of its source: files
get it in batches, after their data have been synced. So neither a kill nor a power cut leaves a
file that only looks copied.

Where the disk can share data between files (btrfs, XFS), nothing is copied at all. Elsewhere the
kernel copies, or the server of a network disk; memory does not grow with the size of a file.

The caller has to ensure that an unfinished copy is of the same source.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from fcntl import ioctl
from stat import S_ISREG
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import sync_disk
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.files.trees import drop_strays, remake_tree, same_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Advance = Callable[[int], None]
    """Receives the number of bytes after each piece."""

STEP = 256 * 2**20
"""Bytes after which data are synced, and the most that is copied again after a kill."""
_BATCH = 1000
"""Files after which a tree is synced, if there have not been enough bytes."""
_PIECE = 16 * 2**20
"""Bytes copied by one system call, so that progress and interrupts come between."""
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_CHANGED = "its source changed while it was copied; run it again"

# Errors of copy_file_range(2) where sendfile(2) works.
_NOT_HERE = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}


_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_file(source: str, path: str, advance: Advance) -> None:
    """Copy a file with its times, or resume a copy of it.

    Raises
    ------
    OSError
        The source cannot be read or changes meanwhile, or the copy cannot be written.
    """
    with open_regular(source) as file, _opened(path, _WRITE) as writer:
        reader = file.fileno()
        start = _sure_length(os.fstat(writer).st_size, os.fstat(reader).st_size)
        status = _copy(reader, writer, start, advance)
        os.utime(writer, ns=(status.st_atime_ns, status.st_mtime_ns))


def copy_tree(source: str, path: str, advance: Advance) -> None:
    """Copy a tree, its files with their times, or resume a copy of it.

    Raises
    ------
    OSError
        As of `copy_file`.
    """
    StoreFiles(source).check()
    drop_strays(source, path)
    files = _Settling(path, advance)
    remake_tree(source, path, files.copy)
    files.settle()
    # A file may have changed after it was copied, and others with it that came later.
    if not same_tree(source, path, is_copy):
        raise OSError(errno.ESTALE, _CHANGED, source)


def is_copy(source: str, path: str) -> bool:
    """Tell whether `path` is a file of its own, of the size and modification time of `source`."""
    try:
        here = os.lstat(path)
    except FileNotFoundError:
        return False
    there = os.stat(source)
    if not S_ISREG(here.st_mode) or os.path.samestat(there, here):  # a hard link is no copy
        return False
    return (there.st_size, there.st_mtime_ns) == (here.st_size, here.st_mtime_ns)


class _Settling:
    """Copies files that count as copied, by their times, once their data are on the disk."""

    def __init__(self, root: str, advance: Advance) -> None:
        self.root = root
        self.advance = advance
        self.times: dict[str, tuple[int, int]] = {}
        self.size = 0

    def copy(self, source: str, path: str) -> None:
        """Copy a file that is not there yet."""
        if is_copy(source, path):
            self.advance(os.stat(path).st_size)
            return
        with open_regular(source) as file, _opened(path, _WRITE) as writer:
            # The process that began the file may have read another version of it.
            status = _copy(file.fileno(), writer, 0, self.advance)
        self.times[path] = (status.st_atime_ns, status.st_mtime_ns)
        self.size += status.st_size
        if self.size >= STEP or len(self.times) >= _BATCH:
            self.settle()

    def settle(self) -> None:
        """Sync the copied files, then set their times."""
        if self.times:
            sync_disk(self.root)
        for path, times in self.times.items():
            os.utime(path, ns=times)
        self.times.clear()
        self.size = 0


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sure_length(length: int, whole: int) -> int:
    """Return how much of a copy is on the disk, given that there are `length` bytes of it."""
    # The bytes after the last step may not be, and were there just a whole step, its sync may not
    # have ended.
    return (length - 1) // STEP * STEP if 0 < length <= whole else 0


def _copy(reader: int, writer: int, start: int, advance: Advance) -> os.stat_result:
    """Copy a file from `start` on, and return its status after checking that it did not change.

    Parameters
    ----------
    reader, writer
        Descriptors of source and copy.
    start
        Bytes that are kept of the copy.
    advance
        Receives this number, and that of each piece that follows.
    """
    before = os.fstat(reader)
    os.ftruncate(writer, start)
    if not start and _share(reader, writer):
        advance(before.st_size)
    else:
        advance(start)
        _copy_rest(reader, writer, start, before.st_size, advance)
    after = os.fstat(reader)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(errno.ESTALE, _CHANGED)
    return after


def share_data(reader: int, writer: int) -> None:
    """Let a new file share the data of another one, given their descriptors.

    Raises
    ------
    OSError
        The disk cannot do that.
    """
    ioctl(writer, _FICLONE, reader)


def _share(reader: int, writer: int) -> bool:
    try:
        share_data(reader, writer)
    except OSError:
        return False
    return True


def _copy_rest(reader: int, writer: int, start: int, size: int, advance: Advance) -> None:
    os.lseek(reader, start, os.SEEK_SET)
    os.lseek(writer, start, os.SEEK_SET)
    position = start
    while position < size:
        if position > start and position % STEP == 0:
            os.fdatasync(writer)
        count = _copy_piece(reader, writer, min(_PIECE, STEP - position % STEP, size - position))
        if not count:
            raise OSError(errno.ESTALE, _CHANGED)
        position += count
        advance(count)


def _copy_piece(reader: int, writer: int, count: int) -> int:
    """Copy up to `count` bytes inside the kernel; return how many, 0 at the end of the source."""
    try:
        copied = os.copy_file_range(reader, writer, count)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        copied = 0
    return copied or os.sendfile(writer, reader, None, count)
