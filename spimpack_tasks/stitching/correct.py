"""Corrects frames: magnification, stripes, dark counts and the flat, in this order.

The dark counts are subtracted once, before the flat divides, and the flat divides once. Stripes go
out with or without a flat. Where nothing is to be done, the frames of the source are used as they
are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.stitching.destripe import (
    PercentileSettings,
    WaveletSettings,
    destripe_by_percentiles,
    destripe_by_wavelets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_destripe_by_zarrnii = Deferred("spimpack_tasks.stitching.destripe_zarrnii:destripe_by_zarrnii")


@dataclass(frozen=True, slots=True)
class Magnification:
    """A camera that magnifies more than another one, about a pixel of the frame."""

    factor: float = 1.0
    centre_rc: tuple[float, float] = (1024.0, 1024.0)
    """The row and the column that stay where they are."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """Corrections of each frame."""

    destripe: str = "none"
    """A name in `DESTRIPERS`."""
    wavelet: WaveletSettings = field(default_factory=WaveletSettings)
    percentile: PercentileSettings = field(default_factory=PercentileSettings)
    dark: float = 0.0
    """Counts of the camera without light."""
    magnification: Magnification = field(default_factory=Magnification)

    def changes(self, *, has_flat: bool) -> bool:
        """Tell whether frames are changed at all."""
        is_magnified = self.magnification.factor != 1.0
        return self.destripe != "none" or self.dark != 0.0 or is_magnified or has_flat


DESTRIPERS: Mapping[str, Callable[[Any, Corrections], Any]] = {
    "none": lambda frame, _: frame.astype("float32"),
    "wavelet": lambda frame, chosen: destripe_by_wavelets(frame, chosen.wavelet),
    "lightsheet": lambda frame, chosen: destripe_by_percentiles(frame, chosen.percentile),
    "zarrnii": lambda frame, _: _destripe_by_zarrnii(frame),
}
"""By the name that users choose; each takes a frame, and returns it as `float32`."""


def correct_frame(frame: Any, corrections: Corrections, flat: Any | None) -> Any:
    """Return a corrected frame in its own data type, rounded half up.

    Parameters
    ----------
    frame
        Rows x columns, turned.
    corrections
        Its corrections.
    flat
        Rows x columns, 1 on average; `None` for no correction of the light.
    """
    import numpy as np

    zoomed = magnify(frame, corrections.magnification)
    values: Any = DESTRIPERS[corrections.destripe](zoomed, corrections)
    if corrections.dark:
        values = values - np.float32(corrections.dark)
    if flat is not None:
        values = values / flat
    if frame.dtype.kind == "f":
        return np.asarray(values, frame.dtype)
    bounds = np.iinfo(frame.dtype)
    rounded = np.clip(np.floor(values + np.float32(0.5)), bounds.min, bounds.max)
    return np.asarray(rounded, frame.dtype)


def magnify(frame: Any, magnification: Magnification) -> Any:
    """Return a frame larger or smaller about a pixel, of the same size; zeros where nothing is.

    Pixels are linear between those of the frame.
    """
    import numpy as np

    if magnification.factor == 1.0:
        return frame
    values: Any = frame.astype("float32")
    inside = np.ones(frame.shape, bool)
    for axis, centre in enumerate(magnification.centre_rc):
        count = frame.shape[axis]
        place = (np.arange(count) - centre) / magnification.factor + centre
        at = np.clip(np.floor(place).astype(int), 0, max(count - 2, 0))
        rest = np.clip(place - at, 0, 1).astype("float32")
        shape = [1, 1]
        shape[axis] = count
        low, high = np.take(values, at, axis), np.take(values, np.minimum(at + 1, count - 1), axis)
        values = low + (high - low) * rest.reshape(shape)
        inside &= ((place >= 0) & (place <= count - 1)).reshape(shape)
    result = np.where(inside, values, 0)
    return result if frame.dtype.kind == "f" else np.floor(result + 0.5).astype(frame.dtype)
