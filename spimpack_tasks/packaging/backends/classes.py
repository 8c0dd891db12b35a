"""Finds the backend that a task class of a package names, or is.

A class names its record: `definition = Backend(...)`. Up to version 0.1 a backend was a class with
class methods of the names in `OLD_NAMES`; such a class still works, and will not in the release
after the next one. Delete that part of this module then, and `packaging.tasks.class_methods`.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

from spimpack_tasks.packaging.backends.base import Backend, missing

OLD_NAMES = {
    "name": "name",
    "version": "version",
    "makes_symlinks": "makes_symlinks",
    "same_disk": "same_disk",
    "impossible_on": "impossible_on",
    "extra": "extra",
    "libraries": "libraries",
    "makes": "makes",
    "settings": "settings",
    "extension_of": "extension_of",
    "least_room": "least_size",
    "describe_target": "recipe",
    "describe_conversion": "describe_conversion",
    "make": "make",
    "matches": "matches",
    "measure": "measure",
    "resume": "resume",
    "take_over": "take_over",
}
"""Names of the attributes of a class that was a backend, and of those of the record."""


@cache
def record_of(cls: Any) -> Backend:
    """Return the record that a task class names, or that its own attributes come to."""
    base, changed = _base_and_changes(cls)
    if not changed:
        return replace(base, task=cls.__name__)
    # A user who turns warnings into errors must still be able to run.
    with suppress(DeprecationWarning):
        message = f"{cls.__qualname__} is a backend by its class methods; give it a `definition`"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    values = {OLD_NAMES[name]: getattr(cls, name) for name in changed}
    values["task"] = cls.__name__
    values.setdefault("summary", (cls.__doc__ or "").partition("\n")[0])
    if not getattr(cls, "takes_over", True):
        values.pop("take_over", None)
    return replace(base, **values)


def _base_and_changes(cls: Any) -> tuple[Backend, set[str]]:
    """Return the record that a class inherits, and the names that it has in place of it."""
    changed: set[str] = set()
    for each in cls.__mro__:
        own = vars(each)
        if isinstance(own.get("definition"), Backend):
            return own["definition"], changed
        changed |= own.keys() & OLD_NAMES.keys()
    message = f"{cls} names no backend"
    raise TypeError(message)


def fault_of_class(cls: Any, name: str, place: str) -> str:
    """Return why a thing is no backend of a name, nothing if it is one."""
    if not isinstance(cls, type) or not isinstance(getattr(cls, "definition", None), Backend):
        return f"{place} is not a subclass of LinkAssets or MakeAssets"
    backend = record_of(cls)
    if backend.name != name:
        return f"`name` of {place} is {backend.name!r}"
    functions = ("resume" if backend.is_slow else "make", "matches")
    left = [each for each in functions if getattr(backend, each) is missing]
    if left:
        return f"{place} has no {' and no '.join(left)}"
    is_old = bool(_base_and_changes(cls)[1])
    if not is_old and backend.is_slow is not getattr(cls, "one_task_per_asset", None):
        base = "MakeAssets" if backend.is_slow else "LinkAssets"
        return f"{place} must be a subclass of {base}"
    return ""
