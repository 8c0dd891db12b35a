"""Blocks of TIFF and OME-TIFF files: planes in one piece, or compressed tiles and strips.

Facts: TIFF 6.0 (tiles are padded to their full size; strips are not), and libtiff: 50000 is zstd,
8 and 32946 are zlib streams.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.header import check_regular, load_library
from spimpack_tasks.volumes.in_place.blocks import (
    MISSING,
    NotInPlaceError,
    StoredBlocks,
    rows_as_blocks,
    rows_of,
)
from spimpack_tasks.volumes.plane_folder.header import find_planes
from spimpack_tasks.volumes.rows import flat_index
from spimpack_tasks.volumes.tiff.ome_levels import find_ome_planes, open_pages
from spimpack_tasks.volumes.tiff.page_forms import find_series
from spimpack_tasks.volumes.tiff.pages import name_axes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.in_place.blocks import Range

_NONE = 1
"""The number of voxels that are not compressed (TIFF 6.0)."""
_CODECS = {_NONE: "none", 8: "zlib", 32946: "zlib", 50000: "zstd"}
"""The codec of Zarr by the number of a compression."""


def find_blocks(path: str, scene: str = "", axes: str = "") -> StoredBlocks:
    """Return where the voxels of a TIFF or OME-TIFF lie.

    Parameters
    ----------
    path
        The file.
    scene
        Which image of the file.
    axes
        The names of its axes, where the user gives them.

    Raises
    ------
    NotInPlaceError
        They do not lie as in a shard.
    HeaderError, OSError
        The file cannot be read.
    """
    check_regular(path)
    planes = find_ome_planes(path, scene)
    with load_library("tifffile").TiffFile(path, is_ome=False, is_mmstack=False) as file:
        if planes is not None and axes:
            message = "its metadata tell its axes, and others are chosen"
            raise NotInPlaceError(message)
        if planes is not None:
            series = open_pages(file, path, planes).series
        elif file.series and len(file.series) == 1:
            series = find_series(file, path)
        else:
            message = "the file holds several images, or none"
            raise NotInPlaceError(message)
        return _blocks_of(path, file, series.levels[0], tuple(axes))


def _blocks_of(path: str, file: Any, level: Any, chosen: tuple[str, ...] = ()) -> StoredBlocks:
    page = level.keyframe
    if any(part is not None and part.parent is not file for part in level.pages):
        message = "its planes lie in several files"
        raise NotInPlaceError(message)
    if any(part is None for part in level.pages):
        message = "planes are missing"
        raise NotInPlaceError(message)
    _check_page(page)
    axes, shape = chosen or name_axes(level.axes), tuple(level.shape)
    if len(axes) != len(shape) or axes[-2:] != ("y", "x") or set(axes[:-2]) - set("tcz"):
        message = f"its axes are {', '.join(axes)}, and not some of t, c, z and then y, x"
        raise NotInPlaceError(message)
    sizes = dict(zip(axes, shape, strict=True))
    whole: Shape = tuple(sizes.get(axis, 1) for axis in "tczyx")
    dtype = level.dtype.newbyteorder(file.byteorder)
    row_bytes = whole[4] * int(dtype.itemsize)
    codec = _CODECS[int(page.compression)]
    if page.is_tiled:
        block = (1, int(page.tilelength), int(page.tilewidth))
    elif codec == "none":
        block = (1, rows_of(whole[3], whole[4], int(dtype.itemsize)), whole[4])
    else:
        block = (1, min(int(page.rowsperstrip), whole[3]), whole[4])
    is_apart = page.is_tiled or codec != "none"
    start = None if level.dataoffset is None or is_apart else int(level.dataoffset)
    starts = [] if start is not None else [_ranges_of(part, whole, page) for part in level.pages]

    def ranges(t: int, c: int, z: int) -> list[Range]:
        place = {"t": t, "c": c, "z": z}
        number = flat_index(tuple(place[axis] for axis in axes[:-2]), shape[:-2])
        if is_apart:
            return starts[number]
        offset = starts[number][0][0] if start is None else start + number * row_bytes * whole[3]
        return rows_as_blocks(offset, whole[3], block[1], row_bytes)

    return StoredBlocks(whole, dtype, block, codec, (path,), ranges)


def _check_page(page: Any) -> None:
    """Refuse pages whose bytes are not those of a chunk."""
    compression = int(page.compression)
    if compression not in _CODECS:
        message = f"it is compressed by {page.compression.name}, which no codec of Zarr reads"
    elif compression != _NONE and not page.is_tiled and page.imagelength % page.rowsperstrip:
        message = "its strips are compressed, and the last one of a plane is shorter than a chunk"
    elif int(page.predictor) != 1:
        message = f"it has the predictor {page.predictor.name}"
    elif int(page.samplesperpixel) != 1:
        message = "a pixel has several samples"
    elif int(page.bitspersample) != 8 * page.dtype.itemsize:
        message = f"a voxel has {page.bitspersample} bits"
    elif int(page.fillorder) != 1:
        message = "the bits of a byte are in reverse order"
    else:
        return
    raise NotInPlaceError(message)


def _ranges_of(part: Any, whole: Shape, page: Any) -> list[Range]:
    """Return where the strips or tiles of a page lie; strips as one where they follow another."""
    offsets, counts = [*map(int, part.dataoffsets)], [*map(int, part.databytecounts)]
    if page.is_tiled or int(page.compression) != _NONE:
        if page.nodata and not all(counts):
            message = f"its voxels are {page.nodata} where none are stored, and not 0"
            raise NotInPlaceError(message)
        pairs = zip(offsets, counts, strict=True)
        return [(offset, count) if count else MISSING for offset, count in pairs]
    for (start, count), following in zip(
        zip(offsets, counts, strict=True), offsets[1:], strict=False
    ):
        if start + count != following:
            message = "the strips of a plane do not follow one another"
            raise NotInPlaceError(message)
    if sum(counts) != math.prod(whole[3:]) * page.dtype.itemsize:
        message = "the strips of a plane are not as long as its voxels"
        raise NotInPlaceError(message)
    return [(offsets[0], sum(counts))]


def find_plane_blocks(path: str) -> StoredBlocks:
    """Return where the voxels of a folder of raw TIFF planes lie, each in a file of its own.

    Raises
    ------
    NotInPlaceError
        They do not lie as in a shard.
    HeaderError, OSError
        A file cannot be read.
    """
    planes = find_planes(path)
    files = tuple(f"{path}/{name}" for name in planes.names)
    if not all(file.lower().endswith((".tif", ".tiff")) for file in files):
        message = "its planes are no TIFFs"
        raise NotInPlaceError(message)
    with _open_plane(files[0]) as (file, page):
        first = _blocks_of(files[0], file, file.series[0].levels[0])
        dtype = page.dtype.newbyteorder(file.byteorder)

    def ranges(t: int, c: int, z: int) -> list[Range]:
        name = files[(t * planes.shape[1] + c) * planes.shape[2] + z]
        with _open_plane(name) as (file, page):
            found = _blocks_of(name, file, file.series[0].levels[0])
            same = (found.shape, found.dtype, found.block_zyx, found.codec)
            if same != (first.shape, first.dtype, first.block_zyx, first.codec) or page is None:
                message = f"{name} is stored in another way than {files[0]}"
                raise NotInPlaceError(message)
            return found.ranges(0, 0, 0)

    shape = tuple(planes.shape)
    return StoredBlocks(shape, dtype, first.block_zyx, first.codec, files, ranges)


@contextmanager
def _open_plane(path: str) -> Iterator[tuple[Any, Any]]:
    with (
        open_regular(path),
        load_library("tifffile").TiffFile(path, is_ome=False, is_mmstack=False) as file,
    ):
        yield file, file.pages[0]
