"""Converts images of any format to OME-Zarr or OME-TIFF.

    open_volume(source) → settle_spec → create_volume(place) → copy_volume

The levels of an Imaris file are taken as they are, chunk by chunk, and the files of a zipped
OME-Zarr are unpacked as they are. An image that can be opened is complete. An interrupted
OME-Zarr is resumed. Nothing of the user's is opened for writing.
"""

from __future__ import annotations

import json
import logging
import math
import os
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.memory import keep_freed_memory
from spimpack_tasks.arrays.parallel import WorkPool, count_threads
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.conversion import LIBRARIES
from spimpack_tasks.volumes.copy import check_dtype, copy_levels, copy_volume
from spimpack_tasks.volumes.errors import HeaderError, SourceRefusedError, reading
from spimpack_tasks.volumes.formats import OME_ZARR, ZIPPED, Transfer
from spimpack_tasks.volumes.ome_zarr.chunk_sizes import check_chunks, check_count
from spimpack_tasks.volumes.ome_zarr.header_extras import EARLIER
from spimpack_tasks.volumes.ome_zarr.level_transforms import refuse_label_image
from spimpack_tasks.volumes.ome_zarr.metadata import ORIGINAL
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.ome_zarr.unzip import is_unpacked, open_zip, unpack, unpack_to
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.spec import compose_channels
from spimpack_tasks.volumes.tiff.layout import LEVELS, TYPES
from spimpack_tasks.volumes.volume import displays_of, open_volume
from spimpack_tasks.volumes.writer import Layout, create_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from spimpack_tasks.files.places import Place
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.conversion import Conversion, Request
    from spimpack_tasks.volumes.copy import EncodedSource
    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.in_place.writing import InPlaceImage
    from spimpack_tasks.volumes.ome_zarr.writer import OmeZarrWriter
    from spimpack_tasks.volumes.spec import VolumeSpec
    from spimpack_tasks.volumes.volume import Volume

    Advance = Callable[[int], None]

logger = logging.getLogger(__name__)

# Most conversions need none of these, and begin sooner without them.
_convert_labels = Deferred("spimpack_tasks.volumes.labels:convert_labels")
_finish_labels = Deferred("spimpack_tasks.volumes.labels:finish_labels")
_keep_original = Deferred("spimpack_tasks.volumes.originals:keep_original")
_tile_codec = Deferred("spimpack_tasks.volumes.tiff.ome_writer:TileCodec")
_find_blocks = Deferred("spimpack_tasks.volumes.in_place.finding:find_blocks")
_in_place_image = Deferred("spimpack_tasks.volumes.in_place.writing:InPlaceImage")
_create_ome_tiff = Deferred("spimpack_tasks.volumes.tiff.ome_writer:create_ome_tiff")


def convert_to_ome_zarr(conversion: Conversion, path: str, advance: Advance, threads: int) -> None:
    """Convert an image, or resume that.

    Parameters
    ----------
    conversion
        What to convert, and how.
    path
        The OME-Zarr. Files in it come from an interrupted run of the same conversion.
    advance
        Told the number of bytes of voxels after each piece that is there, `count_bytes` in all.
    threads
        How many to work with; the bytes are the same for any number.

    Raises
    ------
    OSError
        The source cannot be read or is damaged: the message names the part. Or the disk does not
        take the image.
    MissingExtraError
        A library is not installed.
    """
    if conversion.form.transfer is Transfer.FILES:
        require_libraries()
        with as_os_errors(), open_zip(conversion.source) as archive, WorkPool(threads) as pool:
            unpack(archive, path, advance, pool)
    else:
        write_ome_zarr(conversion, LocalPlace(path), advance, threads)


def write_ome_zarr(conversion: Conversion, place: Place, advance: Advance, threads: int) -> None:
    """Convert an image to an OME-Zarr at any place, or resume that.

    Parameters
    ----------
    conversion
        What to convert, and how.
    place
        Where. Objects there come from an interrupted run of the same conversion.
    advance, threads
        As of `convert_to_ome_zarr`.

    Raises
    ------
    OSError, MissingExtraError
        As of `convert_to_ome_zarr`.
    """
    require_libraries()
    with as_os_errors():
        if _write_in_place(conversion, place, advance, threads):
            return
        match conversion.form.transfer:
            case Transfer.FILES:
                with open_zip(conversion.source) as archive, WorkPool(threads) as pool:
                    unpack_to(archive, place, advance, pool)
            case Transfer.LEVELS:
                _take_levels(conversion, place, advance, threads)
            case Transfer.VOXELS:
                _write_voxels(conversion, place, advance, threads)


