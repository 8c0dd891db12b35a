"""What Luigi needs to be told: exit codes, paths, and messages that a user can read.

Luigi exits 0 when tasks fail and logs a traceback for every mistake, unless it is configured. The
options that the user's own configuration leaves out are filled in when this package is imported;
nothing that the user sets is changed.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import luigi
import luigi.configuration
import luigi.interface
import luigi.retcodes
from luigi.rpc import RPCError
from luigi.worker import TaskException

from spimpack_tasks.errors import ExitCode, MissingExtraError, OutputError, SpimpackError
from spimpack_tasks.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULTS: dict[str, dict[str, str | int]] = {
    "retcode": {
        "already_running": ExitCode.NOT_RUN.value,
        "missing_data": ExitCode.BAD_INPUT.value,
        "not_run": ExitCode.NOT_RUN.value,
        "scheduling_error": ExitCode.INTERNAL.value,
        "task_failed": ExitCode.FAILED.value,
        "unhandled_exception": ExitCode.INTERNAL.value,
    },
    "core": {"log_level": "INFO"},
    "worker": {
        # A task that ran but left its output undone has failed.
        "check_complete_on_run": "true",
        # Each task looks at what it writes, and the last one at all; looking at what came before
        # each task makes a fresh run of 10,000 images take a fifth longer.
        "check_unfulfilled_deps": "false",
    },
}

OBEYED_OPTIONS = frozenset(
    {f"rpc_{name}" for name in ("connect_timeout", "log_retries", "retry_attempts", "retry_wait")}
    | {f"default_scheduler_{name}" for name in ("host", "port", "url")}
)
"""Options of `[core]` that Luigi obeys, but of which it would warn that it does not know them. The
warning shows the value, which may be an address with a password."""

_filled: set[tuple[str, str]] = set()

Judge = Callable[[], ExitCode | None]


def fill_config_defaults() -> None:
    """Set the options that the user's configuration does not."""
    config = luigi.configuration.get_config()
    for section, options in DEFAULTS.items():
        for option, value in options.items():
            spellings = (option, option.replace("_", "-"))
            if not any(config.has_option(section, name) for name in spellings):
                config.set(section, option, str(value))
                _filled.add((section, option))
    luigi.interface.core.ignore_unconsumed |= OBEYED_OPTIONS


class JudgedCodes(luigi.retcodes.retcode):
    """Luigi's exit codes, corrected by what has become of the dataset.

    Luigi knows one code for all failed tasks, and a worker that shares a run with others counts
    the tasks it did not do itself as not done. It asks for the codes when the run has ended.
    """

    task_namespace = "spimpack"
    judge: Judge | None = None

    def __getattribute__(self, name: str) -> Any:
        """Return what the judge says in place of a code that the user did not choose."""
        code = super().__getattribute__(name)
        judge = JudgedCodes.judge
        is_bug = name == "unhandled_exception" and not isinstance(sys.exception(), RPCError)
        if judge is None or is_bug or ("retcode", name) not in _filled:
            return code
        verdict = judge()
        if verdict is None:
            return ExitCode.NOT_RUN.value if name == "unhandled_exception" else code
        return int(verdict)


def judge_by(judge: Judge) -> None:
    """Let `judge` correct the exit code of this process; the first one stays.

    The judge returns `None` where it has nothing to say against Luigi's own code.
    """
    if JudgedCodes.judge is None:
        JudgedCodes.judge = judge
        # Luigi has made the object before it made the first task, and keeps it.
        luigi.retcodes.retcode().__class__ = JudgedCodes


class AbsolutePath(luigi.Parameter):
    """A path, made absolute, so that equal paths make equal tasks from any directory."""

    def normalize(self, x: str) -> str:
        """Return the path as an absolute one; an empty one stays empty."""
        return os.path.abspath(os.path.expanduser(str(x))) if x else ""


@contextmanager
def disk_trouble_told() -> Iterator[None]:
    """Tell of a full, failing or read-only disk in one line."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}; run it again when that is mended"
        raise OutputError(message) from error


def progress_of(task: luigi.Task) -> Progress:
    """Return the progress of a task that runs, as its scheduler shows it.

    A scheduler that is away is told no more: the work must not wait for it.
    """

    def tell(percentage: int, message: str) -> bool:
        # A task that is run by hand, and not by a worker, has nobody to tell.
        if task.set_status_message is None or task.set_progress_percentage is None:
            return False
        try:
            task.set_status_message(message)
            task.set_progress_percentage(percentage)
        except RPCError:
            return False
        return True

    return Progress(tell)


class ReadableLog(logging.Filter):
    """Shows a user's mistake as its message, and leaves out what is said of every single task."""

    _PER_TASK = (
        "Informed scheduler",
        "[pid %s] Worker %s running",
        "[pid %s] Worker %s done",
        "[pid %s] Worker %s new requirements",
        "Worker Worker(",
        "Running Worker with",
        "Done scheduling tasks",
    )

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to show a record, having made it readable."""
        debugging = logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
        error = record.exc_info[1] if record.exc_info else None
        message = None if debugging else plain_message(error)
        if message:
            record.msg, record.args, record.exc_info = "%s", (message,), None
        elif str(record.msg).startswith(_NO_ANSWER) and not debugging:
            record.exc_info = None
        chatter = record.levelno == logging.INFO and str(record.msg).startswith(self._PER_TASK)
        _hide_password(record)
        return debugging or not chatter


def plain_message(error: BaseException | None) -> str | None:
    """Return what a user needs to know of an error, `None` for a bug."""
    if isinstance(error, SpimpackError):
        return str(error)
    if isinstance(error, AssertionError) and "requests-unixsocket" in str(error):
        return str(MissingExtraError("requests-unixsocket", "cluster"))
    if isinstance(error, RPCError):
        return f"{error}; see that luigid runs there and lets you in, then run it again"
    if isinstance(error, (RuntimeError, TaskException)) and str(error).startswith(_OVERTAKEN):
        return "superseded: another run is at work on this output; run it again when that has ended"
    return None


# What Luigi says where something that was done before is undone by the time it is needed.
_OVERTAKEN = (
    "Unfulfilled depend",
    "Task finished running, but complete() is still returning false",
)


# What Luigi says, with a traceback, each time that it asks a scheduler in vain.
_NO_ANSWER = "Failed connecting to remote scheduler"

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


def _hide_password(record: logging.LogRecord) -> None:
    """Take user and password out of the address of a scheduler."""
    text = record.getMessage()
    if _PASSWORD.search(text):
        record.msg, record.args = "%s", (_PASSWORD.sub("", text),)


def make_log_readable() -> None:
    """Filter Luigi's log; a second call changes nothing."""
    logger = logging.getLogger("luigi-interface")
    if not any(isinstance(known, ReadableLog) for known in logger.filters):
        logger.addFilter(ReadableLog())
