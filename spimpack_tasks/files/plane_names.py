"""Orders the files of a folder into planes by their names, and stamps such a folder.

Names may differ in their numbers only. If one number varies, it counts planes. If several do, the
letters before each must name its axis: `Z`, `C` or `ch`, `T`. A missing number is an error, unless
the numbers are times, as in `scan_20240101120000.tif`: then they only give an order. Numbers are
times if even the smallest has 8 digits or more. Numbers of planes in even steps, as in 0, 20, 40,
are places of the stage. No file is opened here.
"""

from __future__ import annotations

import math
import os
import re
from hashlib import blake2b
from itertools import islice, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDINGS = (".tif", ".tiff", ".png", ".jp2")

PATTERN_EXAMPLE = "planes/img_{z:05}.tif"
"""A target of planes that are written: a folder, and a pattern of names."""
_WRITTEN = (".tif", ".tiff", ".jp2")
FIRST_STAMP = 10**7
"""Planes and time points are counted below that; 8 digits are those of a date."""
_MOST_NAMED = 5
"""Missing planes named in a message; the others are counted."""
_NUMBER = re.compile("([0-9]+)")
_COUNTED = {
    "t": re.compile(r"(?:.*[^a-z])?(?:t|time|timepoint)[ _-]*", re.DOTALL),
    "c": re.compile(r"(?:.*[^a-z])?(?:c|ch|chan|channel)[ _-]*", re.DOTALL),
    "z": re.compile(r"(?:.*[^a-z])?(?:z|slice|plane)[ _-]*", re.DOTALL),
}
"""Letters before a number that counts time points, channels or planes."""


class UnclearPlanesError(Exception):
    """The names do not make one image; the arguments are the fault of the folder, and a hint."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


def list_planes(path: str) -> list[str]:
    """Return the names of the planes in a folder; other files and folders in it do not matter.

    Raises
    ------
    OSError, ValueError
        The folder cannot be read, or can have no such name.
    """
    with os.scandir(path) as entries:
        return [entry.name for entry in entries if is_plane(entry.name) and entry.is_file()]


def is_plane(name: str) -> bool:
    """Tell whether a file has the name of a plane."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def is_plane_pattern(path: str) -> bool:
    """Tell whether a path is a pattern of the names of planes, to be written."""
    name = path.rpartition("/")[2]
    return ("{" in name or "%" in name) and name.lower().endswith(_WRITTEN)


def stamp_planes(path: str) -> tuple[int, int] | None:
    """Return a stamp of a folder of planes, `None` if it holds none.

    The stamp is the number of bytes of all planes, and in place of a time a number that depends on
    name, size and modification time of each: an exchanged plane may be as old as another one.
    """
    total, digest = 0, blake2b(digest_size=7)
    try:
        names = sorted(list_planes(path))
        for name in names:
            status = os.stat(f"{path}/{name}")
            total += status.st_size
            line = f"{name}\0{status.st_size} {status.st_mtime_ns}\0"
            digest.update(line.encode("utf-8", "surrogateescape"))
    except (OSError, ValueError):
        return None
    return (total, int.from_bytes(digest.digest(), "big")) if names else None


def differ_in_numbers(names: list[str]) -> bool:
    """Tell whether names differ only in their numbers and letter case."""
    return len({_NUMBER.sub("0", name.lower()) for name in names}) == 1


def sort_planes(names: list[str]) -> tuple[list[str], tuple[int, int, int]]:
    """Return the names by time point, channel and plane, and the number of each.

    Raises
    ------
    UnclearPlanesError
        The names do not say which file is which plane, or a number is missing.
    """
    names = sorted(names)
    parts = {name: _NUMBER.split(name) for name in names}
    texts = [part.lower() for part in parts[names[0]][::2]]
    for name in names:
        if [part.lower() for part in parts[name][::2]] != texts:
            what = f"holds planes whose names differ in more than numbers: {names[0]!r}, {name!r}"
            hint = "put the planes of one image into a folder of their own"
            raise UnclearPlanesError(what, hint)
    numbers = {name: [int(n) for n in parts[name][1::2]] for name in names}
    varying = [
        i for i in range(len(texts) - 1) if len({found[i] for found in numbers.values()}) > 1
    ]
    places = _name_counters(names, texts, varying)
    by_place: dict[tuple[int, ...], str] = {}
    for name in names:
        place = tuple(numbers[name][places[axis]] if axis in places else 0 for axis in "tcz")
        if place in by_place:
            raise UnclearPlanesError(f"has the same numbers in {by_place[place]!r} and {name!r}")
        by_place[place] = name
    return _in_order(by_place, parts[names[0]], places)