def finish_ome_zarr(conversion: Conversion, path: str) -> None:
    """Write the metadata of an OME-Zarr whose voxels are there, such as linked files.

    Raises
    ------
    OSError
        The source cannot be read, or the disk does not take the metadata.
    """
    require_libraries()
    place = LocalPlace(path)
    with as_os_errors(), WorkPool(count_threads()) as pool:
        image = find_in_place(conversion, place)
        if not isinstance(image, str):
            image.finish_with_voxels(pool)
        elif conversion.form.transfer is Transfer.LEVELS:
            with (
                open_chunks(conversion) as source,
                begin_levels(conversion, place, source, pool) as writer,
            ):
                writer.finish_with_voxels()
        else:
            with (
                _open_source(conversion) as volume,
                begin_voxels(conversion, place, volume, pool) as writer,
            ):
                if labels := volume.header.label_names:
                    _finish_labels(conversion, path, writer.spec, labels, pool)
                writer.finish_with_voxels()


def _open_source(conversion: Conversion) -> AbstractContextManager[Volume]:
    request = conversion.request
    return open_volume(conversion.source, conversion.form, request.selection, for_copy=True)


def _take_levels(conversion: Conversion, place: Place, advance: Advance, threads: int) -> None:
    with (
        open_chunks(conversion) as source,
        WorkPool(threads) as pool,  # ends before the source is closed
        begin_levels(conversion, place, source, pool) as writer,
    ):
        copy_levels(source, writer, advance, pool)
        writer.finish()


def open_chunks(conversion: Conversion) -> AbstractContextManager[EncodedSource]:
    """Return the source of an image whose chunks are taken as they are, as a context."""
    opener = conversion.form.chunks
    if opener is None:
        message = f"{conversion.form.name} has no chunks that can be taken"
        raise ValueError(message)
    # Sizes that no image has are refused before the index of chunks takes memory for them.
    read_header(conversion.source, conversion.form, conversion.request.selection)
    with reading(conversion.source):
        source: AbstractContextManager[EncodedSource] = opener(conversion.source)
    return source


def begin_levels(
    conversion: Conversion, place: Place, source: EncodedSource, pool: WorkPool
) -> AbstractContextManager[OmeZarrWriter]:
    """Return the writer of an image all of whose levels are taken, as a context."""
    spec = settle_spec(_with_origin(conversion, source.spec, ()), source.header, conversion.request)
    layout = Layout(conversion.request.ngff, conversion.request.codec, levels=tuple(source.levels))
    return create_volume(place, spec, layout, pool)


def _write_voxels(conversion: Conversion, place: Place, advance: Advance, threads: int) -> None:
    with (
        _open_source(conversion) as volume,
        WorkPool(threads) as pool,
        begin_voxels(conversion, place, volume, pool) as writer,
    ):
        check_count(conversion.source, math.prod(writer.levels[0].shard_grid))
        if labels := volume.header.label_names:
            _convert_labels(conversion, place, writer.spec, labels, pool)
        copy_volume(volume, writer, advance, pool)
        writer.finish()


def _write_in_place(conversion: Conversion, place: Place, advance: Advance, threads: int) -> bool:
    """Make an image whose full level is the bytes of its source, and tell whether it is that."""
    image = find_in_place(conversion, place)
    if isinstance(image, str):
        if image:
            logger.warning("%s is encoded as usual: %s", conversion.source, image)
        return False
    with _open_source(conversion) as volume, WorkPool(threads) as pool:
        image.write(volume, advance, pool)
    whole = count_bytes(conversion.source, conversion.form, conversion.request.selection)
    advance(whole - image.size)  # of levels of an Imaris file that are not taken
    return True


def find_in_place(
    conversion: Conversion, place: Place, *, in_full: bool = True
) -> InPlaceImage | str:
    """Return the image whose full level is made of the bytes of the source, or why there is none.

    The reason is empty if nobody asks for it. `in_full` is that of `find_blocks`.
    """
    request = conversion.request
    if not request.level0 or not isinstance(place, LocalPlace):
        return ""
    with _open_source(conversion) as volume:
        check_dtype(volume)
        blocks = _find_blocks(conversion, volume.spec, in_full=in_full)
        if isinstance(blocks, str):
            return blocks
        found = _with_provenance(conversion, volume, volume.header.left_out)
    spec = replace(found, provenance={**found.provenance, "level0": request.level0})
    made: InPlaceImage = _in_place_image(blocks, spec, place, request.codec)
    return made


def begin_voxels(
    conversion: Conversion, place: Place, volume: Volume, pool: WorkPool
) -> AbstractContextManager[OmeZarrWriter]:
    """Return the writer of an image of which the blocks are written, as a context."""
    check_dtype(volume)
    found = _with_provenance(conversion, volume, volume.header.left_out)
    request = conversion.request
    layout = Layout(
        request.ngff, request.codec, chunk_zyx=request.chunk_zyx, shard_zyx=request.shard_zyx
    )
    check_chunks(conversion.source, request.ngff, found, request.chunk_zyx)
    return create_volume(place, found, layout, pool)


