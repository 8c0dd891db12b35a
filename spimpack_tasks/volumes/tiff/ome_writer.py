"""Writes pyramidal, tiled OME-TIFF, plane by plane.

Each plane is followed by its smaller versions, which its directory names (`SubIFDs`): so one pass
over the source is enough, and a few planes are in memory. As OME-TIFF has it, smaller versions are
smaller in y and x alone. A file cannot be gone on with: after a kill it is made from the start.
Facts: OME-TIFF specification 6.0.
"""

from __future__ import annotations

import math
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.pyramid import halve
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.plane_levels import describe
from spimpack_tasks.volumes.planes import Planes, open_planes
from spimpack_tasks.volumes.source_errors import source_trouble_told
from spimpack_tasks.volumes.tiff.ome_xml_writer import compose_ome_xml
from spimpack_tasks.volumes.volume import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.levels import Voxels
    from spimpack_tasks.volumes.ome_zarr.metadata import Image
    from spimpack_tasks.volumes.request import Job

TILE = 256
"""Pixels of a side of a tile; a level that has no more is the last."""
LARGEST_CLASSIC = 2**32 - 2**25
"""Bytes that a TIFF can address, less some for its directories."""
COMPRESSIONS = ("zlib", "zstd")
LEVEL = 1
"""Of either: the quickest."""


def plane_sizes(size_yx: Shape) -> list[Shape]:
    """Return the sizes of a plane and of its smaller versions along y and x."""
    sizes = [tuple(size_yx)]
    while max(sizes[-1]) > TILE:
        sizes.append(tuple(max(n // 2, 1) for n in sizes[-1]))
    return sizes


def extension_of(shape: Shape, itemsize: int) -> str:
    """Return `.ome.tif`, or `.ome.btf` for what might not fit into a TIFF were it not compressed.

    Parameters
    ----------
    shape
        Sizes along t, c, z, y, x.
    itemsize
        Bytes of a voxel.
    """
    whole_tiles = (math.prod(-(-n // TILE) * TILE for n in size) for size in plane_sizes(shape[3:]))
    size = math.prod(shape[:3]) * sum(whole_tiles) * itemsize
    return ".ome.btf" if size > LARGEST_CLASSIC else ".ome.tif"


def count_bytes(source: str, source_format: str) -> int:
    """Return the number of bytes of voxels that `convert` tells of."""
    header = read_header(source, source_format)
    return math.prod(header.shapes[0]) * header.itemsize


def convert(job: Job, advance: Callable[[int], None]) -> None:
    """Convert an image whose planes can be read one after the other.

    Raises
    ------
    OSError
        The source cannot be read, or is damaged: the plane is named.
    """
    with source_trouble_told(), open_planes(job.source) as opened:
        planes = replace(opened, left_out=(*opened.left_out, *opened.extras))
        write_ome_tiff(job, describe(planes, job), planes, job.request.codec, advance)


def write_ome_tiff(
    job: Job, image: Image, planes: Planes, compression: str, advance: Callable[[int], None]
) -> None:
    """Write an OME-TIFF of planes for a job, BigTIFF if need be.

    Parameters
    ----------
    job
        Where to write, and by how many threads; what is written does not depend on these. Nothing
        is at its path until the file is whole.
    image
        What is known of it; its levels do not matter.
    planes
        The voxels.
    compression
        One of `COMPRESSIONS`.
    advance
        Told the number of bytes of the source's voxels after each plane, `planes.size` in all.

    Raises
    ------
    HeaderError
        The voxels have a type that OME-TIFF has not.
    DamagedChunkError
        A plane cannot be read; the message names it.
    """
    tifffile = load_library("tifffile")
    description = compose_ome_xml(job.source, image, planes)
    is_big = extension_of(planes.shape, planes.dtype.itemsize) == ".ome.btf"
    aside = f"{job.path}.part"
    try:
        with tifffile.TiffWriter(aside, bigtiff=is_big, byteorder="<") as file:
            for levels in _encoded(planes, compression, job.threads):
                _write_plane(file, planes, levels, description, compression)
                description = b""  # of the first plane only
                advance(planes.size // math.prod(planes.shape[:3]))
        planes.finish()
        with open(aside, "rb+") as written:
            os.fsync(written.fileno())
        os.rename(aside, job.path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)


def _write_plane(
    file: Any, planes: Planes, levels: list[list[bytes]], description: bytes, compression: str
) -> None:
    """Write a plane and its smaller versions, whose tiles are encoded."""
    options = {
        "dtype": planes.dtype,
        "tile": (TILE, TILE),
        "compression": compression,
        "predictor": True,
        "photometric": "minisblack",
        "software": f"spimpack_tasks {__version__}",
        "metadata": None,
    }
    sizes = plane_sizes(planes.shape[3:])
    for number, (size, tiles) in enumerate(zip(sizes, levels, strict=True)):
        first = {"subifds": len(sizes) - 1, "description": description or None}
        kind = {"subfiletype": 1} if number else first
        file.write(iter(tiles), shape=size, **kind, **options)


def _encoded(planes: Planes, compression: str, threads: int) -> Iterator[list[list[bytes]]]:
    """Yield the encoded tiles of each level of each plane; a few planes are encoded ahead."""
    ahead: deque[Future[list[list[bytes]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for plane in _in_order(planes):
            ahead.append(pool.submit(_encode_levels, plane, compression))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _in_order(planes: Planes) -> Iterator[Voxels]:
    """Yield each plane, z the fastest and t the slowest."""
    times, channels, depth, *_ = planes.shape
    for time in range(times):
        for channel in range(channels):
            for start in range(0, depth, planes.together):
                stop = min(start + planes.together, depth)
                for plane in planes.read(time, channel, slice(start, stop)):
                    yield plane.astype(planes.dtype, copy=False)


def _encode_levels(plane: Voxels, compression: str) -> list[list[bytes]]:
    """Return the encoded tiles of a plane and of its smaller versions."""
    levels = []
    sizes = plane_sizes(plane.shape)
    for number, size in enumerate(sizes):
        if number:
            steps = (1, *(2 if m < n else 1 for n, m in zip(plane.shape, size, strict=True)))
            plane = halve(plane[None], steps)[0]
        levels.append([_encode_tile(tile, compression) for tile in _tiles(plane)])
    return levels


def _tiles(plane: Voxels) -> Iterator[Voxels]:
    """Yield the tiles of a plane, row by row, filled up with zeros."""
    import numpy as np

    for y in range(0, plane.shape[0], TILE):
        for x in range(0, plane.shape[1], TILE):
            part = plane[y : y + TILE, x : x + TILE]
            tile = np.zeros((TILE, TILE), plane.dtype)
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _encode_tile(tile: Voxels, compression: str) -> bytes:
    """Return a tile of differences along x (of floating-point numbers, as Adobe has it), packed."""
    codecs = load_library("imagecodecs", "convert")
    predict = codecs.floatpred_encode if tile.dtype.kind == "f" else codecs.delta_encode
    encode = codecs.zstd_encode if compression == "zstd" else codecs.deflate_encode
    packed: bytes = encode(predict(tile, axis=-1).tobytes(), level=LEVEL)
    return packed
