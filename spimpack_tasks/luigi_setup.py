"""Parts that all our Luigi tasks share: path parameters, disk errors, and progress."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import luigi
from luigi.rpc import RPCError

from spimpack_tasks.errors import OutputError
from spimpack_tasks.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator


class AbsolutePath(luigi.Parameter):
    """A path, made absolute, so that equal paths make equal tasks from any directory."""

    def normalize(self, x: str) -> str:
        """Return the path as an absolute one; an empty one stays empty."""
        return os.path.abspath(os.path.expanduser(str(x))) if x else ""


@contextmanager
def reporting_disk_errors() -> Iterator[None]:
    """Turn the error of a full, failing or read-only disk into a one-line message."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}; run it again when that is mended"
        raise OutputError(message) from error


def progress_of(task: luigi.Task) -> Progress:
    """Return the progress of a running task, which its scheduler shows.

    A scheduler that does not answer gets no further reports: the work must not wait for it.
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
