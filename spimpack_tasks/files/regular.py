"""Opens regular files for reading, and refuses others: reading a pipe or a device may never end.

Opening some devices has side effects, so a path that is not a regular file is not even opened.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO, TextIO

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Without O_NONBLOCK, opening a pipe that has come meanwhile waits for a writer."""


def open_descriptor(path: str) -> tuple[int, os.stat_result]:
    """Open a regular file, links followed; return its descriptor and status.

    Raises
    ------
    OSError
        The system's reason, or that it is no regular file.
    """
    try:
        _check(path, os.stat(path))
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a name that no file can have
        raise OSError(None, str(error)) from error
    status = os.fstat(descriptor)
    try:
        _check(path, status)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, status


def read_regular(path: str) -> bytes:
    """Return the content of a small regular file.

    Raises
    ------
    OSError
        As of `open_descriptor`.
    """
    descriptor, status = open_descriptor(path)
    try:
        pieces = []
        # One byte more than there was: a file that has grown since is read to its end.
        while piece := os.read(descriptor, status.st_size + 1):
            pieces.append(piece)
            if len(piece) == status.st_size:
                break
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def open_regular(path: str) -> BinaryIO:
    """Open a regular file.

    Raises
    ------
    OSError
        As of `open_descriptor`.
    """
    return open(open_descriptor(path)[0], "rb")


def open_regular_text(
    path: str, encoding: str = "utf-8", errors: str = "strict", newline: str | None = None
) -> TextIO:
    """Open a regular file of text; the others as of `open`.

    Raises
    ------
    OSError
        As of `open_descriptor`.
    """
    return io.TextIOWrapper(open_regular(path), encoding, errors, newline)


def _check(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", path)
