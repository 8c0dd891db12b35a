"""Looks at a source: whether it is there, of which format it is, and how large and old."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.annex import LONGEST_POINTER, POINTERS, content_command
from spimpack_tasks.files.plane_names import (
    UnclearPlanesError,
    list_planes,
    sort_planes,
    stamp_planes,
)
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.stamps import GROUP_METADATA, stamp_zarr, write_stamp
from spimpack_tasks.files.store_files import ELSEWHERE, is_elsewhere
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.formats import FORMATS, OME_TIFF, READERS, TIFF_EXTENSIONS, format_of

if TYPE_CHECKING:
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.formats import Format

COMPANION = ".companion.ome"
"""Ending of a file with the OME-XML of images in other files."""
_MOST_OF_COMPANION = 2**20
"""Bytes that are looked through for the name of an image: the first ones name many."""
_FILE_NAME = re.compile(rb'FileName="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Source:
    """A source that can be packaged."""

    path: str
    """Absolute; of several files that are merged the first."""
    format: Format
    """Its format, or that of a merge of several files."""
    extension: str
    """The extension in BIDS; BigTIFF makes it differ from the format's."""
    size: int
    """Bytes of a file; 0 for a directory, whose content is not walked."""
    stamp: str
    """Size and modification time in nanoseconds, as `files.stamps.write_stamp` has them."""
    selection: Selection = WHOLE
    """The choice of the user in it."""


def format_of_source(path: str) -> Format | None:
    """Return the format of a source that has been examined, or `None` where it is not told."""
    form = format_of(path)
    if form is not None or not os.path.isdir(path):
        return form
    return _format_of_folder(path, os.stat(path), FORMATS)


def _format_of_folder(
    path: str, status: os.stat_result, formats: tuple[Format, ...]
) -> Format | None:
    """Return the format of a folder whose name tells none: by what lies in it."""
    is_zarr = stamp_zarr(path, status) is not None
    return next((f for f in formats if f.directory and bool(f.extensions) is is_zarr), None)


def examine_source(path: str, name: str = "", formats: tuple[Format, ...] = FORMATS) -> Source:
    """Say what the source at an absolute `path` is, in a few system calls.

    The parameters are those of `find_source`.

    Raises
    ------
    SourceRefusedError
        The path does not exist, is a broken or looping link, a pipe or device, a plain directory,
        an empty file, or of an unknown format; or the file begins as no file of its format does.
    """
    return look_inside(find_source(path, name, formats))


def examine_selected(path: str, name: str, selection: Selection) -> Source:
    """Return the source in which a user has chosen an image.

    An image of an OME-Zarr is a folder in it, and is a source of its own.

    Parameters
    ----------
    path, name
        As of `find_source`.
    selection
        What is chosen; the scene of an OME-Zarr is the path of a folder in it.

    Raises
    ------
    SourceRefusedError
        As of `examine_source`, or the scene cannot be one.
    """
    source = find_source(path, name, reader=selection.reader)
    if selection.scene and source.format.directory and source.format.endings:
        inside = os.path.realpath(folder_of_scene(path, selection.scene))
        return replace(examine_source(inside), selection=selection._replace(scene=""))
    return replace(look_inside(source), selection=selection)


def folder_of_scene(path: str, scene: str) -> str:
    """Return the folder of an image in an OME-Zarr of several.

    Raises
    ------
    SourceRefusedError
        It would lie elsewhere.
    """
    inner = scene.strip("/").split("/")
    if not all(inner) or any(part in {".", ".."} or "\0" in part for part in inner):
        hint = "write the path of its folder in the source, such as 0 or A/1/0"
        what = f"{scene[:100]!r} names no image in {path!r}"
        raise SourceRefusedError("source.scene", what, hint)
    return "/".join([path.rstrip("/"), *inner])


def find_source(
    path: str,
    name: str = "",
    formats: tuple[Format, ...] = FORMATS,
    status: os.stat_result | None = None,
    reader: str = "",
) -> Source:
    """Say what the source at an absolute `path` is, without opening a file.

    Parameters
    ----------
    path
        Where the source lies, links resolved.
    name
        The name that tells the format, if it is not that of `path`: content-addressed stores keep
        files under their digest, with a link that has the name.
    formats
        Those that are wanted.
    status
        What `stat` returned for `path`, if it was asked already.
    reader
        Name of the library that reads the file, with any name; nothing for the readers here.

    Raises
    ------
    SourceRefusedError
        As of `examine_source`, except for the content of a file.
    """
    if status is None:
        status = _ask_status(path)
    is_directory = stat.S_ISDIR(status.st_mode)
    named = name or path
    form = _reader_named(reader) if reader else format_of(named.rstrip("/"), formats)
    if form is None and is_directory:
        form = _format_of_folder(path, status, formats)
    if not is_directory and not stat.S_ISREG(status.st_mode):
        code = "source.not-a-file"
        raise SourceRefusedError(code, f"{path!r} is neither a file nor an OME-Zarr directory")
    if form is None:
        raise _unknown(path, "directory" if is_directory else "file", formats)
    if form.directory and not form.extensions:
        return _examine_planes(path, form, formats)
    if form.directory:
        return _examine_directory(path, name, form, status)
    if is_directory:
        what = f"{reader} reads files here" if reader else f"{form.name} is a file"
        message = f"{path!r} is a directory, but {what}"
        raise SourceRefusedError("source.not-a-file", message)
    if status.st_size == 0:
        raise SourceRefusedError("source.empty", f"{path!r} is an empty file")
    extension, size = form.extension_of(named), status.st_size
    return Source(path, form, extension, size, write_stamp(size, status.st_mtime_ns))


