"""The natural order of paths: `mouse2` comes before `mouse10`, and `mouse` before both.

Files that belong together are sorted by what their numbers mean: `z-5`, `z0`, `z5`, and `t0.5h`,
`t1h`. Where that cannot be known, the order is unclear, and nobody guesses it.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITS = re.compile("([0-9]+)")
_DECIMALS = re.compile(r"([0-9]+(?:\.[0-9]+)?)")
_SIGNED = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


def natural(path: str) -> tuple[tuple[str, ...], str]:
    """Return a key by which `mouse2` comes before `mouse10`, folder by folder."""
    return tuple(map(_natural_name, path.split("/"))), path


def _natural_name(name: str) -> str:
    """Return a text that sorts as a name: points first, then numbers by their size, then signs."""
    return _DIGITS.sub(_by_size, name.replace(".", "\1"))


def _by_size(found: re.Match[str]) -> str:
    digits = found[1].lstrip("0") or "0"
    return f"\2{len(digits):06}{digits}"


def sort_numbered(names: Sequence[str]) -> tuple[list[str], str]:
    """Return names of files that belong together by their numbers, and why that is unclear.

    A point is that of a decimal, and a hyphen a sign, where names differ in having one: `z0`,
    `z0.5`, and `z-5`, `z5`. A hyphen that all names have separates words.

    Returns
    -------
    The names in their order, and a reason why it is unclear; nothing if it is not.
    """
    plain = sorted(names, key=natural)
    if _sort_by(_DIGITS, names) is not None:
        decimal = _sort_by(_DECIMALS, names)
        if decimal is None or decimal == plain:
            return plain, ""
        one, other = next((a, b) for a, b in zip(plain, decimal, strict=True) if a != b)
        return plain, f"the numbers in {one!r} and {other!r} may be decimals, or two numbers each"
    signed = _sort_by(_SIGNED, names)
    if signed is None or signed == plain:
        return plain, ""
    if not _are_signs(signed):
        return plain, f"the hyphen in {signed[0]!r} may be a sign, or separate words"
    return signed, ""


def _sort_by(pattern: re.Pattern[str], names: Sequence[str]) -> list[str] | None:
    """Return names by the numbers in them, `None` where they differ in more than numbers."""
    parts = {name: pattern.split(name) for name in names}
    if len({tuple(each[::2]) for each in parts.values()}) > 1:
        return None
    return sorted(names, key=lambda name: ([*map(float, parts[name][1::2])], natural(name)))


def _are_signs(names: Sequence[str]) -> bool:
    """Tell whether hyphens are signs: there are none, or zero is there, or all steps are equal."""
    columns = zip(*(map(float, _NUMBER.findall(name)) for name in names), strict=True)
    for column in columns:
        values = sorted(set(column))
        if len(values) < 2 or values[0] >= 0:
            continue
        steps = {round(after - before, 9) for before, after in pairwise(values)}
        if 0 not in values and len(steps) > 1:
            return False
    return True


def find_fall(names: Sequence[str]) -> tuple[str, str] | None:
    """Return the first two neighbours of which the second has a smaller number, if there are any.

    Neighbours that differ in words have no order, nor have names whose order is unclear.
    """
    sorted_names, doubt = sort_numbered(names)
    if doubt:
        return None
    order = {name: number for number, name in enumerate(sorted_names)}
    for before, after in pairwise(names):
        if words_of(before) == words_of(after) and order[before] > order[after]:
            return before, after
    return None


def words_of(name: str) -> str:
    """Return a name without its numbers."""
    return _NUMBER.sub("0", name)
