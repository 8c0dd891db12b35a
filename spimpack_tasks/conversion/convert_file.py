"""Converts one image by itself, with no dataset around it.

It is made beside its target, under a name that begins with a dot, and renamed when it is whole: at
the target there is nothing, or all of it. An interrupted conversion is resumed there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codec_table import CODEC_NAMES
from spimpack_tasks.conversion.chunk_stamps import stamp_all
from spimpack_tasks.conversion.held_place import check_is_free, hold_place
from spimpack_tasks.conversion.size_beside import with_size_beside
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import (
    HintedError,
    SpimpackError,
    in_arguments,
    joined,
)
from spimpack_tasks.files.atomic import discard, sync_disk
from spimpack_tasks.files.held_folders import move_to_target
from spimpack_tasks.files.stamps import split_stamp, stamp_text
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
from spimpack_tasks.volumes.formats import NGFF, OME_TIFF, OME_ZARR, TIFF, ZIPPED, Transfer
from spimpack_tasks.volumes.merged.sources import members_of
from spimpack_tasks.volumes.ome_zarr.chunk_sizes import describe_sizes, describe_small_chunks
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.scenes import CODE as SCENE_CODE
from spimpack_tasks.volumes.source_errors import (
    UNCONVERTIBLE,
    UnconvertibleError,
    as_os_errors,
    require_unchanged,
)
from spimpack_tasks.volumes.tiff.layout import COMPRESSIONS, extension_of
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.examine import Source

EXTENSION = ".ome.zarr"
CODECS = {EXTENSION: (*CODEC_NAMES, "none"), ".ome.tif": COMPRESSIONS}
"""Codecs by the extension of the target; a larger OME-TIFF ends in `.ome.btf`."""
_TIFFS = (".ome.tif", ".ome.btf")

_is_tiff_made_from = Deferred("spimpack_tasks.volumes.tiff.ome_xml_writer:is_made_from")
_compare_with_source = Deferred("spimpack_tasks.volumes.compare:compare_with_source")


class ConversionRefusedError(HintedError):
    """An image cannot be converted as was asked for; the message says why."""

    def __str__(self) -> str:
        """Return message and remedy for the author of a script, who writes a `Request`."""
        return joined(self.message, in_arguments(self.hint, "source_axes"))


def refusal_of(error: BaseException) -> ConversionRefusedError:
    """Return an error with message and remedy of the one that a source is refused by."""
    message, hint = getattr(error, "message", str(error)), getattr(error, "hint", "")
    return ConversionRefusedError(message, hint)


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
    planned = _plan(source, target, request)
    return _convert(planned, target, threads, advance, replaces=False)


def convert_anew(
    source: str | Source,
    target: str,
    request: Request,
    threads: int,
    advance: Callable[[int], None],
) -> bool:
    """Convert as `convert_file` does; an OME-Zarr that was converted before is replaced.

    Raises
    ------
    SpimpackError, OSError
        As of `convert_file`.
    """
    planned = _plan(source, target, request)
    return _convert(planned, target, threads, advance, replaces=_is_own(target))


def _convert(
    planned: tuple[Source, Conversion],
    target: str,
    threads: int,
    advance: Callable[[int], None],
    *,
    replaces: bool,
) -> bool:
    found, conversion = planned
    if _is_made(target, conversion):
        return False
    _check_target(found, target, is_free=not replaces)
    with hold_place(target, conversion.made_from) as path:
        try:
            _make(conversion, path, target, advance, threads)
        except UnconvertibleError as error:
            with suppress(FileNotFoundError):
                discard(path)
            raise refusal_of(error.__cause__ or error) from error
        sync_disk(os.path.dirname(path))
        if replaces and _is_own(target):
            move_to_target(path, target)
        else:
            check_is_free(target)
            os.rename(path, target)
    return True


def is_converted(source: str | Source, target: str, request: Request) -> bool:
    """Tell whether the image at a target is what `convert_file` makes of a source as it is now.

    Raises
    ------
    SpimpackError
        The source is of no format that is converted, or the request does not suit it.
    OSError
        The source cannot be read.
    """
    return _is_made(target, _plan(source, target, request)[1])


def require_target(source: str | Source, target: str, request: Request) -> None:
    """Refuse a target at which `convert_anew` would write nothing.

    Raises
    ------
    SpimpackError, OSError
        As of `convert_anew`.
    """
    found, conversion = _plan(source, target, request)
    if not _is_made(target, conversion):
        _check_target(found, target, is_free=not _is_own(target))


def find_files(source: str | Source, target: str, request: Request) -> list[tuple[str, str]]:
    """Return absolute path and stamp of each file that a conversion reads.

    Raises
    ------
    SpimpackError, OSError
        As of `is_converted`.
    """
    found, conversion = _plan(source, target, request)
    members = [(path, stamp_text(path)) for path in members_of(found)]
    return members + [split_stamp(each) for each in conversion.request.other_files]


def _plan(source: str | Source, target: str, request: Request) -> tuple[Source, Conversion]:
    """Return a source in which the image is chosen, and its conversion."""
    found = examine_chosen(source, request.selection)
    request = _settle(with_size_beside(request, source, found), target, found)
    return found, Conversion(found.path, found.format, request, _identify(found, request))


def _is_own(target: str) -> bool:
    """Tell whether an OME-Zarr was converted by this program, and not stitched or streamed."""
    return not os.path.islink(target) and "converted_from" in read_provenance(target)


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
        found = examine_chosen(source, selection)
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
    found = examine_chosen(source, selection)
    yield from _compare_with_source(found.path, found.format, target, advance, found.selection)


def examine_chosen(source: str | Source, selection: Selection) -> Source:
    """Return a source in which the image is chosen by its number, if it holds several."""
    if not isinstance(source, str):
        return source
    try:
        found = examine_selected(os.path.realpath(source), source, selection)
    except SourceRefusedError as refused:
        raise refusal_of(refused) from refused
    if not found.format.has_scenes:
        return found
    try:
        header = read_header(found.path, found.format, found.selection._replace(axes=""))
    except SourceRefusedError as refused:
        if refused.code != SCENE_CODE:
            return found  # told when it is converted
        raise refusal_of(refused) from refused
    scene = str(header.scene) if header.scenes else ""
    return replace(found, selection=found.selection._replace(scene=scene))


def _settle(request: Request, target: str, source: Source) -> Request:
    """Return a request with what suits source and target where it leaves the choice."""
    is_tiff = target.endswith(_TIFFS)
    known = CODECS[_TIFFS[0] if is_tiff else EXTENSION]
    if is_tiff and (request.ngff or request.axes or request.level0):
        option = "--ngff" if request.ngff else "--axes" if request.axes else "--level0"
        message = f"{target} is no OME-Zarr, of which alone that can be chosen; leave out {option}"
        raise ConversionRefusedError(message)
    _check_sizes(request, source, target)
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


def _check_sizes(request: Request, source: Source, target: str) -> None:
    """Refuse sizes of chunks and shards that the image cannot have."""
    if not (request.chunk_zyx or request.shard_zyx):
        return
    if target.endswith(_TIFFS):
        message = f"{target} has no chunks or shards; leave out --chunk and --shard"
        raise ConversionRefusedError(message)
    if source.format.transfer is not Transfer.VOXELS:
        message = (
            f"the chunks of {source.path} are taken as they are; make an OME-Zarr of it, and "
            "spimpack rechunk makes other chunks of that"
        )
        raise ConversionRefusedError(message)
    header = read_header(source.path, source.format, source.selection)
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    size_zyx = tuple(sizes.get(axis, 1) for axis in "zyx")
    chosen = request.chunk_zyx, request.shard_zyx
    ngff = request.ngff or NGFF[0]
    fault = describe_sizes(ngff, size_zyx, header.itemsize, *chosen) or describe_small_chunks(
        ngff, size_zyx, header.itemsize, request.chunk_zyx
    )
    if fault:
        raise ConversionRefusedError(fault)


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
    text = f"{source.path}\0{stamp_all(source)}\0{request.as_text()}"
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _is_made(target: str, conversion: Conversion) -> bool:
    if target.endswith(_TIFFS):
        return bool(_is_tiff_made_from(target, conversion.made_from))
    return is_result(conversion, target)


def _check_target(source: Source, target: str, *, is_free: bool) -> None:
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
    if is_free:
        check_is_free(target)
    if not os.path.isdir(os.path.dirname(real)):
        message = f"{os.path.dirname(target)} is not a folder; make it first"
        raise ConversionRefusedError(message)


def _check_tiff(source: Source, target: str) -> None:
    try:
        with open_volume(source.path, source.format, source.selection) as volume:
            wanted = extension_of(volume.levels[0].shape, volume.levels[0].dtype.itemsize)
    except UNCONVERTIBLE as error:
        raise refusal_of(error) from error
    if not target.endswith(wanted):
        message = f"{target} must end in {wanted}, because of the number of its voxels"
        raise ConversionRefusedError(message)
