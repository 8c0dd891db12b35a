"""The frames of a DCIMG file as a level; any region is read, by several threads at once.

Nothing is mapped into memory: mapped pages count as memory of the process, and a file that is cut
off meanwhile would kill it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spimpack_tasks.volumes.dcimg.header import open_file
from spimpack_tasks.volumes.dcimg.layout import KEPT_BYTES
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.levels import StoredLevel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.volumes.dcimg.layout import Layout
    from spimpack_tasks.volumes.levels import Index, Voxels

_BAND_ROWS = 16
"""Rows that are read at once at the least: 64 KiB of most cameras, which take as long as one."""


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the frames of a DCIMG file."""
    with open_file(path) as (descriptor, layout):
        dtype = load_library("numpy").dtype(layout.dtype).newbyteorder("<")
        yield [
            StoredLevel(
                axes=("z", "y", "x"),
                shape=layout.shape_zyx,
                dtype=dtype,
                chunk=(1, min(_BAND_ROWS, layout.height), layout.width),
                read=lambda index: read_frames(descriptor, layout, index),
                sequential=False,
            )
        ]


def read_frames(descriptor: int, layout: Layout, index: Index) -> Voxels:
    """Return the pixels of a region, along frames, rows and columns.

    Parameters
    ----------
    descriptor
        Of the open file.
    layout
        Of that file.
    index
        Frames, rows and columns.

    Raises
    ------
    ValueError
        The file has become shorter.
    """
    numpy = load_library("numpy")
    frames, rows, columns = index
    dtype = numpy.dtype(layout.dtype).newbyteorder("<")
    sizes = [part.stop - part.start for part in index]
    pixels: Voxels = numpy.empty(sizes, dtype)
    line_bytes = sizes[2] * dtype.itemsize
    band: Any = None
    if line_bytes != layout.row_bytes:
        band = numpy.empty((sizes[1], layout.row_bytes), numpy.uint8)
        first = columns.start * dtype.itemsize
        wanted = band[:, first : first + line_bytes]
    for number, frame in enumerate(range(frames.start, frames.stop)):
        offset = layout.images.of(frame) + rows.start * layout.row_bytes
        if band is None:
            _fill(descriptor, pixels[number], offset)
        else:
            _fill(descriptor, band, offset)
            pixels[number].view(numpy.uint8)[:] = wanted
        _put_back(descriptor, layout, frame, (rows, columns), pixels[number])
    return pixels


def _fill(descriptor: int, target: Any, offset: int) -> None:
    """Read as many bytes as an array holds; one call may return fewer."""
    view = memoryview(target.reshape(-1).view("u1")) if target.size else memoryview(b"")
    done = 0
    while done < len(view):
        count = os.preadv(descriptor, [view[done:]], offset + done)
        if not count:
            message = f"it ends at byte {offset + done:,}: it has become shorter"
            raise ValueError(message)
        done += count


def _put_back(
    descriptor: int, layout: Layout, frame: int, part: tuple[slice, slice], pixels: Voxels
) -> None:
    """Put the pixels that lie elsewhere into their line, if it is among those that were read."""
    rows, columns = part
    if layout.kept is None or not rows.start <= layout.kept_line < rows.stop:
        return
    count = min(KEPT_BYTES // pixels.dtype.itemsize, layout.width, columns.stop)
    if columns.start < count:
        kept = load_library("numpy").empty(KEPT_BYTES // pixels.dtype.itemsize, pixels.dtype)
        _fill(descriptor, kept, layout.kept.of(frame))
        pixels[layout.kept_line - rows.start, : count - columns.start] = kept[columns.start : count]
