"""Finds the tiles that overlap, and measures the shift of each pair.

All is done in the coordinates of frames, rows and columns, in which tiles of a tilted sheet are
boxes: none is deskewed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.stitching.correlation import TOO_FAR, UNLIKE, correlate, find_peak, fit_peak
from spimpack_tasks.stitching.tiles import sample_of_um, turned_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.stitching.correlation import WindowShift
    from spimpack_tasks.stitching.frames import Frames
    from spimpack_tasks.stitching.tiles import Geometry, Sizes, TileSet, Vector

    Box = tuple[slice, slice, slice]

_cover = Deferred("spimpack_tasks.stitching.refine:cover")
_can_refine = Deferred("spimpack_tasks.stitching.refine:can_refine")
_refine = Deferred("spimpack_tasks.stitching.refine:refine")
_settle = Deferred("spimpack_tasks.stitching.refine:settle")
_LEAST_SIDE = 6
"""Samples of the smallest window that is compared."""
_TOO_SMALL = "the overlap is too small, or has no structure"
_NO_WINDOW = "no window has a peak where all together have one"
_LEAST_PART = 0.4
"""Shared samples of a pair that counts, as a part of the most that its tiles share with others."""
_FOR_PEAK = 8
"""Windows that are compared over the whole range; for the others the rest of the way is known."""
_FIT_ERROR = 0.01
"""Samples by which the quadratic function misses the peak of a smooth correlation."""
_PEAK_ERROR = 0.5
"""Samples by which it may miss the peak of an overlap that is too small to compare samples in."""
_SAMPLES = 500
"""Independent samples of a window, of which the noise of a correlation follows."""
_MOST_UNLIKE = 0.1
"""Part of the structure that is left over where a doubtful peak is right; of peaks of different
tissue a fourth was left at least."""
_NEAR = 2
"""Samples around that peak in which each window has its own."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How pairs of tiles are compared."""

    search_um: float = 20.0
    """By how much the stage may be wrong between two tiles, along each axis."""
    windows: int = 24
    """Windows of each pair."""
    window_side: int = 24
    """Samples of a window along each axis, as far as the overlap goes."""
    least_correlation: float = 0.3
    """Of a window that counts."""
    seed: int = 0
    """Of the places that are tried for windows."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A pair of tiles that see the same part of the sample, by the stage."""

    first: int
    second: int
    stage_shift_frc: Vector
    """From the first sample of the first tile to that of the second, in samples."""


@dataclass(frozen=True, slots=True)
class PairShift:
    """The measured shift of a pair of tiles."""

    first: int
    second: int
    stage_shift_frc: Vector
    shift_frc: Vector | None
    """As `stage_shift_frc`, but measured; `None` if that could not be done."""
    information: Any
    """3 x 3: the inverse of the covariance of the shift; zeros if it is unknown."""
    windows: int
    """How many windows agree."""
    correlation: float
    """Their mean."""
    reason: str = ""
    """Why it could not be measured."""


def find_overlaps(tiles: TileSet) -> list[Overlap]:
    """Return the pairs of tiles that share samples by the stage.

    Those that touch at an edge or a corner tell little that those side by side do not tell.
    """
    geometry = tiles.geometry
    corners = [sample_of_um(geometry, tile.position_um_zyx) for tile in tiles.tiles]
    shapes = [turned_shape(tile.shape_frc, geometry) for tile in tiles.tiles]
    found = []
    for a in range(len(corners)):
        for b in range(a + 1, len(corners)):
            shift = tuple(q - p for p, q in zip(corners[a], corners[b], strict=True))
            box = _shared(shapes[a], shapes[b], shift)
            if all(high - low >= _LEAST_SIDE for low, high in box):
                size = math.prod(high - low for low, high in box)
                found.append((size, Overlap(a, b, (shift[0], shift[1], shift[2]))))
    largest = [0] * len(corners)
    for size, pair in found:
        for n in (pair.first, pair.second):
            largest[n] = max(largest[n], size)
    return [
        pair
        for size, pair in found
        if size >= _LEAST_PART * min(largest[pair.first], largest[pair.second])
    ]


