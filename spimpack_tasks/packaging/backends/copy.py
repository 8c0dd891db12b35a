"""A copy of each image: the dataset stands on its own.

Where the disk can share data between files (btrfs, XFS), a copy takes neither time nor space.
Elsewhere data are copied inside the kernel; memory does not grow with the size of the image.
"""

from __future__ import annotations

import os
from fcntl import ioctl
from typing import TYPE_CHECKING

from spimpack_tasks.files.trees import remake_tree, same_tree
from spimpack_tasks.packaging.tasks.writing import LinkAssets

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output

_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_PIECE = 16 * 2**20


class CopyAssets(LinkAssets):
    """Copy each image."""

    name = "copy"
    one_task_per_asset = True

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Copy the source, with its modification times."""
        if os.path.isdir(output.source):
            remake_tree(output.source, path, copy_file)
        else:
            copy_file(output.source, path)

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path` is of the source's size and time, file by file."""
        if os.path.isdir(output.source):
            return same_tree(output.source, path, _is_equal)
        return _is_equal(output.source, path)


def copy_file(source: str, path: str) -> None:
    """Copy a file to a free path, sharing data where the disk can.

    Raises
    ------
    OSError
        The source cannot be read or the copy cannot be written.
    """
    with open(source, "rb") as reader, open(path, "xb") as writer:
        if not _share(reader.fileno(), writer.fileno()):
            _copy(reader.fileno(), writer.fileno())
        status = os.fstat(reader.fileno())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _share(reader: int, writer: int) -> bool:
    try:
        ioctl(writer, _FICLONE, reader)
    except OSError:
        return False
    return True


def _copy(reader: int, writer: int) -> None:
    while os.sendfile(writer, reader, None, _PIECE):
        pass


def _is_equal(source: str, path: str) -> bool:
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    there, here = os.stat(source), os.stat(path)
    if os.path.samestat(there, here):  # a hard link is no copy
        return False
    return (there.st_size, there.st_mtime_ns) == (here.st_size, here.st_mtime_ns)
