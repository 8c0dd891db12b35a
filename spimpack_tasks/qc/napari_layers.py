"""Shows an image in napari: lazy levels, voxel size, names, colours, contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.qc.contrast import choose_contrast
from spimpack_tasks.qc.preview import GREY, choose_colour
from spimpack_tasks.qc.volume import read_volume
from spimpack_tasks.volumes.examine import examine_source
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.qc.volume import SmallVolume
    from spimpack_tasks.volumes.volume import Level


def view_in_napari(path: str, name: str, *, is_auto_contrast: bool = False) -> None:
    """Open a window with an image, and wait until it is closed.

    Raises
    ------
    SpimpackError
        napari is not installed, or the image cannot be read.
    """
    napari = load_napari()
    volume = read_volume(path, name)
    form = examine_source(path, name).format
    with open_volume(path, form, accept_unclear=True) as opened:
        viewer = napari.Viewer(title=name)
        add_layers(viewer, volume, opened.levels, is_auto_contrast=is_auto_contrast)
        napari.run()


def load_napari() -> Any:
    """Import napari.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        return load_library("napari")
    except MissingExtraError as error:
        raise MissingExtraError("napari", "view") from error


def add_layers(
    viewer: Any, volume: SmallVolume, levels: Sequence[Level], *, is_auto_contrast: bool = False
) -> None:
    """Add a layer for each channel to a viewer of napari.

    Parameters
    ----------
    viewer
        Has napari's `add_image`.
    volume
        The small volume of the image, from which names, colours and contrast come.
    levels
        Of the image, open as long as the viewer is.
    is_auto_contrast
        Whether contrast is computed, also where the image has some.
    """
    axes = [axis for axis in levels[0].axes if axis in "tzyx"]
    by_axis = dict(zip("xyz", volume.header.spacing_um_xyz, strict=True))
    for number, name in enumerate(volume.channel_names):
        pyramid = [_channel(level, number) for level in levels]
        colour = choose_colour(volume, number)
        viewer.add_image(
            pyramid if len(pyramid) > 1 else pyramid[0],
            multiscale=len(pyramid) > 1,
            name=name,
            scale=[by_axis.get(axis) or 1 for axis in axes],
            units=["µm" if by_axis.get(axis) else "pixel" for axis in axes],
            axis_labels=axes,
            colormap="gray" if colour == GREY else colour,
            contrast_limits=choose_contrast(volume, number, is_auto=is_auto_contrast),
            blending="additive",
        )
    viewer.dims.ndisplay = 2


@dataclass(frozen=True, slots=True)
class _LazyLevel:
    """A level as dask wants it: read when it is indexed."""

    level: Level

    @property
    def shape(self) -> tuple[int, ...]:
        return self.level.shape

    @property
    def dtype(self) -> Any:
        return self.level.dtype

    @property
    def ndim(self) -> int:
        return len(self.level.shape)

    def __getitem__(self, index: tuple[slice | int, ...]) -> Voxels:
        bounds: list[slice] = []
        within: list[slice | int] = []
        for part, size in zip(index, self.shape, strict=True):
            if isinstance(part, slice):
                start, stop, step = part.indices(size)
                bounds.append(slice(start, stop))
                within.append(slice(None, None, step))
            else:
                bounds.append(slice(part, part + 1))
                within.append(0)
        voxels: Voxels = self.level.read(tuple(bounds))[tuple(within)]
        return voxels


def _channel(level: Level, channel: int) -> Any:
    """Return one channel of a level as a dask array in the order t, z, y, x."""
    array = load_library("dask.array")
    nothing = load_library("numpy").empty([0] * len(level.shape), level.dtype)
    # One at a time: a file has one place at which it is read.
    lazy = array.from_array(
        _LazyLevel(level), chunks=level.chunk, asarray=False, lock=True, meta=nothing
    )
    index = (slice(None) if axis in level.axes else 0 for axis in "tzyx")
    time, *rest = index
    return lazy[(time, channel, *rest)]
