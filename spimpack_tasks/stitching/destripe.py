"""Takes stripes along the rows out of frames: by wavelets, or by local percentiles.

Wavelets: the horizontal details of the logarithm of a frame are filtered along x in the frequency
domain, as Münch, Trtik, Marone and Stampanoni describe it (Optics Express 17, 8567, 2009), dark and
bright parts by filters of their own, as pystripe does. Its results differ by a count at most.

Percentiles: stripes are what a long, flat window has more than a wide one. Written after the
description in Kirst and others (Cell 180, 780, 2020, STAR Methods) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spimpack_tasks.errors import MissingExtraError

_REACH = 4
"""Pixels to each side over which a fraction is smoothed by a gaussian of one pixel."""
_BINS = 65_536
"""Bins of a histogram: one for each count of a camera, and no more memory for other types."""
_STEP_ALONG, _STEP_BACKGROUND, _SPARSE = 15, 25, 5
"""Pixels between two percentiles along a row, between two of the background, and between the pixels
of a window of the background that are looked at."""


@dataclass(frozen=True, slots=True)
class WaveletSettings:
    """Filters of stripes by wavelets."""

    sigma_bright: float = 128.0
    """Width of the filter for bright pixels, in pixels of the frame; 0 for none."""
    sigma_dark: float = 512.0
    """The same for dark ones; no dual filter where both are the same."""
    wavelet: str = "db5"
    levels: int = 0
    """How often a frame is halved; as often as its size allows where it is 0."""
    threshold: float = -1.0
    """Count between dark and bright; by Otsu's method for each frame where it is negative."""
    crossover: float = 10.0
    """Counts over which dark and bright pixels blend."""


@dataclass(frozen=True, slots=True)
class PercentileSettings:
    """Windows of the filter by percentiles."""

    length_px: int = 150
    """Length of stripes that are taken out, along the rows."""
    window_px: int = 200
    """Side of the window of the background."""
    fraction: float = 0.25
    """Part of the pixels of a window that are darker than what counts for it."""
    most_over_background: float = 2.0
    """A stripe is taken out up to this multiple of the background."""


def destripe_by_wavelets(frame: Any, settings: WaveletSettings) -> Any:
    """Return a frame without stripes along its rows, as `float32`.

    Raises
    ------
    MissingExtraError
        PyWavelets is not installed.
    """
    import numpy as np

    rows, columns = frame.shape
    image = np.pad(frame.astype("float32"), ((0, rows % 2), (0, columns % 2)), mode="edge")
    bright, dark = settings.sigma_bright, settings.sigma_dark
    if bright <= 0 and dark <= 0:
        return image[:rows, :columns]
    if bright == dark:
        return _filter(image, bright, settings)[:rows, :columns]
    threshold = settings.threshold if settings.threshold >= 0 else otsu_threshold(frame)
    upper, lower = np.maximum(image, threshold), np.minimum(image, threshold)
    is_bright = _fraction_bright(image, threshold, settings.crossover)
    top = _filter(upper, bright, settings) if bright > 0 else image
    bottom = _filter(lower, dark, settings) if dark > 0 else image
    return (top * is_bright + bottom * (1 - is_bright))[:rows, :columns]


def _filter(image: Any, sigma: float, settings: WaveletSettings) -> Any:
    """Return an image whose horizontal details have no slow changes along the rows."""
    import numpy as np

    try:
        import pywt
    except ImportError as error:
        raise MissingExtraError("PyWavelets", "stitch") from error
    height, width = image.shape
    parts = pywt.wavedec2(
        np.log1p(image), settings.wavelet, mode="symmetric", level=settings.levels or None
    )
    for number, (horizontal, vertical, diagonal) in enumerate(parts[1:], start=1):
        count = horizontal.shape[1]
        spectrum = np.fft.rfft(horizontal, axis=1)
        real, imaginary = _packed_notch(count, horizontal.shape[0] * sigma / height)
        filtered = spectrum.real * real + 1j * (spectrum.imag * imaginary)
        parts[number] = (
            np.fft.irfft(filtered, count, axis=1).astype("float32"), vertical, diagonal,
        )  # fmt: skip
    return np.expm1(pywt.waverec2(parts, settings.wavelet, mode="symmetric"))[:height, :width]


