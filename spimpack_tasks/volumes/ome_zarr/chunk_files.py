"""Gives zarr the files of an OME-Zarr, in a folder or in a zip file, and hides no damage from it.

The stores of zarr take a file that cannot be found for a chunk of zeros, for any reason.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import nullcontext
from threading import Lock
from typing import IO, TYPE_CHECKING

from zarr.abc.store import (  # noqa: TID253 - this module is imported where it is used
    OffsetByteRequest,
    RangeByteRequest,
    Store,
)

from spimpack_tasks.files.limits import LARGEST_BLOCK, LARGEST_METADATA, allowed
from spimpack_tasks.files.store_files import METADATA_FILES
from spimpack_tasks.volumes.ome_zarr.bounds import bound_metadata
from spimpack_tasks.volumes.ome_zarr.chunk_limits import too_long

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    OpenEntry = Callable[[str], IO[bytes] | None]


class ZarrFiles(Store):
    """Files that are only read; those that were not read to their end are remembered.

    Parameters
    ----------
    open_entry
        Opens a file by its name, and returns `None` where there is none.
    in_turn
        Whether one file is read after the other, as those of an archive must be.
    """

    def __init__(self, open_entry: OpenEntry, *, in_turn: bool = False) -> None:
        super().__init__(read_only=True)
        self._open_entry = open_entry
        self._turn = Lock() if in_turn else nullcontext()
        self.unfinished: set[str] = set()
        """Files of which parts were read: a checksum behind the whole was not compared."""
        self._most_by_array: dict[str, int] = {}
        """How many bytes of a file may be read at once, by the folder of its array."""

    def __eq__(self, other: object) -> bool:
        """Tell whether this is the same store."""
        return self is other

    __hash__ = None  # type: ignore[assignment]

    async def get(
        self,
        key: str,
        prototype: BufferPrototype,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a file, or a part of it; `None` where there is none."""
        data = await asyncio.to_thread(self._read, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        with self._turn:
            file = self._open_entry(key)
            if file is None:
                return None
            with file:
                folder, _, name = key.rpartition("/")
                if name not in METADATA_FILES:
                    return self._read_part(key, file, byte_range)
                content = _read_within(key, file, allowed(LARGEST_METADATA))
                content, most = bound_metadata(content)
                if most is not None:
                    self._most_by_array[folder] = most
                return content

    def _read_part(self, key: str, file: IO[bytes], byte_range: ByteRequest | None) -> bytes:
        most = self._most_in(key)
        if byte_range is None:
            return _read_within(key, file, most)
        self.unfinished.add(key)
        if isinstance(byte_range, RangeByteRequest):
            file.seek(byte_range.start)
            count = byte_range.end - byte_range.start
            return _read_within(key, file, most, count)
        if isinstance(byte_range, OffsetByteRequest):
            file.seek(byte_range.offset)
        else:
            size = file.seek(0, 2)
            file.seek(max(size - byte_range.suffix, 0))
        return _read_within(key, file, most)

    def _most_in(self, key: str) -> int:
        """Return how many bytes of a file of chunks may be read at once."""
        arrays = self._most_by_array.items()
        known = [most for folder, most in arrays if not folder or key.startswith(f"{folder}/")]
        return max(known, default=allowed(LARGEST_BLOCK))

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return parts of files."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Tell whether there is a file."""
        return await asyncio.to_thread(self._exists, key)

    def _exists(self, key: str) -> bool:
        with self._turn:
            file = self._open_entry(key)
            if file is not None:
                file.close()
            return file is not None

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Refuse to delete."""
        raise NotImplementedError

    def list(self) -> AsyncIterator[str]:
        """Refuse to list."""
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse to list."""
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse to list."""
        raise NotImplementedError


def _read_within(key: str, file: IO[bytes], most: int, count: int | None = None) -> bytes:
    """Return what is left of a file, or a part of it, unless that is too much."""
    if count is not None and count <= most:
        return file.read(count)
    content = file.read(min(_size_of(file), most) + 1)
    if len(content) > most:
        raise too_long(key, most)
    return content


def _size_of(file: IO[bytes]) -> int:
    """Return the size of a file; that of an entry of an archive is known at its end only."""
    try:
        return os.fstat(file.fileno()).st_size
    except OSError:
        return sys.maxsize


def read_to_end(file: IO[bytes]) -> None:
    """Read a file, of which nothing but its checksum matters."""
    while file.read(2**20):
        pass
