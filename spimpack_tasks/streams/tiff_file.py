"""A BigTIFF into which planes are written as they come; directories follow when all are there."""

from __future__ import annotations

import os
import struct
from threading import Lock
from typing import TYPE_CHECKING

from spimpack_tasks.volumes.tiff.bigtiff import FIRST_DIRECTORY, HEADER, compose_directories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.files.places import Parts
    from spimpack_tasks.volumes.tiff.bigtiff import PlaneKind, StoredPlane


class TiffFile:
    """A file of planes without directories."""

    def __init__(self, path: str) -> None:
        self.path = path
        """Where it lies; this may change when the file is closed."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._end = os.lseek(self._file, 0, os.SEEK_END)
        if self._end < len(HEADER):
            os.pwrite(self._file, HEADER, 0)
            self._end = len(HEADER)
        self._lock = Lock()
        self._is_open = True

    def append(self, parts: Parts) -> int:
        """Write pieces of bytes at the end, and return where they begin.

        Raises
        ------
        OSError
            The disk does not take them.
        """
        with self._lock:
            offset = self._end
            end = offset + sum(map(len, parts))
            # Never at the place of the descriptor: a write that fails half-way has moved it.
            written = os.pwritev(self._file, parts, offset)
            if offset + written < end:  # by a signal, or because the disk is all but full
                rest = memoryview(b"".join(parts))[written:]
                while rest:
                    rest = rest[os.pwrite(self._file, rest, end - len(rest)) :]
            self._end = end
            return offset

    def append_zeros(self, size: int) -> int:
        """Make the file longer by zeros, which take no space, and return where they begin."""
        offset = self._end
        os.ftruncate(self._file, offset)  # what a failed write has left behind is no zeros
        os.ftruncate(self._file, offset + size)
        self._end = offset + size
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """Return some bytes, also when the file is closed."""
        if self._is_open:
            return os.pread(self._file, size, offset)
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def finish(
        self, kind: PlaneKind, planes: Sequence[Sequence[StoredPlane]], description: bytes
    ) -> None:
        """Write the directories, and then where the first is.

        Parameters
        ----------
        kind
            What planes share.
        planes
            The levels of each plane, in the order of the file.
        description
            The OME-XML.
        """
        self.append((bytes(-self._end % 8),))
        start = self._end
        for directory in compose_directories(kind, planes, description, start):
            self.append((directory,))
        os.pwrite(self._file, struct.pack("<Q", start), FIRST_DIRECTORY)

    def close(self) -> None:
        """Close the file."""
        self._is_open = False
        os.close(self._file)
