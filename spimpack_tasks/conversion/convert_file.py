"""Converts one image by itself, with no dataset around it.

It is made beside its target, under a name that begins with a dot, and renamed when it is whole: at
the target there is nothing, or all of it. An interrupted conversion is resumed there.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.conversion.size_beside import find_size_beside, with_size_beside
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import ExitCode, SpimpackError, count_of
from spimpack_tasks.files.atomic import discard, sync_disk
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.conversion import Conversion, Request
from spimpack_tasks.volumes.convert import (
    convert_to_ome_tiff,
    convert_to_ome_zarr,
    count_bytes,
    count_voxel_bytes,
    is_result,
    least_size,
)
from spimpack_tasks.volumes.disk_space import require_space
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import examine_selected
from spimpack_tasks.volumes.formats import NGFF, OME_TIFF, OME_ZARR, TIFF, ZIPPED
from spimpack_tasks.volumes.merged.sources import members_of
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.scenes import CODE as SCENE_CODE
from spimpack_tasks.volumes.source_errors import (
    UNCONVERTIBLE,
    UnconvertibleError,
    as_os_errors,
    reason_of_refusal,
    require_unchanged,
)
from spimpack_tasks.volumes.tiff.layout import COMPRESSIONS, extension_of
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.header import Header

EXTENSION = ".ome.zarr"
CODECS = {EXTENSION: CODEC_NAMES, ".ome.tif": COMPRESSIONS}
"""Codecs by the extension of the target; a larger OME-TIFF ends in `.ome.btf`."""
_TIFFS = (".ome.tif", ".ome.btf")

_is_tiff_made_from = Deferred("spimpack_tasks.volumes.tiff.ome_xml_writer:is_made_from")
_compare_with_source = Deferred("spimpack_tasks.volumes.compare:compare_with_source")


class ConversionRefusedError(SpimpackError):
    """An image cannot be converted as was asked for; the message says why."""

    exit_code = ExitCode.BAD_INPUT


class TargetTakenError(SpimpackError):
    """There is something else at the target."""

    exit_code = ExitCode.CONFLICT


def convert_file(
    source: str | Source,
    target: str,
    request: Request,
    threads: int,
    advance: Callable[[int], None],
) -> bool:
    """Convert one image, or find that it has been.

    Parameters
    ----------
    source
        Absolute path, or files that are to be merged.
    target
        Absolute path.
    request
        How to convert it.
    threads
        How many to work with; the bytes are the same for any number.
    advance
        Told the number of bytes of voxels after each piece that is there.

    Returns
    -------
    bool
        Whether anything was to be done.

    Raises
    ------
    SpimpackError
        The source is of no format that is converted, or something is in the way.
    OSError
        The source is damaged, or the disk does not take the image. Finished parts are kept.
    """
    found = _examine(source, request.selection)
    request = _settle(with_size_beside(request, source, found), target, found)
    conversion = Conversion(found.path, found.format, request, _identify(found, request))
    if _is_made(target, conversion):
        return False
    _check_target(found, target)
    with _hold_place(target, conversion.made_from) as path:
        try:
            _make(conversion, path, target, advance, threads)
        except UnconvertibleError as error:
            with suppress(FileNotFoundError):
                discard(path)
            raise ConversionRefusedError(error.strerror) from error
        sync_disk(os.path.dirname(path))
        _check_is_free(target)
        os.rename(path, target)
    return True


def _make(
    conversion: Conversion, path: str, target: str, advance: Callable[[int], None], threads: int
) -> None:
    """Make an image at the path where it is kept until it is whole."""
    made = OME_TIFF if target.endswith(_TIFFS) else OME_ZARR
    with require_unchanged(conversion.sources, path), as_os_errors():
        if not os.path.lexists(path):
            needed = least_size(conversion.source, conversion.form, made)
            require_space(os.path.dirname(path), needed)
        convert = convert_to_ome_tiff if made is OME_TIFF else convert_to_ome_zarr
        convert(conversion, path, advance, threads)


def measure_file(source: str | Source, target: str, selection: Selection = WHOLE) -> int | None:
    """Return the number of bytes that `convert_file` will report, `None` where it refuses."""
    try:
        found = _examine(source, selection)
        count = count_voxel_bytes if target.endswith(_TIFFS) else count_bytes
        return count(found.path, found.format, found.selection)
    except (SpimpackError, *UNCONVERTIBLE, OSError):
        return None


def compare_file(
    source: str | Source,
    target: str,
    advance: Callable[[int], None],
    selection: Selection = WHOLE,
) -> Iterator[str]:
    """Yield how the image at a target differs from its source.

    Raises
    ------
    ConversionRefusedError
        The source is no image.
    OSError
        The source cannot be read, or is damaged.
    """
    found = _examine(source, selection)
    yield from _compare_with_source(found.path, found.format, target, advance, found.selection)


def _examine(source: str | Source, selection: Selection) -> Source:
    """Return a source in which the image is chosen by its number, if it holds several."""
    if not isinstance(source, str):
        return source
    try:
        found = examine_selected(os.path.realpath(source), source, selection)
    except SourceRefusedError as refused:
        raise ConversionRefusedError(reason_of_refusal(refused)) from refused
    if not found.format.has_scenes:
        return found
    try:
        header = read_header(found.path, found.format, replace(found.selection, axes=""))
    except SourceRefusedError as refused:
        if refused.code != SCENE_CODE:
            return found  # told when it is converted
        raise ConversionRefusedError(reason_of_refusal(refused)) from refused
    scene = str(header.scene) if header.scenes else ""
    return replace(found, selection=replace(found.selection, scene=scene))


def _settle(request: Request, target: str, source: Source) -> Request:
    """Return a request with what suits source and target where it leaves the choice."""
    is_tiff = target.endswith(_TIFFS)
    known = CODECS[_TIFFS[0] if is_tiff else EXTENSION]
    if is_tiff and (request.ngff or request.axes):
        option = "--ngff" if request.ngff else "--axes"
        message = f"{target} is no OME-Zarr, of which alone that can be chosen; leave out {option}"
        raise ConversionRefusedError(message)
    if source.format is ZIPPED and not is_tiff:
        _check_is_plain(request, source)
    if request.codec and request.codec not in known:
        message = f"{target} cannot have the codec {request.codec}; choose {' or '.join(known)}"
        raise ConversionRefusedError(message)
    if request.level and (not is_tiff or request.codec == "none"):
        message = f"{target} has no codec with a level; leave out --level"
        raise ConversionRefusedError(message)
    codec = known[0] if is_tiff else source.format.codec
    return replace(
        request,
        codec=request.codec or codec,
        ngff=request.ngff or NGFF[0],
        scene=source.selection.scene,
        other_files=_other_files(source),
        merge=source.format.key,
    )


def _other_files(source: Source) -> tuple[str, ...]:
    """Return path and stamp of the other files of a set.

    A set that cannot be read is reported by the conversion.
    """
    if source.format not in {OME_TIFF, TIFF} and not source.format.key:
        return ()
    try:
        others = read_header(source.path, source.format, source.selection).files_needed
    except SourceRefusedError:
        return ()
    return tuple(f"{path} {stamp_text(path)}" for path in others)


def read_remarks(source: str | Source, target: str, request: Request) -> list[str]:
    """Return remarks on a source that is converted, besides errors.

    Parameters
    ----------
    source
        Absolute path, or files that are to be merged.
    target
        Absolute path.
    request
        How it is converted; a size that is given ends doubts about it.
    """
    try:
        found = _examine(source, request.selection)
        header = read_header(found.path, found.format, found.selection)
    except (SpimpackError, *UNCONVERTIBLE):
        return []  # told when it is converted
    left_out = header.left_out if found.format is not ZIPPED else ()
    if target.endswith(_TIFFS):
        left_out = (*header.left_out, *header.extras)
    shown = source if isinstance(source, str) else _shown(found)
    remarks = [f"{shown} holds more than is converted: {each}" for each in left_out]
    remarks += [f"{shown} does not tell how it is shown: {each}" for each in header.display_doubts]
    remarks += _contradictions(header, request)
    size, name = find_size_beside(request, source, header)
    if size:
        shown_size = " x ".join(f"{each:g}" for each in size if each is not None)
        remarks.append(f"{shown} has no size of its own: {name} tells {shown_size} um (x, y, z)")
    elif not request.spacing_um_xyz and not header.is_size_known:
        doubts = f": {'; '.join(header.doubts)}" if header.doubts else ""
        remedy = "" if found.format is ZIPPED else "; give it with --pixel-size"
        remarks.append(
            f"{shown} does not tell the size of its voxels, which stays unknown{doubts}{remedy}"
        )
    return remarks


def _shown(source: Source) -> str:
    count = len(members_of(source))
    return f"{source.path} (merged with {count_of(count - 1, 'other file')})"


def _contradictions(header: Header, request: Request) -> Iterator[str]:
    """Yield where what the user gives is not what the source says; the user is believed."""
    count, given = header.channel_count, len(request.channel_names)
    if given and count not in {None, given}:
        yield f"--stains names {count_of(given, 'channel')}, but the image has {count}"
    if request.orientation_xyz and header.orientation_xyz not in {None, request.orientation_xyz}:
        told = header.orientation_xyz
        yield f"--orientation is {request.orientation_xyz}, but the image says {told}"


def _check_is_plain(request: Request, source: Source) -> None:
    """Refuse options that have no meaning for an image that is unpacked."""
    if request != Request(name=request.name, codec="", ngff=""):
        message = (
            f"{source.path} is unpacked as it is; codec, version, axes, voxel size, orientation "
            "and stains stay what they are. Leave these options out, and convert the folder that "
            "is made of it"
        )
        raise ConversionRefusedError(message)


def _identify(source: Source, request: Request) -> str:
    text = f"{source.path}\0{source.stamp}\0{request.as_text()}"
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _is_made(target: str, conversion: Conversion) -> bool:
    if target.endswith(_TIFFS):
        return bool(_is_tiff_made_from(target, conversion.made_from))
    return is_result(conversion, target)


def _check_target(source: Source, target: str) -> None:
    real = os.path.realpath(target)
    if not target.endswith((EXTENSION, *_TIFFS)):
        message = f"{target} does not end in {EXTENSION}, or in {' or '.join(_TIFFS)} for OME-TIFF"
        raise ConversionRefusedError(message)
    if target.endswith(_TIFFS):
        _check_tiff(source, target)
    for path in members_of(source):
        if os.path.commonpath([real, path]) in {real, path}:
            message = f"{target} and the source {path} lie in one another; choose another target"
            raise ConversionRefusedError(message)
    _check_is_free(target)
    if not os.path.isdir(os.path.dirname(real)):
        message = f"{os.path.dirname(target)} is not a folder; make it first"
        raise ConversionRefusedError(message)


def _check_is_free(target: str) -> None:
    if os.path.lexists(target):
        message = (
            f"{target} is there already, and was made from something else or with other options; "
            "choose another target"
        )
        raise TargetTakenError(message)


def _check_tiff(source: Source, target: str) -> None:
    try:
        with open_volume(source.path, source.format, source.selection) as volume:
            wanted = extension_of(volume.levels[0].shape, volume.levels[0].dtype.itemsize)
    except UNCONVERTIBLE as error:
        raise ConversionRefusedError(reason_of_refusal(error)) from error
    if not target.endswith(wanted):
        message = f"{target} must end in {wanted}, because of the number of its voxels"
        raise ConversionRefusedError(message)


@contextmanager
def _hold_place(target: str, made_from: str) -> Iterator[str]:
    """Hold the place beside a target, and yield the path of the image in it.

    An interrupted image of another source is deleted.
    """
    folder, name = os.path.split(target)
    place = os.path.join(folder, f".{name}.unfinished")
    lock = _lock_folder(place)
    if lock is None:
        message = f"{target} is being made by another process"
        raise TargetTakenError(message)
    try:
        for other in os.listdir(place):
            if other != made_from:
                discard(os.path.join(place, other))
        yield os.path.join(place, made_from)
    finally:
        with suppress(OSError):  # an interrupted image is left
            os.rmdir(place)
        os.close(lock)


def _lock_folder(place: str) -> int | None:
    """Make a folder and return a descriptor that holds its lock, `None` if another process does."""
    while True:
        with suppress(FileExistsError):
            os.mkdir(place)
        try:
            lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its holder has just removed it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), os.lstat(place)):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        os.close(lock)
