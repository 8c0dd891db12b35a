"""The memory that frames may take while they wait, and the buffers in it.

`Memory` counts bytes. A writer that finds it full waits for the disk, or learns that nothing is on
its way to the disk, so that waiting would not help.
"""

from __future__ import annotations

from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from spimpack_tasks.arrays.grid import Shape, Voxels


class Memory:
    """A bounded number of bytes.

    Parameters
    ----------
    most
        Bytes that may be taken. A single piece may always be taken, even if it is larger.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = self._leaving = self._kept = 0
        self._buffers: dict[Shape, list[Voxels]] = {}
        self._changed = Condition()
        self._failure: BaseException | None = None

    @property
    def leaving(self) -> int:
        """Bytes that are on their way to the disk."""
        return self._leaving

    def take(self, size: int) -> bool:
        """Take bytes if they are free; tell whether they were.

        Raises
        ------
        BaseException
            The disk has failed, see `fail`.
        """
        with self._changed:
            self._require_no_failure()
            if self._taken and self._taken + size > self.most:
                return False
            self._taken += size
            return True

    def take_later(self, size: int, *, waits: bool) -> bool:
        """Take bytes, after others have left if waiting is wanted; tell whether they were taken."""
        while not self.take(size):
            if not waits or not self.wait():
                return False
        return True

    def wait(self) -> bool:
        """Wait until the disk has taken something; tell whether it had anything to take.

        Raises
        ------
        BaseException
            The disk has failed, see `fail`.
        """
        with self._changed:
            self._require_no_failure()
            if not self._leaving:
                return False
            before = self._leaving
            self._changed.wait_for(lambda: self._leaving < before)
            self._require_no_failure()
            return True

    def _require_no_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def fail(self, failure: BaseException) -> None:
        """Note that the disk takes nothing any more: nobody waits for it, and its bytes are free.

        Parameters
        ----------
        failure
            What those who wait, or ask for bytes later, get.
        """
        with self._changed:
            self._failure = self._failure or failure
            self._taken -= self._leaving
            self._leaving = 0
            self._changed.notify_all()

    def leave(self, size: int) -> None:
        """Note that taken bytes are on their way to the disk."""
        with self._changed:
            if self._failure is None:
                self._leaving += size
            else:
                self._taken -= size

    def give(self, size: int, *, has_left: bool = False) -> None:
        """Give bytes back, those that were on their way to the disk or others."""
        with self._changed:
            self._give(size, has_left=has_left)
            self._changed.notify_all()

    def _give(self, size: int, *, has_left: bool) -> None:
        if has_left and self._failure is not None:
            return  # all that was on its way is given back
        self._taken -= size
        if has_left:
            self._leaving -= size

    def buffer(self, shape: Shape, dtype: Any) -> Voxels:
        """Return a buffer of taken bytes, with any content; one that was kept is quicker.

        The kernel fills new memory with zeros, which takes as long as to copy a frame.
        """
        import numpy as np

        with self._changed:
            kept = self._buffers.get(shape)
            if kept:
                buffer = kept.pop()
                self._kept -= buffer.nbytes
                return buffer
            if self._kept and self._taken + self._kept > self.most:
                self._buffers.clear()
                self._kept = 0
        return np.empty(shape, dtype)

    def give_buffer(self, buffer: Voxels, size: int, *, has_left: bool = False) -> None:
        """Give the bytes of a buffer back, and keep it for the next of its shape if it fits.

        Other threads that wait for the bytes find the buffer. A single one may be larger than all
        memory, as a single piece may.
        """
        with self._changed:
            self._give(size, has_left=has_left)
            held = self._taken + self._kept
            if not held or held + buffer.nbytes <= self.most:
                self._buffers.setdefault(buffer.shape, []).append(buffer)
                self._kept += buffer.nbytes
            self._changed.notify_all()
