"""How much room on the disk the conversion of an image takes at the least."""

from __future__ import annotations

import errno
import os
import shutil

from spimpack_tasks.errors import size_in_words
from spimpack_tasks.volumes.convert import ZIPPED, count_bytes

_LEAST = {("Imaris", "OME-Zarr"): 0.5, (ZIPPED, "OME-Zarr"): 0.5}
_LEAST_OF_OTHERS = 0.2
"""Bytes that are written for each byte of a source, at the least.

An Imaris file of noise becomes as large again with gzip, 0.8 of that with blosc, and half of it
where it was not compressed; planes of noise that were not compressed become 0.4 with their levels.
Of a zip file, half may be its own list of entries where these are small.
"""


def least_room(size: int, source_format: str, made: str) -> int:
    """Return how many bytes of a format are made at the least of a source of so many bytes."""
    return int(size * _LEAST.get((source_format, made), _LEAST_OF_OTHERS))


def require_room(folder: str, source: str, source_format: str, made: str) -> None:
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
    if (source_format, made) == (ZIPPED, "OME-Zarr"):
        needed = count_bytes(source, ZIPPED)
    else:
        needed = least_room(os.stat(source).st_size, source_format, made)
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"it takes {size_in_words(needed)} at the least, and the disk has "
        raise OSError(errno.ENOSPC, f"{message}{size_in_words(free)}")
