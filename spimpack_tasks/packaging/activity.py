"""Describes the run that is going on in a dataset, and the last one, for those who look at it.

Any process can ask: the notes of the workers and the log of the run are files of the dataset.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.buckets import PART
from spimpack_tasks.model.meter import Amount, clock_text, rate_in_words
from spimpack_tasks.packaging.changes import count_changes
from spimpack_tasks.packaging.expected_work import expect_work
from spimpack_tasks.state.run_progress import RunProgress
from spimpack_tasks.state.runs import read_last_run
from spimpack_tasks.state.work_notes import describe_worker, host_name, read_notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.packaging.prepared_run import PreparedRun
    from spimpack_tasks.state.runs import Run
    from spimpack_tasks.state.work_notes import WorkNote


@dataclass(frozen=True, slots=True)
class Activity:
    """The work in a dataset at one time."""

    now: float
    host: str
    amount: Amount
    """The bytes of the run that is going on; nothing where that is not of the present plan."""
    rate: float
    """Bytes a second of all workers together, since each began its image."""
    heard: tuple[WorkNote, ...]
    silent: tuple[WorkNote, ...]
    run: Run | None
    """The last run, which may be the present one."""

    def lines(self, *, is_busy: bool) -> Iterator[str]:
        """Yield what a user reads, given whether a process holds a lock."""
        if is_busy or self.heard:
            parts = [str(self.amount), rate_in_words(self.rate), self._left()]
            text = ", ".join(filter(None, parts))
            yield f"a run is going on{f': {text}' if text else ''}"
        else:
            yield "no run is going on"
        for note in (*self.heard, *self.silent):
            yield f"  {describe_worker(note, self.host, self.now)}"
        if self.run is not None and not (is_busy or self.heard):
            took = clock_text(self.run.ended - self.run.started)
            yield f"last run: {self.run.numbers()}, in {took}; {_END[self.run.is_complete]}"

    def _left(self) -> str:
        missing = self.amount.total - self.amount.done
        return f"left {clock_text(missing / self.rate)}" if missing > 0 and self.rate >= 1 else ""

    def as_dict(self) -> dict[str, Any]:
        """Return the activity as a JSON-ready mapping."""
        return {
            "bytes_done": self.amount.done,
            "bytes": self.amount.total or None,
            "bytes_per_second": round(self.rate),
            "workers": [
                asdict(note) | {"heard_of": note in self.heard}
                for note in (*self.heard, *self.silent)
            ],
            "last_run": None if self.run is None else self.run.as_dict(),
        }


_END = {
    True: "it completed the dataset",
    False: "it did not complete the dataset",
    None: "it was stopped before its end",
}


def find_activity(prepared: PreparedRun, changes: list[Change]) -> Activity:
    """Return the work in a dataset at present."""
    now, host = time.time(), host_name()
    notes = read_notes(prepared.store)
    heard = tuple(note for note in notes if note.is_heard(host, now))
    run = read_last_run(prepared.store)
    amount = Amount()
    if heard and all(note.plan_id == prepared.plan_id for note in heard):
        progress = RunProgress(expect_work(prepared, count_changes(changes).to_do))
        progress.follow(heard)
        if run is not None and run.plan_id == prepared.plan_id and run.is_complete is None:
            progress.bytes_done = run.bytes
            for task in run.tasks:
                if task.task == PART:
                    progress.take_part(task)
        amount = progress.amount
    rate = sum(note.path_done / max(note.heard - note.path_since, 1) for note in heard if note.path)
    silent = tuple(note for note in notes if note not in heard)
    return Activity(now, host, amount, rate, heard, silent, run)
