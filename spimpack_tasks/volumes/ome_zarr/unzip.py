"""Unpacks an OME-Zarr from its zip file; the files in it stay as they are, byte by byte.

The whole list of entries is looked at first. An archive that would write outside of the image, or
through a link, is refused before anything is written. Each file is whole under a temporary name
before it gets its own, and the metadata of the image come last. A resumed conversion keeps the
files that have the checksum of their entry. Facts: PKWARE's APPNOTE, NGFF RFC-9.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codecs import DamagedChunkError
from spimpack_tasks.files.atomic import PART, Durability, replacing, sync_disk
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.ome_zarr.header import check_codecs, read_store
from spimpack_tasks.volumes.ome_zarr.zip_header import COMPRESSIONS, open_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.files.places import Place

_LAST = (".zmetadata", ".zgroup", ".zattrs", "zarr.json")
"""Files of the image itself, in the order in which they come."""
_METADATA = (".zarray", ".zmetadata", "zarr.json")
"""Ends of the names of files that name codecs."""
_PIECE = 2**20
"""Bytes copied at once."""
_ENCRYPTED = 0x1
"""Bit 0 of the flags of an entry (APPNOTE 4.4.4)."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)
"""Exceptions of `zipfile` for an entry that is not sound."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file whose entries may be written to the disk."""

    path: str
    file: zipfile.ZipFile
    entries: dict[str, zipfile.ZipInfo]
    """By the path below the image, the metadata of the image last."""

    @property
    def size(self) -> int:
        """Bytes of all files when they are unpacked."""
        return sum(entry.file_size for entry in self.entries.values())


@contextmanager
def open_zip(path: str) -> Iterator[Archive]:
    """Open a zipped OME-Zarr, and look at all of its entries.

    Raises
    ------
    HeaderError
        It is no sound zip file of one OME-Zarr, or has an entry that is not to be written.
    """
    with open_archive(path) as (store, root, file):
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in file.infolist():
            _check_entry(path, entry)
            name = entry.filename.removeprefix(root)
            if entry.is_dir() or not entry.filename.startswith(root):
                continue
            if name in entries:
                raise HeaderError(path, f"has two entries {entry.filename!r}")
            entries[name] = entry
        _check_folders(path, entries)
        read_store(store, root)
        for name in entries:
            if name.endswith(_METADATA):
                check_codecs(store, root + name, store.load(root + name) or {})
        yield Archive(path, file, dict(sorted(entries.items(), key=_rank)))


def _rank(item: tuple[str, zipfile.ZipInfo]) -> tuple[int, int]:
    """Return what entries are sorted by: as they lie in the file, but the metadata last."""
    name, entry = item
    return _LAST.index(name) + 1 if name in _LAST else 0, entry.header_offset


def _check_entry(path: str, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.removesuffix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\\" in name or not name.isprintable():
        raise HeaderError(path, f"has an entry {name[:200]!r}, which leads elsewhere")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise HeaderError(path, f"has an entry {name[:200]!r} that is a link or a device")
    if entry.flag_bits & _ENCRYPTED:
        raise HeaderError(path, f"has an encrypted entry {name[:200]!r}")
    if entry.compress_type not in COMPRESSIONS:
        what = f"has an entry {name[:200]!r} of compression {entry.compress_type}"
        raise HeaderError(path, what, "those that can be unpacked are 0 (stored) and 8 (deflated)")


def _check_folders(path: str, entries: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse entries that are files and hold files, and those named like temporary ones."""
    for name in entries:
        if name.endswith(PART):
            raise HeaderError(path, f"has an entry {name!r}, which is no file of an OME-Zarr")
        folder = name.rpartition("/")[0]
        while folder:
            if folder in entries:
                raise HeaderError(path, f"has {folder!r} as a file and as a folder")
            folder = folder.rpartition("/")[0]


def unpack(archive: Archive, path: str, advance: Callable[[int], None], pool: WorkPool) -> None:
    """Write the files of an archive to a folder, or resume that.

    Parameters
    ----------
    archive
        What to unpack.
    path
        The folder. Files in it come from an interrupted run on the same archive.
    advance
        Told the number of bytes after each file, `archive.size` in all.
    pool
        The threads that unpack.

    Raises
    ------
    DamagedChunkError
        An entry is damaged; the message names it.
    """
    os.makedirs(path, exist_ok=True)

    def make(name: str) -> int:
        entry = archive.entries[name]
        if not _is_there(entry, f"{path}/{name}"):
            _unpack_entry(archive, entry, f"{path}/{name}")
        return entry.file_size

    first = (name for name in archive.entries if name not in _LAST)
    pool.run((partial(make, name) for name in first), advance)
    sync_disk(path)
    for name in archive.entries:
        if name in _LAST:
            advance(make(name))


def unpack_to(
    archive: Archive, place: Place, advance: Callable[[int], None], pool: WorkPool
) -> None:
    """Write the files of an archive to any place, or resume that; `unpack` is for folders.

    Raises
    ------
    DamagedChunkError
        An entry is damaged; the message names it.
    """

    def make(name: str) -> int:
        entry = archive.entries[name]
        if not place.has(name):
            place.put(name, _pieces_of(archive, entry), Durability.SAFE)
        return entry.file_size

    first = (name for name in archive.entries if name not in _LAST)
    pool.run((partial(make, name) for name in first), advance)
    place.sync()
    for name in archive.entries:
        if name in _LAST:
            advance(make(name))


def _pieces_of(archive: Archive, entry: zipfile.ZipInfo) -> Iterator[list[bytes]]:
    """Yield the bytes of an entry, which is damaged where reading them fails."""
    count = 0
    try:
        with archive.file.open(entry) as source:
            yield [b""]  # an empty file is a file
            while piece := source.read(_PIECE):  # the last one is checked by the CRC-32
                count += len(piece)
                yield [piece]
        if count != entry.file_size:
            message = f"{archive.path}: {entry.filename!r} is cut off"
            raise DamagedChunkError(message)
    except _DAMAGE as error:
        message = f"{archive.path}: {entry.filename!r} is damaged: {error}"
        raise DamagedChunkError(message) from error


def _is_there(entry: zipfile.ZipInfo, path: str) -> bool:
    """Tell whether a file has the size and the checksum of its entry."""
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size != entry.file_size:
                return False
            checksum = 0
            while piece := file.read(_PIECE):
                checksum = zlib.crc32(piece, checksum)
    except FileNotFoundError:
        return False
    return checksum == entry.CRC


def _unpack_entry(archive: Archive, entry: zipfile.ZipInfo, path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path, Durability.WHOLE) as aside:
        for pieces in _pieces_of(archive, entry):
            aside.file.writelines(pieces)


def is_unpacked(source: str, path: str) -> bool:
    """Tell whether a folder holds the files of an archive, by their names and sizes."""
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    with open_zip(source) as archive:
        wanted = {name: entry.file_size for name, entry in archive.entries.items()}
    return wanted == {name: os.lstat(f"{path}/{name}").st_size for name in files_below(path)}