def convert_to_ome_tiff(conversion: Conversion, path: str, advance: Advance, threads: int) -> None:
    """Convert an image to OME-TIFF. An interrupted conversion starts again.

    Parameters
    ----------
    conversion
        What to convert, and how; the codec is one of `COMPRESSIONS`.
    path
        The OME-TIFF. Nothing is there until it is whole.
    advance
        Told the number of bytes of voxels after each plane, `count_voxel_bytes` in all.
    threads
        How many to work with; the bytes are the same for any number.

    Raises
    ------
    OSError
        The source cannot be read or is damaged: the message names the plane. Or the disk does not
        take the image.
    """
    with as_os_errors(), _open_source(conversion) as volume, WorkPool(threads) as pool:
        dtype = check_dtype(volume).dtype.newbyteorder("=")
        if dtype.name not in TYPES:
            whole = "the merged image" if conversion.request.merge else repr(conversion.source)
            message = f"{whole} has voxels of type {dtype}, which OME-TIFF has not"
            raise SourceRefusedError("source.content", message, "make an OME-Zarr of it")
        left_out = (*volume.header.left_out, *volume.header.extras)
        spec = _with_provenance(conversion, volume, left_out)
        check_count(conversion.source, math.prod(spec.shape_tczyx[:3]))  # a block is a plane
        codec = conversion.request.codec, int(conversion.request.level or LEVELS[0])
        with _create_ome_tiff(path, spec, _tile_codec(*codec), pool) as writer:
            copy_volume(volume, writer, advance, pool)
            writer.finish()


def settle_spec(found: VolumeSpec, header: Header, request: Request) -> VolumeSpec:
    """Return what is known of an image: what is asked for, else what the source says."""
    x, y, z = request.spacing_um_xyz or header.spacing_um_xyz
    names = request.channel_names or header.channel_names
    return replace(
        found,
        name=request.name,
        spacing_um_zyx=(z, y, x),
        channels=compose_channels(found.shape_tczyx[1], names, displays_of(header)),
        axes=request.axes or found.axes,
        orientation_xyz=request.orientation_xyz or found.orientation_xyz,
    )


def _with_provenance(
    conversion: Conversion, volume: Volume, left_out: tuple[str, ...]
) -> VolumeSpec:
    found = _with_origin(conversion, volume.spec, left_out)
    more: dict[str, str] = {}
    if volume.header.merged:
        more["merged"] = json.dumps(dict(volume.header.merged))
    if conversion.form is OME_ZARR:
        refuse_label_image(conversion.source)
        if earlier := read_provenance(conversion.source):
            more[EARLIER] = json.dumps({k: v for k, v in earlier.items() if k != ORIGINAL})
    if more:
        found = replace(found, provenance={**found.provenance, **more})
    return settle_spec(found, volume.header, conversion.request)


def _with_origin(conversion: Conversion, spec: VolumeSpec, left_out: tuple[str, ...]) -> VolumeSpec:
    """Return a specification with the facts of its conversion and the metadata of its source."""
    texts: dict[str, str] = {}
    if not conversion.request.original:
        texts, too_long = _keep_original(conversion.source, conversion.form)
        left_out = (*left_out, *too_long)
    lost = {"left_out": "; ".join(left_out)} if left_out else {}
    return replace(spec, provenance=conversion.provenance | lost, original=texts)


def require_libraries() -> None:
    """Refuse to convert where a library is not installed, and have freed memory kept.

    Raises
    ------
    MissingExtraError
        One is not installed.
    """
    for name in LIBRARIES:
        if find_spec(name) is None:
            raise MissingExtraError(name, "convert")
    keep_freed_memory()


def is_result(conversion: Conversion, path: str) -> bool:
    """Tell whether what is at `path` is the OME-Zarr that a conversion makes.

    The files of a zipped OME-Zarr are unpacked as they are, so they are compared with the archive.
    """
    if conversion.form is not ZIPPED:
        made_from = read_provenance(path).get("made_from")
        return not os.path.islink(path) and made_from == conversion.made_from
    try:
        return is_unpacked(conversion.source, path)
    except (OSError, HeaderError):  # the source is gone, or damaged
        return False


def least_size(source: str, form: Format, made: Format) -> int:
    """Return how many bytes an image of the format `made` takes at the least, 0 for a folder.

    Raises
    ------
    OSError, HeaderError
        The source cannot be read.
    """
    if os.path.isdir(source):
        return 0
    if form.transfer is Transfer.FILES and made is OME_ZARR:
        return count_bytes(source, form)
    return form.least_size(os.stat(source).st_size, made)


def count_bytes(source: str, form: Format, selection: Selection = WHOLE) -> int:
    """Return the number of bytes that converting to OME-Zarr reports."""
    if form.transfer is Transfer.FILES:
        with open_zip(source) as archive:
            return archive.size
    header = read_header(source, form, selection)
    shapes = header.shapes if form.transfer is Transfer.LEVELS else header.shapes[:1]
    return sum(map(math.prod, shapes)) * header.itemsize


def count_voxel_bytes(source: str, form: Format, selection: Selection = WHOLE) -> int:
    """Return the number of bytes of the voxels of the full level, which an OME-TIFF is made of."""
    header = read_header(source, form, selection)
    return math.prod(header.shapes[0]) * header.itemsize
