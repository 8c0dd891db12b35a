"""Lines in the terminal that show how many bytes are done; nothing without a terminal."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress


def shows_lines(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the output is a terminal that can rewrite a line, and lines are wanted."""
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    plain = environment.get("TERM", "dumb") == "dumb" or bool(environment.get("NO_COLOR"))
    return on_terminal and not plain


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
