"""Numbers with a unit, as files write them: lengths to micrometres, times to ISO 8601.

All arithmetic is decimal, so that 0.0003467 mm and 0.3467 µm become the same number. It has a
context of its own (`EXACT`): the one of the thread belongs to the program that imports this.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Context, Decimal, DecimalException
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PREFIXES = {
    "y yocto": -24, "z zepto": -21, "a atto": -18, "f femto": -15, "p pico": -12, "n nano": -9,
    "\u00b5 micro": -6, "m milli": -3, "c centi": -2, "d deci": -1, "": 0, "da deca": 1,
    "h hecto": 2, "k kilo": 3, "M mega": 6, "G giga": 9, "T tera": 12, "P peta": 15, "E exa": 18,
    "Z zetta": 21, "Y yotta": 24,
}  # fmt: skip
"""Power of ten by symbol and name; small ones come first, for symbols in the wrong case."""
EXACT = Context(prec=60)
_INCH, _METRE = 25_400, 1_000_000
_OTHER_UNITS = {
    "um \u03bcm micron microns \\u00b5m": Decimal(1),
    "\u00c5 \u00e5 angstrom angstroms \u00e5ngstr\u00f6m": Decimal("1e-4"),
    "thou mil": EXACT.divide(_INCH, 1000),
    "li line lines": EXACT.divide(_INCH, 12),
    "in inch inches": Decimal(_INCH),
    "ft foot feet": Decimal(12 * _INCH),
    "yd yard yards": Decimal(36 * _INCH),
    "mi mile miles": Decimal(63360 * _INCH),
    "pt point points": EXACT.divide(_INCH, 72),
    "ua": Decimal(149_597_870_700 * _METRE),
    "ly": Decimal(9_460_730_472_580_800 * _METRE),
    "pc": EXACT.divide(149_597_870_700 * 648_000 * _METRE, Decimal("3.14159265358979323846")),
}


def _list_units() -> dict[str, Decimal]:
    units = {name: each for names, each in _OTHER_UNITS.items() for name in names.split()}
    for prefix, power in _PREFIXES.items():
        symbol, name = prefix.split() or ("", "")
        for spelt in (f"{symbol}m", *(f"{name}met{end}" for end in ("er", "re", "ers", "res"))):
            units[spelt] = EXACT.power(10, power + 6)
    return units


UM_PER_UNIT: dict[str, Decimal] = _list_units()
"""Micrometres in one unit, by its name: the symbols of OME's `UnitsLength`, NGFF's and UDUNITS-2's
names, and those of ImageJ and Imaris. Case matters in symbols: mm is not Mm."""
_BY_LOWER_CASE = {name.lower(): name for name in reversed(UM_PER_UNIT)}

_S_PER_UNIT = {
    name: factor
    for names, factor in (
        ("s sec second seconds", Decimal(1)),
        ("ms msec millisecond milliseconds", Decimal("1e-3")),
        ("\u00b5s \u03bcs us usec microsecond microseconds", Decimal("1e-6")),
        ("ns nanosecond nanoseconds", Decimal("1e-9")),
        ("min minute minutes", Decimal(60)),
        ("h hour hours", Decimal(3600)),
        ("d day days", Decimal(86400)),
    )
    for name in names.split()
}
"""Seconds in one unit, by its name: the usual ones of OME's `UnitsTime`, of NGFF and of ImageJ."""

NO_UNITS = frozenset({"", "pixel", "pixels", "px", "reference frame", "unknown"})
"""Texts in place of a unit that are not lengths."""

_LONGEST = 64
"""Characters of a number: more than any instrument writes, few enough to convert quickly."""
_POSITIVE = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*[xX\u00d7]?\s*\Z")
_FLOAT32 = EXACT.power(2, -23)
"""Two roundings to single precision, relative."""
_WIDEST = Decimal("1e-4")
_SMALLEST_UM, _LARGEST_UM = Decimal("1e-9"), Decimal("1e12")


_WAVELENGTH = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,6})?)(?: ?nm)*")
_LIGHT_NM = 100, 5000
"""Wavelengths of light that microscopes use, from ultraviolet to infrared."""


class QuantityError(ValueError):
    """A text is not the expected quantity; the message quotes it."""


