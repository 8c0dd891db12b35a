"""Starts, watches and stops a command of this program in a process of its own.

However this process ends, `running.supervisor` stops the command as Ctrl+C would: nobody could
watch or stop it any more, and the next one goes on. Its output goes to files without a name, so
nothing is left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

from spimpack_tasks.errors import ExitCode, SpimpackError, printable
from spimpack_tasks.files.roots import VARIABLE
from spimpack_tasks.running import supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TAIL_BYTES = 2**16
"""The end of the output that a page shows."""
TOKEN_VARIABLE = "SPIMPACK_UI_TOKEN"  # noqa: S105 - a name
"""The variable of the environment that holds the token of the pages: not for a run, and not for a
command line, which all users of a machine can see."""


def command_of(arguments: Sequence[str]) -> list[str]:
    """Return the command of a process that runs `spimpack`; no shell reads it."""
    # Without -P, Python would look for modules in the working directory first.
    return [sys.executable, "-P", "-m", "spimpack_tasks.cli.main", *arguments]


class SupervisedRun:
    """One run, started by the constructor.

    Parameters
    ----------
    command
        Program and arguments.
    roots
        Folders that it may see; all if there are none.
    environment
        Environment variables of the process.
    """

    def __init__(
        self,
        command: Sequence[str],
        roots: Sequence[str] = (),
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.started = time.time()
        self.ended = 0.0
        self.exit_code: int | None = None
        self.is_stopping = False
        self._lock = threading.Lock()
        self._out, self._err = _unnamed_file(), _unnamed_file()
        self._printed: list[str] = []
        self._said: list[str] = []
        self._supervisor, self._process = self._start(command, roots, environment)
        threading.Thread(target=self._wait, daemon=True).start()

    def _start(
        self, command: Sequence[str], roots: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[subprocess.Popen[bytes], int]:
        reading_end, writing_end = os.pipe()
        kept = {name: text for name, text in environment.items() if name != TOKEN_VARIABLE}
        kept |= {VARIABLE: os.pathsep.join(roots)} if roots else {}
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell, and arguments that were checked
                [
                    sys.executable,
                    "-I",
                    supervisor.__file__,
                    str(writing_end),
                    *command,
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

    def summary(self) -> list[str]:
        """Return the lines on standard output: the summary, and the validator's findings."""
        with self._lock:
            return _tail(self._out) if self.is_going_on else self._printed

    def messages(self) -> list[str]:
        """Return the lines on standard error: messages, and the cause of a failure."""
        with self._lock:
            return _tail(self._err) if self.is_going_on else self._said


class RunningError(SpimpackError):
    """A run of the same folder is going on."""

    exit_code = ExitCode.NOT_RUN


R = TypeVar("R", bound=SupervisedRun)


class RunsByFolder(Generic[R]):
    """The runs of this process, at most one for each folder; of those that ended, the last one."""

    def __init__(self) -> None:
        self._by_folder: dict[str, R] = {}
        self._lock = threading.Lock()

    def begin(self, folder: str, make: Callable[[], R], refusal: str) -> R:
        """Start a run by making it.

        Raises
        ------
        RunningError
            One of the same folder is going on; `refusal` says it.
        """
        key = os.path.realpath(folder)
        with self._lock:
            known = self._by_folder.get(key)
            if known is not None and known.is_going_on:
                raise RunningError(refusal)
            run = self._by_folder[key] = make()
            return run

    def find(self, folder: str) -> R | None:
        """Return the last run of a folder, if there was one."""
        return self._by_folder.get(os.path.realpath(folder))

    def all(self) -> list[R]:
        """Return the last run of each folder."""
        return list(self._by_folder.values())


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
