"""Places where a dataset or an image is written: by keys, so that a folder is one kind of place.

A key is a relative path with forward slashes. Writers of images know places only, never paths.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from spimpack_tasks.files.atomic import Durability, discard, replacing, sync_disk
from spimpack_tasks.files.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Data: TypeAlias = "bytes | bytearray | memoryview"
Parts: TypeAlias = "Sequence[Data]"
"""Bytes in pieces, which are written one after the other without being joined."""


class Place(Protocol):
    """A place that objects are written to. All methods may be called by several threads at once."""

    def has(self, key: str) -> bool:
        """Tell whether there is a whole object."""

    def read(self, key: str) -> bytes | None:
        """Return an object, `None` where there is none."""

    def read_ranges(self, key: str, tail: int, ranges: Ranges) -> Iterable[bytes | None]:
        """Yield ranges of an object that its last bytes name.

        Parameters
        ----------
        key
            The object; it is there.
        tail
            Number of the last bytes.
        ranges
            Returns start and length of each range for the last bytes, `None` for one that is not
            there, which is yielded as `None`.
        """

    def put(self, key: str, pieces: Iterable[Parts], durability: Durability) -> bool:
        """Write an object, or nothing where there is no piece; tell whether there was one."""

    def names(self, key: str) -> list[str]:
        """Return the names below a key, nothing where there are none."""

    def remove(self, key: str) -> None:
        """Remove an object, or all below a key, if it is there."""

    def sync(self) -> None:
        """Wait until all that was written is safe from a power cut."""


class Ranges(Protocol):
    """Finds ranges in the last bytes of an object."""

    def __call__(self, tail: bytes) -> Iterable[tuple[int, int] | None]:
        """Return start and length of each range."""


class LocalPlace:
    """A folder, which is made when something is written."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, key: str) -> str:
        """Return the path of an object."""
        return f"{self.root}/{key}" if key else self.root

    def has(self, key: str) -> bool:
        """Tell whether there is the file."""
        return os.path.isfile(self.path(key))

    def read(self, key: str) -> bytes | None:
        """Return the content of a file, `None` where there is none."""
        try:
            with open_regular(self.path(key)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def read_ranges(self, key: str, tail: int, ranges: Ranges) -> Iterable[bytes | None]:
        """Yield ranges of a file that its last bytes name."""
        with open_regular(self.path(key)) as file:
            file.seek(-tail, os.SEEK_END)
            for found in ranges(file.read(tail)):
                if found is None:
                    yield None
                else:
                    file.seek(found[0])
                    yield file.read(found[1])

    def put(self, key: str, pieces: Iterable[Parts], durability: Durability) -> bool:
        """Write a file, or none where there is no piece."""
        path = self.path(key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        count = 0
        with replacing(path, durability) as aside:
            for parts in pieces:
                write_parts(aside.file.fileno(), parts)
                count += 1
            if not count:
                aside.leave()
        return bool(count)

    def names(self, key: str) -> list[str]:
        """Return the names in a folder, nothing where it is none."""
        try:
            return os.listdir(self.path(key))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, key: str) -> None:
        """Delete a file or a folder, if it is there."""
        with suppress(FileNotFoundError):
            discard(self.path(key))

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        with suppress(FileNotFoundError):  # nothing was written
            sync_disk(self.root)


class PlaceBelow:
    """A folder of a place, as a place."""

    def __init__(self, place: Place, folder: str) -> None:
        self._place, self._folder = place, folder

    def _key(self, key: str) -> str:
        return f"{self._folder}/{key}" if key else self._folder

    def has(self, key: str) -> bool:
        """Tell whether there is a whole object."""
        return self._place.has(self._key(key))

    def read(self, key: str) -> bytes | None:
        """Return an object, `None` where there is none."""
        return self._place.read(self._key(key))

    def read_ranges(self, key: str, tail: int, ranges: Ranges) -> Iterable[bytes | None]:
        """Yield ranges of an object that its last bytes name."""
        return self._place.read_ranges(self._key(key), tail, ranges)

    def put(self, key: str, pieces: Iterable[Parts], durability: Durability) -> bool:
        """Write an object, or nothing where there is no piece."""
        return self._place.put(self._key(key), pieces, durability)

    def names(self, key: str) -> list[str]:
        """Return the names below a key, nothing where there are none."""
        return self._place.names(self._key(key))

    def remove(self, key: str) -> None:
        """Remove an object, or all below a key, if it is there."""
        self._place.remove(self._key(key))

    def sync(self) -> None:
        """Wait until all that was written is safe from a power cut."""
        self._place.sync()


def write_parts(descriptor: int, parts: Parts) -> None:
    """Write pieces of bytes as they are, without joining them."""
    length = sum(map(len, parts))
    written = os.writev(descriptor, parts)
    if written < length:  # by a signal, or because the disk is all but full
        rest = memoryview(b"".join(parts))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def put_json(place: Place, key: str, data: dict[str, Any]) -> None:
    """Write an object of JSON into a place, its keys sorted."""
    text = json.dumps(data, indent=2, sort_keys=True)
    place.put(key, ((text.encode(),),), Durability.WHOLE)
