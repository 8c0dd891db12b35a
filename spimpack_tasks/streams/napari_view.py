"""Shows a stream in napari while it is written: a layer for each position and channel.

A timer of Qt looks for further frames and has the layers drawn again. Frames that are not there are
zeros.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.contrast import find_window
from spimpack_tasks.files.atomic import PART
from spimpack_tasks.qc.napari_layers import load_napari
from spimpack_tasks.streams.router import Router, Target
from spimpack_tasks.streams.watch import StreamWatch
from spimpack_tasks.streams.zarr_plan import describe
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.grid import Shape, Voxels
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.stream import Stream

EVERY_MS = 500
"""Milliseconds between two looks for further frames: what a user takes for at once."""


def find_unfinished(path: str) -> str:
    """Return the path of a stream that is being written, nothing if there is none.

    It is the path itself, if that is an unfinished folder, or the folder beside an image that is
    not there yet.
    """
    path = path.rstrip("/")
    folder = path if path.endswith(PART) else path + PART
    is_new = folder == path or not os.path.lexists(path)
    return folder if is_new and os.path.isfile(f"{folder}/journal.jsonl") else ""


def view_stream(path: str) -> None:
    """Open a window with a stream that another process writes, and wait until it is closed.

    Raises
    ------
    SpimpackError
        napari is not installed, or there is no unfinished stream.
    """
    napari = load_napari()
    with StreamWatch(path) as watch:
        viewer = napari.Viewer(title=watch.path)
        live = show_stream(viewer, watch)
        napari.run()
        live.stop()


def show_stream(viewer: Any, stream: Stream | StreamWatch, every_ms: int = EVERY_MS) -> LiveLayers:
    """Add the layers of a stream to a viewer of napari, and have them follow it.

    Parameters
    ----------
    viewer
        Has napari's `add_image`.
    stream
        A stream of this process, or one of another process that is watched.
    every_ms
        Milliseconds between two looks for further frames.

    Returns
    -------
    The layers; `stop` ends their timer. The caller keeps them as long as they are to follow.
    """
    live = LiveLayers(viewer, stream)
    timer = load_library("qtpy.QtCore", "view").QTimer()
    timer.timeout.connect(live.refresh)
    timer.start(every_ms)
    live.timer = timer
    return live


class LiveLayers:
    """The layers of a stream in napari.

    Parameters
    ----------
    viewer
        Has napari's `add_image`.
    stream
        The stream.
    """

    def __init__(self, viewer: Any, stream: Stream | StreamWatch) -> None:
        self._stream, self._next = stream, -1
        self.timer: Any = None
        router = Router(stream.settings)
        self._arrays = [
            PositionArray(stream, router, image, channel)
            for image in range(router.images)
            for channel in range(_count_channels(stream.settings))
        ]
        self.layers = [viewer.add_image(each, **_describe_layer(each)) for each in self._arrays]
        self._has_contrast = [False] * len(self.layers)
        viewer.dims.ndisplay = 2
        self.refresh()

    def refresh(self) -> None:
        """Draw the layers again if there are further frames; stop when the stream is finished."""
        look = getattr(self._stream, "refresh", None)
        if look is not None:
            look()
        reached = self._stream.next_frame
        if reached != self._next:
            self._next = reached
            for number, (layer, array) in enumerate(zip(self.layers, self._arrays, strict=True)):
                if array.grow():
                    layer.data = array  # napari asks for the shape again
                self._set_contrast(number)
                layer.refresh()
        if getattr(self._stream, "is_finished", False):
            self.stop()

    def _set_contrast(self, number: int) -> None:
        """Choose black and full colour by the first frame of a channel that is there."""
        if self._has_contrast[number]:
            return
        frame = self._arrays[number].first_frame()
        if frame is None:
            return
        self.layers[number].contrast_limits = find_window(frame)
        self._has_contrast[number] = True

    def stop(self) -> None:
        """End the timer."""
        if self.timer is not None:
            self.timer.stop()


class PositionArray:
    """One channel of a position along t, z, y, x, as napari reads arrays; zeros for the rest.

    Parameters
    ----------
    stream
        The stream.
    router
        Knows the numbers of its frames.
    image, channel
        Number of the position, and of its channel.
    """

    def __init__(
        self, stream: Stream | StreamWatch, router: Router, image: int, channel: int
    ) -> None:
        import numpy as np

        self.settings = stream.settings
        self.image, self.channel = image, channel
        self.dtype = np.dtype(stream.settings.dtype)
        self._stream, self._router = stream, router
        self._size = tuple(each.count or 1 for each in stream.settings.dimensions[-2:])
        self.shape: Shape = ()
        self.grow()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 4

    @property
    def size(self) -> int:
        """Number of voxels."""
        t, z, y, x = self.shape
        return t * z * y * x

    def grow(self) -> bool:
        """Take an axis without an end as long as it was reached; tell whether it has grown."""
        t, _, z = self._router.sizes_of(max(self._stream.next_frame, 1))
        before, self.shape = self.shape, (t, z, *self._size)
        return self.shape != before

    def first_frame(self) -> Voxels | None:
        """Return the first frame of the channel that is there, `None` before one is."""
        t, z = self.shape[:2]
        for step in range(t * z):
            at = (step // z, self.channel, step % z)
            number = self._router.frame(Target(self.image, at))
            if number < self._stream.next_frame:
                frame = self._stream.read_frame(number)
                if frame is not None:
                    return frame
        return None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001 - numpy's
        """Return all of it as an array of numpy."""
        return self[...].astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: Any) -> Voxels:
        """Return a part, by numbers and slices for each axis."""
        import numpy as np

        given = list(index) if isinstance(index, tuple) else [index]
        if Ellipsis in given:
            at = given.index(Ellipsis)
            given[at : at + 1] = [slice(None)] * (self.ndim - len(given) + 1)
        given += [slice(None)] * (self.ndim - len(given))
        lists = [
            range(*part.indices(n)) if isinstance(part, slice) else [int(part) % n]
            for part, n in zip(given[:2], self.shape, strict=False)
        ]
        pixels = tuple(given[2:])
        sample = np.empty(self._size, self.dtype)[pixels]
        found = np.zeros((*map(len, lists), *sample.shape), self.dtype)
        for row, t in enumerate(lists[0]):
            for column, z in enumerate(lists[1]):
                target = Target(self.image, (t, self.channel, z))
                frame = self._stream.read_frame(self._router.frame(target))
                if frame is not None:
                    found[row, column] = frame[pixels]
        dropped = tuple(slice(None) if isinstance(part, slice) else 0 for part in given[:2])
        voxels: Voxels = found[dropped]
        return voxels


def _count_channels(settings: AcquisitionSettings) -> int:
    dimension = settings.along("c")
    return (dimension.count or 1) if dimension else 1


@dataclass(frozen=True, slots=True)
class _Scale:
    """Distances and origins along t, z, y, x, and their units."""

    scale: list[float]
    translate: list[float]
    units: list[str]


def _find_scale(array: PositionArray) -> _Scale:
    settings = array.settings
    t, z = array.shape[:2]
    position = settings.positions[array.image]
    spec = describe(settings, position, (t, array.channel + 1, z), array.dtype)
    spacing: Sequence[float | None] = (spec.time_step_s, *spec.spacing_um_zyx)
    units = ["s", "µm", "µm", "µm"]
    return _Scale(
        [each or 1.0 for each in spacing],
        [0.0, *spec.origin_um_zyx],
        [unit if each else "pixel" for unit, each in zip(units, spacing, strict=True)],
    )


def _describe_layer(array: PositionArray) -> dict[str, Any]:
    """Return the arguments of napari's `add_image` for a layer."""
    settings = array.settings
    channels = settings.channels
    name = channels[array.channel].name if channels else f"channel {array.channel}"
    position = settings.positions[array.image].name
    colours = [each.color.lstrip("#") for each in channels]
    colour = colours[array.channel] if colours else ""
    sizes = _find_scale(array)
    return {
        "name": f"{position}: {name}" if position else name,
        "multiscale": False,
        "scale": sizes.scale,
        "translate": sizes.translate,
        "units": sizes.units,
        "axis_labels": ["t", "z", "y", "x"],
        "colormap": f"#{colour}" if colour else "gray",
        "contrast_limits": (0.0, 1.0),
        "blending": "additive",
    }