def _shared(a: Sizes, b: Sizes, shift: Sequence[float]) -> list[tuple[int, int]]:
    """Return the samples of the first tile that the second one sees as well."""
    return [
        (max(0, math.ceil(s)), min(n, math.floor(s) + m))
        for n, m, s in zip(a, b, shift, strict=True)
    ]


def reach_frc(geometry: Geometry, settings: SearchSettings) -> Sizes:
    """Return by how many samples shifts are searched along frames, rows and columns."""
    um = settings.search_um
    if geometry.is_oblique:
        pitches = (geometry.step_um, geometry.pitch_um, geometry.spacing_um_zyx[0])
    else:
        pitches = (geometry.step_um, geometry.pitch_um, geometry.pitch_um)
    f, r, c = (max(math.ceil(um / pitch), 2) for pitch in pitches)
    return f, r, c


def measure_pair(
    overlap: Overlap, frames: tuple[Frames, Frames], reach: Sizes, settings: SearchSettings
) -> PairShift:
    """Return the shift of a pair of tiles, measured in windows of their overlap.

    Parameters
    ----------
    overlap
        The pair, and its shift by the stage.
    frames
        The two tiles.
    reach
        Samples by which the shift may differ from that of the stage.
    settings
        How they are compared.
    """
    whole = [round(s) for s in overlap.stage_shift_frc]
    frames = _keep_frames(frames, overlap, reach)
    found = unmeasured(overlap, _TOO_SMALL)
    for factor in (1, 2):
        f, r, c = (factor * n for n in reach)
        fitting = _fitting_reach(frames, overlap, (f, r, c))
        windows = _choose_windows(frames, whole, fitting, settings)
        if not windows:
            break
        found = _measure(overlap, frames, windows, fitting, settings)
        if found.reason != TOO_FAR:
            break
    return found


def _measure(
    overlap: Overlap,
    frames: tuple[Frames, Frames],
    windows: list[Box],
    reach: Sizes,
    settings: SearchSettings,
) -> PairShift:
    """Return the shift by windows, first in whole samples by some, then exactly by all."""
    import numpy as np

    whole = [round(s) for s in overlap.stage_shift_frc]
    maps = _correlate_all(frames, whole, windows[:_FOR_PEAK], reach)
    peak = find_peak(np.mean(maps, axis=0))
    if peak.reason:
        return unmeasured(overlap, peak.reason, peak.height)
    moved = [w + at - n for w, at, n in zip(whole, peak.shift, reach, strict=True)]
    # The first tile was read as far as the range goes, and no farther.
    f, r, c = (min(_NEAR, n - abs(at - n)) for at, n in zip(peak.shift, reach, strict=True))
    near = (f, r, c)
    found = []
    for values in _correlate_all(frames, moved, windows, near):
        shift = fit_peak(values, near)
        if shift is not None and shift.correlation >= settings.least_correlation:
            found.append(shift)
    box = _shared(frames[0].shape_frc, frames[1].shape_frc, overlap.stage_shift_frc)
    # Windows that share samples repeat each other.
    most = math.prod(h - low for low, h in box) / math.prod(p.stop - p.start for p in windows[0])
    repeats = max(len(found) / max(most, 1.0), 1.0)
    place = np.array(moved) - np.array(near)
    rough = _combine(overlap, found, place, _Quality(peak.height, repeats))
    if rough.reason:
        return rough
    measured = np.array(rough.shift_frc)
    whole = [round(s) for s in measured]
    windows = _all_windows(frames, whole, settings) or windows
    if not (peak.is_doubtful or _can_refine(frames, whole, windows)):
        by_peak: PairShift = _settle(rough, measured, np.linalg.inv(rough.information), _PEAK_ERROR)
        return by_peak
    exact = _refine(frames, whole, measured - whole, windows)
    if exact is None or (peak.is_doubtful and exact.unlike > _MOST_UNLIKE):
        return unmeasured(overlap, UNLIKE, rough.correlation)
    by_samples: PairShift = _settle(rough, exact.shift + whole, exact.covariance, _FIT_ERROR)
    return by_samples


