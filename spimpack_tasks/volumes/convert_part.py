"""Converts one part of an image to OME-Zarr, so that several processes can share the image.

Each part is some planes of the full level with what is above them in the pyramid: whole shards,
each of which has one maker. So parts may be written in any order, by any process and more than
once. When all are there, `finish_parts` makes the few levels that lie above them, and the metadata.
The files are those of `convert.convert_to_ome_zarr`, byte for byte.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.volumes.convert import (
    begin_levels,
    begin_voxels,
    find_in_place,
    open_chunks,
    require_libraries,
)
from spimpack_tasks.volumes.copy import copy_levels, copy_volume
from spimpack_tasks.volumes.formats import Transfer
from spimpack_tasks.volumes.ome_zarr.chunk_sizes import check_count
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.volumes.conversion import Conversion

    Advance = Callable[[int], None]

logger = logging.getLogger(__name__)
_convert_labels = Deferred("spimpack_tasks.volumes.labels:convert_labels")


def convert_part(
    conversion: Conversion, path: str, part: tuple[int, int], advance: Advance, threads: int
) -> bool:
    """Write one part of an image, as far as it is not there.

    Parameters
    ----------
    conversion
        What to convert, and how.
    path
        The OME-Zarr, which cannot be opened before `finish_parts`.
    part
        Number of the part, from 0 on, and number of parts.
    advance
        Told the number of bytes of voxels after each piece.
    threads
        How many to work with; the bytes are the same for any number.

    Returns
    -------
    bool
        Whether it is there now. If not, nothing was written, because one process must make the
        whole image: the files of a zipped OME-Zarr are unpacked, a level is made of the bytes of
        the source, or to read a part of the source is to read all before it.

    Raises
    ------
    OSError, MissingExtraError
        As of `convert.convert_to_ome_zarr`.
    """
    require_libraries()
    with as_os_errors():
        image = find_in_place(conversion, LocalPlace(path), in_full=False)
        if not isinstance(image, str):
            return False
        if image and not part[0]:  # once for the whole image
            logger.warning("%s is encoded as usual: %s", conversion.source, image)
        match conversion.form.transfer:
            case Transfer.FILES:
                return False
            case Transfer.LEVELS:
                with (
                    open_chunks(conversion) as source,
                    WorkPool(threads) as pool,  # ends before the source is closed
                    begin_levels(conversion, LocalPlace(path), source, pool) as writer,
                ):
                    copy_levels(source, writer, advance, pool, part)
                return True
            case Transfer.VOXELS:
                return _write_voxels(conversion, LocalPlace(path), part, advance, threads)


def _write_voxels(
    conversion: Conversion,
    place: LocalPlace,
    part: tuple[int, int],
    advance: Advance,
    threads: int,
) -> bool:
    image = conversion.source, conversion.form, conversion.request.selection
    with open_volume(*image, for_copy=True) as volume, WorkPool(threads) as pool:
        if volume.levels[0].is_stream:
            return False
        with begin_voxels(conversion, place, volume, pool) as writer:
            writer.limit_to_part(part)
            check_count(conversion.source, math.prod(writer.levels[0].shard_grid))
            voxels = sum(math.prod(block.shape) for block in writer.blocks())
            if voxels:
                size = voxels * int(writer.spec.dtype.itemsize)
                copy_volume(volume, writer, advance, pool, size)
                writer.finish_part()
    return True


def finish_parts(conversion: Conversion, path: str, threads: int) -> None:
    """Make an image whole of which all parts are there.

    Parameters
    ----------
    conversion, path, threads
        As of `convert_part`.

    Raises
    ------
    OSError, MissingExtraError
        As of `convert.convert_to_ome_zarr`.
    """
    require_libraries()
    place = LocalPlace(path)
    # A block of zeros alone may have no file, so it counts as missing.
    with as_os_errors(), WorkPool(threads) as pool:
        if conversion.form.transfer is Transfer.LEVELS:
            with (
                open_chunks(conversion) as source,
                begin_levels(conversion, place, source, pool) as writer,
            ):
                writer.finish(fill_missing=True)
            return
        image = conversion.source, conversion.form, conversion.request.selection
        with (
            open_volume(*image, for_copy=True) as volume,
            begin_voxels(conversion, place, volume, pool) as writer,
        ):
            if labels := volume.header.label_names:
                _convert_labels(conversion, place, writer.spec, labels, pool)
            writer.finish(fill_missing=True)
