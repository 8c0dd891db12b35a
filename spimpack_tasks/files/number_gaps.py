"""Numbers that are missing among those in the names of files that belong together."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.files.plane_names import FIRST_STAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile("([0-9]+)")
_DATE = re.compile(r"(19|20)[0-9]{2}([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12][0-9]|3[01])")
"""A date anywhere in a name: days and times are not counted."""


class Gap(NamedTuple):
    """Numbers that are missing between the first and the last."""

    first: int
    number: int

    def __str__(self) -> str:
        """Return the first, and how many more there are."""
        return f"{self.first} and {self.number - 1:,} more" if self.number > 1 else str(self.first)


def find_gap(
    numbers: Sequence[int], lengths: Sequence[int] = (), *, is_time: bool = False
) -> Gap | None:
    """Return which numbers are missing, `None` where none is, or where the numbers do not count.

    Numbers count if neighbours have a distance of which all others are multiples: 1, 2, 4 and 0,
    20, 60, but not 0, 333, 667, which are places. Of times most neighbours must have it: the days
    7, 14, 28 are not counted.

    Parameters
    ----------
    numbers
        One of each file.
    lengths
        Planes in each file: numbers that say where files begin grow by them, and have no gaps.
    is_time
        Whether the numbers are of files along time.
    """
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    there = [numbers[n] for n in order]
    steps = [after - before for before, after in pairwise(there)]
    if len(steps) < 2 or min(steps) < 1 or there[0] >= FIRST_STAMP:
        return None
    step = math.gcd(*steps)
    if step not in steps or set(steps) == {step}:
        return None
    if is_time and step > 1 and 2 * steps.count(step) <= len(steps):
        return None
    sizes = [lengths[n] for n in order][:-1] if lengths else []
    if len({each / size for each, size in zip(steps, sizes, strict=False)}) == 1:
        return None
    first = next(n for n, each in zip(there, steps, strict=False) if each > step) + step
    return Gap(first, (there[-1] - there[0]) // step + 1 - len(there))


def numbers_of(names: Sequence[str]) -> list[int]:
    """Return the number by which names differ, nothing where they differ in more than one.

    A number may come several times, as in `TAG_01/image_01.tif`.
    """
    if any(map(_DATE.search, names)):
        return []
    parts = [_NUMBER.split(name) for name in names]
    if len({tuple(text.lower() for text in each[::2]) for each in parts}) != 1:
        return []
    columns = {tuple(map(int, column)) for column in zip(*(p[1::2] for p in parts), strict=True)}
    varying = [column for column in columns if len(set(column)) > 1]
    return [*varying[0]] if len(varying) == 1 else []
