"""Measures by how many samples two tiles are shifted to each other, from windows of their frames.

A window of one tile is compared with the other at all shifts of a range, by the zero-mean
normalised cross-correlation (Lewis, Fast Normalized Cross-Correlation, 1995). The mean of the
correlations of all windows tells the whole samples of the shift, or that it is ambiguous: a pattern
that repeats has several peaks. A quadratic function of three variables through the 27 values around
the peak of each window tells the fraction. It has all mixed terms, because what is round in the
sample is sheared in frames of a tilted sheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_PEAK = 0.2
"""Mean correlation of a peak that is believed."""
LEAST_CONTRAST = 6.0
"""The same over the scatter of the mean correlations of all other shifts."""
_ALIKE, _ABOVE_OTHERS = 0.8, 0.5
"""Mean correlation of a peak that is believed at any scatter, which few large things in the
windows make large, and by how much it is above the middle of the others."""
LEAST_DOUBTFUL = 0.5
"""Mean correlation of a peak without contrast of which the samples are compared."""
AMBIGUOUS = 0.85
"""Part of the highest peak that another one has at least where the shift is ambiguous."""
UNLIKE = "no shift makes the tiles alike"
TOO_FAR = "the shift is larger than was searched"
_VALLEY = 0.75
"""Part of a peak below which the correlation falls between two different ones."""
_EPSILON = 1e-9
"""Part of the product of the largest values that rounding makes of nothing."""
_ALL = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class WindowShift:
    """The shift that one window tells."""

    shift: Any
    """In samples along three axes."""
    correlation: float
    """At the peak."""
    curvature: Any
    """3 x 3: how fast the correlation falls, which is how well each direction is known."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The whole samples of a shift, and why they are not believed if they are not."""

    shift: tuple[int, ...]
    height: float
    reason: str = ""
    is_doubtful: bool = False
    """Whether other shifts are nearly as good, as of large smooth things: the samples must tell."""


def correlate(template: Any, field: Any) -> Any:
    """Return the correlation of a template with a larger field, at each place where it fits.

    Parameters
    ----------
    template
        Samples along three axes.
    field
        More of them along each axis.

    Returns
    -------
    numpy.ndarray
        From -1 to 1; 0 where the field does not vary.
    """
    import numpy as np

    shape = tuple(f - t + 1 for f, t in zip(field.shape, template.shape, strict=True))
    zero_mean = template - template.mean()
    norm = np.sqrt((zero_mean**2).sum())
    field = field - field.mean()
    sizes = [_fast_length(n) for n in field.shape]
    spectrum = np.fft.rfftn(field, sizes, _ALL)
    product = spectrum * np.conj(np.fft.rfftn(zero_mean, sizes, _ALL))
    inner = tuple(slice(n) for n in shape)
    cross = np.fft.irfftn(product, sizes, _ALL)[inner]
    count = template.size
    sums = _box_sums(field, template.shape)
    variance = _box_sums(field**2, template.shape) - sums**2 / count
    scale = norm * np.sqrt(np.maximum(variance, 0))
    largest = float(np.abs(field).max()) * float(np.abs(zero_mean).max())
    least = max(_EPSILON * count * largest, float(np.finfo("float64").tiny))
    return np.where(scale > least, cross / np.maximum(scale, least), 0.0)


def _fast_length(size: int) -> int:
    """Return the next size whose only factors are 2, 3 and 5."""
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1


def _box_sums(field: Any, size: Sequence[int]) -> Any:
    """Return sums over all boxes of a size, by cumulated sums."""
    import numpy as np

    for axis, length in enumerate(size):
        total = np.cumsum(field, axis=axis)
        padded = np.concatenate([np.zeros_like(np.take(total, [0], axis)), total], axis=axis)
        count = padded.shape[axis]
        high = np.take(padded, range(length, count), axis)
        field = high - np.take(padded, range(count - length), axis)
    return field


