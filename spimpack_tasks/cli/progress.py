"""One line in the terminal that shows the progress of a run; nothing without a terminal.

The finished work is read from the log of the run (see `state.runs`), twice a second and from the
last offset: workers are processes of their own, and share only the log. A thread draws the line, on
a descriptor of its own, so a worker that is forked meanwhile inherits no held lock. The line leaves
the cursor in column 1, and each log message clears it first.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from spimpack_tasks.state.run_progress import RunProgress
from spimpack_tasks.state.runs import read_new_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress

    from spimpack_tasks.packaging.outcome import RemainingWork

INTERVAL_S = 0.5
"""Seconds between two looks at the log; a line that moves twice a second looks alive."""
CLEAR = b"\r\033[2K"


def shows_lines(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the output is a terminal that can rewrite a line, and lines are wanted."""
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    plain = environment.get("TERM", "dumb") == "dumb" or bool(environment.get("NO_COLOR"))
    return on_terminal and not plain


class RunLine:
    """The line, from when it is entered until it is left. Without rich there is none."""

    def __init__(self) -> None:
        self._work: RemainingWork | None = None
        self._progress = RunProgress((), ())
        self._log_offset = 0
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._thread: threading.Thread | None = None
        self._terminal = -1
        self._columns: Progress | None = None

    def __enter__(self) -> Self:
        """Start the line, if the output is a terminal."""
        if shows_lines():
            self._columns = _make_columns()
        if self._columns is not None:
            self._terminal = os.dup(sys.stderr.fileno())
            self._thread = threading.Thread(target=self._draw_until_stopped, daemon=True)
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

    def begin(self, work: RemainingWork) -> None:
        """Set the amount of work."""
        if self._thread is not None:
            _clear_before_messages(self._terminal)
            self._progress = RunProgress(work.images, work.unread)
            self._work = work

    def _draw_until_stopped(self) -> None:
        drawn = False
        while not self._stop.wait(INTERVAL_S):
            self._read_log()
            os.write(self._terminal, CLEAR + self._render())
            drawn = True
        if drawn:
            os.write(self._terminal, CLEAR)

    def _read_log(self) -> None:
        if self._work is not None:
            tasks, self._log_offset = read_new_tasks(self._work.log, self._log_offset)
            for task in tasks:
                self._progress.add(task)

    def _render(self) -> bytes:
        columns, progress = self._columns, self._progress
        assert columns is not None  # noqa: S101 - there is no thread without it
        done, total = progress.counted
        columns.update(
            columns.task_ids[0],
            completed=progress.share,
            step=progress.step if self._work else "Checking inputs",
            count=f"{done:,} of {total:,} images" if total else "",
            elapsed=_clock(time.monotonic() - self._started),
        )
        with columns.console.capture() as captured:
            columns.console.print(columns.get_renderable())
        # The cursor goes back to the start of the line, for the next message.
        return captured.get().split("\n")[0].encode() + b"\r"


class ByteLine:
    """Line that shows how many bytes are done, and how fast."""

    def __init__(self, measure: Callable[[], int | None]) -> None:
        self.measure = measure
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        """Start the line, if the output is a terminal."""
        if shows_lines():
            self._bar = _make_byte_columns(self.measure())
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()

    def advance(self, amount: int) -> None:
        """Add finished bytes."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], amount)


class ProgressLine:
    """One line on a terminal that says how much has been read; nothing where there is none."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.shows = sys.stderr.isatty()
        self.next_time = time.monotonic() + 0.5

    def advance(self, count: int) -> None:
        """Count bytes, and show the sum twice a second."""
        self.done += count
        if self.shows and time.monotonic() >= self.next_time:
            self.next_time = time.monotonic() + 0.5
            share = min(self.done / self.total, 1) if self.total else 1
            print(
                f"\r\033[K{self.done / 1e9:,.1f} of {self.total / 1e9:,.1f} GB ({share:.0%})",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self.shows:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _make_byte_columns(total: int | None) -> Progress | None:
    try:
        from rich.console import Console
        from rich.progress import (
            DownloadColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
    except ImportError:
        return None
    bar = Progress(
        TextColumn("Converting"),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task("", total=total)
    return bar


def _make_columns() -> Progress | None:
    """Return the columns of the line, `None` where rich is not installed."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        return None
    columns = Progress(
        TextColumn("{task.fields[step]:<15}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TextColumn("[dim]{task.fields[elapsed]}"),
        console=Console(stderr=True),
        auto_refresh=False,
    )
    columns.add_task("", total=1.0, step="", count="", elapsed="")
    return columns


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


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
