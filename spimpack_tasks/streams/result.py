"""The result of a stream: what was written, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from spimpack_tasks.errors import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Ranges: TypeAlias = "tuple[tuple[int, int], ...]"
"""First and last number of frames that follow one another."""


@dataclass(frozen=True, slots=True)
class StreamResult:
    """A finished image, or a folder of images."""

    path: str
    frames: int
    """Number of frames that were written."""
    missing: Ranges = ()
    """Frames that were announced and are not there, by their numbers in the acquisition."""

    def lines(self) -> list[str]:
        """Return what a user reads of it."""
        missing = f", {count_of(self.count_missing, 'frame')} missing" if self.missing else ""
        ranges = (f"{a}" if a == b else f"{a}-{b}" for a, b in self.missing)
        first = f"{self.path}: {count_of(self.frames, 'frame')}{missing}"
        return [first, *(f"missing: {each}" for each in ranges)]

    @property
    def is_complete(self) -> bool:
        """Whether all announced frames are there."""
        return not self.missing

    @property
    def count_missing(self) -> int:
        """Number of missing frames."""
        return sum(last - first + 1 for first, last in self.missing)


def as_ranges(numbers: Iterable[int]) -> Ranges:
    """Return numbers that are sorted as ranges."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return tuple((first, last) for first, last in ranges)


def missing_ranges(lost: Iterable[int], first: int, end: int) -> Ranges:
    """Return frames that are not there as ranges: lost ones, sorted, and all from one to an end."""
    ranges = as_ranges(lost)
    if first >= end:
        return ranges
    if ranges and ranges[-1][1] == first - 1:
        return (*ranges[:-1], (ranges[-1][0], end - 1))
    return (*ranges, (first, end - 1))
