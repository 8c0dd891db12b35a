"""How far a long piece of work has come, told to whoever watches, but not more often than is read.

Whoever works says at every step how far it is; that costs next to nothing. What is short is not
told of at all. This does not know who watches: the scheduler's page, a terminal, nobody.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 2.0
"""Time before the first telling, and between two of them. On a scheduler's page a telling is two
requests, so this is one request a second."""


class Progress:
    """Tells how far one piece of work has come, at most once in `INTERVAL_S`.

    Parameters
    ----------
    tell
        Takes the percentage and a message, and returns whether it wants to hear more.
    clock
        Returns seconds.
    """

    def __init__(
        self, tell: Callable[[int, str], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._due = clock() + INTERVAL_S

    def reach(self, done: int, total: int, unit: str) -> None:
        """Say that `done` of `total` things have been done; `unit` is what they are called."""
        if self._clock() < self._due:
            return
        wants_more = self._tell(
            min(100 * done // max(total, 1), 100), f"{done:,} of {total:,} {unit}"
        )
        # The time that telling took counts as well: a slow scheduler is not asked all the time.
        self._due = self._clock() + INTERVAL_S if wants_more else float("inf")
