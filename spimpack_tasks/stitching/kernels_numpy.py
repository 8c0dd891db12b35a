"""The loops of `kernels` by NumPy alone, some ten times slower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.stitching.kernels import Distances, Rounding, Taps


class NumpyKernels:
    """Loops over z; rows and frames at once."""

    def prepare(self) -> None:
        """Do nothing: NumPy is loaded."""

    def remap(self, samples: Voxels, taps: Taps, voxels: Voxels) -> None:
        """Set voxels that are one sample each."""
        count = voxels.shape[1]
        for z in range(voxels.shape[0]):
            low, high, at = int(taps.low[z]), int(taps.high[z]), int(taps.frame_at[z])
            if high > low:
                voxels[z, :, low:high] = samples[at + low : at + high, :count, z].T

    def resample(self, samples: Voxels, taps: Taps, rounding: Rounding, voxels: Voxels) -> None:
        """Set voxels that are sums of samples."""
        for z, low, high, values in _values(samples, taps, voxels.shape):
            voxels[z, :, low:high] = _rounded(values, rounding)

    def add(
        self, samples: Voxels, taps: Taps, distances: Distances, sums: Any, weights: Any
    ) -> None:
        """Add weighted values and weights."""
        import numpy as np

        real = sums.dtype.type
        for z, low, high, values in _values(samples, taps, sums.shape):
            place = distances.frame_place[z] + np.arange(low, high).astype(real)
            near = np.minimum(place + real(1), distances.frame_count - place)
            product = near * (distances.rows * distances.columns[z])[:, None]
            weight = product * product
            sums[z, :, low:high] += weight * values
            weights[z, :, low:high] += weight

    def divide(self, sums: Any, weights: Any, rounding: Rounding, voxels: Voxels) -> None:
        """Set voxels with a weight to their mean."""
        has = weights > 0
        voxels[has] = _rounded(sums[has] / weights[has], rounding)


def _values(samples: Voxels, taps: Taps, shape: Any) -> Iterator[tuple[int, int, int, Any]]:
    """Yield z, the bounds of x, and the values along y and x."""
    real = taps.rows.dtype
    for z in range(shape[0]):
        low, high = int(taps.low[z]), int(taps.high[z])
        if high <= low:
            continue
        first = int(taps.frame_at[z]) + low
        box = samples[first : first + high - low + taps.frames.shape[1] - 1].astype(real)
        rows = _sum([box[:, n : n + shape[1]] for n in range(taps.rows.size)], taps.rows)
        lines = _sum([rows[:, :, z + n] for n in range(taps.columns.size)], taps.columns)
        count = high - low
        frames = [lines[n : n + count] for n in range(taps.frames.shape[1])]
        yield z, low, high, _sum(frames, taps.frames[z]).T


def _sum(parts: list[Any], weights: Any) -> Any:
    total = weights[0] * parts[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + weight * part
    return total


def _rounded(values: Any, rounding: Rounding) -> Any:
    import numpy as np

    if not rounding.is_whole:
        return values
    return np.clip(np.floor(values + rounding.half), rounding.lowest, rounding.highest)
