"""Locks that the kernel frees when a process dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def hold_folders(folders: Iterable[str]) -> Iterator[None]:
    """Hold the locks of folders, for whoever else asks for them; no file is made.

    Some network disks lock no folders. There the work is done without.
    """
    with ExitStack() as held:
        for folder in sorted(folders):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
