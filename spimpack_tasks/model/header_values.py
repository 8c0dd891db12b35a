"""Compares sidecar values (pixel size, NA, magnification) with the header of an image.

Facts: BIDS 1.10, `PixelSize` ([X, Y] or [X, Y, Z]) and `PixelSizeUnits` (mm, um or nm).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from spimpack_tasks.model.quantities import EXACT

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPARED = ("PixelSize", "NumericalAperture", "Magnification")
"""Keys of which sidecar and image must say the same."""

OVERRIDDEN = "OverriddenHeaderValues"
"""Sidecar key for the header's values where the authors override them."""

TOLERANCE = 0.001
"""Relative difference that rounding explains; more is a contradiction."""

LENGTH_UNITS = {"mm": 3, "um": 0, "nm": -3}
"""The units of PixelSize, with the power of ten that makes micrometres of each."""


def convert_length(length: float, unit: str, to: str) -> float:
    """Return a length in another unit, shifted by decimal places, so that 0.3467 stays 0.3467."""
    if unit == to:
        return float(length)
    shift = LENGTH_UNITS[unit] - LENGTH_UNITS[to]
    return float(EXACT.scaleb(Decimal(repr(length)), shift))


def differ(one: float, other: float) -> bool:
    """Tell whether two values of one quantity differ by more than rounding explains."""
    return abs(one - other) > TOLERANCE * max(abs(one), abs(other))


def sizes_differ(given: Sequence[float], unit: str, known_um: Sequence[float | None]) -> bool:
    """Tell whether a pixel size contradicts the header of an image.

    Parameters
    ----------
    given
        PixelSize in `unit`, along x, y and maybe z.
    unit
        PixelSizeUnits.
    known_um
        Size from the header in micrometres, along x and y, and z if it has depth; `None` where the
        header has none.
    """
    if len(known_um) > len(given):
        return True
    pairs = zip(given, known_um, strict=False)
    return any(k is not None and differ(convert_length(g, unit, "um"), k) for g, k in pairs)
