"""The spool: planes in plain files, where the memory is full, or until a slab is whole.

There is a file for each slab, with the planes at their places, so any of them can be read alone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.streams.slabs import SlabGrid, SlabKey


class Spool:
    """A folder of planes."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.makedirs(folder, exist_ok=True)

    def _path(self, image: int, key: SlabKey) -> str:
        return _path(self._folder, image, key)

    def put(self, image: int, key: SlabKey, number: int, plane: Voxels) -> None:
        """Write a plane of a slab by its number."""
        import numpy as np

        data = np.ascontiguousarray(plane).data.cast("B")
        file = os.open(self._path(image, key), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            offset = number * len(data)
            while data:
                written = os.pwrite(file, data, offset)
                data, offset = data[written:], offset + written
        finally:
            os.close(file)

    def get(self, image: int, key: SlabKey, number: int, grid: SlabGrid) -> Voxels:
        """Return a plane of a slab, along y and x."""
        return read_spooled(self._folder, image, key, number, grid)

    def remove(self, image: int, key: SlabKey) -> None:
        """Delete the planes of a slab, if there are any."""
        with suppress(FileNotFoundError):
            os.unlink(self._path(image, key))


def read_spooled(folder: str, image: int, key: SlabKey, number: int, grid: SlabGrid) -> Voxels:
    """Return a plane of a slab in the spool of a folder, along y and x.

    Raises
    ------
    FileNotFoundError
        There is none of the slab.
    """
    import numpy as np

    offset, count = number * grid.frame_bytes, grid.frame_bytes // int(grid.dtype.itemsize)
    path = _path(folder, image, key)
    plane: Voxels = np.fromfile(path, grid.dtype, count, offset=offset)
    return plane.reshape(grid.size_yx)


def _path(folder: str, image: int, key: SlabKey) -> str:
    return f"{folder}/{image}.{'.'.join(map(str, key))}"
