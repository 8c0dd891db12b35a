"""The source formats, told by name and kind of file, and the extension each gets in BIDS.

BIDS 1.10 allows `.ome.zarr`, `.ome.tif`, `.ome.btf`, `.tif` and `.png` for SPIM images. The other
formats are packaged under their own extension and hidden from validators by `.bidsignore`.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from spimpack_tasks.files.annex import LONGEST_POINTER, POINTERS, content_command
from spimpack_tasks.files.plane_names import (
    UnclearPlanesError,
    list_planes,
    sort_planes,
    stamp_planes,
)
from spimpack_tasks.files.regular import open_regular


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """One format: the endings its files have, and where it stands in BIDS."""

    name: str
    endings: tuple[str, ...]
    """None where nothing but the content tells the format of a folder."""
    extension: str
    """Empty where a dataset can hold only what an image is converted to."""
    valid_in_bids: bool
    directory: bool = False
    beginnings: tuple[bytes, ...] = ()
    """What the files begin with, where it is looked at."""
    needs_header: bool = False
    """Whether an image is refused if its header cannot be read: only so it is known to be whole."""


_TIFF_MAGIC = {
    b"II\x2a\x00": ".ome.tif",
    b"MM\x00\x2a": ".ome.tif",
    b"II\x2b\x00": ".ome.btf",
    b"MM\x00\x2b": ".ome.btf",
}
"""Magic numbers: 42 is TIFF, 43 is BigTIFF (TIFF 6.0; libtiff's BigTIFF design)."""

_ZARR_METADATA = ("zarr.json", ".zattrs", ".zgroup")
"""Files of which an OME-Zarr has one."""

# Longer endings stand before those that they end with.
FORMATS = (
    SourceFormat("zipped OME-Zarr", (".ome.zarr.zip",), ".ome.zarr.zip", valid_in_bids=False),
    SourceFormat("zipped OME-Zarr", (".ozx",), ".ozx", valid_in_bids=False),
    SourceFormat(
        "OME-Zarr", (".ome.zarr", ".zarr"), ".ome.zarr", valid_in_bids=True, directory=True
    ),
    SourceFormat("Imaris", (".ims",), ".ims", valid_in_bids=False),
    SourceFormat(
        "OME-TIFF",
        (".ome.tif", ".ome.tiff", ".ome.btf"),
        ".ome.tif",
        valid_in_bids=True,
        beginnings=tuple(_TIFF_MAGIC),
    ),
    SourceFormat("TIFF", (".tif", ".tiff"), ".tif", valid_in_bids=True),
    SourceFormat("NIfTI", (".nii.gz",), ".nii.gz", valid_in_bids=False),
    SourceFormat("NIfTI", (".nii",), ".nii", valid_in_bids=False),
    SourceFormat(
        "folder of planes", (), "", valid_in_bids=False, directory=True, needs_header=True
    ),
)

PHOTO_FORMATS = (
    SourceFormat(
        "JPEG", (".jpg", ".jpeg"), ".jpg", valid_in_bids=True, beginnings=(b"\xff\xd8\xff",)
    ),
    SourceFormat("PNG", (".png",), ".png", valid_in_bids=True, beginnings=(b"\x89PNG",)),
    SourceFormat(
        "TIFF", (".tif", ".tiff"), ".tif", valid_in_bids=True, beginnings=tuple(_TIFF_MAGIC)
    ),
)
"""Formats of photos of samples (BIDS 1.10, `_photo`)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source that can be packaged."""

    path: str
    """Absolute."""
    format: SourceFormat
    extension: str
    """The extension in BIDS; BigTIFF makes it differ from the format's."""
    size: int
    """Bytes of a file; 0 for a directory, whose content is not walked."""
    mtime_ns: int


class SourceRefusedError(Exception):
    """A source cannot be packaged; the arguments are a problem code, a message and a hint."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def format_of(name: str, formats: tuple[SourceFormat, ...] = FORMATS) -> SourceFormat | None:
    """Return the format that a file name promises, or `None`."""
    lower = name.lower()
    for form in formats:
        if lower.endswith(form.endings):
            return form
    return None


def format_of_source(path: str) -> SourceFormat | None:
    """Return the format of a source that has been examined, or `None` where it is not told."""
    form = format_of(path)
    if form is not None or not os.path.isdir(path):
        return form
    return _format_of_folder(path, os.stat(path), FORMATS)


def _format_of_folder(
    path: str, status: os.stat_result, formats: tuple[SourceFormat, ...]
) -> SourceFormat | None:
    """Return the format of a folder whose name tells none: by what lies in it."""
    is_zarr = _stamp_zarr(path, status) is not None
    return next((f for f in formats if f.directory and bool(f.endings) is is_zarr), None)


def examine_source(
    path: str, name: str = "", formats: tuple[SourceFormat, ...] = FORMATS
) -> Source:
    """Say what the source at an absolute `path` is, in a few system calls.

    Parameters
    ----------
    path
        Where the source lies, links resolved.
    name
        The name that tells the format, if it is not that of `path`: content-addressed stores keep
        files under their digest, with a link that has the name.
    formats
        Those that are wanted.

    Raises
    ------
    SourceRefusedError
        The path does not exist, is a broken or looping link, a pipe or device, a plain directory,
        an empty file, or of an unknown format.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    form = format_of((name or path).rstrip("/"), formats)
    is_directory = stat.S_ISDIR(status.st_mode)
    if form is None and is_directory:
        form = _format_of_folder(path, status, formats)
    if not is_directory and not stat.S_ISREG(status.st_mode):
        code = "source.not-a-file"
        raise SourceRefusedError(code, f"{path!r} is neither a file nor an OME-Zarr directory")
    if form is None:
        raise _unknown(path, "directory" if is_directory else "file", formats)
    if not form.endings:
        return _examine_planes(path, form, formats)
    if form.directory:
        return _examine_directory(path, form, status)
    if is_directory:
        message = f"{path!r} is a directory, but {form.name} is a file"
        raise SourceRefusedError("source.not-a-file", message)
    return _examine_file(path, form, status)


def _examine_directory(path: str, form: SourceFormat, status: os.stat_result) -> Source:
    if not stat.S_ISDIR(status.st_mode):
        message = f"{path!r} is a file, but {form.name} is a directory"
        raise SourceRefusedError("source.not-a-directory", message)
    stamp = _stamp_zarr(path, status)
    if stamp is not None:
        return Source(path, form, form.extension, *stamp)
    for name in _ZARR_METADATA:
        if os.path.lexists(os.path.join(path, name)):
            raise _missing(os.path.join(path, name))
    message = f"{path!r} holds no zarr.json or .zattrs, so it is not an OME-Zarr"
    raise SourceRefusedError("source.format", message, "name the folder that holds the metadata")


def _examine_planes(path: str, form: SourceFormat, formats: tuple[SourceFormat, ...]) -> Source:
    """Look at the names of the planes in a folder."""
    try:
        names = list_planes(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    stamp = stamp_planes(path)
    if stamp is None:
        raise _unknown(path, "directory", formats)
    try:
        sort_planes(names)
    except UnclearPlanesError as error:
        raise SourceRefusedError("source.content", f"{path!r} {error.what}", error.hint) from error
    return Source(path, form, form.extension, *stamp)


def stamp_source(path: str) -> tuple[int, int] | None:
    """Return size in bytes and modification time in nanoseconds, `None` where nothing is there.

    The metadata of an OME-Zarr stand for the store, which may hold a million chunks: it has the
    size 0, and the later of the times of its folder and its metadata. A folder of planes has what
    `stamp_planes` says.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    return _stamp_zarr(path, status) or stamp_planes(path)


def _stamp_zarr(path: str, status: os.stat_result) -> tuple[int, int] | None:
    for metadata in _ZARR_METADATA:
        try:
            inner = os.stat(os.path.join(path, metadata))
        except OSError:
            continue
        return 0, max(status.st_mtime_ns, inner.st_mtime_ns)
    return None


def stamp_text(path: str) -> str:
    """Return the stamp of a source as plans and receipts hold it, empty where nothing is there."""
    stamp = stamp_source(path)
    return write_stamp(*stamp) if stamp else ""


def write_stamp(size: int, mtime_ns: int) -> str:
    """Return a stamp as the one text that plans, receipts and headers compare."""
    return f"{size} {mtime_ns}"


def _examine_file(path: str, form: SourceFormat, status: os.stat_result) -> Source:
    if status.st_size == 0:
        raise SourceRefusedError("source.empty", f"{path!r} is an empty file")
    if status.st_size <= LONGEST_POINTER:
        _refuse_pointer(path)
    extension = form.extension
    if form.beginnings:
        magic = _read_magic(path, form)
        if form.name == "OME-TIFF":
            extension = _TIFF_MAGIC[magic]
    return Source(path, form, extension, status.st_size, status.st_mtime_ns)


def _refuse_pointer(path: str) -> None:
    """Refuse a short text that stands for a file whose content is elsewhere."""
    try:
        with open_regular(path) as file:
            beginning = file.read(max(map(len, POINTERS)))
    except OSError as error:
        raise _unreadable(path, error) from error
    command = content_command(path, beginning)
    if command:
        message = f"{path!r} is a pointer, and its content is not here"
        raise SourceRefusedError("source.missing", message, f"get it with: {command}")


def _read_magic(path: str, form: SourceFormat) -> bytes:
    """Return the first four bytes, if they are as the format has them."""
    try:
        with open_regular(path) as file:
            magic = file.read(4)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not magic.startswith(form.beginnings):
        message = f"{path!r} does not begin as a {form.name.removeprefix('OME-')} file does"
        raise SourceRefusedError("source.content", message, "check that the file is complete")
    return magic


def _unknown(path: str, what: str, formats: tuple[SourceFormat, ...]) -> SourceRefusedError:
    endings = (ending for known in formats for ending in known.endings)
    hint = f"known endings are {', '.join(endings)}"
    if what == "directory" and any(not known.endings for known in formats):
        hint += "; another folder must hold the metadata of an OME-Zarr, or numbered planes"
    return SourceRefusedError("source.format", f"{path!r} is a {what} of no known format", hint)


def _unreadable(path: str, error: OSError | ValueError) -> SourceRefusedError:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        message = f"{path!r} is a link that leads back to itself"
        return SourceRefusedError("source.unreadable", message, "mend the link")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return SourceRefusedError("source.unreadable", f"{path!r} cannot be read: {reason}")


def _missing(path: str) -> SourceRefusedError:
    if os.path.islink(path):
        command = content_command(path)
        if command:
            message = f"{path!r} is a link of git-annex, and its content is not here"
            return SourceRefusedError("source.missing", message, f"get it with: {command}")
        message = f"{path!r} is a link to {os.readlink(path)!r}, which does not exist"
        return SourceRefusedError("source.missing", message, "mend the link")
    return SourceRefusedError("source.missing", f"{path!r} does not exist", "check the path")
