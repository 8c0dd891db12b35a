"""Blocks of Imaris files: the chunks of their full level, or planes in one piece.

Facts: HDF5 file format (layouts, filter pipeline; a chunk at the edge is as large as any). `Data`
is padded to whole chunks, and chunks beyond the image are left out. The levels of the file would
each need the bytes of the whole file, so only the full one is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.imaris.chunks import index_chunks
from spimpack_tasks.volumes.imaris.header import ImarisFile
from spimpack_tasks.volumes.in_place.blocks import (
    MISSING,
    NotInPlaceError,
    StoredBlocks,
    rows_as_blocks,
    rows_of,
)
from spimpack_tasks.volumes.levels import check_chunk_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.in_place.blocks import Range

    Layer = Callable[[int], list[Range]]
    """Returns where the blocks of a layer lie."""

_CODECS = {(): "none", (1,): "zlib", (32015,): "zstd"}
"""The codec of Zarr by the numbers of the filters of HDF5."""
_NAMES = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "LZF", 32001: "blosc", 32004: "LZ4"}


class _Dataset(NamedTuple):
    """How a dataset is stored, which is the same for all of an image, and where."""

    dtype: Any
    block_zyx: tuple[int, int, int]
    codec: str
    layer: Layer


def find_blocks(path: str) -> StoredBlocks:
    """Return where the voxels of the full level of an Imaris file lie.

    Raises
    ------
    NotInPlaceError
        They do not lie as in a shard.
    HeaderError, OSError
        The file cannot be read, or is damaged.
    """
    with ImarisFile(path) as file:
        shape = file.header.shapes[0]
        found = [
            [_find_dataset(file, time, channel) for channel in range(shape[1])]
            for time in range(shape[0])
        ]
    first = found[0][0]
    if any(each[:3] != first[:3] for channels in found for each in channels):
        message = "its channels or time points are stored in different ways"
        raise NotInPlaceError(message)

    def ranges(t: int, c: int, z: int) -> list[Range]:
        return found[t][c].layer(z)

    return StoredBlocks(shape, first.dtype, first.block_zyx, first.codec, (path,), ranges)


def _find_dataset(file: ImarisFile, time: int, channel: int) -> _Dataset:
    dataset = file.dataset(0, time, channel)
    filters = _check_values(file, dataset)
    size_zyx = file.header.shapes[0][2:]
    if dataset.chunks is None:
        return _find_planes(dataset, size_zyx)
    check_chunk_size(file.path, 0, dataset.chunks, dataset.dtype)
    index = index_chunks(file, dataset, size_zyx)
    if filters and not index.is_whole:
        message = "some of its chunks are not compressed"
        raise NotInPlaceError(message)

    def layer(z: int) -> list[Range]:
        pairs = zip(index.offsets[z].flat, index.lengths[z].flat, strict=True)
        return [(int(at), int(n)) if at >= 0 else MISSING for at, n in pairs]

    z, y, x = dataset.chunks
    return _Dataset(dataset.dtype, (z, y, x), _CODECS[filters], layer)


def _check_values(file: ImarisFile, dataset: Any) -> tuple[int, ...]:
    """Return the filters of a dataset; refuse one whose bytes are not those of chunks."""
    h5py = load_library("h5py")
    creation = dataset.id.get_create_plist()
    filters = tuple(creation.get_filter(i)[0] for i in range(creation.get_nfilters()))
    if filters not in _CODECS:
        names = " and ".join(_NAMES.get(number, f"filter {number}") for number in filters)
        message = f"it is compressed by {names} of HDF5, which no codec of Zarr reads"
    elif dataset.id.get_type() != h5py.h5t.py_create(dataset.dtype):
        message = "its voxels are numbers that HDF5 converts"
    elif dataset.fillvalue:
        message = f"its voxels are {dataset.fillvalue} where none are stored, and not 0"
    elif not file.holds_bytes_of(dataset):
        message = "its voxels lie in another file, or behind a block of the user's"
    elif creation.get_layout() == h5py.h5d.COMPACT:
        message = "its voxels lie in its header"
    else:
        return filters
    raise NotInPlaceError(message)


def _find_planes(dataset: Any, size_zyx: Shape) -> _Dataset:
    """Return the blocks of a dataset in one piece: rows of its planes, padding included."""
    _, height, width = dataset.shape
    itemsize = int(dataset.dtype.itemsize)
    rows, start = rows_of(height, width, itemsize), dataset.id.get_offset()
    count = -(-size_zyx[1] // rows)

    def layer(z: int) -> list[Range]:
        if start is None:  # nothing was ever written
            return [MISSING] * count
        row_bytes = width * itemsize
        plane = start + z * height * row_bytes
        return rows_as_blocks(plane, height, rows, row_bytes)[:count]

    return _Dataset(dataset.dtype, (1, rows, width), "none", layer)
