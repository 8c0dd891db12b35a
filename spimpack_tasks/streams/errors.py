"""Errors of streams of frames."""

from __future__ import annotations

from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError, count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.streams.result import Ranges, StreamResult


class FrameError(SpimpackError, ValueError):
    """A frame has another shape or type than its stream, which goes on without it."""

    exit_code = ExitCode.BAD_INPUT

    @classmethod
    def of(cls, frame: Any, shape: Any, dtype: Any, kind: str) -> FrameError:
        """Return the error for a frame, with the shape and type that were announced."""
        given = f"{frame.shape} of type {frame.dtype}" + (kind != "ndarray") * f" ({kind})"
        message = f"a frame of {shape} pixels (y, x) of type {dtype} is appended, but {given}"
        return cls(f"{message} was given")


class TooManyFramesError(SpimpackError, IndexError):
    """All announced frames are there already."""

    exit_code = ExitCode.BAD_INPUT

    @classmethod
    def of(cls, total: int, there: int, more: int) -> TooManyFramesError:
        """Return the error for some frames more than are announced."""
        few = f"of {total:,} announced frames {total - there:,} are left, not {more:,}"
        return cls(few if there < total else f"all {total:,} announced frames are there")


class StreamClosedError(SpimpackError, ValueError):
    """The stream is closed, or cannot be opened."""

    exit_code = ExitCode.BAD_INPUT


class SourceError(SpimpackError, ValueError):
    """A source of frames cannot be read, or does not fit the settings."""

    exit_code = ExitCode.BAD_INPUT


class SourceFailedError(SourceError):
    """A function that yields frames has failed; the frames so far are kept."""

    exit_code = ExitCode.FAILED

    def __init__(self, text: str, number: int, error: BaseException) -> None:
        super().__init__(f"{text} failed at frame {number}: {described(error)}")


class SettingsChangedError(SpimpackError):
    """An unfinished stream has other settings than those that are given now."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, path: str, keys: Sequence[str]) -> None:
        super().__init__(
            f"{path} is an unfinished stream with other settings ({', '.join(keys)}); take them, "
            "choose another path, or finish it with: spimpack stream finish"
        )


class UnfinishedStreamError(SpimpackError):
    """A source has ended before all announced frames were there; the stream can be taken up."""

    exit_code = ExitCode.FAILED

    def __init__(self, path: str, missing: Ranges) -> None:
        count = sum(last - first + 1 for first, last in missing)
        super().__init__(
            f"{path} is not finished: {count_of(count, 'frame')} missing ({_named(missing)}); run "
            f"it again when they are there, or finish it with: spimpack stream finish {path}"
        )


class StreamBehindError(SpimpackError):
    """The memory is full of frames that wait for the disk; the frame was not taken."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"the disk is {waiting:,} bytes behind; append the frame again later")
        self.waiting = waiting


class IncompleteStreamError(SpimpackError):
    """The image is finished, but has fewer frames than announced."""

    def __init__(self, result: StreamResult) -> None:
        super().__init__(
            f"{result.path} is incomplete: {count_of(result.count_missing, 'frame')} missing "
            f"({_named(result.missing)}); allow this by allow_incomplete"
        )
        self.result = result


def described(error: BaseException) -> str:
    """Return an error of the user's code with the line where it arose."""
    place = ""
    if error.__traceback__ is not None:
        last = extract_tb(error.__traceback__)[-1]
        place = f" ({last.filename}, line {last.lineno})"
    return f"{type(error).__name__}: {error}{place}"


def _named(ranges: Ranges) -> str:
    """Return the first few ranges as a text."""
    texts = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:5]]
    return ", ".join([*texts, "..."] if len(ranges) > 5 else texts)
