"""The one level of a folder of planes: each file is decoded when a plane of it is wanted."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.errors import HeaderError, UnreadableVoxelsError
from spimpack_tasks.volumes.header import check_regular, load_library
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.pictures import (
    bound_page,
    check_picture,
    size_of_jpeg_2000,
    size_of_png,
)
from spimpack_tasks.volumes.plane_folder.files import inspect_plane
from spimpack_tasks.volumes.plane_folder.header import find_planes
from spimpack_tasks.volumes.rows import flat_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.volumes.levels import Index
    from spimpack_tasks.volumes.plane_folder.files import Page

_LONGEST_HEADER = 2**24
"""Bytes that a file may have besides its pixels."""
_DAMAGE = (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, struct.error)
"""Exceptions of the libraries for damaged data."""


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the planes of a folder as a level."""
    numpy = load_library("numpy")
    try:
        planes = find_planes(path)
    except HeaderError as error:
        raise UnreadableVoxelsError(str(error)) from error

    def read(index: Index) -> Voxels:
        *leading, rows, columns = index
        wanted = product(*(range(part.start, part.stop) for part in leading))
        names = (planes.names[flat_index(place, planes.counts)] for place in wanted)
        found = [read_plane(f"{path}/{name}", planes.page)[rows, columns] for name in names]
        sizes = [part.stop - part.start for part in index]
        block: Voxels = numpy.stack(found).reshape(sizes)
        return block

    yield [
        StoredLevel(
            axes=("t", "c", "z", "y", "x"),
            shape=planes.shape,
            dtype=numpy.dtype(planes.page.dtype),
            chunk=(1, 1, 1, *planes.shape[3:]),
            read=read,
            sequential=False,
        )
    ]


def read_plane(path: str, page: Page) -> Voxels:
    """Return the plane of a file, which must be as `inspect_plane` told.

    Raises
    ------
    UnreadableVoxelsError
        It cannot be read or decoded, or is another one now.
    """
    try:
        told = inspect_plane(path)
        if told != page:  # before it takes memory
            raise _become_other(path, told, page)
        plane: Voxels = _decode(path, page)
    except (*_DAMAGE, HeaderError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        message = f"the plane {path!r} cannot be read: {reason}"
        raise UnreadableVoxelsError(message) from error
    found = (*plane.shape, plane.dtype.name)
    if found != page:
        raise _become_other(path, found, page)
    return plane


def _become_other(path: str, found: tuple[Any, ...], page: Page) -> UnreadableVoxelsError:
    what = f"has become another one: {tuple(found)} instead of {tuple(page)}"
    return UnreadableVoxelsError(f"the plane {path!r} {what}")


def _decode(path: str, page: Page) -> Any:
    check_regular(path)
    if path.lower().endswith((".tif", ".tiff")):
        # A set of OME-TIFF would be opened as a whole.
        with load_library("tifffile").TiffFile(path, mode="r", is_ome=False) as file:
            bound_page(file.pages[0])
            return file.pages[0].asarray(maxworkers=1)
    codecs = load_library("imagecodecs", "convert")
    is_png = path.lower().endswith(".png")
    decode = codecs.png_decode if is_png else codecs.jpeg2k_decode
    most = page.height * page.width * load_library("numpy").dtype(page.dtype).itemsize
    with open_regular(path) as file:
        data = file.read(2 * most + _LONGEST_HEADER)
    check_picture(data, size_of_png if is_png else size_of_jpeg_2000, most)
    return decode(data)
