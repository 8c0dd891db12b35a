"""Names of channels, as users and as images give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def are_in_another_order(given: Sequence[str], told: Sequence[str]) -> bool:
    """Tell whether a list has a name at another place than the image has it, in any letter case."""
    ours, theirs = ([name.strip().casefold() for name in names] for names in (given, told))
    pairs = zip(ours, theirs, strict=False)
    return any(name and name != there and name in theirs for name, there in pairs)
