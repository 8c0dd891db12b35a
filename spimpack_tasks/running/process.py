"""Runs of `spimpack package` that pages start, watch and stop.

Runs belong to this process and are found by their output, so a reloaded page or another tab shows
the same run.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.model.meter import Meter
from spimpack_tasks.running.supervised import RunsByFolder, SupervisedRun
from spimpack_tasks.state.run_progress import NO_WORK, RunProgress
from spimpack_tasks.state.runs import find_log, read_new_tasks
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.work_notes import describe_worker, heard_notes, host_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.running.request import RunRequest
    from spimpack_tasks.state.run_progress import Work


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Progress of a run in its present step."""

    step: str
    done: int
    total: int
    """Number of images in this step; 0 where they are not counted."""
    share: float
    """Of all steps, from 0 to 1."""
    text: str = ""
    """The bytes, their rate, the time so far, and the time left."""
    workers: tuple[str, ...] = ()
    """A line for each worker that is at slow work."""


class PackagingRun(SupervisedRun):
    """One run of `spimpack package`, started by the constructor.

    Parameters
    ----------
    request
        Options of the run.
    work
        The images that the run has to make, and their bytes, for counting.
    environment
        Environment variables of the process.
    """

    def __init__(
        self,
        request: RunRequest,
        work: Work = NO_WORK,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.request = request
        self._progress = RunProgress(work)
        self._meter = Meter()
        self._log, self._log_offset = "", 0
        super().__init__(request.command(), request.options.roots, environment)

    def progress(self) -> StepProgress:
        """Return the progress of the run, read from its log."""
        with self._lock:
            store = Store(self.request.options.output_dir)
            self._log = self._log or find_log(store, self._process)
            if self._log:
                tasks, self._log_offset = read_new_tasks(self._log, self._log_offset)
                for task in tasks:
                    self._progress.add(task)
            progress = self._progress
            progress.follow(heard_notes(store) if self.is_going_on else ())
            step = progress.step if self._log or progress.notes else "Checking inputs"
            if self._log and progress.share >= 1 and self.request.validates:
                step = "Finishing and validating"
            text = self._meter.text(progress.amount)
            host, now = host_name(), time.time()
            workers = tuple(describe_worker(note, host, now) for note in progress.notes)
            return StepProgress(step, *progress.counted, progress.share, text, workers)


class Runs(RunsByFolder[PackagingRun]):
    """The runs of this process, by their output."""

    def start(self, request: RunRequest, work: Work = NO_WORK) -> PackagingRun:
        """Start a run.

        Raises
        ------
        RunningError
            One of the same output is going on.
        """
        output = request.options.output_dir
        refusal = f"a run of {output} is going on already"
        return self.begin(output, lambda: PackagingRun(request, work), refusal)

    def find_last(self, manifest: str) -> PackagingRun | None:
        """Return the last run of a manifest, if there was one."""
        runs = (run for run in self.all() if run.request.options.manifest == manifest)
        return max(runs, key=lambda run: run.started, default=None)


RUNS = Runs()
"""Those of all pages that this process serves."""
