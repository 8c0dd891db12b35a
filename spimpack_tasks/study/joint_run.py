"""Keeps runs of one study apart, and lets those that share a luigid know one another.

A run with a scheduler of its own holds the study alone. Runs of a luigid hold it together, and the
first of them writes a name, by which their tasks are the same ones to luigid. A later run has
another name, so that luigid lets it try again what has failed.

    <work_dir>/made/run    locked by each run as long as it lasts
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.state.processes import identify_process
from spimpack_tasks.study.places import MARK

if TYPE_CHECKING:
    from spimpack_tasks.study.study import Study

_FILE = "run"
_MARK = b"run-"
"""Begins each name, by which a file is known to be ours."""
_PATIENCE_S = 2.0
"""Seconds for another run to write the name, which takes it a moment."""
_LOOK_S = 0.05
"""Seconds between two looks: short beside the start of a run."""
_held: dict[str, int] = {}
"""Descriptors that hold the locks of this process, by the paths of their files."""


class StudyBusyError(SpimpackError):
    """Another run works at the study."""

    exit_code = ExitCode.NOT_RUN


def join_run(study: Study, *, is_alone: bool) -> None:
    """Hold a study until `leave_run`; a process that holds it already goes on.

    Where the disk knows no locks, or takes no file, nothing is held.

    Parameters
    ----------
    study
        The study.
    is_alone
        Whether the run shares its work with no other one.

    Raises
    ------
    StudyBusyError
        Another run works at it.
    """
    path = _path(study)
    if path in _held:
        return
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
        try:
            is_free = _lock(descriptor, is_alone=is_alone)
        except OSError:
            os.close(descriptor)
            raise
        if not is_free:
            os.close(descriptor)
            message = f"another run works at {study.path}; run it again when that has ended"
            raise StudyBusyError(message)
        _held[path] = descriptor


def leave_run(study: Study) -> None:
    """Let other runs work at a study."""
    descriptor = _held.pop(_path(study), None)
    if descriptor is not None:
        # Processes that were forked meanwhile have the same lock.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def name_run(study: Study) -> str:
    """Return the name that runs have in common which work at a study, empty if it has none."""
    try:
        name = read_regular(_path(study))
    except OSError:
        return ""
    return name.decode("ascii", "replace") if name.startswith(_MARK) else ""


def _path(study: Study) -> str:
    return os.path.join(study.work_dir, MARK, _FILE)


def _lock(descriptor: int, *, is_alone: bool) -> bool:
    """Take the lock, and write a name if no other run has it; tell whether it was to be had."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_name(descriptor)
            if not is_alone:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            return True
        if is_alone:
            return False
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        if time.monotonic() > give_up:
            return False
        time.sleep(_LOOK_S)


def _write_name(descriptor: int) -> None:
    """Write the name of a new run, unless another program has written the file."""
    if os.pread(descriptor, len(_MARK), 0) in {b"", _MARK}:
        identity = f"{identify_process()}-{time.time_ns():x}".encode("ascii", "replace")
        os.pwrite(descriptor, _MARK + identity, 0)
        os.ftruncate(descriptor, len(_MARK) + len(identity))
