"""Finds the sidecar key that a misspelt column or key was meant to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.errors import Problem, Severity, suggestion
from spimpack_tasks.schemas import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Place


def near_key(key: str) -> str:
    """Return `did you mean …?` where a further column looks like a misspelt sidecar key."""
    known = load_schema("sidecar")["properties"]
    return "" if key in known else suggestion(key, known)


def near_key_problems(
    key: str, place: Place, fate: str = "it is kept as it is"
) -> Iterator[Problem]:
    """Yield a warning if a sidecar key looks like a misspelt one; `fate` is what becomes of it."""
    if near_key(key):
        message = f"is not a sidecar key that BIDS lists; {fate}"
        yield Problem("column.unlisted", place, key, message, near_key(key), Severity.WARNING)
