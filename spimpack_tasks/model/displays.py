"""Display settings of channels in a file: colours, and the window of values.

A wrong setting counts as absent, and is reported in one line. Facts: NGFF 0.4 and 0.5
(omero), the OME schema 2016-06 (`Color`: red, green, blue and opacity in a signed number), the
Imaris file format (`Color`, `ColorRange`), NIfTI-1 (`cal_min`, `cal_max`), ImageJ's `TiffEncoder`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Range = tuple[float, float]

_HEXADECIMAL = re.compile("#?([0-9A-Fa-f]{6})")
_NUMBER_OF_OME = re.compile("-?[0-9]{1,10}")
_ROUNDED = 1e-3
"""By so much a part of a colour may be more than 1, or less than 0."""
_LARGEST = 1e300
"""Larger numbers are not finite in single precision, and mean nothing as a grey value."""
_LONGEST = 50
"""Characters of a value quoted in a warning."""
_MOST_DOUBTS = 4
"""Impossible values quoted in a warning; the others are counted."""


@dataclass(frozen=True, slots=True)
class Display:
    """Display settings of one channel."""

    colour: str = ""
    """Six hexadecimal digits in upper case; empty where the file has none."""
    window: Range | None = None
    """The values shown as black and as full colour."""
    limits: Range | None = None
    """The values between which a viewer lets the window be moved."""
    is_active: bool = True
    """Whether the channel is visible initially."""


_UNKNOWN = Display()


class Displays:
    """Collector of display settings, and of wrong ones."""

    def __init__(self) -> None:
        self.found: list[Display] = []
        self._doubts: list[str] = []

    @property
    def known(self) -> tuple[Display, ...]:
        """One for each channel, or nothing where the file says nothing."""
        return tuple(self.found) if any(each != _UNKNOWN for each in self.found) else ()

    @property
    def doubts(self) -> tuple[str, ...]:
        """One text for each of the first few values that cannot be, and one for all others."""
        more = len(self._doubts) - _MOST_DOUBTS
        others = (f"{more} more of that kind",) if more > 0 else ()
        return (*self._doubts[:_MOST_DOUBTS], *others)

    def doubt(self, name: str, value: object, why: str) -> None:
        """Record a fault of a value."""
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
        self._doubts.append(f"{name}: {shown} {why}")

    def range_of(self, name: str, ends: Sequence[object]) -> Range | None:
        """Return two numbers of which the second is larger; nothing where there are none."""
        if all(end is None for end in ends):
            return None
        numbers = [_number(end) for end in ends]
        low, high = numbers if len(numbers) == 2 else (None, None)
        if low is None or high is None or not low < high:
            self.doubt(name, list(ends), "is not a smaller number and a larger one")
            return None
        return low, high

    def numbers_of(self, name: str, text: str, count: int) -> list[float] | None:
        """Return the numbers of a text; nothing where it is empty, or has no such numbers."""
        if not text:
            return None
        try:
            numbers = [float(part) for part in text.split()]
        except ValueError:
            numbers = []
        if len(numbers) == count and all(map(math.isfinite, numbers)):
            return numbers
        self.doubt(name, text, f"is not {count} numbers")
        return None


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and -_LARGEST < value < _LARGEST else None  # type: ignore[operator,arg-type] # by is_number


def read_omero(omero: object, count: int) -> Displays:
    """Return the display settings of an OME-Zarr for a given number of channels."""
    displays = Displays()
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list):
        return displays
    if len(channels) != count:
        displays.doubt("omero", len(channels), f"channels, and the image has {count}")
        return displays
    for number, channel in enumerate(channels):
        display = _read_omero_channel(displays, f"omero, channel {number}", channel)
        displays.found.append(display)
    return displays


def _read_omero_channel(displays: Displays, name: str, channel: object) -> Display:
    display: dict[str, Any] = channel if isinstance(channel, dict) else {}
    colour = display.get("color")
    match = _HEXADECIMAL.fullmatch(colour) if isinstance(colour, str) else None
    if colour is not None and not match:
        displays.doubt(f"{name}, color", colour, "is not six hexadecimal digits")
    window = display.get("window")
    if window is not None and not isinstance(window, dict):
        displays.doubt(f"{name}, window", window, "is no JSON object")
    ends: dict[str, Any] = window if isinstance(window, dict) else {}
    return Display(
        colour=match[1].upper() if match else "",
        window=displays.range_of(f"{name}, window", [ends.get("start"), ends.get("end")]),
        limits=displays.range_of(f"{name}, limits", [ends.get("min"), ends.get("max")]),
        is_active=display.get("active") is not False,
    )


def read_ome_colours(texts: Iterable[str | None]) -> Displays:
    """Return the colours of the attributes `Color` of OME-XML, `None` of a channel without one."""
    displays = Displays()
    for number, text in enumerate(texts):
        colour = ""
        if text is not None:
            value = int(text) if _NUMBER_OF_OME.fullmatch(text.strip()) else 2**31
            if -(2**31) <= value < 2**31:
                colour = value.to_bytes(4, "big", signed=True)[:3].hex().upper()
            else:
                name = f"Color of channel {number}"
                displays.doubt(name, text, "is not a whole number of 32 bits with a sign")
        displays.found.append(Display(colour))
    return displays


def read_imaris_channel(displays: Displays, number: int, colour: str, shown: str) -> None:
    """Take the texts of `Color` and `ColorRange` of a channel of Imaris."""
    parts = displays.numbers_of(f"Color of channel {number}", colour, 3)
    if parts and not all(-_ROUNDED <= part <= 1 + _ROUNDED for part in parts):
        displays.doubt(f"Color of channel {number}", colour, "is not between 0 and 1")
        parts = None
    name = f"ColorRange of channel {number}"
    ends = displays.numbers_of(name, shown, 2)
    letters = "".join(f"{round(min(max(part, 0), 1) * 255):02X}" for part in parts or ())
    displays.found.append(Display(letters, displays.range_of(name, ends) if ends else None))


def read_window(name: str, ends: Sequence[object], count: int) -> Displays:
    """Return displays of channels that share one window, and have no colours.

    Parameters
    ----------
    name
        Name of the window in the file.
    ends
        Its two ends, `None` if the file has none.
    count
        Number of channels.
    """
    displays = Displays()
    displays.found = [Display(window=displays.range_of(name, ends))] * count
    return displays
