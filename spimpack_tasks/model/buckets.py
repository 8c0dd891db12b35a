"""Divides the assets of a dataset into shares: parts of a plan, and units of work.

A share depends on the key of an asset alone, so a new row moves no other asset to another share.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from sys import intern

BUCKETS = 64
"""Shares of the assets that have files of receipts, and parts of a plan, of their own."""
UNITS = BUCKETS // 4
"""Most tasks of a light step, of four buckets each. Luigi's scheduler takes time that grows with
their square, and each of them waits for the disk once."""
SLOW_UNITS = 16 * BUCKETS
"""Most tasks of a step whose work is slow, so that many workers can share it."""

_KEPT_BUCKETS = 2**15
"""Assets of which the bucket is remembered, which is asked for some ten times in a run."""

PART = "ConvertPart"
"""Name of the task that makes one part of an image; the image is not there when it ends."""
_BEHIND = " part "

MOST_UNITS, MOST_SLOW_UNITS = UNITS, SLOW_UNITS
"""Most assets that each have a task of their own."""


@lru_cache(_KEPT_BUCKETS)
def bucket_of(key: str, digits: int = 2) -> str:
    """Return the hex digits of the bucket of an asset, which do not depend on its row number.

    Two digits name one of `BUCKETS`; a third divides each of them by 16, to `SLOW_UNITS`.
    """
    first, second = blake2b(key.encode(), digest_size=2).digest()
    # One text for all assets of a bucket: they are kept.
    return intern(f"{first % BUCKETS:02x}{second:02x}"[:digits])


def unit_of(key: str, count: int, *, is_slow: bool) -> str:
    """Return the unit of work that an asset belongs to: itself, or a share of too many.

    A light share has one hex digit, in which the names of its buckets end. A slow one has three,
    with which the digits of its bucket begin.

    Parameters
    ----------
    key
        The key of the asset.
    count
        The number of all assets.
    is_slow
        Whether the work is slow, so that many workers are to share it.
    """
    if is_slow:
        return key if count <= MOST_SLOW_UNITS else bucket_of(key, 3)
    return key if count <= MOST_UNITS else light_unit_of(bucket_of(key))


def light_unit_of(name: str) -> str:
    """Return the light share that a bucket or a slow share belongs to."""
    return name[1]


def buckets_of_unit(unit: str) -> list[str]:
    """Return the buckets that the assets of a unit belong to."""
    if len(unit) == 1:
        return [f"{high:x}{unit}" for high in range(BUCKETS // UNITS)]
    return [unit[:2] if len(unit) <= 3 else bucket_of(unit)]


def unit_of_part(key: str, number: int) -> str:
    """Return the unit by which the log names a part of an image."""
    return f"{key}{_BEHIND}{number}"


def key_of_part(unit: str) -> str:
    """Return the key of the image of a part that the log names."""
    return unit.partition(_BEHIND)[0]
