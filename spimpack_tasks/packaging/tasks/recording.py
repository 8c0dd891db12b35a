"""Lets Luigi's events note in the state directory what a run does (see `state.runs`)."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import luigi

from spimpack_tasks.luigi_log import plain_message
from spimpack_tasks.model.buckets import unit_of_part
from spimpack_tasks.model.plan import is_refused
from spimpack_tasks.state.runs import TaskRun, begin_run, note_task
from spimpack_tasks.state.session import SESSION

if TYPE_CHECKING:
    from spimpack_tasks.packaging.tasks.planning import DatasetTask


def record_run(kind: type[DatasetTask], output_dir: str) -> None:
    """Begin a run, of which all tasks of a kind are noted."""
    begin_run(output_dir)
    record_tasks(kind)


def record_tasks(kind: type[DatasetTask]) -> None:
    """Note all tasks of a kind in the log of the present run."""
    # Luigi keeps a set of handlers, so the same one again changes nothing.
    kind.event_handler(luigi.Event.START)(_note_start)
    kind.event_handler(luigi.Event.SUCCESS)(_note_end)
    kind.event_handler(luigi.Event.FAILURE)(_note_end)


def _note_start(task: DatasetTask) -> None:
    SESSION.task_starts[task.task_id] = time.time()
    SESSION.found_wrong.clear()
    vars(task).pop("work", None)  # a task that failed may be tried again by the same process


def _note_end(task: DatasetTask, error: BaseException | None = None) -> None:
    now = time.time()
    # A task that finds its requirements undone fails before it is started.
    started = SESSION.task_starts.pop(task.task_id, now)
    unit, part = getattr(task, "unit", ""), getattr(task, "part", -1)
    unit = unit_of_part(unit, part) if part >= 0 else unit
    # A run that refuses the inputs writes nothing, and so has nothing to do with the dataset.
    if is_refused(task.plan_id):
        return
    images = 0
    # A run that took over may have forgotten the plan already.
    with suppress(OSError):
        images = task.image_count()
    reason = "" if error is None else plain_message(error) or f"{type(error).__name__}: {error}"
    work = task.work
    numbers = work.made, work.removed, work.bytes
    done = TaskRun(task.task_family, unit, images, started, now, reason, *numbers)
    note_task(task.store, task.plan_id, done)
