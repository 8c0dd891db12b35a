"""Reads regions of datasets of HDF5 whose chunks hold no more than they should.

The filters of HDF5 unpack any data to any size. So each compressed chunk is
looked at before HDF5 gets it; one that is deflated and nothing else is unpacked here, so that it is
not unpacked twice. Facts: HDF5 file format (filter pipeline), the registered filters, LZF.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.unpacking import UnpackingError, check_size, unpack

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.volumes.levels import Index

_DEFLATE, _SHUFFLE, _FLETCHER, _LZF = 1, 2, 3, 32000
_NAMES = {_DEFLATE: "zlib", 32001: "blosc", 32004: "lz4 in HDF5", 32015: "zstd"}
"""Unpacks the data of a filter."""
_KNOWN = frozenset({_SHUFFLE, _FLETCHER, _LZF, *_NAMES})
_SLACK = 2**16
"""Bytes that compression may add to a chunk of noise, and checksums behind it."""
_MOST_UNTOLD = 256 * 2**20
"""Bytes that a stream may unpack to if it does not say so."""
_LZF_RATIO = 88
"""Bytes that a byte of LZF stands for, at the most: 264 for three."""
_MOST_INFLATED = 1032
"""Deflate's bound: a byte unpacks to at most 1,032."""


def missing_filters(numbers: list[int]) -> list[int]:
    """Return the filters that HDF5 cannot decode here, with hdf5plugin if that is installed."""
    h5py = load_library("h5py")
    if not all(map(h5py.h5z.filter_avail, numbers)):
        with suppress(ImportError):
            import_module("hdf5plugin")  # it makes its filters known to HDF5
    return [number for number in numbers if not h5py.h5z.filter_avail(number)]


class ChunkedDataset:
    """A dataset of numbers, of which regions are read."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        h5py = load_library("h5py")
        creation = dataset.id.get_create_plist()
        count = creation.get_nfilters() if dataset.chunks else 0
        self._filters = [creation.get_filter(i) for i in range(count)]
        self._numbers = [each[0] for each in self._filters]
        missing_filters(self._numbers)  # HDF5 refuses a chunk of one that is missing
        is_as_numpy = dataset.id.get_type() == h5py.h5t.py_create(dataset.dtype)
        self._is_only_deflated = self._numbers == [_DEFLATE] and is_as_numpy

    def __getitem__(self, region: Index) -> Voxels:
        """Return a region.

        Raises
        ------
        UnpackingError
            A chunk holds more than it should, or is compressed so that this cannot be known.
        """
        if self._filters:
            unknown = set(self._numbers) - _KNOWN
            if unknown:
                message = (
                    f"it is compressed by the filter {min(unknown)} of HDF5, which is not read"
                )
                raise UnpackingError(message)
            sides = zip(region, self.dataset.chunks, strict=True)
            starts = [range(part.start // n * n, part.stop, n) for part, n in sides]
            origins = list(product(*starts))
            for origin in origins:
                chunk = self._check(origin, keep=self._is_only_deflated and len(origins) == 1)
                if chunk is not None:
                    inner = zip(region, origin, strict=True)
                    return chunk[tuple(slice(p.start - at, p.stop - at) for p, at in inner)]
        voxels: Voxels = self.dataset[region]
        return voxels

    def _check(self, origin: tuple[int, ...], *, keep: bool) -> Voxels | None:
        """Look at a chunk; return its voxels if that is wanted, and they had to be unpacked."""
        dataset = self.dataset
        stored = dataset.id.get_chunk_info_by_coord(origin)
        if stored.byte_offset is None:
            return None
        numpy = load_library("numpy")
        size = int(numpy.prod(dataset.chunks, dtype="int64")) * dataset.dtype.itemsize
        if stored.size > 2 * size + _SLACK:
            raise UnpackingError(f"a chunk of {size:,} bytes takes {stored.size:,} in the file")
        # h5py guards each function but this one against other threads (3.14 to 3.16).
        with load_library("h5py._objects").phil:
            mask, data = dataset.id.read_direct_chunk(origin)
        if keep and not mask:
            unpacked = unpack("zlib", data, size, {})
            if len(unpacked) != size:
                raise UnpackingError(f"a chunk holds {len(unpacked):,} bytes instead of {size:,}")
            voxels: Voxels = numpy.frombuffer(unpacked, dataset.dtype).reshape(dataset.chunks)
            return voxels
        self._check_filters(mask, data, size + _SLACK)
        return None

    def _check_filters(self, mask: int, data: bytes, most: int) -> None:
        packers = 0
        for position in reversed(range(len(self._numbers))):
            number = self._numbers[position]
            if mask >> position & 1 or number == _SHUFFLE:
                continue
            if number == _FLETCHER:
                data = data[:-4]
                continue
            packers += 1
            if packers > 1:
                raise UnpackingError("it is compressed twice, which is not read")
            if number == _LZF:
                self._check_lzf(position, data, most)
            elif number != _DEFLATE or len(data) * _MOST_INFLATED > most:
                check_size(_NAMES[number], data, most)

    def _check_lzf(self, position: int, data: bytes, most: int) -> None:
        told = max(self._filters[position][2][2:3], default=0)
        if told > most or len(data) * _LZF_RATIO > max(4 * most, _MOST_UNTOLD):
            raise UnpackingError("LZF does not tell how much its chunks hold")
