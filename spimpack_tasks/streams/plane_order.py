"""The places of planes in an acquisition, by the numbers in the names of their files.

One number that counts is the place, or grows by a step such as a distance of the stage. Several
numbers that count are the steps of the dimensions, in the order of the acquisition.
"""

from __future__ import annotations

import re
from itertools import pairwise
from math import gcd, prod
from typing import TYPE_CHECKING

from spimpack_tasks.streams.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spimpack_tasks.streams.values import Dimension

_NUMBER = re.compile("([0-9]+)")
_LETTER = re.compile(r"(?:^|[^a-z])([tczp])$")


class PlaneOrder:
    """The places of planes.

    Parameters
    ----------
    names
        Names of all planes that are there.
    dimensions
        Those of the acquisition without y and x, the slowest first.

    Raises
    ------
    SourceError
        Names differ in more than numbers, or two have the same numbers.
    """

    def __init__(self, names: Iterable[str], dimensions: Sequence[Dimension] = ()) -> None:
        names = sorted(names)
        self._parts = {name: _NUMBER.split(name) for name in names}
        words = {tuple(text.lower() for text in parts[::2]) for parts in self._parts.values()}
        if len(words) > 1:
            one, other = names[:: len(names) - 1][:2]
            message = f"names of planes differ in more than numbers: {one}, {other}"
            raise SourceError(message)
        numbers = {name: tuple(map(int, parts[1::2])) for name, parts in self._parts.items()}
        _refuse_twice(numbers)
        self._dimensions = [each for each in dimensions if each.count != 1]
        counts = [each.count for each in dimensions]
        self._total = None if None in counts else prod(count or 1 for count in counts)
        self.is_known = False
        """Whether the place of a plane is known before all are there."""
        self.by_index: dict[int, str] = {}
        """Planes by their place."""
        self.fault = ""
        """Why no place is known, if no other plane comes."""
        self._first, self._step, self._at = 0, 1, -1
        columns = [*zip(*numbers.values(), strict=True)]
        letters = [_letter(text) for text in next(iter(words), ())]
        counters = [at for at, column in enumerate(columns) if len({*column}) > 1]
        axes = {each.axis for each in self._dimensions}
        grid = [at for at, _ in enumerate(columns) if at in counters or letters[at] in axes]
        if len(grid) > 1 and (len(counters) > 1 or len(self._dimensions) > 1):
            self._place(numbers, grid, letters)
        elif len(counters) == 1:
            self._at = counters[0]
            self._count({numbers[name][self._at]: name for name in names})
        else:
            self.by_index = dict(enumerate(names))

    def _place(
        self, numbers: Mapping[str, tuple[int, ...]], grid: list[int], letters: list[str]
    ) -> None:
        """Place planes by several numbers: the steps of the dimensions."""
        values = [sorted({each[at] for each in numbers.values()}) for at in grid]
        found = [len(each) for each in values]
        named = [letters[at] for at in grid]
        axes = [each.axis for each in self._dimensions]
        counts = [each.count for each in self._dimensions]
        is_same = len(found) == len(counts) and all(
            count in (None, size) and letter in ("", axis)
            for size, count, letter, axis in zip(found, counts, named, axes, strict=True)
        )
        if not is_same:
            there = _listed(named, found)
            wanted = _listed(axes, counts)
            self.fault = (
                f"the numbers in the names of {len(numbers):,} planes are a grid of {there}, but "
                f"the dimensions with more than one step are {wanted}, in this order; bring them "
                "into agreement"
            )
            return
        ranks = [{value: rank for rank, value in enumerate(each)} for each in values]
        for name, each in numbers.items():
            index = 0
            for at, rank, size in zip(grid, ranks, found, strict=True):
                index = index * size + rank[each[at]]
            self.by_index[index] = name

    def _count(self, names: dict[int, str]) -> None:
        """Place planes by one number that counts, in steps of 1, or of more like stage places."""
        there = sorted(names)
        steps = [later - earlier for earlier, later in pairwise(there)]
        self._first = there[0]
        self._step = gcd(*steps)
        is_even = {*steps} == {self._step}
        if self._step == 1:
            self.is_known = True
        elif self._total is None:
            # Two planes at a distance may have others between them; three at the same have not.
            self.is_known = len(steps) > 1 and {*steps[:2]} == {self._step}
        elif is_even and len(there) >= self._total:
            self.is_known = True
        else:
            self.fault = (
                f"the numbers in the names of planes grow by {self._step}, but {len(there):,} of "
                f"{self._total:,} announced planes are there, so it is not known whether others "
                "lie between them; a step of more than 1 is taken when all planes are there"
            )
            return
        self.by_index = {(n - self._first) // self._step: names[n] for n in there}

    def expected(self, number: int) -> str:
        """Return the name that a plane would have, or its number where several numbers count."""
        if self._at < 0:
            return str(number)
        parts = [*next(iter(self._parts.values()))]
        before = parts[2 * self._at + 1]
        parts[2 * self._at + 1] = str(self._first + number * self._step).zfill(len(before))
        return "".join(parts)


def _refuse_twice(numbers: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse two planes with the same numbers."""
    seen: dict[tuple[int, ...], str] = {}
    for name, each in numbers.items():
        if each in seen:
            message = f"{seen[each]} and {name} have the same number; keep one of them"
            raise SourceError(message)
        seen[each] = name


def _letter(text: str) -> str:
    """Return the letter of an axis that stands alone at the end of a text, else nothing."""
    found = _LETTER.search(text)
    return found[1] if found else ""


def _listed(axes: Sequence[str], counts: Sequence[int | None]) -> str:
    pairs = zip(axes, counts, strict=True)
    texts = (f"{axis} {'any' if count is None else count}".strip() for axis, count in pairs)
    return " x ".join(texts) or "none"
