"""Refines the shift of two tiles by the samples themselves, and tells how well it is known.

A quadratic function through a peak of the correlation is biased: the peak of blobs that are sheared
in tilted frames is none, and in narrow overlaps few things make it. Here the shift `s` is found at
which the samples of the second tile are those of the first one, in all three directions:

    sum of gradient(T) * (T(x) - a * F(x + s) - b) = 0

The gradient is that of the second tile `T` alone, whose noise is independent of that of the first,
`F`, and at whole samples also of its own. So noise makes the shift uncertain, but does not draw it
towards the halves at which interpolated noise is least. The factor `a` is that at which what is
left over has nothing in common with the neighbours of each sample, whose noise is independent as
well: the flank of a thing looks alike when it is shifted and when it is brighter. The uncertainty
follows from what is left over, with that of the factor.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spimpack_tasks.stitching.frames import Frames
    from spimpack_tasks.stitching.pairs import PairShift

    Box = tuple[slice, slice, slice]

_TAPS = 6
"""Samples through which a polynomial goes for those between them (Lagrange)."""
_BEFORE = _TAPS // 2 - 1
"""The number of them that lie before the middle one."""
_FARTHEST = 1.0
"""Samples by which the shift may end up elsewhere than it starts, along each axis."""
_PAD = math.ceil(_FARTHEST) + _TAPS // 2
"""Samples around a window that are read of the first tile."""
_ROUNDS = 8
"""Steps at most; most shifts settle in four, and those that do not in eight are lost."""
_SETTLED = 1e-3
"""Samples of the last step: a tenth of the error that remains in any case."""
_MOST_MOVES = 3
"""A shift that is at home between two whole samples would go back and forth for ever."""
_LEAST_SIDE = 4
"""Samples of a window along each axis, so that two of them have a gradient."""


@dataclass(frozen=True, slots=True)
class RefinedShift:
    """A shift, and how well it is known."""

    shift: Any
    """Samples by which it differs from the whole ones it started from."""
    covariance: Any
    """3 x 3, by what is left over."""
    unlike: float
    """Part of the structure that the tiles do not have in common: 0 if they differ by noise."""


@dataclass(frozen=True, slots=True)
class _Window:
    template: Any
    gradient: Any
    """3 x samples: that of the inner samples of the template, less its mean."""
    around: Any
    """Sums of the six neighbours of the inner samples, less their mean."""
    field: Any
    """The first tile, with `_PAD` samples more at each end."""


def cover(box: Box, side: int) -> list[Box]:
    """Return windows of about equal sizes that cover a box and share no sample."""
    parts = []
    for part in box:
        length = part.stop - part.start
        count = max(round(length / side), 1)
        ends = [part.start + length * n // count for n in range(count + 1)]
        parts.append([slice(a, b) for a, b in itertools.pairwise(ends)])
    return [(f, r, c) for f, r, c in itertools.product(*parts)]


def refine(
    frames: tuple[Frames, Frames],
    whole: list[int],
    start: Any,
    windows: list[Box],
    moves: int = _MOST_MOVES,
) -> RefinedShift | None:
    """Return the shift at which two tiles have the same samples.

    Parameters
    ----------
    frames
        The two tiles.
    whole
        Samples from the first sample of the first tile to that of the second.
    start
        By how much the shift differs from that, about.
    windows
        Boxes of the second tile; samples that the first one does not see are left out.
    moves
        How often it may go on from other whole samples.

    Returns
    -------
    RefinedShift or None
        `None` where it does not settle near the start.
    """
    import numpy as np

    cut = [_cut(frames, whole, window) for window in windows]
    ready = [window for window in cut if window is not None]
    shift = np.array(start, float)
    for _ in range(_ROUNDS):
        if not ready:
            return None
        if np.abs(shift).max() >= _FARTHEST:
            return _recentred(frames, whole, (start, shift), windows, moves - 1)
        slopes, scores, noises = _equations(ready, shift)
        slope = slopes.sum(0)
        if np.linalg.cond(slope) > 1e8:
            return None
        step = np.linalg.solve(slope, scores.sum(0))
        shift = shift + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < _SETTLED:
            inverse = np.linalg.inv(slope)
            excess = _scatter(scores, noises) * _repeats(windows) * _smoothed(shift)
            noise = excess * noises.sum(0)
            return RefinedShift(shift, inverse @ noise @ inverse.T, _unlike(ready, shift))
    return None


def _recentred(
    frames: tuple[Frames, Frames],
    whole: list[int],
    moved: tuple[Any, Any],
    windows: list[Box],
    moves: int,
) -> RefinedShift | None:
    """Return the shift from other whole samples, if they are nearer to where it went."""
    import numpy as np

    start, shift = moved
    if moves < 0 or np.abs(shift - start).max() > 2 * _FARTHEST:
        return None
    steps = np.round(shift).astype(int)
    again = [w + int(step) for w, step in zip(whole, steps, strict=True)]
    found = refine(frames, again, shift - steps, windows, moves)
    return None if found is None else replace(found, shift=found.shift + steps)


def settle(pair: PairShift, shift: Any, covariance: Any, error: float) -> PairShift:
    """Return a pair with another shift, and an error that all three directions have besides."""
    import numpy as np

    f, r, c = (float(n) for n in shift)
    information = np.linalg.inv(covariance + np.eye(3) * error**2)
    return replace(pair, shift_frc=(f, r, c), information=information)


def can_refine(frames: tuple[Frames, Frames], whole: list[int], windows: list[Box]) -> bool:
    """Tell whether an overlap is large enough for samples to be compared; see `refine`."""
    return any(_inner(frames, whole, window) is not None for window in windows)


def _inner(frames: tuple[Frames, Frames], whole: list[int], window: Box) -> list[slice] | None:
    """Return the samples of a window that have all they need, `None` where they are too few."""
    first, second = frames
    # A sample more at each end of the template has its gradient.
    inner = [
        slice(
            max(part.start, 1, _PAD - w),
            min(part.stop, m - 1, n - _PAD - w),
        )
        for part, w, n, m in zip(window, whole, first.shape_frc, second.shape_frc, strict=True)
    ]
    is_large = all(part.stop - part.start >= _LEAST_SIDE for part in inner)
    return inner if is_large else None


def _cut(frames: tuple[Frames, Frames], whole: list[int], window: Box) -> _Window | None:
    import numpy as np

    first, second = frames
    inner = _inner(frames, whole, window)
    if inner is None:
        return None
    f, r, c = (slice(part.start - 1, part.stop + 1) for part in inner)
    template = second.read((f, r, c)).astype("float64")
    f, r, c = (
        slice(part.start + w - _PAD, part.stop + w + _PAD)
        for part, w in zip(inner, whole, strict=True)
    )
    field = first.read((f, r, c)).astype("float64")
    if not (np.isfinite(template).all() and np.isfinite(field).all()):
        return None
    gradient = np.stack([each[1:-1, 1:-1, 1:-1].ravel() for each in np.gradient(template)])
    gradient -= gradient.mean(1, keepdims=True)
    around: Any = sum(np.roll(template, step, axis) for axis in range(3) for step in (-1, 1))
    around = around[1:-1, 1:-1, 1:-1].ravel()
    return _Window(template[1:-1, 1:-1, 1:-1], gradient, around - around.mean(), field)


def _equations(windows: list[_Window], shift: Any) -> tuple[Any, Any, Any]:
    """Return the slope, the score and the covariance of the score of each window.

    Each is weighed by what is left over in it: so bright windows, with more noise, count as much as
    they tell, and those in which something has moved count little.
    """
    import numpy as np

    found = []
    for window in windows:
        moved = _interpolate(window.field, shift)
        values = moved[1:-1, 1:-1, 1:-1]
        factor, left = _left_over(window, values)
        if not factor:
            continue
        slopes = np.stack([each[1:-1, 1:-1, 1:-1].ravel() for each in np.gradient(moved)])
        rest = left.ravel()
        variance = max(float(rest.var()), 1e-12 * float(window.template.var()), 1e-300)
        # Less the part of it that a change of the factor takes up.
        common = window.gradient @ values.ravel() / (window.around @ values.ravel())
        gradient = window.gradient - np.outer(common, window.around)
        noise = (gradient * rest**2) @ gradient.T / variance**2
        found.append((factor * gradient @ slopes.T / variance, gradient @ rest / variance, noise))
    if not found:
        return np.zeros((1, 3, 3)), np.zeros((1, 3)), np.zeros((1, 3, 3))
    a, b, c = (np.stack(each) for each in zip(*found, strict=True))
    return a, b, c


def _left_over(window: _Window, values: Any) -> tuple[float, Any]:
    """Return the factor of values that suits a window, and what is left over; 0 if none does.

    Spreads would tell a larger one, since interpolated values have less noise than the template.
    """
    template = window.template
    shared = float(window.around @ values.ravel())
    factor = float(window.around @ template.ravel()) / shared if shared > 0 else 0.0
    factor = max(factor, 0.0)
    return factor, template - template.mean() - factor * (values - values.mean())


def _unlike(windows: list[_Window], shift: Any) -> float:
    """Return how much structure is left over, as a part of that of the template.

    Structure is what a sample has in common with its neighbours; noise has nothing of it.
    """
    left = whole = 0.0
    for window in windows:
        moved = _interpolate(window.field, shift)[1:-1, 1:-1, 1:-1]
        left += _structure(_left_over(window, moved)[1])
        whole += _structure(window.template - window.template.mean())
    return left / whole if whole > 0 else math.inf


def _structure(values: Any) -> float:
    """Return the sum of products of samples and of those two further along each axis."""
    return sum(float((values[2:] * values[:-2]).sum()) for values in _turned(values))


def _turned(values: Any) -> list[Any]:
    return [values.swapaxes(0, axis) for axis in range(3)]


def _interpolate(field: Any, shift: Any) -> Any:
    """Return samples at places that lie off by a shift, and one more at each end."""
    for axis, off in enumerate(shift):
        low = math.floor(off)
        weights = _lagrange(float(off) - low)
        first = _PAD - 1 + low - _BEFORE
        count = field.shape[axis] - 2 * _PAD + 2
        total = 0.0
        for n, weight in enumerate(weights):
            index = [slice(None)] * 3
            index[axis] = slice(first + n, first + n + count)
            total = total + weight * field[tuple(index)]
        field = total
    return field


def _lagrange(rest: float) -> list[float]:
    """Return the weights of samples for a place that lies `rest` behind the middle one."""
    places = [n - _BEFORE for n in range(_TAPS)]
    return [
        math.prod((rest - other) / (place - other) for other in places if other != place)
        for place in places
    ]


def _scatter(scores: Any, noises: Any) -> float:
    """Return by how much windows contradict each other more than their noise explains."""
    import numpy as np

    if len(scores) < 2:
        return 1.0
    squares = [
        float(score @ np.linalg.pinv(noise) @ score)
        for score, noise in zip(scores, noises, strict=True)
    ]
    return max(sum(squares) / (3 * (len(scores) - 1)), 1.0)


def _smoothed(shift: Any) -> float:
    """Return by how much the noise that counts is more than what is left over.

    Between samples noise is less, but that of neighbours is alike, so that a mean of many of them
    is no less uncertain. That concerns one tile of two.
    """
    part: float = math.prod(
        sum(weight**2 for weight in _lagrange(float(off) - math.floor(off))) for off in shift
    )
    return 2 / (1 + part)


def _repeats(windows: list[Box]) -> float:
    """Return in how many windows a sample of a window is, on average."""
    shared = sum(
        math.prod(
            max(min(p.stop, q.stop) - max(p.start, q.start), 0) for p, q in zip(a, b, strict=True)
        )
        for a, b in itertools.product(windows, windows)
    )
    whole = sum(math.prod(part.stop - part.start for part in box) for box in windows)
    return float(shared / whole)
