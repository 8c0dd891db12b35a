"""Errors of sources that are converted, and their translation to `OSError`."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.codecs import DamagedChunkError
from spimpack_tasks.errors import message_of
from spimpack_tasks.files.atomic import discard
from spimpack_tasks.files.file_traces import trace_files
from spimpack_tasks.files.stamps import split_stamp, stamp_text
from spimpack_tasks.volumes.errors import SourceRefusedError, UnreadableVoxelsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNCONVERTIBLE = (SourceRefusedError, UnreadableVoxelsError, DamagedChunkError)
"""Errors of a source that cannot be converted; the message names the file."""

_PASSING = {
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EREMOTEIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    *(errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN),
}
"""Numbers of system errors that may be gone by the next run, of a disk or a network."""

_CHANGED = "its source changed while it was converted; run it again"


class UnconvertibleError(OSError):
    """A source cannot be converted as it is, however often it is tried."""


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Raise what is wrong with a source as an `OSError`, as converters do.

    Raises
    ------
    UnconvertibleError
        The source is refused, or damaged.
    OSError
        The disk of the source fails just now.
    """
    try:
        yield
    except UNCONVERTIBLE as error:
        kind = OSError if _is_passing(error) else UnconvertibleError
        raise kind(errno.EIO, message_of(error)) from error


def _is_passing(error: BaseException | None) -> bool:
    """Tell whether the system is the cause, which may be well again by the next run."""
    while error is not None:
        if isinstance(error, UnconvertibleError):
            return False
        # Libraries raise the same class for damaged data, with no number or another one.
        if isinstance(error, OSError) and error.errno in _PASSING:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def require_unchanged(sources: Iterable[str], *paths: str) -> Iterator[None]:
    """Refuse what was made of a source that changed meanwhile, and delete it.

    Parameters
    ----------
    sources
        Absolute paths of all files and folders that are read.
    paths
        Where the image is made, in the order in which it is deleted.

    Raises
    ------
    OSError
        A source is not what it was, by `ESTALE`.
    """
    before = [(source, trace_files(source)) for source in sources]
    try:
        yield
    finally:
        if any(trace_files(source).shows_change_since(trace) for source, trace in before):
            for path in paths:
                _delete(path)
            raise OSError(errno.ESTALE, _CHANGED)


def _delete(path: str) -> None:
    try:
        discard(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        # Another process makes a part of the same image there. It will find the change as well.
        if error.errno != errno.ENOTEMPTY:
            raise


def require_stamps(files: Iterable[str]) -> None:
    """Refuse files that are not what they were when a conversion was planned.

    Parameters
    ----------
    files
        Path and stamp of each.

    Raises
    ------
    OSError
        One has changed, by `ESTALE`.
    """
    for each in files:
        path, stamp = split_stamp(each)
        if stamp_text(path) != stamp:
            raise OSError(errno.ESTALE, f"{path!r} has changed; run it again")
