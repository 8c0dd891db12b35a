"""The layout of an OME-TIFF that is written here: tiles, smaller versions of planes, extension."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape

TILE = 256
"""Pixels of a side of a tile; a level that has no more is the last."""
LARGEST_CLASSIC = 2**32 - 2**25
"""Bytes that a TIFF can address, less some for its directories."""
TYPES = {"float32": "float", "float64": "double"} | {
    name: name for name in ("uint8", "uint16", "uint32", "int8", "int16", "int32")
}
"""Names in OME-XML of data types of numpy."""
COMPRESSIONS = ("zlib", "zstd", "none")
LEVELS = tuple(map(str, range(1, 10)))
"""Of zlib and zstd, the quickest first; the last makes the smallest files."""


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
