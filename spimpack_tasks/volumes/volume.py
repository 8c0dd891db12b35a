"""Opens images of every format for reading."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.grid import shape_of
from spimpack_tasks.model.axes import ALL_AXES, choose_axes
from spimpack_tasks.model.displays import Display
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.axis_names import (
    CODE,
    HINT,
    PAGE,
    describe_unclear,
    settle_axes,
    with_axes,
)
from spimpack_tasks.volumes.errors import HeaderError, reading_voxels
from spimpack_tasks.volumes.examine import examine_source
from spimpack_tasks.volumes.formats import Format, format_named
from spimpack_tasks.volumes.levels import check_level
from spimpack_tasks.volumes.read_header import read_header, scene_argument
from spimpack_tasks.volumes.spec import VolumeSpec, compose_channels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

    from spimpack_tasks.arrays.grid import Region, Shape, Voxels
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.levels import Index, StoredLevel


@contextmanager
def open_levels(
    path: str, form: Format | str, selection: Selection = WHOLE, *, for_copy: bool = False
) -> Iterator[Sequence[StoredLevel]]:
    """Open the levels of a source, the full one first.

    Parameters
    ----------
    path
        The file or directory; its name need not tell the format.
    form
        The format, or its name.
    selection
        Which image of the file; the names of axes are those of the file.
    for_copy
        As of `open_volume`.

    Raises
    ------
    UnreadableVoxelsError
        They cannot be read, there or while the context lasts.
    MissingExtraError
        A library that the format needs is not installed.
    """
    known = form if isinstance(form, Format) else format_named(form)
    with ExitStack() as stack:
        with reading_voxels(path):
            chosen = scene_argument(path, known, selection)
            levels = stack.enter_context(_opener_of(known, for_copy=for_copy)(path, *chosen))
            for number, level in enumerate(levels):
                check_level(path, number, level)
        yield [
            replace(
                level, read=_guarded(path, level.read), finish=_guarded_finish(path, level.finish)
            )
            for level in levels
        ]


def _opener_of(form: Format, *, for_copy: bool) -> Callable[[str], Any]:
    if form.levels is None:
        message = f"{form.name} has no voxels that are read"
        raise ValueError(message)
    return form.levels_to_copy if for_copy and form.levels_to_copy else form.levels


def _guarded(path: str, read: Callable[[Index], Voxels]) -> Callable[[Index], Voxels]:
    def guarded(index: Index) -> Voxels:
        with reading_voxels(path):
            return read(index)

    return guarded


def _guarded_finish(path: str, finish: Callable[[], None]) -> Callable[[], None]:
    def guarded() -> None:
        with reading_voxels(path):
            finish()

    return guarded


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution level along t, c, z, y, x, of which any region can be read."""

    shape: Shape
    """Sizes along t, c, z, y, x."""
    dtype: np.dtype[Any]
    """Data type of the voxels, in the byte order of the file."""
    chunk: Shape
    """The sizes in which it is stored, so that reading a part of a chunk costs as much as all."""
    read: Callable[[Region], Voxels]
    """Returns the voxels of a region, in any byte order.

    Raises `UnreadableVoxelsError`, which names the file."""
    axes: str = ALL_AXES
    """Those of t, c, z, y and x that the file has."""
    stored_shape: tuple[int, ...] = ()
    """Sizes along all axes that the file has, in its order."""
    sequential: bool = True
    """Whether regions are best read in their order, by one thread."""
    is_stream: bool = False
    """Whether to read a region is to read all before it, as in one compressed stream."""
    finish: Callable[[], None] = lambda: None
    """To be called when all voxels were read: a stream may prove damaged at its very end."""


@dataclass(frozen=True, slots=True)
class Volume:
    """An image that is open for reading."""

    path: str
    """The file or folder."""
    form: Format
    """Its format."""
    header: Header
    """Its header, as `read_header` returns it."""
    levels: tuple[Level, ...]
    """The full one first."""
    refusals: tuple[HeaderError, ...] = ()
    """The reasons why it is not certain which voxel is where; empty if it is certain."""

    @property
    def spec(self) -> VolumeSpec:
        """The image without its voxels, as its file has it."""
        header, level = self.header, self.levels[0]
        x, y, z = header.spacing_um_xyz
        x_um, y_um, z_um = header.origin_um_xyz
        return VolumeSpec(
            shape_tczyx=level.shape,
            dtype=level.dtype.newbyteorder("="),
            axes=choose_axes(header, self.form.name, shape_tczyx=level.shape),
            spacing_um_zyx=(z, y, x),
            time_step_s=header.time_step_s if level.shape[0] > 1 else None,
            origin_um_zyx=(z_um or 0.0, y_um or 0.0, x_um or 0.0),
            channels=compose_channels(level.shape[1], header.channel_names, displays_of(header)),
            orientation_xyz=header.orientation_xyz,
        )


