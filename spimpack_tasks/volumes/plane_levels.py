"""What an image made of planes is like: its levels, their chunks, and what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.arrays.grid import Level
from spimpack_tasks.arrays.pyramid import level_sizes
from spimpack_tasks.volumes.ome_zarr.metadata import Image, compose_channels

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.planes import Planes
    from spimpack_tasks.volumes.request import Job

_CHUNKS = ((64, 128), (16, 256), (4, 512))
"""Height, and length of the other sides, of a chunk of 1 MiB where a voxel has one byte."""
LARGEST_SLAB = 128 * 2**20
"""Bytes of planes that are in memory together; larger planes have lower chunks, of two at least."""


def plan_levels(shape: Shape, itemsize: int) -> tuple[Level, ...]:
    """Return the levels of an image that is made of planes.

    Parameters
    ----------
    shape
        Sizes along t, c, z, y, x.
    itemsize
        Bytes of a voxel.
    """
    plane = shape[3] * shape[4] * itemsize
    heights = [(max(height // itemsize, 2), side) for height, side in _CHUNKS]
    fitting = (pair for pair in heights if pair[0] * plane <= LARGEST_SLAB)
    height, side = next(fitting, heights[-1])
    most = zip((height, side, side), shape[2:], strict=True)
    # Of what is smaller than a chunk, the chunk is the next power of two.
    chunk = tuple(min(n, 1 << (size - 1).bit_length()) for n, size in most)
    sizes = level_sizes(shape[2:], itemsize)
    return tuple(Level((*shape[:2], *size), (1, 1, *chunk), is_slabs=True) for size in sizes)


def describe(planes: Planes, job: Job) -> Image:
    """Return what is known of an image: what the job asks for, else what the source says."""
    x, y, z = job.request.spacing_um_xyz or planes.spacing_um_xyz
    names = job.request.channel_names or planes.channel_names
    provenance = job.provenance(planes.source_format)
    if planes.left_out:
        provenance["left_out"] = "; ".join(planes.left_out)
    x_um, y_um, z_um = planes.origin_um_xyz
    return Image(
        name=job.request.name,
        levels=plan_levels(planes.shape, planes.dtype.itemsize),
        dtype=planes.dtype,
        spacing_um_zyx=(z, y, x),
        origin_um_zyx=(z_um or 0.0, y_um or 0.0, x_um or 0.0),
        channels=compose_channels(planes.shape[1], names, planes.displays),
        axes=job.request.axes or planes.axes,
        orientation_xyz=job.request.orientation_xyz or planes.orientation_xyz,
        provenance=provenance,
    )
