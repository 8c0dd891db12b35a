"""Working folders beside targets: locked, resumed, and emptied of what other inputs have left."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import discard, move_into_place, name_aside
from spimpack_tasks.files.held_folders import TargetTakenError, lock_folder, place_of
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXTENSION = ".ome.zarr"


class TargetRefusedError(SpimpackError):
    """A volume cannot be written to the target; the message says why."""

    exit_code = ExitCode.BAD_INPUT


def check_target(target: str, sources: Iterable[str]) -> None:
    """Refuse a target before any work.

    Raises
    ------
    TargetRefusedError
        Its name does not fit, its folder is missing, or it lies in a source.
    TargetTakenError
        Something lies there that is no stitched volume.
    """
    real = os.path.realpath(target)
    if not target.endswith(EXTENSION):
        raise TargetRefusedError(f"{target} does not end in {EXTENSION}")
    for source in sources:
        path = os.path.realpath(source)
        if os.path.commonpath([real, path]) in {real, path}:
            message = f"{target} and the tile {source} lie in one another"
            raise TargetRefusedError(f"{message}; choose another target")
    if not os.path.isdir(os.path.dirname(real)):
        raise TargetRefusedError(f"{os.path.dirname(target)} is not a folder; make it first")
    if os.path.lexists(target) and not _is_ours(target):
        message = f"{target} is there already, and is no stitched volume; choose another target"
        raise TargetTakenError(message)


def _is_ours(target: str) -> bool:
    return not os.path.islink(target) and "stitched_from" in read_provenance(target)


def is_made(target: str, identity: str) -> bool:
    """Tell whether a target is the volume with an identity."""
    return not os.path.islink(target) and read_provenance(target).get("made_from") == identity


def move_to_target(path: str, target: str) -> None:
    """Give a whole image its name; an earlier one is moved aside, and deleted when this is done."""
    folder, name = os.path.split(target)
    aside = os.path.join(os.path.dirname(path), os.path.basename(name_aside(path)))
    move_into_place(folder, path, name, aside=aside)


@contextmanager
def hold_place(target: str, identity: str, *, alone: bool = False) -> Iterator[str | None]:
    """Hold the place beside a target; yield nothing where the volume has been made.

    Files of other inputs there are deleted, unless a process works on them.
    """
    place = place_of(target)
    lock = lock_folder(place, lambda lock: _take(lock, place, target, identity, alone=alone))
    try:
        if is_made(target, identity):
            yield None
        else:
            yield place
    finally:
        if is_made(target, identity):
            with suppress(OSError):
                _clear(place, "")
                os.rmdir(place)
        os.close(lock)


def _take(lock: int, place: str, target: str, identity: str, *, alone: bool) -> None:
    """Lock the folder, and delete in it what is of other inputs."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear(place, identity)
    except BlockingIOError:
        # Others work here. That is well if they make the same.
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if _others(place, identity):
            message = f"{target} is being made of other inputs by another process"
            raise TargetTakenError(message) from None
    if not alone:
        fcntl.flock(lock, fcntl.LOCK_SH)


def _others(place: str, identity: str) -> list[str]:
    return [name for name in os.listdir(place) if not identity or not name.startswith(identity)]


def _clear(place: str, identity: str) -> None:
    for name in _others(place, identity):
        discard(os.path.join(place, name))
