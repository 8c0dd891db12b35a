"""Resolution levels as files store them, each with the axes of its own.

A format has one function `open_levels(path)`, named by its record in `volumes.formats`. Files are
opened for reading only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from spimpack_tasks.files.limits import LARGEST_BLOCK, REMEDY, allowed, as_size
from spimpack_tasks.volumes.errors import UnreadableVoxelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Voxels: TypeAlias = NDArray[np.generic[Any]]

Index: TypeAlias = tuple[slice, ...]
"""One slice with bounds and without a step for each axis."""


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """One resolution level, of which any block can be read."""

    axes: tuple[str, ...]
    """Names in storage order: `t`, `c`, `z`, `y`, `x`; of any other the first index is taken."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    """The sizes in which it is stored, so that reading a part of a block costs as much as all."""
    read: Callable[[Index], Voxels]
    caveat: str = ""
    """The reason why its voxels are not those of the image, such as planes that the file lacks."""
    sequential: bool = True
    """Whether blocks are best read in their order, by one thread."""
    is_stream: bool = False
    """Whether to read a block is to read all before it, as in one compressed stream."""
    finish: Callable[[], None] = lambda: None
    """Reads on to where a checksum stands of what was read, and raises as `read` does.

    The reader of all voxels calls it: a stream may prove damaged at its very end."""


def level_of_array(array: Any, axes: tuple[str, ...], caveat: str = "") -> StoredLevel:
    """Return a level whose voxels are an array of zarr."""
    return StoredLevel(
        axes=axes,
        shape=array.shape,
        dtype=array.dtype,
        chunk=array.chunks,
        read=lambda index: array[index],
        caveat=caveat,
    )


def check_level(path: str, number: int, level: StoredLevel) -> None:
    """Refuse a level whose voxels are no numbers, or take more memory than those of any image.

    Raises
    ------
    UnreadableVoxelsError
        The level is such.
    """
    where = f"{path!r} has at level {number}"
    if level.dtype.kind not in "buifc":
        raise UnreadableVoxelsError(f"{where} voxels of type {str(level.dtype)[:100]}")
    if min((*level.shape, *level.chunk, 1)) < 1 or len(level.chunk) != len(level.shape):
        sizes = f"the sizes {level.shape} in blocks of {level.chunk}"
        raise UnreadableVoxelsError(f"{where} {sizes[:300]}")
    check_chunk_size(path, number, level.chunk, level.dtype)


def check_chunk_size(path: str, number: int, block: Sequence[int], dtype: Any) -> None:
    """Refuse voxels of a level that are stored together and take more memory than any do.

    Raises
    ------
    UnreadableVoxelsError
        They take too much.
    """
    most = allowed(LARGEST_BLOCK)
    size = math.prod(map(int, block)) * dtype.itemsize
    if size > most:
        shown = " x ".join(map(str, block))
        what = (
            f"{path!r} has at level {number} blocks of {shown} voxels, which take {as_size(size)}"
        )
        message = f"{what} of memory each; at the most {as_size(most)} are read; {REMEDY}"
        raise UnreadableVoxelsError(message)
