"""How many bytes may be read and unpacked for a chunk whose size is known, and the error beyond."""

from __future__ import annotations

from spimpack_tasks.files.limits import REMEDY, as_size

_SLACK = 2**16
"""Bytes by which what codecs make of a chunk may be larger than its voxels, besides an eighth."""


def most_unpacked(size: int) -> int:
    """Return how many bytes a codec may unpack for voxels of so many bytes."""
    return size + size // 8 + _SLACK


def most_packed(size: int) -> int:
    """Return how many bytes the packed voxels of so many bytes may take; codecs add little."""
    return 2 * size + _SLACK


def too_long(key: str, most: int) -> OSError:
    """Return the error for a file of a store, or a chunk in it, that is longer than it may be."""
    return OSError(None, f"{key!r} in it has more than {as_size(most)}; {REMEDY}")
