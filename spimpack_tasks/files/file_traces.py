"""Traces of sources: the results of `stat` while they are read, to notice writing meanwhile.

A program may put the modification time of a file back after it has written, such as `rsync --times`
or `touch`. The time of the last change of the inode (ctime) cannot be put back, but it changes by
`chmod`, `chown` and a new hard link as well. So a trace is compared during one run only: what is
kept from run to run is the stamp (`stamps`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple


class FileTrace(NamedTuple):
    """A file, or a folder with all that is in it, at one moment; three digests."""

    content: str
    """Of paths, inodes, sizes and modification times."""
    access: str
    """Of modes, owners and numbers of hard links."""
    inode_times: str
    """Of the times of the last change of each inode."""

    def shows_change_since(self, earlier: FileTrace) -> bool:
        """Tell whether something was written since an earlier trace.

        A new inode time alone says so, unless another mode, owner or link explains it.
        """
        if self.content != earlier.content:
            return True
        return self.inode_times != earlier.inode_times and self.access == earlier.access


def trace_files(source: str) -> FileTrace:
    """Return the trace of a file or folder; what is not there leaves none."""
    content, access, inode_times = (blake2b(digest_size=16) for _ in range(3))
    pending = [source]
    while pending:
        path = pending.pop()
        with suppress(OSError):
            status = os.stat(path)
            known = status.st_ino, status.st_size, status.st_mtime_ns
            content.update(f"{path}\0{known}\0".encode("utf-8", "surrogateescape"))
            about = status.st_mode, status.st_uid, status.st_gid, status.st_nlink
            access.update(f"{about}\0".encode())
            inode_times.update(f"{status.st_ctime_ns}\0".encode())
            if os.path.isdir(path):
                pending += sorted(os.path.join(path, name) for name in os.listdir(path))
    return FileTrace(content.hexdigest(), access.hexdigest(), inode_times.hexdigest())
