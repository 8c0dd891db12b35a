"""Takes the label images of an OME-Zarr into one that is made of it.

Numbers of labels have no mean, so their own levels are taken as they are, decoded and encoded anew.
Where they lie beside the image stays what it is, also where the user gives another size of voxels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from threading import Lock
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.grid import Level
from spimpack_tasks.model.axes import choose_axes
from spimpack_tasks.volumes.compare_levels import read_block
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.ome_zarr.header_grid import read_grid
from spimpack_tasks.volumes.ome_zarr.metadata import Image
from spimpack_tasks.volumes.ome_zarr.stores import write_labels_group
from spimpack_tasks.volumes.ome_zarr.write import write_image
from spimpack_tasks.volumes.plane_levels import plan_levels
from spimpack_tasks.volumes.volume import open_levels, read_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.codecs import Codec, Parts
    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.levels import Level as SourceLevel
    from spimpack_tasks.volumes.ome_zarr.header_grid import Grid, Line
    from spimpack_tasks.volumes.request import Job

FORMAT = "OME-Zarr"
FOLDER = "labels"


def convert_labels(job: Job, image: Image, places: Sequence[str], codec: Codec) -> None:
    """Make label images in the folder of an image, or go on with that.

    Parameters
    ----------
    job
        Of the image.
    image
        What is made of it.
    places
        Where label images lie in the source.
    codec
        How chunks are encoded.

    Raises
    ------
    UnreadableVoxelsError
        A label image is damaged; the message names it.
    """
    for place in places:
        _convert_label(job, image, place, codec)
    if places:
        write_labels_group(job, [place.rpartition("/")[2] for place in places])


def _convert_label(job: Job, image: Image, place: str, codec: Codec) -> None:
    source, name = f"{job.source}/{place}", place.rpartition("/")[2]
    path = f"{job.path}/{FOLDER}/{name}"
    header = read_header(source, FORMAT)
    own = replace(job, path=path, has_voxels=job.has_voxels and os.path.isdir(path))
    with open_levels(source, FORMAT) as levels:
        label = _describe(job, image, place, header)
        reading = _Reading(levels, label, codec, Lock())
        write_image(own, label, codec, reading.encode, lambda _: None)


def shapes_of(header: Header) -> list[Shape]:
    """Return the sizes of the levels along t, c, z, y, x."""
    sizes = [dict(zip(header.axes, shape, strict=True)) for shape in header.shapes]
    return [tuple(each.get(axis, 1) for axis in "tczyx") for each in sizes]


def _describe(job: Job, image: Image, place: str, header: Header) -> Image:
    shapes = shapes_of(header)
    dtype = load_library("numpy").dtype(header.dtype)
    chunk = plan_levels(shapes[0], dtype.itemsize)[0].chunk
    above = f"{job.source}/{place}".removesuffix(f"/{FOLDER}/{place.rpartition('/')[2]}")
    whole = read_grid(above)
    grid = read_grid(f"{job.source}/{place}", whole.units)
    lines = _place_levels(image, whole, grid, shapes)
    return Image(
        name=place.rpartition("/")[2],
        levels=tuple(Level(shape, chunk) for shape in shapes),
        dtype=dtype,
        spacing_um_zyx=image.spacing_um_zyx,
        channels=(),
        axes=choose_axes(header, FORMAT, job.request.axes),
        orientation_xyz=image.orientation_xyz,
        level_lines=lines,
        image_label=grid.image_label or {},
    )


def _place_levels(
    image: Image, above: Grid, grid: Grid, shapes: Sequence[Shape]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return scale and translation along z, y and x of each level, beside those of the image."""
    first = above.lines[0] or {}
    spacings = image.spacings_zyx()[0]
    found = []
    for level, shape in enumerate(shapes):
        lines = grid.lines[level]
        along = []
        for number, axis in enumerate("zyx"):
            whole = image.levels[0].shape[2 + number]
            own = (lines or {}).get(axis)
            theirs = first.get(axis)
            if own is None or theirs is None:  # it covers the image
                own, theirs = _cover(whole, shape[2 + number])
            spacing, origin = spacings[number], image.origin_um_zyx[number]
            step = Fraction(repr(spacing)) / theirs[0]
            shift = (own[1] - theirs[1]) * step + Fraction(repr(origin))
            along.append((float(own[0] * step), float(shift)))
        found.append(tuple(along))
    return tuple(found)


def _cover(whole: int, size: int) -> tuple[Line, Line]:
    """Return the lines of so many voxels that cover others of size 1, and of these."""
    step = Fraction(whole, size)
    return (step, (step - 1) / 2), (Fraction(1), Fraction(0))


@dataclass(frozen=True, slots=True)
class _Reading:
    """Encodes chunks of the levels of a source, which are read by one thread at a time."""

    levels: Sequence[SourceLevel]
    label: Image
    codec: Codec
    lock: Any

    def encode(self, number: int, place: Shape) -> Parts | None:
        """Return the chunk at a place of a level, in parts; `None` if all of it is zero."""
        numpy = load_library("numpy")
        form = self.label.levels[number]
        starts = (at * n for at, n in zip(place[2:], form.chunk[2:], strict=True))
        ends = zip(starts, form.chunk[2:], form.shape[2:], strict=True)
        region = tuple(slice(start, min(start + n, end)) for start, n, end in ends)
        with self.lock:
            block = read_block(self.levels[number], place[:2], region)
        chunk = numpy.zeros(form.chunk[2:], self.label.dtype)
        chunk[tuple(slice(n) for n in block.shape)] = block
        return self.codec.encode(chunk.data.cast("B")) if chunk.any() else None
