"""Makes Luigi's log readable: prints a user's mistake as its message, and hides passwords.

Errors of other packages' tasks are shown as Luigi shows them. So is the log of a run that also
contains such tasks.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import luigi
from luigi.rpc import RPCError
from luigi.worker import TaskException

from spimpack_tasks.errors import MissingExtraError, SpimpackError, message_of

OVERTAKEN = "superseded: another run is at work on this output; run it again when that has ended"
"""For one of our tasks that finds its requirements incomplete again."""

# Luigi's message for a requirement that was complete and no longer is when it is needed.
_UNDONE = (
    "Unfulfilled depend",
    "Task finished running, but complete() is still returning false",
)

# Luigi's message, with a traceback, for each scheduler request without an answer.
_NO_ANSWER = "Failed connecting to remote scheduler"

_TO_LOOK_AT = "see that luigid runs there and lets you in"
"""For a scheduler that does not answer: Luigi itself tries for a minute before it says so."""

# Luigi's messages about each single task.
_PER_TASK = (
    "Informed scheduler",
    "[pid %s] Worker %s running",
    "[pid %s] Worker %s done",
    "[pid %s] Worker %s new requirements",
    "Worker Worker(",
    "Running Worker with",
    "Done scheduling tasks",
)

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(slots=True)
class Extent:
    """Rules for changing a log."""

    own_run: bool = False
    """Whether the run is of this package's tasks alone."""
    tracebacks: bool = False
    """Whether the user asked for all details."""


class ReadableLog(logging.Filter):
    """Filter that shows a user's mistake as its message and drops the lines about single tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.extent = Extent()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to show a record, having made it readable."""
        own, all_details = self.extent.own_run, self.extent.tracebacks
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not all_details:
            message = plain_message(error) if own or _is_ours(error, record) else None
            if message:
                record.msg, record.args, record.exc_info = "%s", (message,), None
        if str(record.msg).startswith(_NO_ANSWER) and not all_details:
            record.exc_info = None  # without an error, logging would show `NoneType: None`
            if own:
                record.msg = f"{record.msg}; {_TO_LOOK_AT}"
        chatter = record.levelno == logging.INFO and str(record.msg).startswith(_PER_TASK)
        _hide_password(record)
        return not (own and chatter) or all_details


def _is_ours(error: BaseException, record: logging.LogRecord) -> bool:
    """Tell whether an error is of this package, a task of it, or the way to the scheduler."""
    # With its traceback, Luigi would show the scheduler's address with a password.
    if isinstance(error, (SpimpackError, RPCError)):
        return True
    arguments = record.args if isinstance(record.args, tuple) else ()
    tasks = (each for each in arguments if isinstance(each, luigi.Task))
    return any(type(task).__module__.partition(".")[0] == __package__ for task in tasks)


def plain_message(error: BaseException | None) -> str | None:
    """Return the message of an error for the user, `None` for a bug."""
    if isinstance(error, SpimpackError):
        return message_of(error)
    if isinstance(error, AssertionError) and "requests-unixsocket" in str(error):
        return str(MissingExtraError("requests-unixsocket", "cluster"))
    if isinstance(error, RPCError):
        return f"{error}; {_TO_LOOK_AT}, then run it again"
    if isinstance(error, (RuntimeError, TaskException)) and str(error).startswith(_UNDONE):
        return OVERTAKEN
    return None


def _hide_password(record: logging.LogRecord) -> None:
    """Take user and password out of the address of a scheduler."""
    text = record.getMessage()
    if _PASSWORD.search(text):
        record.msg, record.args = "%s", (_PASSWORD.sub("", text),)


def make_log_readable(extent: Extent) -> None:
    """Filter Luigi's log; a second call only changes the extent."""
    logger = logging.getLogger("luigi-interface")
    known = next((each for each in logger.filters if isinstance(each, ReadableLog)), None)
    if known is None:
        known = ReadableLog()
        logger.addFilter(known)
    known.extent = extent