def _packed_notch(count: int, sigma: float) -> tuple[Any, Any]:
    """Return the weights of real and of imaginary parts of a real transform of `count` numbers.

    The notch runs over the numbers in Fortran's packed order: 0, real 1, imaginary 1, real 2, ...
    """
    import numpy as np

    notch = np.zeros(count + 2, "float32")
    notch[:count] = 1 - np.exp(-(np.arange(count) ** 2) / (2 * sigma**2))
    frequencies = np.arange(count // 2 + 1)
    return notch[np.maximum(2 * frequencies - 1, 0)], notch[2 * frequencies]


def _fraction_bright(image: Any, threshold: float, crossover: float) -> Any:
    """Return which part of each pixel counts as bright, smoothed by a gaussian of one pixel."""
    import numpy as np

    with np.errstate(over="ignore"):  # of pixels far below
        fraction = 1 / (1 + np.exp(-(image - np.float32(threshold)) / np.float32(crossover)))
    weights = np.exp(-0.5 * np.arange(-_REACH, _REACH + 1) ** 2.0)
    weights = (weights / weights.sum()).astype("float32")
    for axis in (0, 1):
        beyond = [(0, 0), (0, 0)]
        beyond[axis] = (_REACH, _REACH)
        padded = np.pad(fraction, beyond, mode="symmetric")
        count = fraction.shape[axis]
        fraction = sum(
            weight * np.take(padded, range(n, n + count), axis) for n, weight in enumerate(weights)
        )
    return fraction


def otsu_threshold(frame: Any) -> float:
    """Return the count that parts dark from bright pixels best (Otsu, 1979).

    Counts of 8 and 16 bits have a bin each; others share so many bins.
    """
    import numpy as np

    first, last = float(frame.min()), float(frame.max())
    is_counted = frame.dtype.kind in "ui" and last - first < _BINS
    width = 1.0 if is_counted else max((last - first) / (_BINS - 1), np.finfo("float64").tiny)
    bins = np.floor((frame.astype("float64") - first) / width).astype("int64")
    counts = np.bincount(bins.ravel()).astype(float)
    if counts.size == 1:
        return first
    centres = np.arange(counts.size) * width + first
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    mean_below = np.cumsum(counts * centres) / below
    mean_above = (np.cumsum((counts * centres)[::-1]) / np.cumsum(counts[::-1]))[::-1]
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return float(centres[int(np.argmax(between))])


def destripe_by_percentiles(frame: Any, settings: PercentileSettings) -> Any:
    """Return a frame without stripes along its rows, as `float32`."""
    import numpy as np

    image = frame.astype("float32")
    stripes = _along_rows(image, settings)
    background = _background(image, settings)
    most = np.minimum(stripes, settings.most_over_background * background)
    return image - np.minimum(image, most)


def _along_rows(image: Any, settings: PercentileSettings) -> Any:
    """Return percentiles of windows of one row, between them interpolated along it."""
    import numpy as np

    width = image.shape[1]
    half = settings.length_px // 2
    centres = _places(width, _STEP_ALONG)
    padded = np.pad(image, ((0, 0), (half, half)), mode="reflect" if half < width else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=1)
    found = _percentile(windows[:, centres], settings.fraction, (2,))
    return _interpolate(found, centres, width, 1)


def _background(image: Any, settings: PercentileSettings) -> Any:
    """Return percentiles of square windows, interpolated between them."""
    import numpy as np

    half = settings.window_px // 2
    mode: Any = "reflect" if half < min(image.shape) else "edge"
    padded: Any = np.pad(image, half, mode=mode)
    rows, columns = (_places(n, _STEP_BACKGROUND) for n in image.shape)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * half + 1,) * 2)
    sparse = windows[..., ::_SPARSE, ::_SPARSE]
    found = np.stack([_percentile(sparse[r, columns], settings.fraction, (1, 2)) for r in rows])
    along = _interpolate(found, columns, image.shape[1], 1)
    return _interpolate(along, rows, image.shape[0], 0)


def _percentile(windows: Any, fraction: float, axes: tuple[int, ...]) -> Any:
    import numpy as np

    return np.quantile(windows, fraction, axis=axes).astype("float32")


def _places(count: int, step: int) -> Any:
    """Return indices at a distance, with the first and the last one."""
    import numpy as np

    return np.unique([*range(0, count, step), count - 1])


def _interpolate(values: Any, places: Any, count: int, axis: int) -> Any:
    """Return values at all indices along an axis, linear between those at some places."""
    import numpy as np

    if places.size == 1:
        return np.repeat(values, count, axis)
    at = np.clip(np.searchsorted(places, np.arange(count), side="right") - 1, 0, places.size - 2)
    rest = (np.arange(count) - places[at]) / (places[at + 1] - places[at])
    shape = [1, 1]
    shape[axis] = count
    weight = rest.reshape(shape).astype("float32")
    low, high = np.take(values, at, axis), np.take(values, at + 1, axis)
    return low * (1 - weight) + high * weight
