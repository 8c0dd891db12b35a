"""Reads planes of an OME-TIFF that has no directories yet."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from spimpack_tasks.volumes.tiff.layout import TILE

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.volumes.tiff.bigtiff import StoredPlane


class Readable(Protocol):
    """A file of which parts can be read."""

    def read(self, offset: int, size: int) -> bytes:
        """Return some bytes."""


def read_plane(file: Readable, plane: StoredPlane, dtype: Any, compression: str) -> Voxels:
    """Return a plane of the full level, along y and x.

    Parameters
    ----------
    file
        The file.
    plane
        Where it is stored.
    dtype
        Type of its voxels.
    compression
        `none`, `zlib` or `zstd`.
    """
    import numpy as np

    if plane.tiles:
        return _decode_tiles(file, plane, dtype, compression)
    data = file.read(plane.offset, prod(plane.size_yx) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(plane.size_yx)


def _decode_tiles(file: Readable, plane: StoredPlane, dtype: Any, compression: str) -> Voxels:
    """Return a plane of tiles."""
    import imagecodecs
    import numpy as np

    decode = getattr(imagecodecs, f"{compression}_decode")
    predict = imagecodecs.floatpred_decode if dtype.kind == "f" else imagecodecs.delta_decode
    y, x = plane.size_yx
    rows, columns = -(-y // TILE), -(-x // TILE)
    found: Voxels = np.empty((rows * TILE, columns * TILE), dtype)
    offset = plane.offset
    for number, size in enumerate(plane.tiles):
        data = np.frombuffer(decode(file.read(offset, size)), dtype)
        row, column = divmod(number, columns)
        where = slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE)
        found[where] = predict(data.reshape(TILE, TILE), axis=-1)
        offset += size
    return found[:y, :x]
