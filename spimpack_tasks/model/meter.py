"""Measures long work: how much is done, how fast, and how long the rest takes; in words.

Terminal, log, pages and `spimpack status` all show the texts that are composed here.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WINDOW_S = 15.0
"""Seconds over which the rate is averaged: short enough to follow a disk that becomes slow, and
long enough for work that is reported in large pieces."""
_SAMPLE_S = 0.5
"""Least time between two samples of the rate."""
_LEAST_S = 0.01
"""Least time that a rate is computed for; a shorter one says nothing."""
LOG_S = 60.0
"""Seconds between two lines in a log: a run of a night leaves a few hundred."""
LOG_VARIABLE = "SPIMPACK_LOG_SECONDS"
"""Environment variable with another number of seconds."""
_BAR = 24
"""Characters of the bar."""


@dataclass(frozen=True, slots=True)
class Amount:
    """The bytes of some work, as far as they are known."""

    done: int = 0
    total: int = 0
    """0 where it is not known."""

    @property
    def share(self) -> float:
        """The share that is done, from 0 to 1; 0 where the total is not known."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0

    def __str__(self) -> str:
        """Render as `3.2 GB of 10.0 GB (32%)`."""
        if self.total <= 0:
            return size_in_words(self.done) if self.done else ""
        return f"{size_in_words(self.done)} of {size_in_words(self.total)} ({self.share:.0%})"


class Meter:
    """Measures the rate of work.

    Parameters
    ----------
    clock
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.started = clock()
        self._samples: deque[tuple[float, int]] = deque([(self.started, 0)])

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self.started

    def rate(self, done: int) -> float:
        """Return the bytes a second over the last `WINDOW_S`, given all that are done."""
        now = self._clock()
        samples = self._samples
        while len(samples) > 1 and samples[1][0] <= now - WINDOW_S:
            samples.popleft()
        since, before = samples[0]
        if now - samples[-1][0] >= _SAMPLE_S:
            samples.append((now, done))
        return max(done - before, 0) / (now - since) if now - since >= _LEAST_S else 0.0

    def text(self, amount: Amount) -> str:
        """Return the finished bytes, their rate, the time so far, and the time left."""
        rate = self.rate(amount.done)
        parts = [str(amount), rate_in_words(rate), clock_text(self.elapsed)]
        if rate and amount.total > amount.done:
            parts.append(f"left {clock_text((amount.total - amount.done) / rate)}")
        return "  ".join(filter(None, parts))


def log_interval(environment: Mapping[str, str] = os.environ) -> float:
    """Return the seconds between two lines in a log."""
    try:
        seconds = float(environment.get(LOG_VARIABLE, LOG_S))
    except ValueError:
        return LOG_S
    return max(seconds, _SAMPLE_S)


def rate_in_words(rate: float) -> str:
    """Return a number of bytes a second, nothing for none."""
    return f"{size_in_words(round(rate))}/s" if rate >= 1 else ""


def clock_text(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def draw_bar(share: float) -> str:
    """Return a bar that is filled for the share that is done, from 0 to 1."""
    filled = round(min(max(share, 0.0), 1.0) * _BAR)
    return "\u2501" * filled + "\u2500" * (_BAR - filled)
