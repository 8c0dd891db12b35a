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

from spimpack_tasks.cli.byte_progress import shows_lines
from spimpack_tasks.state.run_progress import RunProgress
from spimpack_tasks.state.runs import read_new_tasks

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress

    from spimpack_tasks.packaging.outcome import RemainingWork

INTERVAL_S = 0.5
"""Seconds between two looks at the log; a line that moves twice a second looks alive."""
CLEAR = b"\r\033[2K"


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
