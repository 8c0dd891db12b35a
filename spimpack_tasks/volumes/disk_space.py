"""How much room on the disk the conversion of an image takes at the least."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from spimpack_tasks.errors import size_in_words
from spimpack_tasks.volumes.convert import count_bytes
from spimpack_tasks.volumes.formats import OME_ZARR, Conversion

if TYPE_CHECKING:
    from spimpack_tasks.volumes.formats import Format

_LEAST_OME_TIFF = 0.2
"""Bytes of OME-TIFF that are written for each byte of a source, at the least: see `Format`."""


def least_room(size: int, form: Format, made: Format) -> int:
    """Return how many bytes of a format are made at the least of a source of so many bytes."""
    return int(size * (form.least_ratio if made is OME_ZARR else _LEAST_OME_TIFF))


def require_room(folder: str, source: str, form: Format, made: Format) -> None:
    """Look for room before an image is begun, since the disk would be full hours later.

    Raises
    ------
    OSError
        There is not enough, by `ENOSPC`.
    HeaderError
        The source is a zip file that cannot be unpacked.
    """
    if os.path.isdir(source):
        return
    if form.conversion is Conversion.FILES and made is OME_ZARR:
        needed = count_bytes(source, form)
    else:
        needed = least_room(os.stat(source).st_size, form, made)
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"it takes {size_in_words(needed)} at the least, and the disk has "
        raise OSError(errno.ENOSPC, f"{message}{size_in_words(free)}")
