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
    """Hold locks on folders themselves, without making a file.

    Some network disks cannot lock folders. There the work goes on without a lock.
    """
    with ExitStack() as held:
        for folder in sorted(folders):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