def _name_counters(names: list[str], texts: list[str], varying: list[int]) -> dict[str, int]:
    """Return which number of a name counts t, c or z."""
    if not varying:
        if len(names) > 1:
            raise UnclearPlanesError(f"holds planes that no number tells apart: {names[:2]}")
        return {}
    if len(varying) == 1:
        return {"z": varying[0]}
    places: dict[str, int] = {}
    unnamed = []
    for i in varying:
        axis = next((a for a, before in _COUNTED.items() if before.fullmatch(texts[i])), "")
        if axis and axis not in places:
            places[axis] = i
        else:
            unnamed.append(i)
    if len(unnamed) == 1 and "z" not in places:
        places["z"] = unnamed.pop()
    if unnamed or "z" not in places:
        what = f"has several numbers that count, and does not say what: {names[0]!r}, {names[-1]!r}"
        raise UnclearPlanesError(what, "name the planes such as 'C0_Z0001.tif'")
    return places


def _in_order(
    by_place: dict[tuple[int, ...], str], parts: list[str], places: dict[str, int]
) -> tuple[list[str], tuple[int, int, int]]:
    """Return names in order; every combination of numbers must be there."""
    seen = [sorted({place[axis] for place in by_place}) for axis in range(3)]
    # A channel between two others may never have been there; a plane or a time point was.
    wanted = _counted(seen[0]), seen[1], _counted(seen[2], _step_of(seen[2]))
    total = math.prod(map(_length, wanted)) - len(by_place)
    if total:
        lacking = [
            _name_like(parts, dict(zip("tcz", place, strict=True)), places)
            for place in islice((p for p in _combine(*wanted) if p not in by_place), _MOST_NAMED)
        ]
        more = ", …" if total > len(lacking) else ""
        what = f"lacks {total:,} plane{'s' if total > 1 else ''}: {', '.join(lacking)}{more}"
        hint = "check that the folder is complete"
        if total > len(by_place):
            hint += "; if the numbers are no count, number the planes without gaps"
        raise UnclearPlanesError(what, hint)
    names = [by_place[place] for place in _combine(*wanted)]
    times, channels, planes = map(_length, wanted)
    return names, (times, channels, planes)


def _counted(numbers: list[int], step: int = 1) -> range | list[int]:
    """Return all numbers from the first to the last, or these alone if they do not count."""
    if numbers[0] >= FIRST_STAMP:
        return numbers
    return range(numbers[0], numbers[-1] + 1, step)


def _step_of(numbers: list[int]) -> int:
    """Return the distance of planes that are numbered by their place, and 1 for a count.

    SmartSPIM writes tenths of a micrometre: 0, 20, 40. One plane that is missing leaves a gap of
    twice the distance, so most neighbours must have it.
    """
    gaps = [later - earlier for earlier, later in pairwise(numbers)]
    step = math.gcd(*gaps)
    return step if step > 1 and len(gaps) > 1 and 2 * gaps.count(step) > len(gaps) else 1


def _length(numbers: range | list[int]) -> int:
    """Return the length of a range; `len` fails for large ones."""
    if isinstance(numbers, range):
        return -(-(numbers.stop - numbers.start) // numbers.step)
    return len(numbers)


def _combine(*axes: range | list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield every combination, the last axis the fastest; `product` would keep all numbers."""
    times, channels, planes = axes
    yield from ((time, channel, z) for time in times for channel in channels for z in planes)


def _name_like(parts: list[str], numbers: dict[str, int], places: dict[str, int]) -> str:
    """Return the name that a plane would have."""
    parts = list(parts)
    for axis, i in places.items():
        old = parts[2 * i + 1]
        width = len(old) if old.startswith("0") else 1
        parts[2 * i + 1] = str(numbers[axis]).zfill(width)
    return "".join(parts)
