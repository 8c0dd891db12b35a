"""The type of voxels that holds all values of several types, without loss."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNIFICANT_BITS = {16: 11, 32: 24, 64: 53}
"""Bits of the integers that a float of so many bits holds exactly (IEEE 754)."""
_LARGEST_INT = 64


def promote(dtypes: Sequence[str]) -> str | None:
    """Return the smallest type that holds all values of some types, `None` where there is none.

    Types are named as by numpy, whose own rule loses values: of int64 and uint64 it makes float64.
    """
    if len(set(dtypes)) == 1:
        return dtypes[0]
    found = [re.fullmatch("(u?int|float)([0-9]+)", name) for name in dtypes if name != "bool"]
    known = [(match[1], int(match[2])) for match in found if match]
    if len(known) < len(found):
        return None
    unsigned, signed, floats = (
        max((bits for kind, bits in known if kind == wanted), default=0)
        for wanted in ("uint", "int", "float")
    )
    if floats:
        needed = max(unsigned, signed - 1)
        fits = (n for n, bits in _SIGNIFICANT_BITS.items() if n >= floats and bits >= needed)
        return next((f"float{n}" for n in fits), None)
    if not signed:
        return f"uint{unsigned}"
    bits = max(signed, 2 * unsigned)
    return f"int{bits}" if bits <= _LARGEST_INT else None