def _all_windows(
    frames: tuple[Frames, Frames], whole: list[int], settings: SearchSettings
) -> list[Box]:
    """Return windows that cover the overlap; none where it is too large for all of it."""
    box = _shared(frames[0].shape_frc, frames[1].shape_frc, whole)
    if math.prod(h - low for low, h in box) > settings.windows * settings.window_side**3:
        return []
    f, r, c = ((low - w, high - w) for (low, high), w in zip(box, whole, strict=True))
    found: list[Box] = _cover((slice(*f), slice(*r), slice(*c)), settings.window_side)
    return found


def _keep_frames(
    frames: tuple[Frames, Frames], overlap: Overlap, reach: Sizes
) -> tuple[Frames, Frames]:
    """Return the tiles, of which frames are kept where each window would decode whole ones."""
    first, second = frames
    box = _shared(first.shape_frc, second.shape_frc, overlap.stage_shift_frc)
    kept = []
    for stack, shift in ((first, (0.0, 0.0, 0.0)), (second, overlap.stage_shift_frc)):
        rows, columns = (
            slice(
                max(low - round(shift[axis]) - 2 * reach[axis], 0),
                min(high - round(shift[axis]) + 2 * reach[axis], stack.shape_frc[axis]),
            )
            for axis, (low, high) in ((1, box[1]), (2, box[2]))
        )
        kept.append(stack.keeping(rows, columns))
    return kept[0], kept[1]


def _correlate_all(
    frames: tuple[Frames, Frames], whole: list[int], windows: list[Box], reach: Sizes
) -> list[Any]:
    """Return the correlations of windows, in their order; they are read in that of frames."""
    found: list[Any] = [None] * len(windows)
    for number in sorted(range(len(windows)), key=lambda n: windows[n][0].start):
        found[number] = correlate(*_cut(frames, whole, windows[number], reach))
    return found


