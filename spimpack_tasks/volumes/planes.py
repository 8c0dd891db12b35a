"""Images as planes that are read one after the other, whatever format they come from.

What cannot be told from one another is refused rather than guessed: axes without a meaning, planes
that are missing, values that are to be scaled.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.codecs import DamagedChunkError
from spimpack_tasks.files.limits import as_size, memory_at_most
from spimpack_tasks.model.axes import ALL_AXES, choose_axes
from spimpack_tasks.volumes.errors import HeaderError, UnreadableVoxelsError
from spimpack_tasks.volumes.examine import examine_source
from spimpack_tasks.volumes.header import UNKNOWN_SPACING, SpacingXYZ
from spimpack_tasks.volumes.volume import open_levels, read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Shape, Voxels
    from spimpack_tasks.model.displays import Display
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.levels import StoredLevel

    ReadPlanes = Callable[[int, int, slice], Voxels]


_LEAST_PLANES = 8
"""Planes that are in memory besides those that were read: of two slabs and of lower levels."""


@dataclass(frozen=True, slots=True)
class Planes:
    """An image, of which planes can be read."""

    shape: Shape
    """Sizes along t, c, z, y, x."""
    source_format: str
    dtype: Any
    """Of numpy, in the byte order of the machine."""
    read: ReadPlanes
    """Returns planes of a time point and a channel, along z, y, x, in any byte order.

    Raises `DamagedChunkError`, which names the file and the plane."""
    together: int = 1
    """How many planes are stored together, so that reading one costs as much as reading all."""
    in_order: bool = True
    """Whether planes are best read in their order, by one thread."""
    finish: Callable[[], None] = lambda: None
    """To be called when all planes were read: a stream may prove damaged at its very end.

    Raises `DamagedChunkError`, which names the file."""
    spacing_um_xyz: SpacingXYZ = UNKNOWN_SPACING
    channel_names: tuple[str, ...] = ()
    displays: tuple[Display, ...] = ()
    """How each channel is shown; nothing where the source says nothing of it."""
    orientation_xyz: str | None = None
    axes: str = ALL_AXES
    """Those that an image has which is made of it, see `axes`."""
    left_out: tuple[str, ...] = ()
    """What else the source holds."""
    extras: tuple[str, ...] = ()
    """What else belongs to the image that OME-Zarr alone holds."""
    label_names: tuple[str, ...] = ()
    """Of the label images of an OME-Zarr."""
    origin_um_xyz: SpacingXYZ = UNKNOWN_SPACING
    """Where the first voxel lies."""

    @property
    def size(self) -> int:
        """Bytes of all voxels."""
        return math.prod(self.shape) * int(self.dtype.itemsize)


@contextmanager
def open_planes(path: str, name: str = "") -> Iterator[Planes]:
    """Open the planes of a source.

    Parameters
    ----------
    path
        The file or directory.
    name
        The name that tells the format, if it is not that of `path`.

    Raises
    ------
    SourceRefusedError
        It is no source, or none of which all planes are known.
    UnreadableVoxelsError
        It is damaged.
    """
    form = examine_source(path, name).format.name
    header = read_header(path, form)
    with open_levels(path, form) as levels:
        yield _planes_of_level(path, form, levels[0], header)


def _planes_of_level(path: str, form: str, level: StoredLevel, header: Header) -> Planes:
    sizes = dict(zip(level.axes, level.shape, strict=True))
    strange = [axis for axis, n in sizes.items() if axis not in "tczyx" and n > 1]
    if strange:
        what = f"has an axis {strange[0]!r} of {sizes[strange[0]]}; only t, c, z, y and x are known"
        raise HeaderError(path, what)
    if math.prod(level.shape) != math.prod(header.shapes[0]):
        raise HeaderError(path, "has pages of different sizes", "give a file of one image")
    _check_axes(path, header, sizes)
    if level.caveat:
        raise HeaderError(path, level.caveat)
    order = [level.axes.index(axis) for axis in "tczyx" if axis in level.axes]
    order = [*(n for n in range(len(level.axes)) if n not in order), *order]

    def read(time: int, channel: int, planes: slice) -> Voxels:
        wanted = {"t": slice(time, time + 1), "c": slice(channel, channel + 1), "z": planes}
        wanted |= {axis: slice(0, sizes[axis]) for axis in "yx"}
        index = tuple(wanted.get(axis, slice(0, 1)) for axis in level.axes)
        try:
            block = level.read(index)
        except UnreadableVoxelsError as error:
            if planes.stop - planes.start > 1:  # which one is it?
                for z in range(planes.start, planes.stop):
                    read(time, channel, slice(z, z + 1))
            message = f"time point {time}, channel {channel}, plane {planes.start}: {error}"
            raise DamagedChunkError(message) from error
        voxels: Voxels = block.transpose(order).reshape(-1, sizes["y"], sizes["x"])
        return voxels

    def finish() -> None:
        try:
            level.finish()
        except UnreadableVoxelsError as error:
            raise DamagedChunkError(str(error)) from error

    together = dict(zip(level.axes, level.block, strict=True)).get("z", 1)
    _check_memory(
        path, sizes["y"] * sizes["x"] * level.dtype.itemsize, min(together, sizes.get("z", 1))
    )
    shape = tuple(sizes.get(axis, 1) for axis in "tczyx")
    return Planes(
        source_format=form,
        shape=shape,
        dtype=_checked_dtype(path, level.dtype),
        read=_remember(read, together, sizes.get("z", 1)) if together > 1 else read,
        together=together,
        in_order=level.in_order,
        finish=finish,
        spacing_um_xyz=header.spacing_um_xyz,
        channel_names=header.channel_names,
        displays=header.displays,
        orientation_xyz=header.orientation_xyz,
        axes=choose_axes(header, form, shape_tczyx=shape),
        left_out=header.left_out,
        extras=header.extras,
        label_names=header.label_names,
        origin_um_xyz=header.origin_um_xyz,
    )


def _check_memory(path: str, plane: int, together: int) -> None:
    """Refuse an image of which the planes that are in memory together do not fit into it."""
    needed = (together + _LEAST_PLANES) * plane
    most = memory_at_most()
    if needed > most:
        what = (
            f"has planes of {as_size(plane)}, {together} of which are stored together, so it needs"
        )
        raise HeaderError(path, f"{what} {as_size(needed)} of memory; there are {as_size(most)}")


def _check_axes(path: str, header: Header, sizes: dict[str, int]) -> None:
    """Refuse an image of which header and library do not tell the same sizes."""
    told = dict(zip(header.axes, header.shapes[0], strict=True))
    if "page" in told:  # what pages are is told by the library, if at all
        told = {axis: told[axis] for axis in "yx"}
        sizes = {axis: sizes[axis] for axis in "yx"}
    for axis in "tczyx":
        if told.get(axis, 1) != sizes.get(axis, 1):
            by_library, by_header = sizes.get(axis, 1), told.get(axis, 1)
            what = f"has a size of {by_header} along {axis} by its header, but of {by_library}"
            raise HeaderError(path, f"{what} by the order of its planes")


def _remember(read: ReadPlanes, together: int, depth: int) -> ReadPlanes:
    """Return a way to read planes that decodes once what is stored together and wanted in parts."""
    last: dict[tuple[int, int, int], Voxels] = {}

    def read_or_recall(time: int, channel: int, planes: slice) -> Voxels:
        start = planes.start // together * together
        stop = min(start + together, depth)
        if planes.stop > stop or planes.stop - planes.start == stop - start:
            return read(time, channel, planes)
        place = (time, channel, start)
        if place not in last:
            last.clear()
            last[place] = read(time, channel, slice(start, stop))
        return last[place][planes.start - start : planes.stop - start]

    return read_or_recall


def _checked_dtype(path: str, dtype: Any) -> Any:
    """Return a data type that numbers of a pyramid can have, in the byte order of the machine."""
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise HeaderError(path, f"has voxels of type {dtype}, which cannot be converted")
    return dtype.newbyteorder("=")
