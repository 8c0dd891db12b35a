"""Reads a file that holds one plane, and tells whether it is whole."""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING

from spimpack_tasks.streams.errors import SourceError

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape, Voxels

_TIFF = (".tif", ".tiff")
ENDINGS = (*_TIFF, ".raw", ".bin", ".dat")
"""Endings of the names of planes: TIFF, and pixels without a header."""


class IncompletePlaneError(Exception):
    """A file is no whole plane, perhaps because it is still written."""


def read_plane_file(path: str, shape: Shape, dtype: str) -> Voxels:
    """Return the plane in a file, along y and x.

    Parameters
    ----------
    path
        The file.
    shape, dtype
        Pixels along y and x, and their type.

    Raises
    ------
    IncompletePlaneError
        It is not whole.
    SourceError
        It holds something else.
    """
    import numpy as np

    if not path.lower().endswith(_TIFF):
        wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
        size = os.path.getsize(path)
        if size < wanted:
            message = f"it has {size:,} of {wanted:,} bytes"
            raise IncompletePlaneError(message)
        if size > wanted:
            message = f"{path} has {size:,} bytes, but a plane of {shape} has {wanted:,}"
            raise SourceError(message)
        return np.fromfile(path, dtype).reshape(shape)
    found = _read_tiff(path)
    if found.shape != shape or found.dtype != np.dtype(dtype):
        message = (
            f"{path} is a plane of {found.shape} pixels of type {found.dtype}, but {shape} of "
            f"type {dtype} are announced"
        )
        raise SourceError(message)
    return found


def _read_tiff(path: str) -> Voxels:
    """Return the only plane of a TIFF, in the byte order of the machine."""
    import numpy as np
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            ends = [a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
            if max(ends, default=0) > os.path.getsize(path) or not ends or not min(ends):
                message = "its pixels are not all there"
                raise IncompletePlaneError(message)
            count = len(file.pages)
            voxels: Voxels = np.asarray(page.asarray())
    except (
        *(tifffile.TiffFileError, ValueError, LookupError, OSError),
        *(RuntimeError, struct.error, zlib.error),  # of decoders
    ) as error:
        raise IncompletePlaneError(str(error) or "it is no whole TIFF") from error
    if count > 1:
        message = f"{path} holds {count} planes, but one is wanted in a file"
        raise SourceError(message)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
