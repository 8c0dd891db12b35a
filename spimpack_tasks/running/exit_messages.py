"""Exit codes of a run in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.running.process import PackagingRun
    from spimpack_tasks.running.publishing import PublishingRun
    from spimpack_tasks.running.supervised import SupervisedRun

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


_TEXTS_OF_PUBLISHING = {
    ExitCode.BAD_INPUT: "It is refused; nothing was published.",
    ExitCode.CONFLICT: "The dataset is not as it was packaged, or an object that is not ours is in "
    "the way; nothing was published.",
    ExitCode.FAILED: "Some objects could not be sent. Publish again to resume.",
    ExitCode.INTERNAL: _TEXTS[ExitCode.INTERNAL],
    ExitCode.NOT_RUN: "Another publisher is at work at this address. Publish again later.",
    ExitCode.SUPERSEDED: "Another run publishes another state of the dataset.",
}


def exit_message(run: PackagingRun) -> ExitMessage:
    """Return the message on a run that has ended."""
    return _message(run, "Every image is in the dataset.", "Finished parts are kept", _TEXTS)


def publishing_message(run: PublishingRun) -> ExitMessage:
    """Return the message on a publication that has ended."""
    good, kept = "The dataset is published.", "Objects that have arrived are kept"
    return _message(run, good, kept, _TEXTS_OF_PUBLISHING)


def _message(
    run: SupervisedRun, good: str, kept: str, texts: Mapping[ExitCode, str]
) -> ExitMessage:
    code = run.exit_code
    if code == ExitCode.OK:
        return ExitMessage(True, good)  # noqa: FBT003 - a named tuple
    if run.is_stopping:
        text = f"Stopped. {kept}; run it again to resume."
    elif code == INTERRUPTED or code in KILLED:
        text = f"The run was killed from outside. {kept}; run it again to resume."
    else:
        text = texts.get(code, f"The run ended with exit code {code}.")  # type: ignore[call-overload]
    return ExitMessage(False, text)  # noqa: FBT003 - a named tuple
