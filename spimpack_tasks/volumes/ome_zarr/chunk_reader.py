"""Levels of an OME-Zarr folder whose chunks are read and unpacked here, for conversions.

It takes less time and memory than zarr does. Only usual forms are read (`stored_array`); zarr reads
the others. Comparisons of an image with its source do not use this: they read both by zarr, so that
no voxel is proven by the code that made it (`volumes.compare`).
"""

from __future__ import annotations

import math
import os
import struct
from contextlib import contextmanager
from itertools import product
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.ome_zarr.chunk_limits import most_packed, most_unpacked, too_long
from spimpack_tasks.volumes.ome_zarr.header import find_level_paths, open_directory, read_store
from spimpack_tasks.volumes.ome_zarr.stored_array import CRC32C, StoredArray, describe_array
from spimpack_tasks.volumes.unpacking import UnpackingError, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.volumes.levels import Index, Voxels
    from spimpack_tasks.volumes.ome_zarr.stored_array import Shards

    Place = tuple[int, ...]

_open_by_zarr = Deferred("spimpack_tasks.volumes.ome_zarr.levels:open_directory_levels")

_MISSING = 2**64 - 1
"""The specification of Zarr's sharding: offset and length of a chunk that is not stored."""
_CRC = 4
"""Bytes of a CRC-32C, little-endian."""
_LARGE = 16 * 2**20
"""Bytes of a chunk of which one is unpacked at a time: each thread holds it packed and unpacked."""
_GZIP_TAIL = 8
"""Bytes of the CRC-32 and the size at the end of a gzip stream (RFC 1952)."""


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the levels of an OME-Zarr directory; by zarr, if the form of any is not a usual one."""
    store = open_directory(path)
    axes = read_store(store).axes
    names = find_level_paths(store)
    found = [describe_array(f"{name}/" if name else "", store.load) for name in names]
    arrays = [array for array in found if array is not None]
    if len(arrays) < len(found):
        with _open_by_zarr(path) as levels:
            yield levels
        return
    files = StoreFiles(path)
    yield [
        StoredLevel(
            axes=axes,
            shape=array.shape,
            dtype=array.dtype,
            chunk=array.chunk,
            read=_ChunkReader(files, array).read,
            sequential=array.chunk_size > _LARGE,
        )
        for array in arrays
    ]


class _ChunkReader(NamedTuple):
    """Reads regions of an array, for several threads at once."""

    files: StoreFiles
    array: StoredArray

    def read(self, index: Index) -> Voxels:
        """Return the voxels of a region, in the byte order of the machine.

        Raises
        ------
        UnpackingError
            A chunk is damaged; the message names it.
        OSError
            A file cannot be read.
        """
        import numpy as np

        array = self.array
        shape = [part.stop - part.start for part in index]
        voxels = np.empty(shape, array.dtype.newbyteorder("="))
        for place, chunk in self._chunks(index):
            _put(
                voxels, index, [n * side for n, side in zip(place, array.chunk, strict=True)], chunk
            )
        return voxels

    def _chunks(self, index: Index) -> Iterator[tuple[Place, Any]]:
        """Yield places and voxels of the chunks that a region lies in, stored or not."""
        import numpy as np

        array = self.array
        sides = zip(index, array.chunk, strict=True)
        wanted = [range(part.start // side, -(-part.stop // side)) for part, side in sides]
        fill = np.broadcast_to(array.fill, array.chunk)
        for place, data in self._packed(wanted):
            yield place, fill if data is None else data

    def _packed(self, wanted: Sequence[range]) -> Iterator[tuple[Place, Any]]:
        """Yield places and voxels of chunks, `None` for those that are not stored."""
        if self.array.shards is not None:
            yield from self._from_shards(wanted, self.array.shards)
            return
        most = most_packed(self.array.chunk_size)
        for place in product(*wanted):
            key = self.array.key(place)
            file = self.files.open(key)
            if file is None:
                yield place, None
                continue
            with file:
                data = file.read(most + 1)
            if len(data) > most:
                raise too_long(key, most)
            yield place, self._unpack(data, f"{key!r} in it")

    def _from_shards(self, wanted: Sequence[range], shards: Shards) -> Iterator[tuple[Place, Any]]:
        bounds = zip(wanted, shards.counts, strict=True)
        for shard in product(*(range(w.start // n, -(-w.stop // n)) for w, n in bounds)):
            inside = [
                range(max(part.start, at * count), min(part.stop, (at + 1) * count))
                for part, at, count in zip(wanted, shard, shards.counts, strict=True)
            ]
            key = self.array.key(shard)
            file = self.files.open(key)
            if file is None:
                yield from ((place, None) for place in product(*inside))
                continue
            with file:
                opened = _Shard.open(key, file, shards)
                for place in product(*inside):
                    along = zip(place, shards.counts, strict=True)
                    data = opened.read(tuple(at % n for at, n in along), self.array.chunk_size)
                    where = f"chunk {'/'.join(map(str, place))} in {key!r}"
                    yield place, None if data is None else self._unpack(data, where)

    def _unpack(self, data: bytes, where: str) -> Any:
        """Return the voxels of a chunk."""
        import numpy as np

        size = self.array.chunk_size
        try:
            unpacked = data
            for packing in reversed(self.array.packings):
                unpacked = _undo(packing.name, unpacked, size, packing.settings)
            voxels = np.frombuffer(unpacked, self.array.dtype)
            if voxels.nbytes != size:
                message = f"it holds {voxels.nbytes:,} bytes instead of {size:,}"
                raise UnpackingError(message)
        except (ValueError, RuntimeError) as error:
            raise UnpackingError(f"{where} is damaged: {error}") from error
        return voxels.reshape(self.array.chunk)


class _Shard(NamedTuple):
    """A shard that is open, with the places of its chunks."""

    key: str
    file: IO[bytes]
    shards: Shards
    index: Any
    """Offset and length of each chunk, along the axes of the shard."""
    size: int
    """Bytes of the file."""

    @classmethod
    def open(cls, key: str, file: IO[bytes], shards: Shards) -> _Shard:
        """Read the index of a shard.

        Raises
        ------
        UnpackingError
            It is damaged.
        """
        import numpy as np

        length = 16 * math.prod(shards.counts)
        whole = length + (_CRC if shards.has_checksum else 0)
        size = os.fstat(file.fileno()).st_size
        if size < whole:
            raise UnpackingError(f"{key!r} in it is cut off: it has {size:,} bytes")
        file.seek(0 if shards.is_index_first else size - whole)
        data = file.read(whole)
        if shards.has_checksum and data[length:] != _crc32c(data[:length]):
            raise UnpackingError(f"the index of {key!r} in it is damaged: its checksum is another")
        index = np.frombuffer(data, "<u8", length // 8).reshape(*shards.counts, 2)
        return cls(key, file, shards, index, size)

    def read(self, place: Place, chunk_size: int) -> bytes | None:
        """Return the packed bytes of a chunk, `None` if it is not stored."""
        offset, length = map(int, self.index[place])
        if offset == length == _MISSING:
            return None
        if length > most_packed(chunk_size):
            raise too_long(self.key, most_packed(chunk_size))
        self.file.seek(min(offset, self.size))
        data = self.file.read(length)
        if len(data) < length:
            shown = "/".join(map(str, place))
            message = f"{self.key!r} in it is damaged: its chunk {shown} lies behind its end"
            raise UnpackingError(message)
        return data


def _put(voxels: Any, index: Index, start: list[int], chunk: Any) -> None:
    """Copy what of a chunk lies in a region; `start` is where the chunk begins in the array."""
    there, here = [], []
    for part, first, side in zip(index, start, chunk.shape, strict=True):
        begin, end = max(part.start, first), min(part.stop, first + side)
        there.append(slice(begin - part.start, end - part.start))
        here.append(slice(begin - first, end - first))
    voxels[tuple(there)] = chunk[tuple(here)]


def _undo(name: str, data: Any, size: int, settings: Any) -> Any:
    """Return what a codec packed, at most a little more than the bytes of a chunk."""
    if name == CRC32C:
        if data[-_CRC:] != _crc32c(data[:-_CRC]):
            message = "its checksum is another"
            raise UnpackingError(message)
        return data[:-_CRC]
    if name == "gzip" and (unpacked := _gunzip(data, size)) is not None:
        return unpacked
    return unpack(name, data, most_unpacked(size), settings)


def _gunzip(data: bytes, size: int) -> Any:
    """Return what one gzip stream of so many bytes holds; `None` if it is none, or not alone.

    The library does not tell where the stream ends. It has compared the tail of the stream, so the
    same bytes stand there: if they stand first at the end of the data, so does the stream.
    """
    import deflate

    try:
        unpacked = deflate.gzip_decompress(data, size)
    except (deflate.DeflateError, ValueError, MemoryError):
        return None
    tail = struct.pack("<II", deflate.crc32(unpacked), len(unpacked) & 0xFFFFFFFF)
    return unpacked if data.find(tail) == len(data) - _GZIP_TAIL else None


def _crc32c(data: bytes) -> bytes:
    import google_crc32c

    return struct.pack("<I", google_crc32c.value(bytes(data)))
