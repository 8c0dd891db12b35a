"""The smaller levels of an image, as Imaris makes them: how many, how large, of which values.

A level halves each axis that is not much shorter than the others, so that voxels become more alike
along all axes. A voxel is the floor of the mean of those it is made of, which are 2, 4 or 8; what
is left over at an odd edge is dropped. Facts: Imaris file format 5.5, ImarisWriter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.grid import LevelGrid

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape, Voxels

SMALL_ENOUGH = 2**20
"""Bytes of one channel; a level that has no more is the last."""
_AT_ONCE = 2**18
"""Bytes of which the mean is taken in one go: what the cache of a processor holds."""
_CHUNKS = ((64, 128), (16, 256), (4, 512))
"""Height, and length of the other sides, of a chunk of 1 MiB where a voxel has one byte."""
LARGEST_SLAB = 128 * 2**20
"""Bytes of planes that are read together; larger planes have lower chunks, of two at least."""


def plan_levels(shape: Shape, itemsize: int) -> tuple[LevelGrid, ...]:
    """Return the levels of an image that is written here, the full one first.

    Parameters
    ----------
    shape
        Sizes along t, c, z, y, x.
    itemsize
        Bytes of a voxel.
    """
    plane = shape[3] * shape[4] * itemsize
    heights = [(max(height // itemsize, 2), side) for height, side in _CHUNKS]
    fitting = (pair for pair in heights if pair[0] * plane <= LARGEST_SLAB)
    height, side = next(fitting, heights[-1])
    most = zip((height, side, side), shape[2:], strict=True)
    # Of what is smaller than a chunk, the chunk is the next power of two.
    chunk = tuple(min(n, 1 << (size - 1).bit_length()) for n, size in most)
    sizes = level_sizes(shape[2:], itemsize)
    return tuple(LevelGrid((*shape[:2], *size), (1, 1, *chunk), is_slabs=True) for size in sizes)


def level_sizes(size_zyx: Shape, itemsize: int) -> list[Shape]:
    """Return the sizes of all levels along z, y and x, the full one first.

    Parameters
    ----------
    size_zyx
        Voxels of the full level.
    itemsize
        Bytes of a voxel.
    """
    sizes = [tuple(size_zyx)]
    while math.prod(sizes[-1]) * itemsize > SMALL_ENOUGH:
        size = sizes[-1]
        others = [math.prod(size) // n for n in size]
        sizes.append(
            tuple(
                n // 2 if n > 1 and (10 * n) ** 2 > other else n
                for n, other in zip(size, others, strict=True)
            )
        )
    return sizes


def halve(voxels: Voxels, steps: Shape) -> Voxels:
    """Return the floor of the mean of the voxels that make one of the next level.

    Of floating-point numbers it is the mean, in double precision.

    Parameters
    ----------
    voxels
        Along z, y, x, in any byte order.
    steps
        How many voxels become one along each of these axes, 1 or 2.
    """
    import numpy as np

    z_step, y_step, _ = steps
    size = tuple(n // step for n, step in zip(voxels.shape, steps, strict=True))
    inner = slice(size[2] * steps[2])
    small = np.empty(size, voxels.dtype)
    rows = max(_AT_ONCE // (z_step * y_step * max(voxels[0, 0].nbytes, 1)), 1)
    for z in range(size[0]):
        planes = voxels[z * z_step : (z + 1) * z_step]
        for y in range(0, size[1], rows):
            end = min(y + rows, size[1])
            small[z : z + 1, y:end] = _mean(planes[:, y * y_step : end * y_step, inner], steps)
    return small


def _mean(values: Any, steps: Shape) -> Any:
    """Return the means, as the data type has them."""
    import numpy as np

    dtype = values.dtype.newbyteorder("=")
    values = values.astype(dtype, copy=False)
    if dtype.kind == "f":
        with np.errstate(all="ignore"):  # of infinite numbers
            return (_sum(values.astype("float64"), steps) / math.prod(steps)).astype(dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    if dtype.kind == "u":
        return _unsigned_mean(values, steps)
    # Turning the bit of the sign maps signed numbers to unsigned ones, the order kept.
    sign = unsigned.type(1 << 8 * dtype.itemsize - 1)
    return (_unsigned_mean(values.view(unsigned) ^ sign, steps) ^ sign).view(dtype)


def _unsigned_mean(values: Any, steps: Shape) -> Any:
    """Return the floor of the mean of unsigned integers; no sum can overflow."""
    import numpy as np

    shift = math.prod(steps).bit_length() - 1
    width = values.dtype.itemsize
    if width == 8:  # there is nothing wider
        rest = np.uint64((1 << shift) - 1)
        return _sum(values >> shift, steps) + (_sum(values & rest, steps) >> shift)
    wide = np.dtype(f"u{2 * width}")
    z, y, x = steps
    if x == 2:
        # Two neighbours are one number of twice the width, whose halves are added: quick, since
        # the numbers lie side by side.
        beside = values if values.strides[2] == width else np.ascontiguousarray(values)
        pairs = beside.view(wide)
        total = _sum((pairs & wide.type((1 << 8 * width) - 1)) + (pairs >> 8 * width), (z, y, 1))
    else:
        total = _sum(values.astype(wide), steps)
    total >>= shift
    return total.astype(values.dtype)


def _sum(values: Any, steps: Shape) -> Any:
    """Return the sums of neighbours along each axis."""
    for axis, step in enumerate(steps):
        if step == 2:
            before = (slice(None),) * axis
            values = values[(*before, slice(0, None, 2))] + values[(*before, slice(1, None, 2))]
    return values
