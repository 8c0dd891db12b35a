"""One line that shows the progress of long work: in a terminal, and otherwise in the log.

In a terminal the line is drawn twice a second. Where errors go to a file or a pipe, as under SLURM,
a line is printed once a minute, so short work prints none. A thread does both, on a descriptor of
its own, so a worker that is forked meanwhile inherits no held lock. The line leaves the cursor in
column 1, and each log message clears it first.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from typing import TYPE_CHECKING, TypeVar

from spimpack_tasks.model.meter import Amount, Meter, draw_bar, log_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self, TextIO

INTERVAL_S = 0.5
"""Seconds between two drawings; a line that moves twice a second looks alive."""
CLEAR = b"\r\033[2K"
_PLAIN = str.maketrans({"\u2501": "#", "\u2500": "-"})
"""The bar for a terminal that cannot show lines."""


def shows_lines(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether errors go to a terminal that can rewrite a line, and lines are wanted.

    Output may go to a file. At the other end of a pipe may be a program, such as `less`, that draws
    on the same terminal.
    """
    plain = environment.get("TERM", "dumb") == "dumb" or bool(environment.get("NO_COLOR"))
    return sys.stderr.isatty() and not _is_pipe(sys.stdout) and not plain


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # closed, or no file
        return True


class ProgressLine:
    """The line, from when it is entered until it is left.

    Parameters
    ----------
    compose
        Returns the share that is done, from 0 to 1, and the text after the bar.
    """

    def __init__(self, compose: Callable[[], tuple[float, str]]) -> None:
        self._compose = compose
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._terminal = -1
        self._draws = False

    def __enter__(self) -> Self:
        """Start the line."""
        try:
            self._terminal = os.dup(sys.stderr.fileno())
        except (OSError, ValueError):  # no standard error, or one that is no file
            return self
        self._draws = shows_lines()
        if self._draws:
            _clear_before_messages(self._terminal)
        self._thread = threading.Thread(target=self._show_until_stopped, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the line away."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            _clear_before_messages(-1)
            os.close(self._terminal)

    def clear(self) -> None:
        """Take the line away until it is drawn next, so that something else can be printed."""
        if self._draws and self._thread is not None:
            os.write(self._terminal, CLEAR)

    def catch_log_handlers(self) -> None:
        """Let the line be cleared before messages of loggers that were set up since."""
        if self._draws:
            _clear_before_messages(self._terminal)

    def _show_until_stopped(self) -> None:
        while not self._stop.wait(INTERVAL_S if self._draws else log_interval()):
            self._show()
        if self._draws:
            self._show()
            os.write(self._terminal, CLEAR)

    def _show(self) -> None:
        share, text = self._compose()
        if not self._draws:
            _write_all(self._terminal, f"{text}\n".encode())
            return
        line = f"{draw_bar(share)} {text}"
        if (sys.stderr.encoding or "").lower().replace("-", "") != "utf8":
            line = line.translate(_PLAIN)
        # The cursor goes back to the start of the line, for the next message.
        _write_all(self._terminal, CLEAR + line[: self._width()].encode() + b"\r")

    def _width(self) -> int:
        try:
            columns = os.get_terminal_size(self._terminal).columns
        except OSError:
            columns = 0
        return (columns or 80) - 1


class ByteLine(ProgressLine):
    """The line of work that is measured in bytes.

    Parameters
    ----------
    verb
        The work, such as `Converting`.
    measure
        Returns the number of all bytes, `None` where it is not known; called once, when the line
        is entered.
    """

    def __init__(self, verb: str, measure: Callable[[], int | None]) -> None:
        super().__init__(self._compose_bytes)
        self._verb = verb
        self._measure = measure
        self._total = self._done = 0
        self._meter = Meter()

    def __enter__(self) -> Self:
        """Start the line."""
        self._total = self._measure() or 0
        self._meter = Meter()
        return super().__enter__()

    def advance(self, count: int) -> None:
        """Add finished bytes."""
        self._done += count

    def _compose_bytes(self) -> tuple[float, str]:
        amount = Amount(self._done, self._total)
        return amount.share, f"{self._verb}  {self._meter.text(amount)}"


class CountLine(ProgressLine):
    """The line of work that is counted, with the name of an item in the plural."""

    def __init__(self, verb: str, items: str) -> None:
        super().__init__(self._compose_count)
        self._verb, self._items = verb, items
        self._done = self._total = 0
        self._meter = Meter()

    def reach(self, done: int, total: int) -> None:
        """Set the number of finished items, and of all."""
        self._done, self._total = done, total

    def _compose_count(self) -> tuple[float, str]:
        count = f"{self._done:,} of {self._total:,} {self._items}"
        share = self._done / self._total if self._total else 0.0
        return share, f"{self._verb}  {count}  {self._meter.text(Amount())}"


def counting(verb: str) -> ProgressLine:
    """Return the line of work of which only the time is known."""
    meter = Meter()
    return ProgressLine(lambda: (0.0, f"{verb}  {meter.text(Amount())}"))


T = TypeVar("T")


def above(line: ProgressLine, things: Iterator[T]) -> Iterator[T]:
    """Yield things to print, while a line below them shows the progress."""
    with line:
        for thing in things:
            line.clear()
            yield thing


def _write_all(descriptor: int, data: bytes) -> None:
    try:
        os.write(descriptor, data)
    except OSError:  # nobody reads any more; the work goes on
        return


class _ClearFirst(logging.Filter):
    """Takes the line away before a message is shown, in workers as well; lets all messages pass."""

    terminal = -1

    def filter(self, _record: logging.LogRecord) -> bool:
        if self.terminal >= 0:
            os.write(self.terminal, CLEAR)
        return True


_clear_first = _ClearFirst()


def _clear_before_messages(terminal: int) -> None:
    """Clear the line of a terminal before each message; -1 for no longer."""
    _clear_first.terminal = terminal
    # Filters of a logger see its own messages only, those of a handler all that it shows.
    logging.getLogger("luigi-interface").addFilter(_clear_first)
    for handler in logging.getLogger("spimpack_tasks").handlers:
        handler.addFilter(_clear_first)
