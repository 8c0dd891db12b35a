"""Remembers for a moment what is there: a study of a thousand brains asks the same many times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAST_S = 1.0
"""Seconds for which an answer holds. The next look sees a change within them."""
_FACTOR = 20.0
"""An answer that took long holds longer: looking takes one part in this many of the time."""


class Memory:
    """Remembers what was there; what was not there is looked at again each time.

    Parameters
    ----------
    clock
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def ask(self, name: str, look: Callable[[], bool]) -> bool:
        """Return whether a thing is there, by a look at it or by one of a moment ago."""
        began = self._clock()
        if self._until.get(name, 0.0) > began:
            return True
        is_there = look()
        if is_there:
            ended = self._clock()
            self._until[name] = ended + max(_LEAST_S, _FACTOR * (ended - began))
        return is_there

    def forget(self) -> None:
        """Look at everything again."""
        self._until.clear()


MEMORY = Memory()
"""Of this process."""
