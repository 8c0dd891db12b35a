"""Names of planes by a pattern, such as `img_{z:05}.tif` or `C{c}_Z{z:04}.jp2`."""

from __future__ import annotations

import re
from itertools import product
from string import Formatter
from typing import TYPE_CHECKING

from spimpack_tasks.errors import HintedError
from spimpack_tasks.files.plane_names import UnclearPlanesError, sort_planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.arrays.grid import Shape

    Place = tuple[int, int, int]
    """Time point, channel and z."""

_AXES = "tcz"
_WIDTH = re.compile("(0[0-9]{1,2})?d?")
_OLD = re.compile("%(0[0-9]{1,2})?d")
"""A number as in C, which stands for the plane."""
_EXAMPLE = "write such as planes/img_{z:05}.tif"


class PatternRefusedError(HintedError):
    """A pattern makes no names of planes."""


def parse_pattern(pattern: str) -> str:
    """Return a pattern for `str.format` with fields of t, c and z.

    Raises
    ------
    PatternRefusedError
        It has other fields, or other forms of numbers.
    """
    pattern = _OLD.sub(lambda found: f"{{z:{found[1]}}}" if found[1] else "{z}", pattern)
    try:
        parts = [*Formatter().parse(pattern)]
    except ValueError as error:
        message = f"{pattern!r} is no pattern of names: {error}"
        raise PatternRefusedError(message, _EXAMPLE) from error
    for _, field, form, conversion in parts:
        if field is None:
            continue
        if field not in _AXES or len(field) != 1 or conversion or not _WIDTH.fullmatch(form or ""):
            shown = f"{{{field}{f':{form}' if form else ''}}}"
            message = f"{shown} in {pattern!r} is no number of t, c or z"
            raise PatternRefusedError(message, _EXAMPLE)
    return pattern


def name_planes(pattern: str, shape_tcz: Shape, planes: range) -> dict[Place, str]:
    """Return the names of all planes by time point, channel and z of the source.

    Parameters
    ----------
    pattern
        As `parse_pattern` returns it, without a folder.
    shape_tcz
        Numbers of time points, channels and planes of the source.
    planes
        Which of the planes are named.

    Raises
    ------
    PatternRefusedError
        Two planes would have one name, or the names would not say which plane is which.
    """
    fields = {field for _, field, _, _ in Formatter().parse(pattern) if field}
    sizes = dict(zip(_AXES, (*shape_tcz[:2], len(planes)), strict=True))
    missing = [axis for axis, count in sizes.items() if count > 1 and axis not in fields]
    if missing:
        shown = " and ".join(f"{{{axis}}}" for axis in missing)
        counts = ", ".join(f"{sizes[axis]:,} along {axis}" for axis in missing)
        message = f"{pattern!r} lacks {shown}, but the image has {counts}"
        raise PatternRefusedError(message, _EXAMPLE)
    names = dict(_all_names(pattern, sizes, planes))
    _check_order(pattern, names, sizes)
    return names


def _all_names(pattern: str, sizes: dict[str, int], planes: range) -> Iterator[tuple[Place, str]]:
    for t, c, z in product(range(sizes["t"]), range(sizes["c"]), planes):
        yield (t, c, z), pattern.format(t=t, c=c, z=z)


def _check_order(pattern: str, names: dict[Place, str], sizes: dict[str, int]) -> None:
    """Refuse names by which the planes would be read in another order."""
    try:
        order, counts = sort_planes([*names.values()])
    except UnclearPlanesError as error:
        message = f"names by {pattern!r} would not be read again: it {error.what}"
        raise PatternRefusedError(message, error.hint) from error
    if order != [*names.values()] or counts != tuple(sizes.values()):
        message = f"by the names of {pattern!r}, planes would be read in another order"
        raise PatternRefusedError(message, "write such as T{t}_C{c}_Z{z:04}.tif")
