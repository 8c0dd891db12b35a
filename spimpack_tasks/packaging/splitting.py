"""Decides which images are so large that workers share them, and into how many parts.

The number of parts changes no byte of an image: it is the same file of the dataset for any.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from spimpack_tasks.model.buckets import MOST_SLOW_UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping

SPLIT_ABOVE = "split_above"
"""Name of the setting: the bytes of voxels above which an image is shared."""
NEVER = "never"
"""Its value where no image is shared."""
_LEAST_PARTS = 16
"""Parts of the smallest image that is shared: several for each of a few workers, so that the last
one does not hold the others up for long."""
_PART_BYTES = 4 * 10**9
"""Bytes of the voxels of a part of a larger one. A part takes a worker about a minute, beside which
the second that a scheduler takes to give out work does not count."""
_MOST_PARTS = 256
"""Parts of the largest image. Luigi's scheduler takes time that grows with the square of the
number of tasks."""
_POWERS = {"": 0, "B": 0, "KB": 3, "MB": 6, "GB": 9, "TB": 12, "PB": 15}
_POWERS_OF_1024 = {"KIB": 1, "MIB": 2, "GIB": 3, "TIB": 4, "PIB": 5}
_SIZE = re.compile(r"\s*(\d{1,30}(?:\.\d{1,30})?(?:[eE][+]?\d{1,2})?)\s*([A-Za-z]{0,3})\s*")


def read_size(text: str) -> int | None:
    """Return the number of bytes that a text such as `500GB` or `2e9` says.

    A unit is one of 1,000 (`kB`, `MB`, `GB`, `TB`, `PB`) or of 1,024 (`GiB`), in any case. `None`
    stands for a text that says no number from 1 on.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    number, unit = Decimal(found[1]), found[2].upper()
    if unit in _POWERS:
        size = number * 10 ** _POWERS[unit]
    elif unit in _POWERS_OF_1024:
        size = number * 1024 ** _POWERS_OF_1024[unit]
    else:
        return None
    return int(size) or None


def fault_of_size(value: str) -> str:
    """Return what is wrong with a value of the setting, nothing if it is a size."""
    if read_size(value) is not None:
        return ""
    said = f"{value!r} is not a size such as 500GB, nor a number of bytes from 1 on"
    return f"{said}, as the value of {SPLIT_ABOVE}"


def count_parts(size: int) -> int:
    """Return into how many parts an image of some bytes of voxels is divided."""
    return min(max(-(-size // _PART_BYTES), _LEAST_PARTS), _MOST_PARTS)


def spread_parts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the parts of each image that is shared, so that a run has no more tasks than it may.

    Many images keep all workers busy as they are: then each has fewer parts, or none.

    Parameters
    ----------
    counts
        Parts of each image by its key, as many as there would be if it were the only one.
    """
    total = sum(counts.values())
    if total > MOST_SLOW_UNITS:
        counts = {key: count * MOST_SLOW_UNITS // total for key, count in counts.items()}
    return {key: count for key, count in counts.items() if count > 1}
