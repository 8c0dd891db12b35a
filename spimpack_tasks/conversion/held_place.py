"""Holds the place beside a target while it is made there, so that no other process makes it too.

An output is made beside its target, in a folder whose name begins with a dot, and is renamed when
it is whole. An interrupted one is left there, and a later run resumes it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard
from spimpack_tasks.files.held_folders import TargetTakenError, lock_folder, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_is_free(target: str) -> None:
    """Refuse a target at which there is something.

    Raises
    ------
    TargetTakenError
        There is.
    """
    if os.path.lexists(target):
        message = (
            f"{target} is there already, and was made from something else or with other options; "
            "choose another target"
        )
        raise TargetTakenError(message)


@contextmanager
def hold_place(target: str, made_from: str) -> Iterator[str]:
    """Hold the place beside a target, and yield the path of the image in it.

    An interrupted image of another source is deleted.
    """
    place = place_of(target)
    try:
        lock = lock_folder(place, lambda lock: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        message = f"{target} is being made by another process"
        raise TargetTakenError(message) from None
    try:
        for other in os.listdir(place):
            if other != made_from:
                discard(os.path.join(place, other))
        yield os.path.join(place, made_from)
    finally:
        with suppress(OSError):  # an interrupted image is left
            os.rmdir(place)
        os.close(lock)