def find_peak(mean: Any) -> Peak:
    """Return the place of the highest mean correlation, or the reason why it tells nothing."""
    import numpy as np

    place = tuple(int(n) for n in np.unravel_index(np.argmax(mean), mean.shape))
    height = float(mean[place])
    if height < LEAST_PEAK:
        return Peak(place, height, UNLIKE)
    if any(at in {0, n - 1} for at, n in zip(place, mean.shape, strict=True)):
        return Peak(place, height, TOO_FAR)
    second = _second_peak(mean, place)
    if second >= AMBIGUOUS * height:
        message = f"a pattern repeats: two shifts correlate by {height:.2f} and {second:.2f}"
        return Peak(place, height, message)
    others = np.sort(mean.ravel())[: max(int(mean.size * 0.9), 1)]
    middle = float(np.median(others))
    scatter = 1.4826 * float(np.median(np.abs(others - middle)))
    is_clear = height >= _ALIKE and height - middle >= _ABOVE_OTHERS
    is_doubtful = height - middle < LEAST_CONTRAST * scatter and not is_clear
    if is_doubtful and height < LEAST_DOUBTFUL:
        return Peak(place, height, UNLIKE)
    return Peak(place, height, is_doubtful=is_doubtful)


def _second_peak(mean: Any, place: tuple[int, ...]) -> float:
    """Return the height of the highest other peak that a valley parts from the highest one."""
    import numpy as np

    high = AMBIGUOUS * mean[place]
    candidates = np.argwhere(_is_local_peak(mean) & (mean >= high))
    found = 0.0
    for other in candidates:
        away = other - np.array(place)
        steps = int(np.abs(away).max())
        if steps < 2:
            continue
        line = [tuple(np.round(place + away * n / steps).astype(int)) for n in range(steps + 1)]
        if min(mean[at] for at in line) < _VALLEY * mean[tuple(other)]:
            found = max(found, float(mean[tuple(other)]))
    return found


def _is_local_peak(values: Any) -> Any:
    """Tell which values are no smaller than their 26 neighbours."""
    import numpy as np

    padded = np.pad(values, 1, constant_values=-np.inf)
    largest = np.full(values.shape, -np.inf)
    for offset in np.ndindex(3, 3, 3):
        parts = tuple(slice(o, o + n) for o, n in zip(offset, values.shape, strict=True))
        largest = np.maximum(largest, padded[parts])
    return values >= largest


def fit_peak(values: Any, near: tuple[int, ...], reach: int = 1) -> WindowShift | None:
    """Return the peak of one window with its fraction, near the shift that all windows tell.

    Parameters
    ----------
    values
        Correlations of one window.
    near
        Whole samples of the shift of all windows.
    reach
        By how many samples the peak of this window may lie elsewhere.

    Returns
    -------
    WindowShift or None
        `None` where the window has no peak there.
    """
    import numpy as np

    low = [max(at - reach, 1) for at in near]
    high = [min(at + reach, n - 2) + 1 for at, n in zip(near, values.shape, strict=True)]
    box = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    if not box.size:
        return None
    at = [int(n) + a for n, a in zip(np.unravel_index(np.argmax(box), box.shape), low, strict=True)]
    around = values[tuple(slice(n - 1, n + 2) for n in at)]
    solution = _quadratic() @ around.ravel()
    gradient = solution[1:4]
    xx, yy, zz, xy, xz, yz = solution[4:]
    hessian = np.array([[2 * xx, xy, xz], [xy, 2 * yy, yz], [xz, yz, 2 * zz]])
    roots = np.linalg.eigvalsh(hessian)
    if roots.max() >= -1e-6:
        return None
    fraction = -np.linalg.solve(hessian, gradient)
    if np.abs(fraction).max() > 1:
        return None
    return WindowShift(np.array(at) + fraction, float(values[tuple(at)]), -hessian)


def _quadratic() -> Any:
    """Return the matrix from 27 values to the ten terms of the quadratic function next to them."""
    import numpy as np

    x, y, z = (np.indices((3, 3, 3)).reshape(3, -1) - 1).astype(float)
    terms = [np.ones(27), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z]
    return np.linalg.pinv(np.stack(terms, axis=1))
