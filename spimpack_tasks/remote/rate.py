"""Limits the bytes a second, and the bytes in memory, that several threads share."""

from __future__ import annotations

import math
import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_BUNCH_S = 0.2
"""Seconds between two messages on the progress."""
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)B?(?:/s)?")
_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def parse_rate(text: str) -> int:
    """Return a number of bytes a second, given as 5M, 500k or 0 for no limit.

    Raises
    ------
    ValueError
        It is no rate; the message tells how to write one.
    """
    found = _RATE.fullmatch(text.strip())
    if not found:
        message = f"{text!r} is no rate; write it as 5M, for 5,000,000 bytes a second"
        raise ValueError(message)
    return math.ceil(float(found[1]) * _FACTORS[found[2]])


class RateLimit:
    """Makes threads wait, so that they send no more bytes a second together than a limit.

    Parameters
    ----------
    bytes_per_s
        The limit, 0 for none.
    clock, sleep
        Return seconds, and wait for some.
    """

    def __init__(
        self,
        bytes_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_s
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def wait(self, count: int) -> None:
        """Wait until a number of bytes may be sent."""
        if not self._rate:
            return
        with self._lock:
            now = self._clock()
            self._free_at = due = max(self._free_at, now) + count / self._rate
        # Before the bytes, not behind them: a process that sends little keeps the limit as well.
        self._sleep(due - now)


class ByteBudget:
    """Bounds the bytes that threads hold in memory together; one that needs more than all waits."""

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Hold a number of bytes of the budget."""
        count = min(count, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= count)
            self._left -= count
        try:
            yield
        finally:
            with self._changed:
                self._left += count
                self._changed.notify_all()


class Bunched:
    """Adds up numbers of several threads, and passes on their sum now and then.

    Parameters
    ----------
    tell
        Receives the sum since the last time.
    clock
        Returns seconds.
    """

    def __init__(
        self, tell: Callable[[int], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._clock = tell, clock
        self._sum = 0
        self._due = clock() + _BUNCH_S
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Add a number."""
        with self._lock:
            self._sum += count
            if self._clock() < self._due:
                return
        self.flush()

    def flush(self) -> None:
        """Pass on the sum."""
        with self._lock:
            count, self._sum = self._sum, 0
            self._due = self._clock() + _BUNCH_S
        self._tell(count)
