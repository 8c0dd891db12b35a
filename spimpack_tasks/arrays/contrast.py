"""Chooses the values that a channel is shown between, by its voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spimpack_tasks.arrays.grid import Voxels

_SHOWN = (1, 99.8)
"""Per cent of the voxels that are darker than black, and than full colour."""


def find_window(voxels: Voxels) -> tuple[float, float]:
    """Return the values shown as black and in full colour, which differ.

    All but the darkest and the brightest voxels lie between them. Voxels that are not finite do not
    count; without any others, it is 0 and 1.
    """
    import numpy as np

    numbers: Any = voxels[np.isfinite(voxels)]
    low, high = np.percentile(numbers, _SHOWN) if numbers.size else (0, 0)
    return float(low), float(high if high > low else low + 1)
