"""Starts, watches and stops `spimpack package` in a process of its own.

Runs belong to this process and are found by their output, so a reloaded page or another tab shows
the same run. However this process ends, `running.supervisor` stops its runs as Ctrl+C would: nobody
could watch or stop them any more, and the next run resumes them. Their output goes to files without
a name, so nothing is left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from spimpack_tasks.errors import ExitCode, SpimpackError, printable
from spimpack_tasks.files.roots import VARIABLE
from spimpack_tasks.model.meter import Meter
from spimpack_tasks.running import supervisor
from spimpack_tasks.state.run_progress import NO_WORK, RunProgress
from spimpack_tasks.state.runs import find_log, read_new_tasks
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.work_notes import describe_worker, heard_notes, host_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.running.request import RunRequest
    from spimpack_tasks.state.run_progress import Work

TAIL_BYTES = 2**16
"""The end of the output that a page shows."""
TOKEN_VARIABLE = "SPIMPACK_UI_TOKEN"  # noqa: S105 - a name
"""The variable of the environment that holds the token of the pages: not for a run, and not for a
command line, which all users of a machine can see."""


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


class PackagingRun:
    """One run, started by the constructor.

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
        self.started = time.time()
        self.ended = 0.0
        self.exit_code: int | None = None
        self.is_stopping = False
        self._progress = RunProgress(work)
        self._meter = Meter()
        self._log, self._log_offset = "", 0
        self._lock = threading.Lock()
        self._out, self._err = _unnamed_file(), _unnamed_file()
        self._printed: list[str] = []
        self._said: list[str] = []
        self._supervisor, self._process = self._start(environment)
        threading.Thread(target=self._wait, daemon=True).start()

    def _start(self, environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
        reading_end, writing_end = os.pipe()
        kept = {name: text for name, text in environment.items() if name != TOKEN_VARIABLE}
        roots = self.request.options.roots
        kept |= {VARIABLE: os.pathsep.join(roots)} if roots else {}
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell, and arguments that were checked
                [
                    sys.executable,
                    "-I",
                    supervisor.__file__,
                    str(writing_end),
                    *self.request.command(),
                ],
                stdin=subprocess.PIPE,
                stdout=self._out,
                stderr=self._err,
                pass_fds=(writing_end,),
                start_new_session=True,
                env=kept | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
            )
        finally:
            os.close(writing_end)
        with open(reading_end, "rb") as file:
            number = file.read()
        return process, int(number or -1)

    def _wait(self) -> None:
        code = self._supervisor.wait()
        with self._lock:
            self._printed, self._said = _tail(self._out), _tail(self._err)
            for file in (self._out, self._err, self._supervisor.stdin):
                if file is not None:
                    file.close()
            self.ended = time.time()
            self.exit_code = code

    @property
    def is_going_on(self) -> bool:
        """Whether the run has not ended."""
        return self.exit_code is None

    def stop(self) -> None:
        """Stop the run, without waiting; it ends within seconds."""
        with self._lock:
            if not self.is_stopping and self.is_going_on and self._supervisor.stdin is not None:
                self.is_stopping = True
                self._supervisor.stdin.close()

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, `None` if it does not end in time."""
        deadline = time.monotonic() + seconds
        while self.is_going_on and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.exit_code

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

    def summary(self) -> list[str]:
        """Return the lines on standard output: the summary, and the validator's findings."""
        with self._lock:
            return _tail(self._out) if self.is_going_on else self._printed

    def messages(self) -> list[str]:
        """Return the lines on standard error: messages, and the cause of a failure."""
        with self._lock:
            return _tail(self._err) if self.is_going_on else self._said


class Runs:
    """The runs of this process, at most one for each output; of those that ended, the last one."""

    def __init__(self) -> None:
        self._by_output: dict[str, PackagingRun] = {}
        self._lock = threading.Lock()

    def start(self, request: RunRequest, work: Work = NO_WORK) -> PackagingRun:
        """Start a run.

        Raises
        ------
        RunningError
            One of the same output is going on.
        """
        output = os.path.realpath(request.options.output_dir)
        with self._lock:
            known = self._by_output.get(output)
            if known is not None and known.is_going_on:
                message = f"a run of {request.options.output_dir} is going on already"
                raise RunningError(message)
            self._by_output[output] = PackagingRun(request, work)
            return self._by_output[output]

    def find(self, output_dir: str) -> PackagingRun | None:
        """Return the last run of an output, if there was one."""
        return self._by_output.get(os.path.realpath(output_dir))

    def find_last(self, manifest: str) -> PackagingRun | None:
        """Return the last run of a manifest, if there was one."""
        runs = (r for r in list(self._by_output.values()) if r.request.options.manifest == manifest)
        return max(runs, key=lambda run: run.started, default=None)


class RunningError(SpimpackError):
    """A run of the same output is going on."""

    exit_code = ExitCode.NOT_RUN


RUNS = Runs()
"""Those of all pages that this process serves."""


def _unnamed_file() -> BinaryIO:
    """Return a file without a name, open for appending."""
    descriptor, path = tempfile.mkstemp(prefix="spimpack-")
    os.unlink(path)
    return os.fdopen(descriptor, "a+b", buffering=0)


def _tail(file: BinaryIO) -> list[str]:
    """Return the last lines of a file that grows."""
    size = os.fstat(file.fileno()).st_size
    start = max(0, size - TAIL_BYTES)
    text = os.pread(file.fileno(), TAIL_BYTES, start).decode(errors="replace")
    lines = text.split("\n")
    if start:
        lines[0] = "..."
    return [printable(line) for line in lines if line.strip()]
