"""The loops that move samples from frames to voxels: by numba, or by NumPy with equal values.

All take samples along frame, row and column, and give voxels along z, y and x. Sums are made in
the same order by both, in the type of the weights, so that no value depends on the library.
A kernel sees a box of one tile, to which the samples that taps reach over its edge were added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from spimpack_tasks.deferred import Deferred

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Voxels


@dataclass(frozen=True, slots=True)
class Taps:
    """How a box of voxels is made of samples: z is of columns, y of rows, x of frames.

    Voxel z, y, x is the sum over taps of weights times
    `samples[frame_at[z] + x + tap, y + tap, z + tap]`, for x from `low[z]` until `high[z]`.
    """

    rows: Any
    """Weights of the taps along rows."""
    columns: Any
    """Weights of the taps along columns."""
    frames: Any
    """Weights of the taps along frames, one row for each z."""
    frame_at: Any
    """First frame of x = 0, for each z."""
    low: Any
    """First covered x of each z."""
    high: Any
    """End of the covered x of each z."""

    @property
    def is_plain(self) -> bool:
        """Whether each voxel is one sample."""
        return bool(self.rows.size == self.columns.size == self.frames.shape[1] == 1)


@dataclass(frozen=True, slots=True)
class Distances:
    """How far voxels lie from the faces of their tile, in samples, at least a half."""

    rows: Any
    """Of each y."""
    columns: Any
    """Of each z."""
    frame_place: Any
    """The place along frames of x = 0, for each z."""
    frame_count: Any
    """Frames of the tile."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """How sums become voxels: whole numbers are rounded half up, between two bounds."""

    half: Any
    lowest: Any
    highest: Any
    is_whole: bool


class Kernels(Protocol):
    """The four loops."""

    def prepare(self) -> None:
        """Load what the first call would load, so that a process that is forked has it."""

    def remap(self, samples: Voxels, taps: Taps, voxels: Voxels) -> None:
        """Set voxels that are one sample each."""

    def resample(self, samples: Voxels, taps: Taps, rounding: Rounding, voxels: Voxels) -> None:
        """Set voxels that are sums of samples."""

    def add(
        self, samples: Voxels, taps: Taps, distances: Distances, sums: Any, weights: Any
    ) -> None:
        """Add weighted values and weights: the square of the product of the three distances."""

    def divide(self, sums: Any, weights: Any, rounding: Rounding, voxels: Voxels) -> None:
        """Set voxels with a weight to their mean."""


def rounding_of(dtype: Any, real: Any) -> Rounding:
    """Return how values of a floating-point type become those of a data type."""
    import numpy as np

    real = np.dtype(real).type
    if dtype.kind == "f":
        return Rounding(real(0.5), real(0), real(0), is_whole=False)
    bounds = np.iinfo(dtype)
    highest = real(bounds.max)
    if int(highest) > bounds.max:  # 64 bits have no such number
        highest = np.nextafter(highest, real(0))
    return Rounding(real(0.5), real(bounds.min), highest, is_whole=True)


def real_type(dtype: Any) -> Any:
    """Return the type of sums: the smallest that holds each value exactly, where there is one."""
    import numpy as np

    return np.dtype("float32" if dtype.itemsize <= 2 else "float64")


_numba_kernels = Deferred("spimpack_tasks.stitching.kernels_numba:NumbaKernels")
_numpy_kernels = Deferred("spimpack_tasks.stitching.kernels_numpy:NumpyKernels")


@cache
def choose_kernels() -> Kernels:
    """Return the loops of numba, or those of NumPy where it is not installed."""
    make = _numba_kernels if find_spec("numba") is not None else _numpy_kernels
    kernels: Kernels = make()
    return kernels
