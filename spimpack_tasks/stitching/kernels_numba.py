"""The loops of `kernels`, compiled by numba; they hold no lock, so threads run side by side.

Frames lie along x in voxels, but far from each other in memory, so a group of them is taken at a
time: each line of the processor's cache is written whole. Compiled code is kept in the user's cache
directory, or nowhere if that cannot be written to: never beside the installed program.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numba  # noqa: TID253 - only `choose_kernels` imports this module
import numpy as np  # noqa: TID253 - as above; compiled functions need a global name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.stitching.kernels import Distances, Rounding, Taps

TOGETHER = 32
"""Frames of a group: two cache lines of 16 floating-point numbers."""
_USUAL_TYPES = {
    "remap": ("uint16", "uint16"),
    "gather_row": ("uint16", "float32"),
    "resample_row": ("uint16", "float32"),
    "add_row": ("float32", "float32"),
    "divide": ("uint16", "float32"),
}
"""Those of fused tiles of 16 bits."""
_compiling = Lock()


class NumbaKernels:
    """Loops over rows, groups of frames, and columns."""

    def prepare(self) -> None:
        """Load the compiler of numba, and the loops for the samples of nearly all cameras."""
        for name, types in _USUAL_TYPES.items():
            _compiled(name, *types)

    def remap(self, samples: Voxels, taps: Taps, voxels: Voxels) -> None:
        """Set voxels that are one sample each."""
        run = _compiled("remap", samples.dtype.name, voxels.dtype.name)
        run(samples, taps.frame_at, taps.low, taps.high, voxels)

    def resample(self, samples: Voxels, taps: Taps, rounding: Rounding, voxels: Voxels) -> None:
        """Set voxels that are sums of samples."""
        lines = _Lines(samples, taps, voxels.shape[0])
        finish = _compiled("resample_row", voxels.dtype.name, taps.rows.dtype.name)
        bounds = rounding.half, rounding.lowest, rounding.highest, rounding.is_whole
        for y in range(voxels.shape[1]):
            frames = lines.gather(y), taps.frames, taps.frame_at, taps.low, taps.high
            finish(*frames, *bounds, voxels[:, y])

    def add(
        self, samples: Voxels, taps: Taps, distances: Distances, sums: Any, weights: Any
    ) -> None:
        """Add weighted values and weights."""
        lines = _Lines(samples, taps, sums.shape[0])
        finish = _compiled("add_row", sums.dtype.name, sums.dtype.name)
        place, count = distances.frame_place, distances.frame_count
        for y in range(sums.shape[1]):
            frames = lines.gather(y), taps.frames, taps.frame_at, taps.low, taps.high
            product = distances.rows[y] * distances.columns
            finish(*frames, product, place, count, sums[:, y], weights[:, y])

    def divide(self, sums: Any, weights: Any, rounding: Rounding, voxels: Voxels) -> None:
        """Set voxels with a weight to their mean."""
        run = _compiled("divide", voxels.dtype.name, sums.dtype.name)
        bounds = rounding.half, rounding.lowest, rounding.highest, rounding.is_whole
        run(sums, weights, *bounds, voxels)


class _Lines:
    """Sums over rows and columns of one row of voxels: a line of frames for each column."""

    def __init__(self, samples: Voxels, taps: Taps, count: int) -> None:
        # Lines whose length is a power of two would all lie in the same lines of the cache.
        length = -(-samples.shape[0] // 64) * 64 + 16
        self._lines = np.empty((count, length), taps.rows.dtype)
        self._parts = np.empty((TOGETHER, samples.shape[2]), taps.rows.dtype)
        self._samples, self._taps = samples, taps
        width = taps.frames.shape[1]
        is_covered = taps.high > taps.low
        self._first = np.where(is_covered, taps.frame_at + taps.low, 0)
        self._end = np.where(is_covered, taps.frame_at + taps.high + width - 1, 0)
        self._gather = _compiled("gather_row", samples.dtype.name, taps.rows.dtype.name)

    def gather(self, y: int) -> Any:
        taps = self._taps
        self._gather(
            self._samples, y, taps.rows, taps.columns,
            self._first, self._end, self._parts, self._lines,
        )  # fmt: skip
        return self._lines


def remap(samples: Any, frame_at: Any, low: Any, high: Any, voxels: Any) -> None:
    """Set voxels that are one sample each, see `Kernels.remap`."""
    depth, rows, _ = voxels.shape
    frames = samples.shape[0]
    # Frames lie apart by powers of two, and so do the z of voxels: what is read and written at a
    # time shares few lines of the cache. So both are long: 256 bytes of a frame, 512 of a z.
    part = np.empty((256, 136), samples.dtype)
    for y in range(rows):
        for start in range(0, frames, 256):
            count = min(256, frames - start)
            for z0 in range(0, depth, 128):
                columns = min(128, depth - z0)
                # Unsigned numbers cannot count from the end, so they need not be checked.
                for f in range(np.uint64(count)):
                    row = samples[start + f, y]
                    for n in range(np.uint64(columns)):
                        part[f, n] = row[np.uint64(z0) + n]
                for column in range(np.uint64(columns)):
                    z = np.uint64(z0) + column
                    first = max(start - frame_at[z], low[z])
                    end = min(start + count - frame_at[z], high[z])
                    if end > first:
                        line = voxels[z, y]
                        to, at = np.uint64(first), np.uint64(frame_at[z] + first - start)
                        for n in range(np.uint64(end - first)):
                            line[to + n] = part[at + n, column]


def gather_row(
    samples: Any, y: int, row_taps: Any, column_taps: Any, first: Any, end: Any,
    parts: Any, lines: Any,
) -> None:  # fmt: skip
    """Set `lines[z, frame]` to sums over taps of rows and columns, from `first` until `end`."""
    depth = lines.shape[0]
    frames, _, columns = samples.shape
    for start in range(0, frames, 32):
        stop = min(start + 32, frames)
        z0, z1 = depth, 0
        for z in range(depth):
            if first[z] < stop and end[z] > start:
                z0 = min(z0, z)
                z1 = z + 1
        if z1 <= z0:
            continue
        last = min(z1 + column_taps.size - 1, columns)
        for f in range(start, stop):
            part = parts[f - start]
            for c in range(z0, last):
                part[c] = samples[f, y, c]
            if row_taps.size > 1:
                for c in range(z0, last):
                    part[c] = row_taps[0] * part[c]
                for n in range(1, row_taps.size):
                    for c in range(z0, last):
                        part[c] += row_taps[n] * parts.dtype.type(samples[f, y + n, c])
        if column_taps.size == 1:
            for z in range(z0, z1):
                for f in range(start, stop):
                    lines[z, f] = parts[f - start, z]
        else:
            for z in range(z0, z1):
                for f in range(start, stop):
                    value = column_taps[0] * parts[f - start, z]
                    for n in range(1, column_taps.size):
                        value += column_taps[n] * parts[f - start, z + n]
                    lines[z, f] = value


def resample_row(
    lines: Any, taps: Any, frame_at: Any, low: Any, high: Any,
    half: Any, lowest: Any, highest: Any, is_whole: bool, voxels: Any,
) -> None:  # fmt: skip
    """Set one row of voxels to rounded sums over taps of frames."""
    for z in range(voxels.shape[0]):
        for x in range(low[z], high[z]):
            at = frame_at[z] + x
            value = taps[z, 0] * lines[z, at]
            for n in range(1, taps.shape[1]):
                value += taps[z, n] * lines[z, at + n]
            if is_whole:
                value = min(max(np.floor(value + half), lowest), highest)
            voxels[z, x] = value


def add_row(
    lines: Any, taps: Any, frame_at: Any, low: Any, high: Any,
    product: Any, frame_place: Any, frame_count: Any, sums: Any, weights: Any,
) -> None:  # fmt: skip
    """Add weighted sums over taps of frames, and weights, to one row."""
    one = sums.dtype.type(1)
    for z in range(sums.shape[0]):
        for x in range(low[z], high[z]):
            at = frame_at[z] + x
            value = taps[z, 0] * lines[z, at]
            for n in range(1, taps.shape[1]):
                value += taps[z, n] * lines[z, at + n]
            place = frame_place[z] + sums.dtype.type(x)
            near = min(place + one, frame_count - place) * product[z]
            weight = near * near
            sums[z, x] += weight * value
            weights[z, x] += weight


def divide(
    sums: Any, weights: Any, half: Any, lowest: Any, highest: Any, is_whole: bool, voxels: Any
) -> None:
    """Set voxels with a weight to their rounded mean."""
    for z in range(voxels.shape[0]):
        for y in range(voxels.shape[1]):
            for x in range(voxels.shape[2]):
                if weights[z, y, x] > 0:
                    value = sums[z, y, x] / weights[z, y, x]
                    if is_whole:
                        value = min(max(np.floor(value + half), lowest), highest)
                    voxels[z, y, x] = value


@cache
def _compiled(name: str, samples: str, real: str) -> Callable[..., None]:
    """Return one of the functions above, compiled for two data types."""
    with _compiling, _cache_folder() as is_kept:
        # The types are given, so that strides and read-only memory do not have it compiled again.
        compiled = numba.njit(_signature(name, samples, real), nogil=True, cache=is_kept)
        found: Callable[..., None] = compiled(_FUNCTIONS[name])
        return found


_FUNCTIONS = {each.__name__: each for each in (remap, gather_row, resample_row, add_row, divide)}


def _signature(name: str, data: str, real: str) -> Any:
    """Return the types of the parameters; `real` of `remap` is the type of its voxels."""
    types = numba.types
    voxel, number = (numba.from_dtype(np.dtype(each)) for each in (data, real))

    def array(dtype: Any, axes: int, *, is_read: bool = False) -> Any:
        return types.Array(dtype, axes, "A", readonly=is_read)

    places = types.Array(types.int64, 1, "C")
    line = types.Array(number, 2, "C")
    near = types.Array(number, 1, "C")
    bounds = (number, number, number, types.boolean)
    of_row = (line, line, places, places, places)
    return types.void(
        *{
            "remap": (array(voxel, 3, is_read=True), places, places, places, array(number, 3)),
            "gather_row": (
                array(voxel, 3, is_read=True), types.int64, near, near, places, places, line, line,
            ),
            "resample_row": (*of_row, *bounds, array(voxel, 2)),
            "add_row": (*of_row, near, near, number, array(number, 2), array(number, 2)),
            "divide": (array(number, 3), array(number, 3), *bounds, array(voxel, 3)),
        }[name]
    )  # fmt: skip


@contextmanager
def _cache_folder() -> Iterator[bool]:
    """Have compiled code kept in the user's cache directory, and tell whether that can be.

    The user's own choice (`NUMBA_CACHE_DIR`) counts. Numba writes each file aside and renames it,
    so processes may compile the same function at once.
    """
    config: Any = numba.config
    chosen = config.CACHE_DIR
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = chosen or os.path.join(root, "spimpack_tasks", "numba")
    try:
        os.makedirs(folder, exist_ok=True)
        is_kept = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        is_kept = False
    config.CACHE_DIR = folder if is_kept else chosen
    try:
        yield is_kept
    finally:
        config.CACHE_DIR = chosen
