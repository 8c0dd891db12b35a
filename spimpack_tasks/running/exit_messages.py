"""What the end of a run means, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import ExitCode

if TYPE_CHECKING:
    from spimpack_tasks.running.process import PackagingRun

INTERRUPTED = 130
KILLED = frozenset({128 + 9, 128 + 15})


class ExitMessage(NamedTuple):
    """How a run ended."""

    is_good: bool
    text: str


_TEXTS = {
    ExitCode.BAD_INPUT: "The inputs are refused; nothing was written.",
    ExitCode.CONFLICT: "Something that is not ours stands in the way; nothing was written.",
    ExitCode.FAILED: "Some outputs could not be written; the others are in place.",
    ExitCode.INTERNAL: "The program failed. Please report it, with the messages below.",
    ExitCode.NOT_RUN: "The run was not let through. Run it again.",
    ExitCode.SUPERSEDED: "Another run with other inputs took over.",
    ExitCode.INVALID: "The dataset was written, but is not valid BIDS.",
}


def exit_message(run: PackagingRun) -> ExitMessage:
    """Return how a run ended that has."""
    code = run.exit_code
    if code == ExitCode.OK:
        return ExitMessage(True, "Every image is in the dataset.")  # noqa: FBT003 - a named tuple
    if run.is_stopping:
        text = "Stopped. What is done stays; run it again to go on."
    elif code == INTERRUPTED or code in KILLED:
        text = "It was ended from outside. What is done stays; run it again to go on."
    else:
        text = _TEXTS.get(code, f"It ended with the exit code {code}.")  # type: ignore[call-overload]
    return ExitMessage(False, text)  # noqa: FBT003 - a named tuple
