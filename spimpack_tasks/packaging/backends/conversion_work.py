"""Makes the images of backends that convert; imported when the first image is made or measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.parallel import count_threads
from spimpack_tasks.errors import message_of
from spimpack_tasks.files.noted_parts import parts_within
from spimpack_tasks.packaging.backends.copy import is_copy_of_source, measure_copy, resume_copy
from spimpack_tasks.packaging.backends.streaming import is_streamed, seed_notes, stream_image
from spimpack_tasks.packaging.backends.symlink import is_link, make_link
from spimpack_tasks.volumes.conversion import Conversion, Request
from spimpack_tasks.volumes.convert import convert_to_ome_tiff, count_voxel_bytes, least_size
from spimpack_tasks.volumes.disk_space import require_space
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.formats import ZIPPED
from spimpack_tasks.volumes.merged.form import find_format
from spimpack_tasks.volumes.reuse import has_same_voxels, reuse_voxels
from spimpack_tasks.volumes.source_errors import (
    as_os_errors,
    require_stamps,
    require_unchanged,
)
from spimpack_tasks.volumes.tiff.ome_xml_writer import is_made_from

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.packaging.backends.base import Advance
    from spimpack_tasks.packaging.backends.converting import ConvertingBackend


def measure(backend: ConvertingBackend, output: Output) -> int:
    """Return the number of bytes that converting or copying will report.

    Raises
    ------
    OSError
        The source cannot be read.
    """
    if not output.is_converted:
        return 0 if output.target else measure_copy(output)
    try:
        return backend.count_bytes(output.source, find_format(output.format), output.selection)
    except HeaderError as error:
        raise OSError(None, message_of(error)) from error


def resume(backend: ConvertingBackend, output: Output, path: str, advance: Advance) -> None:
    """Convert or copy the source, or resume that; or link it."""
    if not output.is_converted:
        if output.target:
            make_link(output, path)
        else:
            resume_copy(output, path, advance)
        return
    conversion = conversion_of(output)
    require_stamps(conversion.request.other_files)
    noted = parts_within(path, output.part_count)
    with require_unchanged(conversion.sources, noted.folder, path), as_os_errors():
        if conversion.request.place:
            stream_image(conversion, output.path, path, advance)
            return
        if backend.finish_parts and noted.are_made():
            backend.finish_parts(conversion, path, count_threads())
            return
        if not os.path.lexists(path):
            _require_space(conversion, path, backend)
        backend.convert(conversion, path, advance, count_threads())


def _require_space(conversion: Conversion, path: str, backend: ConvertingBackend) -> None:
    needed = least_size(conversion.source, conversion.form, backend.makes)
    require_space(os.path.dirname(path), needed)


def make_part(
    backend: ConvertingBackend, output: Output, path: str, number: int, advance: Advance
) -> bool:
    """Convert one part of an image, or resume that; tell whether the image has parts."""
    if backend.make_part is None:
        return False
    conversion = conversion_of(output)
    require_stamps(conversion.request.other_files)
    noted = parts_within(path, output.part_count)
    # A note that outlived its part would pass for voxels.
    with require_unchanged(conversion.sources, noted.folder, path), as_os_errors():
        if os.listdir(path) == [os.path.basename(noted.folder)]:
            _require_space(conversion, path, backend)
        part = number, output.part_count
        return backend.make_part(conversion, path, part, advance, count_threads())


def can_reuse(output: Output, earlier: str) -> bool:
    """Tell whether an image has the voxels of an earlier one, and may take them."""
    return output.format != ZIPPED.name and has_same_voxels(conversion_of(output), earlier)


def matches(backend: ConvertingBackend, output: Output, path: str) -> bool:
    """Tell whether `path` was made from this source as it is, in this way."""
    if not output.is_converted:
        return is_link(output, path) if output.target else is_copy_of_source(output, path)
    conversion = conversion_of(output)
    is_there = is_streamed if conversion.request.place else backend.is_result
    return is_there(conversion, path)


def conversion_of(output: Output) -> Conversion:
    """Return the conversion by which an image is made."""
    request = Request.from_text(output.target)
    return Conversion(
        source=output.source,
        form=find_format(output.format),
        request=request,
        made_from=output.fingerprint,
        voxels_from=request.identify_voxels(output.source, output.stamp),
    )


def reuse_image(output: Output, earlier: str, path: str) -> bool:
    """Take the voxels of an image, and write other metadata: stains, orientation, name."""
    if not output.is_converted or output.format == ZIPPED.name:
        return False
    conversion = conversion_of(output)
    if conversion.request.place:
        seed_notes(conversion, earlier, path)
        return False  # its metadata are written by `resume`
    return reuse_voxels(conversion, earlier, path)


def write_ome_tiff(conversion: Conversion, path: str, advance: Advance, threads: int) -> None:
    """Convert an image to OME-TIFF, unless that was done and only not noted."""
    if is_ome_tiff_of(conversion, path):
        advance(count_voxel_bytes(conversion.source, conversion.form, conversion.request.selection))
    else:
        convert_to_ome_tiff(conversion, path, advance, threads)


def is_ome_tiff_of(conversion: Conversion, path: str) -> bool:
    """Tell whether an OME-TIFF was made by a conversion."""
    return is_made_from(path, conversion.made_from)
