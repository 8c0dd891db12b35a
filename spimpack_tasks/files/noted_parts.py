"""Parts of one output that several processes make side by side, each part by one of them.

    <folder>/<n>-<of>        a note: part `n`, counted from 0, of `of` is done
    <folder>/<n>-<of>.lock   held by the process that makes it

The maker of a part writes its note when the part is on the disk. So a part that was cut short is
made again, by the next process that holds it, and one that is noted is not.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard, write_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITHIN = ".parts"
_LEFT = b"left\n"


class NotedParts:
    """The notes of the parts of one output.

    Parameters
    ----------
    folder
        Where the notes are; it need not be there.
    count
        Number of parts.
    """

    def __init__(self, folder: str, count: int) -> None:
        self.folder, self.count = folder, count

    def _note(self, number: int) -> str:
        return f"{self.folder}/{number}-{self.count}"

    def has(self, number: int) -> bool:
        """Tell whether a part is done, or left to the process that finishes the output."""
        return os.path.exists(self._note(number))

    def lacking(self) -> list[int]:
        """Return the numbers of the parts without a note."""
        return [number for number in range(self.count) if not self.has(number)]

    def are_made(self) -> bool:
        """Tell whether there are parts, and all are made, none of them left."""
        return self.count > 0 and all(map(self._is_made, range(self.count)))

    def _is_made(self, number: int) -> bool:
        try:
            with open(self._note(number), "rb") as file:
                return file.read() != _LEFT
        except FileNotFoundError:
            return False

    @contextmanager
    def making(self, number: int) -> Iterator[bool]:
        """Hold a part, waiting for its turn, and yield whether it is still to be made."""
        os.makedirs(self.folder, exist_ok=True)
        with hold_file(f"{self._note(number)}.lock"):
            yield not self.has(number)

    def note(self, number: int, *, is_left: bool = False) -> None:
        """Note that a part is on the disk, or that it is left to the one who finishes.

        Raises
        ------
        OSError
            The folder is gone, since the output was given up meanwhile.
        """
        write_at(self._note(number), _LEFT if is_left else b"")

    def discard(self) -> None:
        """Delete all notes."""
        if os.path.isdir(self.folder):
            discard(self.folder)


def parts_within(path: str, count: int) -> NotedParts:
    """Return the notes of the parts of a folder, which lie in it until it is whole."""
    return NotedParts(f"{path}/{_WITHIN}", count)


def bounds_of_part(items: int, part: tuple[int, int]) -> tuple[int, int]:
    """Return the first of the items of a part, and the one behind its last.

    Parameters
    ----------
    items
        How many there are in all parts.
    part
        Number of the part, from 0 on, and number of parts.
    """
    number, count = part
    return items * number // count, items * (number + 1) // count


@contextmanager
def hold_file(path: str) -> Iterator[None]:
    """Hold the lock of a file, which is made; the kernel frees it when the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
