"""Anatomical orientation codes such as `RPI`.

A code has one letter for each image axis, in the order x, y, z; the letter tells towards which
side of the body the index increases (`R` = towards the right). One letter each of left/right,
anterior/posterior and superior/inferior makes 3! x 2^3 = 48 codes.
"""

from __future__ import annotations

from itertools import permutations, product

ORIENTATION_CODES = frozenset(
    "".join(letters) for axes in permutations(("LR", "AP", "SI")) for letters in product(*axes)
)


def normalise_orientation(text: str) -> str | None:
    """Return the code in upper case, or `None` where it is not one of the 48."""
    code = text.strip().upper()
    return code if code in ORIENTATION_CODES else None