def _reader_named(name: str) -> Format:
    """Return the format of what a library reads."""
    form = READERS.get(name)
    if form is None:
        message = f"{name[:100]!r} is not the name of a reader"
        raise SourceRefusedError("value.choice", message, f"write {' or '.join(READERS)}")
    return form


def _ask_status(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _examine_directory(path: str, name: str, form: Format, status: os.stat_result) -> Source:
    if not stat.S_ISDIR(status.st_mode):
        message = f"{path!r} is a file, but {form.name} is a directory"
        raise SourceRefusedError("source.not-a-directory", message)
    stamp = stamp_zarr(path, status)
    if stamp is not None:
        return Source(path, form, form.extension_of(name or path), stamp[0], write_stamp(*stamp))
    for metadata in GROUP_METADATA:
        if os.path.lexists(os.path.join(path, metadata)):
            raise _missing(os.path.join(path, metadata))
    if is_elsewhere(path):
        message = f"{path!r} has only the record of an image in an object store"
        hint = f"open the image there: {ELSEWHERE} has the address"
        raise SourceRefusedError("source.format", message, hint)
    message = f"{path!r} holds no zarr.json or .zattrs, so it is not an OME-Zarr"
    raise SourceRefusedError("source.format", message, "name the folder that holds the metadata")


def _examine_planes(path: str, form: Format, formats: tuple[Format, ...]) -> Source:
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
    return Source(path, form, "", stamp[0], write_stamp(*stamp))


def look_inside(source: Source) -> Source:
    """Return a source after a look at the first bytes of its file, which may tell the extension.

    Raises
    ------
    SourceRefusedError
        The file is a pointer to content elsewhere, or no file of its format.
    """
    if source.format.directory:
        return source
    if source.size <= LONGEST_POINTER:
        _refuse_pointer(source.path)
    if not source.format.beginnings:
        return source
    magic = _read_magic(source.path, source.format)
    if source.format is not OME_TIFF:
        return source
    return replace(source, extension=TIFF_EXTENSIONS[magic])


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


def _read_magic(path: str, form: Format) -> bytes:
    """Return the first four bytes, if they are as the format has them."""
    try:
        with open_regular(path) as file:
            magic = file.read(4)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not magic.startswith(form.beginnings):
        message = f"{path!r} does not begin as {form.name.removeprefix('OME-')} files do"
        raise SourceRefusedError("source.content", message, "check that the file is complete")
    return magic


def _unknown(path: str, what: str, formats: tuple[Format, ...]) -> SourceRefusedError:
    if what == "file" and path.lower().endswith(COMPANION):
        message = f"{path!r} has the metadata of an OME-TIFF, and no voxels"
        image = _image_of_companion(path)
        hint = f"name one of its images: {image}" if image else "name one of its .ome.tif files"
        return SourceRefusedError("source.format", message, hint)
    endings = (ending for known in formats for ending in known.endings)
    hint = f"known endings are {', '.join(endings)}"
    if what == "directory" and any(not known.extensions for known in formats):
        hint += "; another folder must hold the metadata of an OME-Zarr, or numbered planes"
    if what == "file" and formats is FORMATS:
        hint += "; with reader=bioio, plug-ins of bioio read files of further formats"
    return SourceRefusedError("source.format", f"{path!r} is a {what} of no known format", hint)


def _image_of_companion(path: str) -> str:
    """Return the first file beside a companion that it names, nothing where there is none."""
    try:
        with open_regular(path) as file:
            text = file.read(_MOST_OF_COMPANION)
    except OSError:
        return ""
    folder = os.path.dirname(path)
    names = (os.fsdecode(name) for name in _FILE_NAME.findall(text))
    beside = (os.path.join(folder, os.path.basename(name)) for name in names)
    return next(filter(os.path.exists, beside), "")


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
