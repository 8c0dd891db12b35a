"""Errors of images that cannot be read, and the guard that raises them for damaged files."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, HintedError, SpimpackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

logger = logging.getLogger(__name__)

_LONGEST_REASON = 400
"""Characters of a library's message: about four lines of a terminal."""

_TOO_SHORT = re.compile(
    "unpack(_from)? requires a buffer|not enough data|buffer is (too small|smaller)|unexpected end",
    re.IGNORECASE,
)
"""Messages of libraries about a file that ends too early, or whose addresses are wrong."""


class SourceRefusedError(HintedError):
    """A source cannot be packaged; the arguments are a problem code, a message and a hint."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


class HeaderError(SourceRefusedError):
    """A file does not hold what its format demands; the message names the file."""

    def __init__(
        self, path: str, what: str, hint: str = "", *, code: str = "source.content"
    ) -> None:
        super().__init__(code, f"{path!r} {what}", hint)


class UnreadableHeaderError(HeaderError):
    """The system does not let the file be read."""

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(path, f"cannot be read: {error.strerror or error}")
        self.code = "source.unreadable"


class UnreadableVoxelsError(SpimpackError):
    """The voxels of a source cannot be read; the message names the file."""

    exit_code = ExitCode.BAD_INPUT


class _Guard:
    """A context in which errors for the user pass, and any other is raised as `damaged` has it.

    Which exceptions a library raises for a damaged file is not documented anywhere and differs by
    version: `struct.error`, `ZeroDivisionError`, `MemoryError`, ... So it is all of them.
    """

    __slots__ = ("damaged", "path")

    def __init__(self, path: str, damaged: Callable[[str, Exception], Exception]) -> None:
        self.path, self.damaged = path, damaged

    def __enter__(self) -> None:
        """Do nothing yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise what a library has raised as an error for the user."""
        if isinstance(error, Exception) and not isinstance(error, SpimpackError):
            logger.debug("%s cannot be read", self.path, exc_info=error)
            raise self.damaged(self.path, error) from error


def reading(path: str) -> AbstractContextManager[None]:
    """Raise any exception that a library raises for a damaged file as an error that names the file.

    Raises
    ------
    HeaderError
        Anything went wrong but what is meant for the user already.
    """
    return _Guard(path, _damaged_header)


def _damaged_header(path: str, error: Exception) -> HeaderError:
    return HeaderError(path, f"is damaged: {reason_of(error)}")


def _damaged_voxels(path: str, error: Exception) -> UnreadableVoxelsError:
    return UnreadableVoxelsError(f"the voxels of {path!r} cannot be read: {reason_of(error)}")


@contextmanager
def reading_voxels(path: str) -> Iterator[None]:
    """Raise any exception that a library raises for damaged voxels as one that names the file.

    Raises
    ------
    UnreadableVoxelsError
        Anything went wrong; what is refused keeps its reason.
    """
    try:
        with _Guard(path, _damaged_voxels):
            yield
    except SourceRefusedError as error:
        raise UnreadableVoxelsError(error.told) from error


def reason_of(error: Exception) -> str:
    """Return a library's message about a damaged file, in one line."""
    text = str(error)
    if _TOO_SHORT.search(text):
        return "it ends before all of its parts, or they are not where it says"
    if isinstance(error, OSError) and not error.filename:
        text = error.strerror or text  # without the number
    return " ".join(text.split())[:_LONGEST_REASON] or type(error).__name__
