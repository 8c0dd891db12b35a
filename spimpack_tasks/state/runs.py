"""Logs of runs: each task, when it ran, how long, and why it failed.

    runs/<start>-<process>.jsonl     one file for each process that runs Luigi, its workers included

The first process writes a line about the run, each task adds a line when it ends, and the end of
the run adds the last one; a killed run lacks it. A run with nothing to do leaves no file, and the
oldest files are removed. Lines are only appended, in one write each, so a reader sees whole lines
at any time. No decision depends on a log, and times are recorded nowhere else: if a line cannot be
written, the run continues without it.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import count_of, size_in_words
from spimpack_tasks.files.regular import open_regular, open_regular_text
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.work_notes import remove_silent
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.state.store import Store

FOLDER = "runs"
KEPT = 20
"""Number of files that are kept."""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task that was worked at. Times are seconds since 1970."""

    task: str
    unit: str
    images: int
    """Number of the task's images; 0 for a task on the dataset as a whole."""
    started: float
    ended: float
    error: str = ""
    made: int = 0
    """Number of images that it made, also where it failed at others."""
    removed: int = 0
    """Number of files that it removed."""
    bytes: int = 0
    """Bytes that its slow work reported."""


@dataclass(slots=True)
class TaskWork:
    """Finished work of a task, counted by those who do it."""

    made: int = 0
    removed: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run as far as it went, of one process or of several that shared the work."""

    plan_id: str
    started: float
    ended: float
    is_complete: bool | None
    """Whether the dataset was complete at the end; `None` before, and for a killed run."""
    processes: int
    """Number of processes that ran Luigi, without their workers."""
    versions: dict[str, str]
    tasks: tuple[TaskRun, ...]
    kept: int | None = None
    """Number of images that were right when it began; `None` where nobody had looked."""

    @property
    def made(self) -> int:
        """Number of images that were made."""
        return sum(task.made for task in self.tasks)

    @property
    def removed(self) -> int:
        """Number of files that were removed."""
        return sum(task.removed for task in self.tasks)

    @property
    def bytes(self) -> int:
        """Bytes that slow work reported: those of voxels, or of files."""
        return sum(task.bytes for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers of the run as a JSON-ready mapping."""
        return {
            "seconds": round(self.ended - self.started, 3),
            "completed": self.is_complete,
            "made": self.made,
            "kept": self.kept,
            "removed": self.removed,
            "bytes": self.bytes,
            "failed": len(self.failures),
        }

    def numbers(self) -> str:
        """Return in words what was done, as far as the run went."""
        parts = [f"{count_of(self.made, 'image')} made"]
        if self.bytes:
            parts[0] += f" ({size_in_words(self.bytes)})"
        parts += [] if self.kept is None else [f"{self.kept:,} kept"]
        parts += [f"{count_of(self.removed, 'file')} removed"] if self.removed else []
        parts += [count_of(len(self.failures), "failure")] if self.failures else []
        return ", ".join(parts)

    @property
    def failures(self) -> list[TaskRun]:
        """The tasks that failed at last, and were not done later."""
        last = {(task.task, task.unit): task for task in sorted(self.tasks, key=lambda t: t.ended)}
        return [task for task in last.values() if task.error]


def begin_run(output_dir: str) -> None:
    """Begin a run of this process; nothing is written before a task has ended."""
    SESSION.runs[output_dir] = f"{time.time_ns():020}-{os.getpid()}"


def run_path(store: Store) -> str:
    """Return the path of the log of this process's run, empty where it has not started one."""
    identity = SESSION.runs.get(store.output_dir, "")
    return store.path(FOLDER, f"{identity}.jsonl") if identity else ""


def note_task(store: Store, plan_id: str, task: TaskRun) -> None:
    """Note a task that has ended, done or failed."""
    path = run_path(store)
    if path:
        with suppress(OSError):
            _begin_file(store, path, plan_id)
            names = TaskRun.__slots__
            _append(path, {name: getattr(task, name) for name in names})


def is_noted(store: Store, reason: str) -> bool:
    """Tell whether a task of this run is on record that failed for a reason."""
    path = run_path(store)
    with suppress(OSError):
        if path:
            with open_regular_text(path, errors="replace") as file:
                return any(reason in task.error for task in read_tasks(file))
    return False


