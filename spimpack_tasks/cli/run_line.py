"""The progress line of a run (see `cli.progress_line`).

The finished work is read from the log of the run, from the last offset, and the present work from
the notes of the workers: they are processes of their own, and share only files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.cli.progress_line import ProgressLine
from spimpack_tasks.model.meter import Amount, Meter
from spimpack_tasks.state.run_progress import RunProgress
from spimpack_tasks.state.runs import read_new_tasks
from spimpack_tasks.state.work_notes import heard_notes

if TYPE_CHECKING:
    from spimpack_tasks.packaging.outcome import RemainingWork


class RunLine(ProgressLine):
    """The line of `spimpack package`."""

    def __init__(self) -> None:
        super().__init__(self._compose_run)
        self._remaining: RemainingWork | None = None
        self._progress: RunProgress | None = None
        self._log_offset = 0
        self._meter = Meter()

    def begin(self, remaining: RemainingWork) -> None:
        """Set the amount of work."""
        self.catch_log_handlers()
        self._remaining = remaining

    def _compose_run(self) -> tuple[float, str]:
        remaining = self._remaining
        if remaining is None:
            return 0.0, f"Checking inputs  {self._meter.text(Amount())}"
        # Not before it is shown: of ten thousand images it takes a while.
        progress = self._progress = self._progress or RunProgress(remaining.work)
        tasks, self._log_offset = read_new_tasks(remaining.log, self._log_offset)
        for task in tasks:
            progress.add(task)
        progress.follow(heard_notes(remaining.store, remaining.plan_id))
        return progress.share, progress.text(self._meter)