class Doubts:
    """Impossible values of the voxel size in a file, which leave the size unknown."""

    def __init__(self) -> None:
        self._told: list[str] = []

    def ask(self, name: str, read: Callable[..., float | None], *arguments: object) -> float | None:
        """Return the result of a function, or `None` and record the reason.

        Parameters
        ----------
        name
            Name of the value in the file.
        read
            Function that may raise `QuantityError`.
        arguments
            Arguments of `read`.
        """
        try:
            return read(*arguments)
        except QuantityError as error:
            self._told.append(f"{name}: {error}")
            return None

    @property
    def told(self) -> tuple[str, ...]:
        """One message for each impossible value."""
        return tuple(self._told)


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
    """Return the length of a unit in micrometres, `None` for a unit that is not a length.

    Raises
    ------
    QuantityError
        The unit is not known.
    """
    name = unit.strip().rstrip("\0")
    if name.lower() in NO_UNITS:
        return None
    if name not in UM_PER_UNIT:
        name = _BY_LOWER_CASE.get(name.lower(), "")
    if not name:
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


def time_in_s(value: object, unit: str) -> float | None:
    """Return a time above 0 in seconds, `None` for any other value and for a unit that is no time.

    Nothing but the frame rate depends on it, so an impossible value is no fault of an image.
    """
    factor = _S_PER_UNIT.get(unit.strip())
    try:
        number = parse_length(value)
    except QuantityError:
        return None
    return None if factor is None else float(EXACT.multiply(number, factor))


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

    Imaris keeps extents, not voxel sizes, with few digits and from single precision. A short
    quotient is returned unchanged; else the shortest number that is compatible with the texts:
    234.369 over 676 voxels is 0.3467, not 0.3466997.

    Raises
    ------
    QuantityError
        A text is not a number, or the extent is not above 0.
    """
    ends = [parse_number(low), parse_number(high)]
    extent = EXACT.subtract(ends[1], ends[0])
    if extent <= 0:
        raise QuantityError(f"the extent from {_shown(low)} to {_shown(high)} is not above 0")
    tolerance = EXACT.add(*map(_half_a_digit, ends))
    return shortest(EXACT.divide(extent, count), EXACT.divide(tolerance, count))


def shortest(number: Decimal, tolerance: Decimal) -> Decimal:
    """Return the decimal number with the fewest digits that is within a tolerance of another.

    A number of up to ten digits is left unchanged: it is not a result of rounding.
    """
    tolerance = min(tolerance, EXACT.multiply(number, _WIDEST))
    if len(number.normalize(EXACT).as_tuple().digits) > 10:
        for digits in range(1, 17):
            rounded = Context(prec=digits).plus(number)
            if EXACT.subtract(rounded, number).copy_abs() <= tolerance:
                return rounded
    return number


def _half_a_digit(number: Decimal) -> Decimal:
    """Return the largest error of the text: half of the last digit, or of the sixth.

    A text of fewer digits counts as one whose zeros were left out, as C++ streams do.
    """
    if not number:
        return Decimal(0)
    exponent = number.as_tuple().exponent
    last = min(int(exponent), number.adjusted() - 5)
    return max(EXACT.scaleb(5, last - 1), EXACT.multiply(number.copy_abs(), _FLOAT32))


def positive_number(text: str) -> float | None:
    """Return a number above 0 such as that of `4x`, `n/a` and the like being `None`."""
    match = _POSITIVE.match(text)
    number = float(match[1].replace(",", ".")) if match and len(text) <= _LONGEST else 0.0
    return number or None


def wavelengths_nm(texts: Iterable[str]) -> tuple[float, ...]:
    """Return the wavelengths of light of all channels, and nothing where one has none.

    Imaris writes `561 nm`, `561 nm nm` or `561`, and 0 for an unknown one.
    """
    found = [_WAVELENGTH.fullmatch(text.strip()) for text in texts]
    numbers = [float(match[1]) if match else 0.0 for match in found]
    low, high = _LIGHT_NM
    return tuple(numbers) if all(low <= number <= high for number in numbers) else ()


def iso_time(text: str) -> str | None:
    """Return a point in time as ISO 8601, `None` if a text is not one.

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
