"""Errors of a publication, in words."""

from __future__ import annotations

from spimpack_tasks.errors import ExitCode, OutputError, SpimpackError, count_of

_MOST_FAILURES = 20
"""Outputs that a message names: more would hide the cause."""


class SendingError(OutputError):
    """Some outputs could not be sent; the message names each with its reason."""


class OccupiedObjectError(SpimpackError):
    """An object that is not ours is in the way."""

    exit_code = ExitCode.CONFLICT


def all_failed(failures: list[tuple[str, Exception]]) -> SendingError:
    """Return the error on outputs that could not be sent, given their names and reasons."""
    lines = [f"{count_of(len(failures), 'output')} could not be published"]
    lines += [f"{name}: {_in_words(reason)}" for name, reason in failures[:_MOST_FAILURES]]
    if len(failures) > _MOST_FAILURES:
        lines.append(f"and {len(failures) - _MOST_FAILURES:,} more")
    error = SendingError("\n".join(lines))
    codes = {getattr(each, "exit_code", ExitCode.FAILED) for _, each in failures}
    error.exit_code = ExitCode.FAILED if ExitCode.FAILED in codes else max(codes)
    return error


def _in_words(reason: Exception) -> str:
    if not isinstance(reason, OSError):
        return str(reason)
    where = f"{reason.filename}: " if reason.filename else ""
    return f"{where}{reason.strerror}; look at its rights and the disk, and run it again"


def occupied_by(names: list[str]) -> OccupiedObjectError:
    """Return the error on objects that are not ours and in the way."""
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    message = (
        f"{names[0]}{more} is there already, and not of ours; move it away, or publish to another "
        "place"
    )
    return OccupiedObjectError(message)
