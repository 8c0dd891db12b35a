"""Numbers with a unit, as files write them: lengths to micrometres, times to ISO 8601.

All arithmetic is decimal, so that 0.0003467 mm and 0.3467 µm become the same number.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Context, Decimal, DecimalException
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES_OF_UNITS = {
    "-10": "angstrom angstroms å ångström",
    "-9": "nm nanometer nanometre nanometers nanometres",
    "-6": "um µm μm micrometer micrometre micrometers micrometres micron microns \\u00b5m",
    "-3": "mm millimeter millimetre millimeters millimetres",
    "-2": "cm centimeter centimetre centimeters centimetres",
    "-1": "dm decimeter decimetre",
    "0": "m meter metre meters metres",
    "-12": "pm picometer picometre",
    "-15": "fm femtometer femtometre",
    "3": "km kilometer kilometre",
}
UM_PER_UNIT: Mapping[str, Decimal] = {
    name: Decimal(10) ** (int(power) + 6)
    for power, names in _NAMES_OF_UNITS.items()
    for name in names.split()
} | dict.fromkeys(("inch", "in", "inches"), Decimal(25400))
"""Micrometres in one unit, by its name in lower case: NGFF's and UDUNITS-2's names, the symbols of
OME's `UnitsLength`, and what ImageJ and Imaris write."""

NO_UNITS = frozenset({"", "pixel", "pixels", "px", "reference frame", "unknown"})
"""What stands where a unit belongs, but is no length."""

EXACT = Context(prec=60)
_LONGEST = 64
_POSITIVE = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*[xX\u00d7]?\s*\Z")
_FLOAT32 = Decimal(2) ** -23
"""Two roundings to single precision, relative."""
_WIDEST = Decimal("1e-4")
_SMALLEST_UM, _LARGEST_UM = Decimal("1e-9"), Decimal("1e12")


class QuantityError(ValueError):
    """A text is not the quantity it should be; the message says what it is."""


def parse_number(value: object) -> Decimal:
    """Return the number that a text or a JSON number is.

    Raises
    ------
    QuantityError
        It is none, or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise QuantityError(f"{_shown(value)} is not a number")
    text = value.strip() if isinstance(value, str) else str(value)
    try:
        number = Decimal(text) if len(text) <= _LONGEST else Decimal("nan")
    except DecimalException:
        number = Decimal("nan")
    if not number.is_finite():
        raise QuantityError(f"{_shown(value)} is not a number")
    return number


def parse_length(value: object) -> Decimal:
    """Return the number above 0 that a text or a JSON number is.

    Raises
    ------
    QuantityError
        It is none.
    """
    number = parse_number(value)
    if number <= 0:
        raise QuantityError(f"{_shown(value)} is not above 0")
    return number


@lru_cache(64)
def unit_in_um(unit: str) -> Decimal | None:
    """Return how many micrometres a unit of length has, `None` for what is no length.

    Raises
    ------
    QuantityError
        The unit is not known.
    """
    name = unit.strip().rstrip("\0").lower()
    if name in NO_UNITS:
        return None
    if name not in UM_PER_UNIT:
        raise QuantityError(f"{_shown(unit)} is not a known unit of length")
    return UM_PER_UNIT[name]


def length_in_um(value: object, unit: str) -> float | None:
    """Return a distance of voxels in micrometres, `None` where the unit is no length.

    Raises
    ------
    QuantityError
        The value is not a number above 0, or the unit is not known.
    """
    number = value if isinstance(value, Decimal) else parse_length(value)
    factor = unit_in_um(unit)
    return None if factor is None else checked_um(EXACT.multiply(number, factor))


def checked_um(number: Decimal) -> float:
    """Return a distance as a `float`, if it is one that voxels can have.

    Raises
    ------
    QuantityError
        It is below a femtometre or above a kilometre and more.
    """
    if not _SMALLEST_UM <= number <= _LARGEST_UM:
        raise QuantityError(f"{number:.6g} um is not a distance of voxels")
    return float(number)


def extent_per_voxel(low: str, high: str, count: int) -> Decimal:
    """Return (high - low) / count, to the digits that the texts allow.

    Imaris keeps extents, not voxel sizes, with few digits and from single precision. The quotient
    is given as it is where it is short; else as the shortest number that the texts are compatible
    with: 234.369 over 676 voxels is 0.3467, not 0.3466997.

    Raises
    ------
    QuantityError
        A text is not a number, or the extent is not above 0.
    """
    ends = [parse_number(low), parse_number(high)]
    extent = EXACT.subtract(ends[1], ends[0])
    if extent <= 0:
        raise QuantityError(f"the extent from {_shown(low)} to {_shown(high)} is not above 0")
    tolerance = sum((_half_a_digit(end) for end in ends), start=Decimal(0))
    return shortest(EXACT.divide(extent, count), EXACT.divide(tolerance, count))


def shortest(number: Decimal, tolerance: Decimal) -> Decimal:
    """Return the decimal number with the fewest digits that is within a tolerance of another.

    A number of up to ten digits is left as it is: it is no result of rounding.
    """
    tolerance = min(tolerance, EXACT.multiply(number, _WIDEST))
    if len(number.normalize(EXACT).as_tuple().digits) > 10:
        for digits in range(1, 17):
            rounded = Context(prec=digits).plus(number)
            if abs(EXACT.subtract(rounded, number)) <= tolerance:
                return rounded
    return number


def _half_a_digit(number: Decimal) -> Decimal:
    """Return how far the value may be from the text: half of the last digit, or of the sixth.

    A text of fewer digits is taken for one whose zeros were left out, as C++ streams do.
    """
    if not number:
        return Decimal(0)
    exponent = number.as_tuple().exponent
    last = min(int(exponent), number.adjusted() - 5)
    return max(Decimal(5).scaleb(last - 1), EXACT.multiply(abs(number), _FLOAT32))


def positive_number(text: str) -> float | None:
    """Return a number above 0 such as that of `4x`, `n/a` and the like being `None`."""
    match = _POSITIVE.match(text)
    number = float(match[1].replace(",", ".")) if match and len(text) <= _LONGEST else 0.0
    return number or None


def iso_time(text: str) -> str | None:
    """Return a point in time as ISO 8601, `None` where a text is none.

    The first second of 1970 stands for a clock that was never set.
    """
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if len(text.strip()) <= len("2024-01-01") or time.replace(tzinfo=None) <= datetime(1970, 1, 1):  # noqa: DTZ001 - compared without zone
        return None
    spelt = time.isoformat().replace("+00:00", "Z")
    return re.sub(r"(\.\d*?)0+(?=\Z|[Z+-])", r"\1", spelt)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
