"""Anatomical orientation codes such as `RPI`.

A code has one letter for each image axis, in the order x, y, z; the letter tells towards which
side of the body the index increases (`R` = towards the right). One letter each of left/right,
anterior/posterior and superior/inferior makes 3! x 2^3 = 48 codes.
"""

from __future__ import annotations

from itertools import permutations, product
from typing import NamedTuple

ORIENTATION_CODES = frozenset(
    "".join(letters) for axes in permutations(("LR", "AP", "SI")) for letters in product(*axes)
)


def normalise_orientation(text: str) -> str | None:
    """Return the code in upper case, or `None` where it is not one of the 48."""
    code = text.strip().upper()
    return code if code in ORIENTATION_CODES else None


SIDES = {
    "R": "right",
    "L": "left",
    "A": "anterior",
    "P": "posterior",
    "S": "superior",
    "I": "inferior",
}
"""Meaning of the letters."""
OPPOSITES = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
CANONICAL = "RAS"
"""The orientation in which images are compared: x to the right, y to the front, z upwards."""


class Placement(NamedTuple):
    """Which axis of an image runs along one axis of the body, and whether against it."""

    axis: int
    """0 for x, 1 for y, 2 for z."""
    is_reversed: bool
    """Whether the index increases towards the left, posterior or inferior side."""


def place_axes(code: str) -> tuple[Placement, Placement, Placement]:
    """Return the axes of an image that run along right, anterior and superior, in this order.

    Parameters
    ----------
    code
        One of `ORIENTATION_CODES`.
    """
    right, anterior, superior = (
        next(
            Placement(axis, letter != side)
            for axis, letter in enumerate(code)
            if letter in {side, OPPOSITES[side]}
        )
        for side in CANONICAL
    )
    return right, anterior, superior


def describe_orientation(code: str) -> str:
    """Return in words towards which sides the axes of an image run."""
    x, y, z = (SIDES[letter] for letter in code)
    return f"x runs to the {x}, y to the {y}, z to the {z} side"
