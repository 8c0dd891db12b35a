"""Looks for free space on a disk before an image is written."""

from __future__ import annotations

import errno
import shutil

from spimpack_tasks.errors import size_in_words


def require_space(folder: str, needed: int) -> None:
    """Refuse to begin where the disk would be full, maybe hours later.

    Raises
    ------
    OSError
        There is less than is needed, by `ENOSPC`.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"it takes {size_in_words(needed)} at the least, and the disk has "
        raise OSError(errno.ENOSPC, f"{message}{size_in_words(free)}")
