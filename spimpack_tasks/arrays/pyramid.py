"""The smaller levels of an image, as Imaris makes them: how many, how large, of which values.

A level halves each axis that is not much shorter than the others, so that voxels become more alike
along all axes. A voxel is the floor of the mean of those it is made of, which are 2, 4 or 8; what
is left over at an odd edge is dropped. Facts: Imaris file format 5.5, ImarisWriter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.grid import SLAB_CHUNKS, LevelGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.grid import Shape, Voxels

SMALL_ENOUGH = 2**20
"""Bytes of one channel; a level that has no more is the last."""
_AT_ONCE = 2**18
"""Bytes of which the mean is taken in one go: what the cache of a processor holds."""
_SMALL_STACK = 2**19
"""Bytes of planes that are so small that one call for all of them is quicker than one for each."""
_CHUNKS = ((64, 128), (16, 256), (4, 512))
"""Height, and length of the other sides, of a chunk of 1 MiB where a voxel has one byte."""
LARGEST_SHARD = 64 * 2**20
"""Bytes of the voxels of a shard of chunks that the user chooses, if not of its size."""
LARGEST_SLAB = 128 * 2**20
"""Bytes of planes that are read together; larger planes have lower chunks, of two at least."""


def plan_levels(
    shape: Shape, itemsize: int, chunk_zyx: Shape = (), shard_zyx: Shape = ()
) -> tuple[LevelGrid, ...]:
    """Return the levels of an image that is written here, the full one first.

    Parameters
    ----------
    shape
        Sizes along t, c, z, y, x.
    itemsize
        Bytes of a voxel.
    chunk_zyx
        Sizes of a chunk where the user chooses them.
    shard_zyx
        Sizes of a shard where the user chooses them, multiples of those of a chunk.
    """
    chunk = chunk_zyx or _choose_chunk(shape, itemsize)
    sizes = level_sizes(shape[2:], itemsize)
    count = _shard_chunks(chunk, shape[2:], itemsize, shard_zyx) if chunk_zyx or shard_zyx else ()
    return tuple(
        LevelGrid((*shape[:2], *size), (1, 1, *chunk), is_slabs=True, shard_chunks=count)
        for size in sizes
    )


def _shard_chunks(chunk: Shape, size_zyx: Shape, itemsize: int, shard_zyx: Shape) -> Shape:
    """Return how many chunks a shard has along each axis."""
    if shard_zyx:
        return (1, 1, *(n // side for n, side in zip(shard_zyx, chunk, strict=True)))
    grid = [-(-n // side) for n, side in zip(size_zyx, chunk, strict=True)]
    most = max(LARGEST_SHARD // (math.prod(chunk) * itemsize), 1)
    columns = min(grid[2], SLAB_CHUNKS, most)
    counts = (1, min(grid[1], SLAB_CHUNKS, max(most // columns, 1)), columns)
    along = zip(counts, chunk, size_zyx, strict=True)
    return (1, 1, *(count + is_cut(count * side, n) for count, side, n in along))


def is_cut(side: int, size: int) -> bool:
    """Tell whether shards of a side cut the pairs of voxels that become one of the next level."""
    return side % 2 == 1 and side < size


def _choose_chunk(shape: Shape, itemsize: int) -> Shape:
    plane = shape[3] * shape[4] * itemsize
    fitting = (pair for pair in _CHUNKS if _height(pair, itemsize) * plane <= LARGEST_SLAB)
    return _cut_chunk(next(fitting, _CHUNKS[-1]), shape[2:], itemsize)


def choose_deep_chunk(size_zyx: Shape, itemsize: int) -> Shape:
    """Return a chunk for an image that is written in blocks, so that no plane of it is read whole.

    Parameters
    ----------
    size_zyx
        Voxels of the full level.
    itemsize
        Bytes of a voxel.
    """
    return _cut_chunk(_CHUNKS[0], size_zyx, itemsize)


def _height(chunk: tuple[int, int], itemsize: int) -> int:
    return max(chunk[0] // itemsize, 2)


def _cut_chunk(chunk: tuple[int, int], size_zyx: Shape, itemsize: int) -> Shape:
    most = zip((_height(chunk, itemsize), chunk[1], chunk[1]), size_zyx, strict=True)
    # Of what is smaller than a chunk, the chunk is the next power of two.
    return tuple(min(n, 1 << (size - 1).bit_length()) for n, size in most)


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

    size = tuple(n // step for n, step in zip(voxels.shape, steps, strict=True))
    if voxels.nbytes <= _SMALL_STACK:
        inside = tuple(slice(n * step) for n, step in zip(size, steps, strict=True))
        whole: Voxels = _mean(voxels[inside], steps).astype(voxels.dtype, copy=False)
        return whole
    z_step = steps[0]
    small = np.empty(size, voxels.dtype)
    for z in range(size[0]):
        halve_planes(voxels[z * z_step : (z + 1) * z_step], (steps[1], steps[2]), small[z])
    return small


def halve_planes(planes: Voxels | Sequence[Voxels], steps: Shape, small: Voxels) -> None:
    """Put the means of one plane, or of two neighbours along z, into a plane of the next level.

    Parameters
    ----------
    planes
        Each along y, x.
    steps
        How many voxels become one along y and x, 1 or 2.
    small
        Gets the means.
    """
    import numpy as np

    (y_step, x_step), (height, width) = steps, small.shape
    rows = max(_AT_ONCE // (len(planes) * y_step * max(planes[0][0].nbytes, 1)), 1)
    dtype = small.dtype.newbyteorder("=")
    lanes = None
    if dtype.kind == "u" and dtype.itemsize < 8 and steps == (2, 2):
        lanes = np.dtype(f"u{2 * dtype.itemsize}")
    for y in range(0, height, rows):
        part = slice(y * y_step, min(y + rows, height) * y_step)
        blocks = [plane[part, : width * x_step] for plane in planes]
        found = _mean_in_lanes(blocks, lanes) if lanes is not None else None
        if found is None:
            lanes = None  # bright images are bright all over
            inside = (slice(None), part, slice(width * x_step))
            stack = planes[inside] if isinstance(planes, np.ndarray) else np.stack(blocks)
            found = _mean(stack, (len(planes), *steps))[0]
        small[y : y + rows] = found


def _mean_in_lanes(blocks: Sequence[Any], lanes: Any) -> Any:
    """Return the floor of the mean of 2 x 2 values of each block, `None` where sums may overflow.

    Two neighbours are the halves of one number of twice the width. While no sum of a half
    overflows, adding such numbers adds both halves at once.
    """
    import numpy as np

    width = 4 * lanes.itemsize
    values = [np.ascontiguousarray(block).astype(f"u{width // 8}", copy=False) for block in blocks]
    if any(int(each.max(initial=0)) * 2 * len(blocks) >= 1 << width for each in values):
        return None
    total = values[0].view(lanes)
    for other in values[1:]:
        total = total + other.view(lanes)
    total = total[0::2] + total[1::2]
    mean = total >> width
    total &= lanes.type((1 << width) - 1)
    mean += total
    mean >>= len(blocks) + 1
    return mean


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
