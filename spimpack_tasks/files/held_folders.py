"""Folders beside a target in which it is made, each held by the lock of the folder itself."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import move_into_place, name_aside

if TYPE_CHECKING:
    from collections.abc import Callable


class TargetTakenError(SpimpackError):
    """There is something else at the target, or another process makes something else there."""

    exit_code = ExitCode.CONFLICT


def place_of(target: str) -> str:
    """Return the folder in which a target is made."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.unfinished")


def lock_folder(place: str, take: Callable[[int], None]) -> int:
    """Make a folder, and return a descriptor that holds its lock.

    Parameters
    ----------
    place
        The folder. Its last holder may remove it at any time; then it is made again.
    take
        Takes the lock of a descriptor, or raises where another process has it.
    """
    while True:
        with suppress(FileExistsError):
            os.mkdir(place)
        try:
            lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its holder has just removed it
        try:
            take(lock)
            if os.path.samestat(os.fstat(lock), os.lstat(place)):
                return lock
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def move_to_target(path: str, target: str) -> None:
    """Give a whole image its name; an earlier one is moved aside, and deleted when this is done."""
    folder, name = os.path.split(target)
    aside = os.path.join(os.path.dirname(path), os.path.basename(name_aside(path)))
    move_into_place(folder, path, name, aside=aside)
