"""Takes the label images of an OME-Zarr into one that is made of it.

Numbers of labels have no mean, so their own levels are kept, decoded and encoded again.
Where they lie beside the image stays what it is, also where the user gives another size of voxels.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from threading import Lock
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.grid import LevelGrid
from spimpack_tasks.arrays.pyramid import plan_levels
from spimpack_tasks.files.places import LocalPlace, PlaceBelow
from spimpack_tasks.model.axes import choose_axes
from spimpack_tasks.volumes.copy import copy_levels
from spimpack_tasks.volumes.formats import OME_ZARR
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.ome_zarr.level_transforms import read_level_transforms
from spimpack_tasks.volumes.ome_zarr.stores import write_labels_group
from spimpack_tasks.volumes.spec import VolumeSpec
from spimpack_tasks.volumes.volume import open_volume
from spimpack_tasks.volumes.writer import Layout, create_volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.files.places import Parts, Place
    from spimpack_tasks.volumes.conversion import Conversion
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.ome_zarr.level_transforms import AxisTransform, LevelTransforms
    from spimpack_tasks.volumes.ome_zarr.writer import OmeZarrWriter
    from spimpack_tasks.volumes.volume import Volume

FOLDER = "labels"


def convert_labels(
    conversion: Conversion, target: Place, spec: VolumeSpec, places: Sequence[str], pool: WorkPool
) -> None:
    """Make label images in the folder of an image, or resume that.

    Parameters
    ----------
    conversion, target
        Of the image, and the place where it is made.
    spec
        Of the image that is made.
    places
        Where label images lie in the source, one at least.
    pool
        The threads that chunks are made by.

    Raises
    ------
    UnreadableVoxelsError
        A label image is damaged; the message names it.
    """
    for place in places:
        with _begin(conversion, target, spec, place, pool) as (levels, writer):
            copy_levels(levels, writer, lambda _: None, pool)
            writer.finish()
    _write_group(conversion, target, places)


def finish_labels(
    conversion: Conversion, path: str, spec: VolumeSpec, places: Sequence[str], pool: WorkPool
) -> None:
    """Write the metadata of label images whose voxels are there; make those that are not there."""
    for place in places:
        is_there = os.path.isdir(f"{path}/{FOLDER}/{_name(place)}")
        with _begin(conversion, LocalPlace(path), spec, place, pool) as (levels, writer):
            if is_there:
                writer.finish_with_voxels()
            else:
                copy_levels(levels, writer, lambda _: None, pool)
                writer.finish()
    _write_group(conversion, LocalPlace(path), places)


def _write_group(conversion: Conversion, target: Place, places: Sequence[str]) -> None:
    names = [_name(place) for place in places]
    write_labels_group(target, conversion.request.ngff, names)


def _name(place: str) -> str:
    return place.rpartition("/")[2]


@contextmanager
def _begin(
    conversion: Conversion, target: Place, spec: VolumeSpec, place: str, pool: WorkPool
) -> Iterator[tuple[_LabelLevels, OmeZarrWriter]]:
    """Open a label image of the source, and begin that of the image."""
    request = conversion.request
    path = f"{conversion.source}/{place}"
    with open_volume(path, OME_ZARR, accept_unclear=True, for_copy=True) as volume:
        shapes = shapes_of(volume.header)
        label = _describe(conversion, spec, place, volume.header)
        sizes = request.chunk_zyx, request.shard_zyx
        full = plan_levels(shapes[0], label.dtype.itemsize, *sizes)[0]
        grids = tuple(
            LevelGrid(shape, full.chunk, shard_chunks=full.shard_chunks) for shape in shapes
        )
        below = PlaceBelow(target, f"{FOLDER}/{_name(place)}")
        layout = Layout(request.ngff, request.codec, levels=grids)
        with create_volume(below, label, layout, pool) as writer:
            turn = Lock() if volume.levels[0].sequential else nullcontext()
            yield _LabelLevels(volume, grids, turn), writer


def shapes_of(header: Header) -> list[Shape]:
    """Return the sizes of the levels along t, c, z, y, x."""
    sizes = [dict(zip(header.axes, shape, strict=True)) for shape in header.shapes]
    return [tuple(each.get(axis, 1) for axis in "tczyx") for each in sizes]


def _describe(conversion: Conversion, spec: VolumeSpec, place: str, header: Header) -> VolumeSpec:
    shapes = shapes_of(header)
    dtype = load_library("numpy").dtype(header.dtype)
    above = f"{conversion.source}/{place}".removesuffix(f"/{FOLDER}/{_name(place)}")
    whole = read_level_transforms(above)
    grid = read_level_transforms(f"{conversion.source}/{place}", whole.units)
    lines = _place_levels(spec, whole, grid, shapes)
    return VolumeSpec(
        shape_tczyx=shapes[0],
        name=_name(place),
        dtype=dtype,
        spacing_um_zyx=spec.spacing_um_zyx,
        axes=choose_axes(header, OME_ZARR.name, conversion.request.axes),
        orientation_xyz=spec.orientation_xyz,
        level_transforms=lines,
        image_label=grid.image_label or {},
    )


def _place_levels(
    spec: VolumeSpec, above: LevelTransforms, grid: LevelTransforms, shapes: Sequence[Shape]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return scale and translation along z, y and x of each level, beside those of the image."""
    first = above.lines[0] or {}
    spacings = [step if step is not None else 1.0 for step in spec.spacing_um_zyx]
    found = []
    for level, shape in enumerate(shapes):
        lines = grid.lines[level]
        along = []
        for number, axis in enumerate("zyx"):
            whole = spec.shape_tczyx[2 + number]
            own = (lines or {}).get(axis)
            theirs = first.get(axis)
            if own is None or theirs is None:  # it covers the image
                own, theirs = _cover(whole, shape[2 + number])
            spacing, origin = spacings[number], spec.origin_um_zyx[number]
            step = Fraction(repr(spacing)) / theirs[0]
            shift = (own[1] - theirs[1]) * step + Fraction(repr(origin))
            along.append((float(own[0] * step), float(shift)))
        found.append(tuple(along))
    return tuple(found)


def _cover(whole: int, size: int) -> tuple[AxisTransform, AxisTransform]:
    """Return the lines of so many voxels that cover others of size 1, and of these."""
    step = Fraction(whole, size)
    return (step, (step - 1) / 2), (Fraction(1), Fraction(0))


@dataclass(frozen=True, slots=True)
class _LabelLevels:
    """The levels of a label image, decoded by one thread at a time where the format needs it."""

    volume: Volume
    levels: Sequence[LevelGrid]
    turn: Any

    def encoded(self, level: int, place: Shape, codec: Codec) -> Parts | None:
        """Return the chunk at a place of a level, in parts; `None` if all of it is zero."""
        numpy = load_library("numpy")
        grid, stored = self.levels[level], self.volume.levels[level]
        starts = [at * n for at, n in zip(place, grid.chunk, strict=True)]
        ends = zip(starts, grid.chunk, grid.shape, strict=True)
        region = tuple(slice(start, min(start + n, end)) for start, n, end in ends)
        with self.turn:
            block = stored.read(region)
        chunk = numpy.zeros(grid.chunk, self.volume.spec.dtype)
        chunk[tuple(slice(n) for n in block.shape)] = block
        return codec.encode(chunk.data.cast("B")) if chunk.any() else None
