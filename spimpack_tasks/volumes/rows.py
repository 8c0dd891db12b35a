"""Voxels that lie in a file one after another, row by row: those of NIfTI and of plain TIFF.

They are read in bands of rows, forward, so a compressed stream is unpacked once. Memory maps are
not used: what they hold counts as memory of the process, and a file that is cut off kills it.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.levels import Index, StoredLevel

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from spimpack_tasks.arrays.grid import Voxels

BAND_BYTES = 4 * 2**20
"""Rows decoded at once: large enough for the decoder, small beside a slab."""


def level_of_rows(
    file: BinaryIO,
    axes: tuple[str, ...],
    shape: tuple[int, ...],
    dtype: Any,
    offset_of: Callable[[tuple[int, ...]], int | None],
) -> StoredLevel:
    """Return the level of planes in a file.

    Parameters
    ----------
    file
        Where they lie.
    axes, shape
        The last two are those of a plane.
    dtype
        Of numpy, with the byte order of the file.
    offset_of
        Returns where a plane begins, by its index on the axes before; `None` of a plane that the
        file leaves out.
    """
    numpy = load_library("numpy")
    row_bytes = shape[-1] * dtype.itemsize
    band = min(max(1, BAND_BYTES // row_bytes), shape[-2])

    def read_band(plane: tuple[int, ...], rows: slice) -> Voxels:
        offset = offset_of(plane)
        count = rows.stop - rows.start
        if offset is None:
            nothing: Voxels = numpy.zeros((count, shape[-1]), dtype)
            return nothing
        file.seek(offset + rows.start * row_bytes)
        data = file.read(count * row_bytes)
        found: Voxels = numpy.frombuffer(data, dtype).reshape(count, shape[-1])
        return found

    def read(index: Index) -> Voxels:
        *leading, rows, columns = index
        planes = product(*(range(part.start, part.stop) for part in leading))
        bands = [read_band(plane, rows)[:, columns] for plane in planes]
        sizes = [part.stop - part.start for part in index]
        block: Voxels = numpy.concatenate(bands).reshape(sizes)
        return block

    block = (*([1] * (len(shape) - 2)), band, shape[-1])
    return StoredLevel(axes, shape, dtype, block, read)


def flat_index(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Return the number of a plane, counted with the last axis the fastest."""
    sizes = (math.prod(shape[i + 1 :]) for i in range(len(shape)))
    return sum(i * size for i, size in zip(index, sizes, strict=True))