def end_run(store: Store, *, is_complete: bool) -> None:
    """Note that the run of this process has ended, if it did anything."""
    path = run_path(store)
    SESSION.runs.pop(store.output_dir, None)
    if path and os.path.exists(path):
        with suppress(OSError):
            remove_silent(store)
            _append(path, {"ended": time.time(), "complete": is_complete})


def _begin_file(store: Store, path: str, plan_id: str) -> None:
    """Write the line about the run, unless another worker of it has."""
    with suppress(FileExistsError):
        os.mkdir(store.path(FOLDER))
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        return
    import platform  # noqa: PLC0415 - only where a run has done something
    from importlib.metadata import version  # noqa: PLC0415 - as above

    started = int(os.path.basename(path).partition("-")[0]) / 1e9
    versions = {
        "spimpack_tasks": __version__,
        "python": platform.python_version(),
        "luigi": version("luigi"),
    }
    head = {"plan_id": plan_id, "started": started, "versions": versions}
    _append(path, head | {"kept": SESSION.kept.get((store.root, plan_id))})
    for name in sorted(os.listdir(store.path(FOLDER)))[:-KEPT]:
        with suppress(FileNotFoundError):
            os.unlink(store.path(FOLDER, name))


def _append(path: str, line: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, f"{json.dumps(line)}\n".encode())
    finally:
        os.close(descriptor)


def read_tasks(lines: Iterable[str]) -> Iterator[TaskRun]:
    """Yield the tasks in lines of a log; incomplete lines are skipped."""
    return (TaskRun(**data) for data in _parse(lines) if "task" in data)


def read_new_tasks(path: str, offset: int) -> tuple[list[TaskRun], int]:
    """Return the tasks that a log lists after an offset, and the offset after these.

    A log that does not exist yet lists none.
    """
    try:
        with open_regular(path) as file:
            file.seek(offset)
            lines = file.read().rpartition(b"\n")[0]
    except FileNotFoundError:
        return [], offset
    tasks = list(read_tasks(lines.decode(errors="replace").splitlines()))
    return tasks, offset + (len(lines) + 1 if lines else 0)


def find_log(store: Store, process: int) -> str:
    """Return the path of the last log that a process began, empty where it has started none."""
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(store.path(FOLDER)), reverse=True):
            if name.endswith(f"-{process}.jsonl"):
                return store.path(FOLDER, name)
    return ""


def read_last_run(store: Store) -> Run | None:
    """Return the last run, `None` where none is on record.

    Processes that worked for one plan at the same time are one run.
    """
    last: Run | None = None
    try:
        names = sorted(os.listdir(store.path(FOLDER)), reverse=True)
    except FileNotFoundError:
        return None
    for name in names:
        run = _read_run(store.path(FOLDER, name))
        if run is None:
            continue
        if last is not None and (run.plan_id != last.plan_id or run.ended < last.started):
            break
        last = run if last is None else _join(run, last)
    return last


def _join(first: Run, second: Run) -> Run:
    last = max(first, second, key=lambda run: run.ended)
    return Run(
        first.plan_id,
        min(first.started, second.started),
        last.ended,
        None if None in {first.is_complete, second.is_complete} else last.is_complete,
        first.processes + second.processes,
        first.versions,
        (*first.tasks, *second.tasks),
        first.kept,
    )


def _read_run(path: str) -> Run | None:
    try:
        with open_regular_text(path, errors="replace") as file:
            lines = list(_parse(file))
    except OSError:
        return None
    head = next((line for line in lines if "plan_id" in line), None)
    if head is None:
        return None
    tasks = tuple(TaskRun(**line) for line in lines if "task" in line)
    end = next((line for line in lines if "complete" in line), None)
    ended = end["ended"] if end else max((t.ended for t in tasks), default=head["started"])
    is_complete = end["complete"] if end else None
    about = head["plan_id"], head["started"], ended, is_complete, 1, head["versions"]
    return Run(*about, tasks, head.get("kept"))


def _parse(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError):
            data = json.loads(line)
            if isinstance(data, dict):
                yield data
