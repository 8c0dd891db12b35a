"""A volume in 8 bits, with a colour and a contrast for each channel: the source of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.qc.volume import SmallVolume

    Bytes: TypeAlias = NDArray[np.uint8]

GREY = "#ffffff"
COLOURS = ("#00ff00", "#ff00ff", "#00ffff", "#ffff00", "#ff6060", "#6080ff", "#ffa000", "#ffffff")
"""Colours of the channels in order; the first two add up to white, and colour-blind people can
distinguish them."""
DARK_PERCENT, BRIGHT_PERCENT = 1.0, 99.5
"""Percentiles of a volume between which a channel goes from black to its colour."""
_RESERVE = 0.5
"""Share of that range that is added above it, so that bright regions keep their detail."""
_MOST_COUNTED = 2_000_000
"""Voxels that percentiles are computed of: a sample, so that the time has a bound."""
MOST_VALUES = 6_000_000
"""Number of voxels of all channels; they fit into a page of 10 MB."""


@dataclass(frozen=True, slots=True)
class PreviewChannel:
    """Name, colour and contrast of one channel."""

    name: str
    colour: str
    """As HTML writes it, such as `#00ff00`."""
    low: float
    """Value of the source that is 0 in the preview."""
    high: float
    """Value of the source that is 255 in the preview."""
    white: int
    """Value in the preview that is shown at full brightness."""
    black: int = 0
    """Value in the preview up to which nothing is shown."""

    @property
    def bright(self) -> float:
        """Value of the source that is shown at full brightness."""
        return self.low + (self.high - self.low) * self.white / 255


@dataclass(frozen=True, slots=True)
class Preview:
    """A small volume, ready to be shown."""

    voxels: Bytes
    """In the order c, z, y, x."""
    spacing_um_xyz: tuple[float, float, float]
    channels: tuple[PreviewChannel, ...]


def compose_preview(volume: SmallVolume, most_values: int = MOST_VALUES) -> Preview:
    """Return a volume in 8 bits with at most a given number of values, and its contrast.

    NaN becomes black.
    """
    numpy = load_library("numpy")
    small, spacing = _shrink(volume, most_values)
    channels = []
    quantised = numpy.empty(small.shape, numpy.uint8)
    for number, name in enumerate(volume.channel_names):
        low, bright = find_contrast(volume.voxels[number])
        high = bright + (bright - low) * _RESERVE
        quantised[number] = _quantise(small[number], low, high)
        colour = choose_colour(volume, number)
        channels.append(PreviewChannel(name, colour, low, high, round(255 / (1 + _RESERVE))))
    return Preview(quantised, spacing, tuple(channels))


def choose_colour(volume: SmallVolume, number: int) -> str:
    """Return the colour of a channel: that of the file, else grey of one channel alone.

    Black is passed over, in which nothing would be seen.
    """
    displays = volume.header.displays
    colour = displays[number].colour if displays else ""
    if colour.strip("0"):
        return f"#{colour.lower()}"
    return GREY if len(volume.voxels) == 1 else COLOURS[number % len(COLOURS)]


def find_contrast(voxels: Voxels) -> tuple[float, float]:
    """Return the values between which a channel goes from black to its colour.

    Those are percentiles of the volume as a whole, or its smallest and largest value where the
    percentiles are the same, as in an image that is almost empty. They may be equal.
    """
    numpy = load_library("numpy")
    stride = -(-voxels.size // _MOST_COUNTED)
    values = _as_numbers(voxels.ravel()[::stride])
    values = values[numpy.isfinite(values)]
    if not values.size:
        return 0.0, 0.0
    low, bright = (float(p) for p in numpy.percentile(values, (DARK_PERCENT, BRIGHT_PERCENT)))
    return (low, bright) if low < bright else (float(values.min()), float(values.max()))


def _as_numbers(voxels: Voxels) -> Any:
    """Return voxels as floating-point numbers; of complex ones their magnitude."""
    numpy = load_library("numpy")
    if voxels.dtype.kind == "c":
        return numpy.abs(voxels).astype("float64")
    return voxels.astype("float64" if voxels.dtype.itemsize > 2 else "float32")


def _quantise(voxels: Voxels, low: float, high: float) -> Bytes:
    numpy = load_library("numpy")
    if not low < high:
        nothing: Bytes = numpy.zeros(voxels.shape, numpy.uint8)
        return nothing
    quantised: Bytes = numpy.empty(voxels.shape, numpy.uint8)
    for plane, target in zip(voxels, quantised, strict=True):
        share = (_as_numbers(plane) - low) / (high - low)
        share = numpy.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0)
        target[:] = numpy.rint(numpy.clip(share, 0, 1) * 255)
    return quantised


def _shrink(volume: SmallVolume, most_values: int) -> tuple[Voxels, tuple[float, float, float]]:
    """Halve the axis with the finest voxels until there are few enough, and return the spacing."""
    voxels = volume.voxels
    spacing = list(volume.spacing_um_xyz[::-1])
    while math.prod(voxels.shape) > most_values:
        long = [axis for axis in range(3) if voxels.shape[axis + 1] > 1]
        axis = min(long, key=lambda axis: spacing[axis])
        every_other: list[slice] = [slice(None)] * 4
        every_other[axis + 1] = slice(None, None, 2)
        voxels = voxels[tuple(every_other)]
        spacing[axis] *= 2
    z, y, x = spacing
    return voxels, (x, y, z)
