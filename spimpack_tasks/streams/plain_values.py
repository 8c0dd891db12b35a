"""Makes values of a program what YAML would have: plain numbers, texts, lists and mappings.

Values of any other type stay as they are, so that a rule can name them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def as_plain(value: Any) -> Any:
    """Return a number, truth value or text of numpy as one of Python, and a path as text."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str) and type(value) is not str:
        return str(value)
    if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def as_whole(value: Any) -> Any:
    """Return a float that is a whole number as an integer, as JSON Schema counts it."""
    plain = as_plain(value)
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def as_items(value: Any) -> Any:
    """Return a list, or what yields values, as a tuple; a text or a mapping is none."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return value
    return tuple(map(as_plain, value))


def make_plain(value: Any) -> None:
    """Make the fields of a frozen dataclass plain."""
    for each in fields(value):
        object.__setattr__(value, each.name, as_plain(getattr(value, each.name)))


def as_data(value: Any) -> Any:
    """Return a value as JSON has it, with mappings for dataclasses and lists for tuples."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: as_data(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_data(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(each) for each in value]
    return as_plain(value)
