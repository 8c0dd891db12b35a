"""Converts images of any format to OME-Zarr or OME-TIFF.

    open_volume(source) → settle_spec → create_volume(place) → copy_volume

The levels of an Imaris file are taken as they are, chunk by chunk, and the files of a zipped
OME-Zarr are unpacked as they are. What can be opened at the target is complete. An interrupted
OME-Zarr is resumed. Nothing of the user's is opened for writing.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.memory import keep_freed_memory
from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.files.limits import LARGEST_METADATA, allowed
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.copy import check_dtype, copy_levels, copy_volume
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.formats import ZIPPED, Conversion, load_function
from spimpack_tasks.volumes.labels import convert_labels
from spimpack_tasks.volumes.ome_zarr.metadata import PROVENANCE
from spimpack_tasks.volumes.ome_zarr.unzip import is_unpacked, open_zip, unpack
from spimpack_tasks.volumes.source_errors import source_trouble_told
from spimpack_tasks.volumes.spec import compose_channels
from spimpack_tasks.volumes.tiff.ome_writer import create_ome_tiff
from spimpack_tasks.volumes.tiff.ome_xml_writer import TYPES
from spimpack_tasks.volumes.volume import open_volume, read_header
from spimpack_tasks.volumes.writer import Layout, create_volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.request import Job
    from spimpack_tasks.volumes.spec import VolumeSpec

    Advance = Callable[[int], None]

LIBRARIES = ("deflate", "google_crc32c", "h5py", "imagecodecs", "numcodecs")
"""Modules of the extra `convert`."""


def convert_to_ome_zarr(job: Job, form: Format, advance: Advance) -> None:
    """Convert an image, or resume that.

    Parameters
    ----------
    job
        What to convert, and to what.
    form
        The format of the source.
    advance
        Told the number of bytes of voxels after each piece that is there, `count_bytes` in all.

    Raises
    ------
    OSError
        The source cannot be read or is damaged, which the message says of which part; or the disk
        does not take the image.
    MissingExtraError
        A library is not installed.
    """
    _require_libraries()
    with source_trouble_told():
        match form.conversion:
            case Conversion.FILES:
                with open_zip(job.source) as archive, WorkPool(job.threads) as pool:
                    unpack(archive, job.path, advance, pool)
            case Conversion.LEVELS:
                _take_levels(job, form, advance)
            case Conversion.VOXELS:
                _write_voxels(job, form, advance)


def _take_levels(job: Job, form: Format, advance: Advance) -> None:
    # The threads end before the source is closed.
    with load_function(form.chunks)(job.source) as source, WorkPool(job.threads) as pool:
        found = replace(source.spec, provenance=job.provenance(form.name))
        spec = settle_spec(found, source.header, job)
        layout = Layout(job.request.ngff, job.request.codec, tuple(source.levels))
        with create_volume(LocalPlace(job.path), spec, layout, pool) as writer:
            if job.has_voxels:
                writer.finish_with_voxels()
            else:
                copy_levels(source, writer, advance, pool)
                writer.finish()


def _write_voxels(job: Job, form: Format, advance: Advance) -> None:
    with open_volume(job.source, form) as volume, WorkPool(job.threads) as pool:
        check_dtype(volume)
        header = volume.header
        provenance = _with_left_out(job.provenance(form.name), header.left_out)
        spec = settle_spec(replace(volume.spec, provenance=provenance), header, job)
        convert_labels(job, spec, header.label_names, pool)
        layout = Layout(job.request.ngff, job.request.codec)
        with create_volume(LocalPlace(job.path), spec, layout, pool) as writer:
            if job.has_voxels:
                writer.finish_with_voxels()
            else:
                copy_volume(volume, writer, advance, pool)
                writer.finish()


def convert_to_ome_tiff(job: Job, form: Format, advance: Advance) -> None:
    """Convert an image to OME-TIFF. An interrupted conversion begins anew.

    Parameters
    ----------
    job
        What to convert, and to what; the codec is one of `COMPRESSIONS`.
    form
        The format of the source.
    advance
        Told the number of bytes of voxels after each plane, `count_voxel_bytes` in all.

    Raises
    ------
    OSError
        The source cannot be read or is damaged, which the message says of which plane; or the disk
        does not take the image.
    """
    with (
        source_trouble_told(),
        open_volume(job.source, form) as volume,
        WorkPool(job.threads) as pool,
    ):
        dtype = check_dtype(volume).dtype.newbyteorder("=")
        if dtype.name not in TYPES:
            raise HeaderError(job.source, f"has voxels of type {dtype}, which OME-TIFF has not")
        left_out = (*volume.header.left_out, *volume.header.extras)
        provenance = _with_left_out(job.provenance(form.name), left_out)
        spec = settle_spec(replace(volume.spec, provenance=provenance), volume.header, job)
        with create_ome_tiff(job.path, spec, job.request.codec, pool) as writer:
            copy_volume(volume, writer, advance, pool)
            writer.finish()


def settle_spec(found: VolumeSpec, header: Header, job: Job) -> VolumeSpec:
    """Return what is known of an image: what the job asks for, else what the source says."""
    request = job.request
    x, y, z = request.spacing_um_xyz or header.spacing_um_xyz
    names = request.channel_names or header.channel_names
    return replace(
        found,
        name=request.name,
        spacing_um_zyx=(z, y, x),
        channels=compose_channels(found.shape_tczyx[1], names, header.displays),
        axes=request.axes or found.axes,
        orientation_xyz=request.orientation_xyz or found.orientation_xyz,
    )


def _with_left_out(provenance: dict[str, str], left_out: tuple[str, ...]) -> dict[str, str]:
    return provenance | ({"left_out": "; ".join(left_out)} if left_out else {})


def _require_libraries() -> None:
    for name in LIBRARIES:
        if find_spec(name) is None:
            raise MissingExtraError(name, "convert")
    keep_freed_memory()


def read_provenance(path: str) -> dict[str, str]:
    """Return what is told of the making of an OME-Zarr; nothing of one that was not made here."""
    for name, keys in (("zarr.json", ("attributes", PROVENANCE)), (".zattrs", (PROVENANCE,))):
        try:
            with open_regular(f"{path}/{name}") as file:
                data = json.loads(file.read(allowed(LARGEST_METADATA)))
        except (OSError, ValueError, RecursionError):
            continue
        for key in keys:
            data = data.get(key) if isinstance(data, dict) else None
        return data if isinstance(data, dict) else {}
    return {}


def is_result(path: str, source: str, form: Format, made_from: str) -> bool:
    """Tell whether what is at `path` is what converting a source makes.

    The files of a zipped OME-Zarr are unpacked as they are, so they are compared with the archive.
    """
    if form is not ZIPPED:
        return not os.path.islink(path) and read_provenance(path).get("made_from") == made_from
    try:
        return is_unpacked(source, path)
    except (OSError, HeaderError):  # the source is gone, or damaged
        return False


def count_bytes(source: str, form: Format) -> int:
    """Return the number of bytes that converting to OME-Zarr tells of."""
    if form.conversion is Conversion.FILES:
        with open_zip(source) as archive:
            return archive.size
    header = read_header(source, form)
    shapes = header.shapes if form.conversion is Conversion.LEVELS else header.shapes[:1]
    return sum(map(math.prod, shapes)) * header.itemsize


def count_voxel_bytes(source: str, form: Format) -> int:
    """Return the number of bytes of the voxels of the full level, which an OME-TIFF is made of."""
    header = read_header(source, form)
    return math.prod(header.shapes[0]) * header.itemsize
