"""The natural order of paths: `mouse2` comes before `mouse10`."""

from __future__ import annotations

import re

_DIGITS = re.compile("([0-9]+)")


def natural(path: str) -> tuple[tuple[tuple[str | int, ...], ...], str]:
    """Return a key by which `mouse2` comes before `mouse10`, folder by folder."""
    return tuple(_natural_name(name) for name in path.split("/")), path


def _natural_name(name: str) -> tuple[str | int, ...]:
    parts: list[str | int] = list(_DIGITS.split(name))
    parts[1::2] = map(int, parts[1::2])
    return tuple(parts)
