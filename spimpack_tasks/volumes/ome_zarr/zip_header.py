"""Headers of OME-Zarr in one zip file: `.ozx` (NGFF RFC-9) and `.ome.zarr.zip`.

Nothing is extracted: the metadata are read in place. Time and memory go with the number of entries
in the archive's directory, which is small where chunks are kept in shards.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.files.limits import LARGEST_METADATA, allowed
from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import open_for_reading
from spimpack_tasks.volumes.ome_zarr.header import Store, read_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from spimpack_tasks.volumes.header import Header

COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ROOTS = ("zarr.json", ".zattrs", ".zgroup")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a compression that Python has not
    RuntimeError,  # an encrypted entry
    ValueError,
    OSError,
    OverflowError,
)
"""Exceptions of `zipfile` for an archive that is not sound."""


def read_header(path: str) -> Header:
    """Return the header of a zipped OME-Zarr, at the archive's root or in its one folder."""
    with open_archive(path) as (store, root, _):
        return read_store(store, root)


@contextmanager
def open_archive(path: str) -> Iterator[tuple[Store, str, zipfile.ZipFile]]:
    """Open a zipped OME-Zarr; yield the place of its metadata, its folder in it, and all of it."""
    try:
        descriptor, _ = open_for_reading(path)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    with open(descriptor, "rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except (*_DAMAGE, IndexError, UnicodeError) as error:
            raise HeaderError(path, f"is not a sound zip file: {error}") from error
        with archive:
            yield _open_store(path, archive), _find_root(path, archive), archive


def _open_store(path: str, archive: zipfile.ZipFile) -> Store:
    def read(name: str) -> bytes | None:
        try:
            file = open_entry(archive, name)
            if file is None:
                return None
            with file:
                return file.read(allowed(LARGEST_METADATA) + 1)
        except _DAMAGE as error:
            raise HeaderError(path, f"has a damaged {name!r}: {error}") from error

    return Store(path, read)


def open_entry(archive: zipfile.ZipFile, name: str) -> IO[bytes] | None:
    """Open an entry of an archive, `None` where there is none of that name.

    Raises
    ------
    NotImplementedError
        It is packed in a way that OME-Zarr does not have in zip files, or is no file.
    """
    try:
        entry = archive.getinfo(name)
    except KeyError:
        return None
    if entry.compress_type not in COMPRESSIONS:
        message = f"its compression {entry.compress_type} is neither 0 (stored) nor 8 (deflated)"
        raise NotImplementedError(message)
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
        message = "it is a link or a device"
        raise NotImplementedError(message)
    return archive.open(entry)


def _find_root(path: str, archive: zipfile.ZipFile) -> str:
    """Return the folder of the image in the archive, empty or ending with `/`."""
    names = archive.NameToInfo
    if any(name in names for name in _ROOTS):
        return ""
    folders = {folder for folder, _, name in (n.rpartition("/") for n in names) if name in _ROOTS}
    # The image's group lies above its arrays.
    highest = min((folder.count("/") for folder in folders), default=0)
    tops = {folder for folder in folders if folder.count("/") == highest}
    if len(tops) == 1:
        return f"{tops.pop()}/"
    if tops:
        raise HeaderError(path, "holds several folders with Zarr metadata", "pack one image alone")
    raise HeaderError(path, "holds no zarr.json, .zattrs or .zgroup, so it is not an OME-Zarr")
