"""Working folders beside targets: locked, resumed, and emptied of what other inputs have left."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import discard, write_new
from spimpack_tasks.files.held_folders import TargetTakenError, lock_folder, place_of
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXTENSION = ".ome.zarr"
_OURS = ".made"
"""Folder in a working folder, with an empty file by the name of each that is made there."""


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


def check_work_dir(folder: str, sources: Iterable[str], names: Iterable[str]) -> None:
    """Refuse a working folder before any work.

    Parameters
    ----------
    folder
        The folder, which need not be there.
    sources
        Paths of the tiles.
    names
        Files that are made in it.

    Raises
    ------
    TargetRefusedError
        It is a file, or lies in a tile.
    TargetTakenError
        A file has one of the names, and was not made here.
    """
    real = os.path.realpath(folder)
    for source in sources:
        path = os.path.realpath(source)
        if os.path.commonpath([real, path]) == path:
            message = f"the working folder {folder} lies in the tile {source}"
            raise TargetRefusedError(f"{message}; choose another work_dir")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise TargetRefusedError(f"{folder} is no folder; choose another work_dir")
    foreign = [
        name
        for name in names
        if os.path.lexists(f"{folder}/{name}") and not os.path.lexists(f"{folder}/{_OURS}/{name}")
    ]
    if foreign:
        message = f"{folder} holds {', '.join(foreign)}, which was not made here"
        raise TargetTakenError(f"{message}; choose another work_dir, or move it away")


def claim_work_files(folder: str, names: Iterable[str]) -> None:
    """Make a working folder, and note which files in it are made here, before they are.

    Raises
    ------
    TargetTakenError
        As of `check_work_dir`.
    OSError
        The disk does not take it.
    """
    names = [*names]
    check_work_dir(folder, (), names)
    os.makedirs(f"{folder}/{_OURS}", exist_ok=True)
    for name in names:
        with suppress(FileExistsError):
            write_new(f"{folder}/{_OURS}/{name}", b"")


def _is_ours(target: str) -> bool:
    return not os.path.islink(target) and "stitched_from" in read_provenance(target)


def is_made(target: str, identity: str) -> bool:
    """Tell whether a target is the volume with an identity."""
    return not os.path.islink(target) and read_provenance(target).get("made_from") == identity


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
