"""Reports the progress of long work to a listener, at a limited rate.

The worker reports every step, which costs next to nothing. The listener hears at most one report
in `INTERVAL_S`, and none of short work. The listener may be the scheduler's page or a terminal.
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
    """Forwards the progress of one piece of work, at most once in `INTERVAL_S`.

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
        """Report that `done` of `total` items are done; `unit` is the name of an item."""
        self.count(done, total, unit)

    def count(self, done: int, total: int | None, unit: str) -> None:
        """Report that `done` items are done, of how many nobody knows if `total` is `None`."""
        if self._clock() < self._due:
            return
        share = 0 if total is None else min(100 * done // max(total, 1), 100)
        of_all = "" if total is None else f" of {total:,}"
        wants_more = self._tell(share, f"{done:,}{of_all} {unit}")
        # The time that telling took counts as well: a slow scheduler is not asked all the time.
        self._due = self._clock() + INTERVAL_S if wants_more else float("inf")
