"""Voxels of TIFF pages in tiles or strips, each decoded by tifffile when it is wanted.

tifffile has a store of zarr for that, but to import zarr takes longer than to convert a small
image.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.levels import Index, StoredLevel
from spimpack_tasks.volumes.rows import flat_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from spimpack_tasks.arrays.grid import Voxels


def is_of_planes(level: Any) -> bool:
    """Tell whether a level of tifffile has pages of one sample for each y and x, and no more."""
    page = level.keyframe
    is_plain = level.transform is None and level.dataoffset is None
    return bool(is_plain and page.axes == "YX" and level.shape[-2:] == page.shape)


def level_of_segments(level: Any, axes: tuple[str, ...], stack: ExitStack) -> StoredLevel:
    """Return a level of which `is_of_planes` is true, and whose pages are in one open file.

    Parameters
    ----------
    level
        Of tifffile.
    axes
        Their names.
    stack
        Ends the threads that decode.
    """
    numpy = load_library("numpy")
    height, width = level.keyframe.chunks
    pool = stack.enter_context(ThreadPoolExecutor(count_threads()))
    level.keyframe.parent.filehandle.set_lock(True)

    def read(index: Index) -> Voxels:
        sizes = tuple(part.stop - part.start for part in index)
        block: Voxels = numpy.full(sizes, level.keyframe.nodata, level.dtype)
        *leading, rows, columns = index
        jobs = []
        for plane in product(*(range(part.start, part.stop) for part in leading)):
            page = level.pages[flat_index(plane, level.shape[:-2])]
            if page is not None:
                at = tuple(i - part.start for i, part in zip(plane, leading, strict=True))
                jobs += [
                    partial(_put, page, place, (rows, columns), block[at])
                    for place in product(_covering(rows, height), _covering(columns, width))
                ]
        for _ in pool.map(lambda job: job(), jobs):
            pass
        return block

    return StoredLevel(
        axes, level.shape, level.dtype, (*([1] * (len(axes) - 2)), height, width), read
    )


def _covering(part: slice, size: int) -> Iterator[int]:
    """Return the numbers of the segments that a part of an axis lies in."""
    return iter(range(part.start // size, -(-part.stop // size)))


def _put(page: Any, place: tuple[int, int], wanted: tuple[slice, slice], plane: Voxels) -> None:
    """Decode one segment, and put what is wanted of it into its plane."""
    keyframe = page.keyframe
    number = place[0] * keyframe.chunked[1] + place[1]
    # Some programs leave out segments of nothing, or the last ones.
    if number >= len(page.dataoffsets) or not page.dataoffsets[number]:
        return
    if not page.databytecounts[number]:
        return
    file = page.parent.filehandle
    with file.lock:
        file.seek(page.dataoffsets[number])
        data = file.read(page.databytecounts[number])
    further = {"jpegtables": page.jpegtables, "jpegheader": keyframe.jpegheader}
    given = {name: value for name, value in further.items() if value is not None}
    decoded = keyframe.decode(data, number, _fullsize=True, **given)[0]
    segment = decoded.reshape(keyframe.chunks)
    into, out_of = [], []
    for at, size, part in zip(place, keyframe.chunks, wanted, strict=True):
        start, stop = max(part.start, at * size), min(part.stop, (at + 1) * size)
        into.append(slice(start - part.start, stop - part.start))
        out_of.append(slice(start - at * size, stop - at * size))
    plane[tuple(into)] = segment[tuple(out_of)]
