"""Exit codes of a run in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import ExitCode

if TYPE_CHECKING:
    from spimpack_tasks.running.process import PackagingRun

INTERRUPTED = 130
"""The code of a shell for SIGINT: 128 + 2."""
KILLED = frozenset({128 + 9, 128 + 15})


class ExitMessage(NamedTuple):
    """Message on the result of a run, and whether it succeeded."""

    is_good: bool
    text: str


_TEXTS = {
    ExitCode.BAD_INPUT: "The inputs are refused; nothing was written.",
    ExitCode.CONFLICT: "A file that this program did not write is in the way; nothing was written.",
    ExitCode.FAILED: "Some outputs could not be written; the others are in place.",
    ExitCode.INTERNAL: "The program failed. Please report it, with the messages below.",
    ExitCode.NOT_RUN: "The scheduler did not run the tasks. Run it again.",
    ExitCode.SUPERSEDED: "Another run with other inputs took over.",
    ExitCode.INVALID: "The dataset was written, but is not valid BIDS.",
}


def exit_message(run: PackagingRun) -> ExitMessage:
    """Return the message on a run that has ended."""
    code = run.exit_code
    if code == ExitCode.OK:
        return ExitMessage(True, "Every image is in the dataset.")  # noqa: FBT003 - a named tuple
    if run.is_stopping:
        text = "Stopped. Finished parts are kept; run it again to resume."
    elif code == INTERRUPTED or code in KILLED:
        text = "The run was killed from outside. Finished parts are kept; run it again to resume."
    else:
        text = _TEXTS.get(code, f"The run ended with exit code {code}.")  # type: ignore[call-overload]
    return ExitMessage(False, text)  # noqa: FBT003 - a named tuple