@contextmanager
def open_volume(
    path: str,
    form: Format | str | None = None,
    selection: Selection = WHOLE,
    *,
    accept_unclear: bool = False,
    for_copy: bool = False,
) -> Iterator[Volume]:
    """Open an image for reading.

    Parameters
    ----------
    path
        The file or directory.
    form
        The format, its name, or a file name that tells it; that of `path` if not given.
    selection
        Which image of the file, and the names of its axes where the file does not say them.
    accept_unclear
        Whether an image is opened of which it is not certain which plane is where, such as a TIFF
        that does not say what its pages are: they are taken for planes then. `Volume.refusals` says
        so.
    for_copy
        Whether a writer is to get the voxels: `Format.levels_to_copy` reads them where there is
        such a way.

    Raises
    ------
    SourceRefusedError
        It is no image, it is damaged, or it is not certain which voxel is where.
    UnreadableVoxelsError
        Its voxels cannot be read, there or while the context lasts.
    MissingExtraError
        A library that the format needs is not installed.
    """
    known = _resolve(path, form)
    axes = selection.axes
    header = read_header(path, known, selection._replace(axes=""))
    with open_levels(path, known, selection, for_copy=for_copy) as opened:
        stored = opened
        refusals = [*_lost_voxels(path, opened[0], header)]
        if axes:
            whole = settle_axes(path, header.axes, header.shapes[0], axes)
            renamed = dict(zip(header.axes, whole, strict=True))
            stored = [_with_axes(path, level, renamed, axes) for level in opened]
            header = with_axes(header, header.shapes, whole)
        refusals += _refusals(path, stored[0], header)
        if refusals and not accept_unclear:
            raise refusals[0]
        levels = tuple(_normalise(_with_pages_as_planes(level)) for level in stored)
        yield Volume(path, known, header, levels, tuple(refusals))


def displays_of(header: Header) -> tuple[Display, ...]:
    """Return how channels are shown; three samples of a pixel are red, green and blue."""
    axes = header.axes
    are_samples = "c" in axes and axes.index("c") > axes.index("x")
    if header.displays or header.channel_count != 3 or not are_samples:
        return header.displays
    return tuple(Display(colour=colour) for colour in ("FF0000", "00FF00", "0000FF"))


def _resolve(path: str, form: Format | str | None) -> Format:
    if isinstance(form, Format):
        return form
    return examine_source(path).format if form is None else format_named(form)


def _with_axes(path: str, level: StoredLevel, renamed: Mapping[str, str], axes: str) -> StoredLevel:
    """Return a level by new names of its axes; it may lack axes of one index of the header."""
    if set(level.axes) <= renamed.keys():
        return replace(level, axes=tuple(renamed[axis] for axis in level.axes))
    return replace(level, axes=tuple(settle_axes(path, level.axes, level.shape, axes)))


def _with_pages_as_planes(level: StoredLevel) -> StoredLevel:
    """Return a level whose pages, of which nobody says what they are, are shown as planes."""
    if "z" in level.axes:
        return level
    return replace(level, axes=tuple("z" if axis == PAGE else axis for axis in level.axes))


def _normalise(stored: StoredLevel) -> Level:
    """Return a level along t, c, z, y, x; of any other axis the first index is taken."""
    sizes = dict(zip(stored.axes, stored.shape, strict=True))
    chunks = dict(zip(stored.axes, stored.chunk, strict=True))
    order = [stored.axes.index(axis) for axis in ALL_AXES if axis in stored.axes]
    order = [*(n for n in range(len(stored.axes)) if n not in order), *order]

    shape = tuple(sizes.get(axis, 1) for axis in ALL_AXES)

    def read(region: Region) -> Voxels:
        inside = _inside(shape, region)
        wanted = dict(zip(ALL_AXES, inside, strict=True))
        block = stored.read(tuple(wanted.get(axis, slice(0, 1)) for axis in stored.axes))
        return block.transpose(order).reshape(shape_of(inside))

    return Level(
        shape=shape,
        dtype=stored.dtype,
        chunk=tuple(chunks.get(axis, 1) for axis in ALL_AXES),
        read=read,
        axes="".join(axis for axis in ALL_AXES if axis in stored.axes),
        stored_shape=stored.shape,
        sequential=stored.sequential,
        is_stream=stored.is_stream,
        finish=stored.finish,
    )


def _inside(shape: Shape, region: Region) -> Region:
    """Return a region with bounds as far as the level goes; they may be left out, as in numpy."""
    if [type(part) for part in region] != [slice] * len(shape):
        message = f"a region is one slice along each of t, c, z, y, x, not {region}"
        raise ValueError(message)
    bounds = [part.indices(n) for part, n in zip(region, shape, strict=True)]
    if any(step != 1 or start >= stop for start, stop, step in bounds):
        message = f"a region has voxels and no step, which {region} of {shape} voxels has not"
        raise ValueError(message)
    return tuple(slice(start, stop) for start, stop, _ in bounds)


def _lost_voxels(path: str, level: StoredLevel, header: Header) -> Iterator[HeaderError]:
    """Yield why an image has other voxels than its header tells, under any names of its axes."""
    if math.prod(level.shape) != math.prod(header.shapes[0]):
        what = "has pages of different sizes or types, or not as many as its metadata say"
        yield HeaderError(path, what, "give a file of one image")


def _refusals(path: str, level: StoredLevel, header: Header) -> Iterator[HeaderError]:
    """Yield why it is not certain which voxel is where."""
    sizes = dict(zip(level.axes, level.shape, strict=True))
    unclear = describe_unclear(header.axes, header.shapes[0])
    unclear = unclear or describe_unclear(level.axes, level.shape)
    if unclear:
        yield HeaderError(path, unclear, HINT, code=CODE)
    if not unclear:
        yield from _differing_sizes(path, header, sizes)
    if level.caveat:
        yield HeaderError(path, level.caveat)


def _differing_sizes(path: str, header: Header, sizes: dict[str, int]) -> Iterator[HeaderError]:
    """Yield where header and library do not tell the same sizes."""
    told = dict(zip(header.axes, header.shapes[0], strict=True))
    for axis in ALL_AXES:
        if told.get(axis, 1) != sizes.get(axis, 1):
            by_library, by_header = sizes.get(axis, 1), told.get(axis, 1)
            what = f"has a size of {by_header} along {axis} by its header, but of {by_library}"
            yield HeaderError(path, f"{what} by the order of its planes")
