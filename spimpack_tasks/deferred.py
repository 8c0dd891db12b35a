"""Functions that a record names by text, and that are imported when they are first called.

A table of formats or backends must be cheap to import, while each of its records needs modules and
libraries of its own. The architecture tests count these names as imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Deferred:
    """A function, as `module:function`."""

    __slots__ = ("_function", "place")

    def __init__(self, place: str) -> None:
        self.place = place
        self._function: Any = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Import the function, and call it."""
        if self._function is None:
            self._function = self.load()
        return self._function(*arguments, **named)

    def load(self) -> Any:
        """Import the function.

        Raises
        ------
        ImportError, AttributeError
            There is none; a test looks up all that this package names.
        """
        module, _, name = self.place.partition(":")
        return getattr(import_module(module), name)