def _fitting_reach(frames: tuple[Frames, Frames], overlap: Overlap, reach: Sizes) -> Sizes:
    """Return the range of shifts, smaller in narrow overlaps: half is left for windows."""
    first, second = frames
    box = _shared(first.shape_frc, second.shape_frc, overlap.stage_shift_frc)
    f, r, c = (
        max(min(n, (high - low) // 4, (high - low - _LEAST_SIDE) // 2), 1)
        for n, (low, high) in zip(reach, box, strict=True)
    )
    return f, r, c


def unmeasured(overlap: Overlap, reason: str, height: float = 0.0) -> PairShift:
    """Return a pair that stays where the stage has it."""
    import numpy as np

    first, second, shift = overlap.first, overlap.second, overlap.stage_shift_frc
    return PairShift(first, second, shift, None, np.zeros((3, 3)), 0, height, reason)


def _choose_windows(
    frames: tuple[Frames, Frames], whole: list[int], reach: Sizes, settings: SearchSettings
) -> list[Box]:
    """Return boxes of the second tile with much structure, which the first one sees as well.

    Each box lies so far inside of the first tile that it can be shifted by the range, where the
    overlap is wide enough.
    """
    import numpy as np

    first, second = frames
    sides, ranges = [], []
    for axis in range(3):
        n, m = first.shape_frc[axis], second.shape_frc[axis]
        low = max(0, reach[axis] - whole[axis])
        high = min(m, n - reach[axis] - whole[axis])
        side = min(settings.window_side, high - low)
        if side < _LEAST_SIDE:
            return []
        sides.append(side)
        ranges.append((low, high - side))
    random = np.random.default_rng(settings.seed)
    tried = 4 * settings.windows
    places = {
        tuple(int(random.integers(low, high + 1)) for low, high in ranges) for _ in range(tried)
    }
    found = []
    for place in sorted(places):
        f, r, c = (slice(at, at + side) for at, side in zip(place, sides, strict=True))
        found.append((_structure(second.read((f, r, c)).astype("float64")), place, (f, r, c)))
    found.sort(key=lambda each: (-each[0], each[1]))
    return [box for structure, _, box in found[: settings.windows] if structure > 0]


def _structure(samples: Any) -> float:
    """Return how much samples vary over several samples, and not from one to the next.

    Light has a noise that grows with its root; so the variance is divided by the mean, of counts
    without a sign, as a background that was subtracted leaves some below 0. Samples that are no
    numbers have no structure.
    """
    import numpy as np

    small = samples[tuple(slice(n // 2 * 2) for n in samples.shape)]
    halves = sum(small[f::2, r::2, c::2] for f in (0, 1) for r in (0, 1) for c in (0, 1))
    mean = float(np.mean(np.abs(halves)))
    return float(np.var(halves)) / mean if 0 < mean < math.inf else 0.0


def _cut(
    frames: tuple[Frames, Frames], whole: list[int], window: Box, reach: Sizes
) -> tuple[Any, Any]:
    """Return a window of the second tile, and the part of the first in which it may lie."""
    import numpy as np

    first, second = frames
    template = second.read(window).astype("float64")
    f, r, c = [
        slice(part.start + w - n, part.stop + w + n)
        for part, w, n in zip(window, whole, reach, strict=True)
    ]
    around = np.nan_to_num(first.read((f, r, c)).astype("float64"), posinf=0.0, neginf=0.0)
    return template, around


@dataclass(frozen=True, slots=True)
class _Quality:
    height: float
    """Mean correlation at the peak."""
    repeats: float
    """By how much there are more windows than independent ones."""


def _combine(
    overlap: Overlap, found: list[WindowShift], origin: Any, quality: _Quality
) -> PairShift:
    """Return the mean of the shifts of windows, each weighed by how well it knows it."""
    import numpy as np

    if not found:
        return unmeasured(overlap, _NO_WINDOW, quality.height)
    information = [_information(each) for each in found]
    shifts = np.array([each.shift for each in found])
    keep = np.ones(len(found), bool)
    for _ in range(3):
        total = sum(i for i, k in zip(information, keep, strict=True) if k)
        weighed = sum(i @ s for i, s, k in zip(information, shifts, keep, strict=True) if k)
        mean = np.linalg.solve(total, weighed)
        away = np.sqrt(((shifts - mean) ** 2).sum(1))
        limit = max(3 * 1.4826 * float(np.median(away[keep])), 0.05)
        new = away <= limit
        if not new.any() or (new == keep).all():
            break
        keep = new
    kept = [n for n in range(len(found)) if keep[n]]
    # The scatter of the windows tells how far their own estimates of precision are right.
    squares = [float((shifts[n] - mean) @ information[n] @ (shifts[n] - mean)) for n in kept]
    excess = max(sum(squares) / max(3 * (len(kept) - 1), 1), 1.0) if len(kept) > 1 else 9.0
    # Systematic errors of the fit do not average out.
    covariance = np.linalg.inv(total / (excess * quality.repeats)) + np.eye(3) * _FIT_ERROR**2
    f, r, c = (float(n) for n in mean + origin)
    return PairShift(
        overlap.first,
        overlap.second,
        overlap.stage_shift_frc,
        (f, r, c),
        np.linalg.inv(covariance),
        len(kept),
        float(np.mean([found[n].correlation for n in kept])),
    )


def _information(window: WindowShift) -> Any:
    """Return the inverse of the covariance of the shift of one window.

    The variance of the place of a peak is that of the noise over its curvature; the noise of a
    correlation r of n independent samples has the variance (1 - r²) / n.
    """
    import numpy as np

    noise = max(1 - window.correlation**2, 1e-3) / _SAMPLES
    return window.curvature / noise + np.eye(3) * 1e-6
