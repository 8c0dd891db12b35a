"""Ctrl-C as a one-line message, without the tracebacks of all the processes of a run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

INTERRUPTED = "interrupted; run it again to go on"


def end_workers_quietly() -> Any:
    """Make Ctrl-C end the processes that this one forks from now on without any output.

    Returns
    -------
    The previous signal handler, `None` where nothing was changed.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        return None
    begun_by = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != begun_by:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        before(number, frame)

    signal.signal(signal.SIGINT, end)
    return before


@contextmanager
def quiet_workers() -> Iterator[None]:
    """Let Ctrl-C end the processes that are forked meanwhile without a word."""
    before = end_workers_quietly()
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def say_interrupted() -> None:
    """Say in one line that this process was interrupted, where nobody catches it."""
    before = sys.excepthook

    def say(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.stderr.write(f"{INTERRUPTED}\n")
        else:
            before(kind, error, traceback)

    sys.excepthook = say
