"""Tells whether a stream may replace what lies at a path: an image, never anything else."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from spimpack_tasks.errors import OccupiedError
from spimpack_tasks.streams.frame_log import FRAMES
from spimpack_tasks.streams.journal import read_journal

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF 6.0 and of BigTIFF, in both byte orders."""
_IMAGES = (".ome.tif", ".ome.tiff")
_BESIDE = (".companion.ome", FRAMES)
_KEYS = {"ome", "multiscales", "plate", "bioformats2raw.layout"}
"""Attributes of which an OME-Zarr has one at its root (0.4 and 0.5)."""
_OURS = {"settings.json", "journal.jsonl", FRAMES, "spool", "image"}


def refuse_foreign(path: str) -> None:
    """Refuse to replace what is no image.

    Parameters
    ----------
    path
        Absolute path at which something lies.

    Raises
    ------
    OccupiedError
        It is no OME-Zarr, TIFF or folder of OME-TIFF, or the working folder lies in it.
    """
    reason = _reason(path)
    if reason:
        message = f"{path} is not overwritten: it is {reason}; choose another path"
        raise OccupiedError(message)


def _reason(path: str) -> str:
    real = os.path.realpath(path)
    if os.path.ismount(path) or os.path.ismount(real):
        return "the root of a disk"
    here = os.path.realpath(os.getcwd())
    if os.path.commonpath([here, real]) == real:
        return "the working folder, or above it"
    is_image = _is_image_folder(path) if os.path.isdir(path) else _is_tiff(path)
    return "" if is_image else "no OME-Zarr, TIFF, or folder of OME-TIFF alone"


def _is_tiff(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(4) in _TIFF


def _is_image_folder(path: str) -> bool:
    names = os.listdir(path)
    if not names:
        return True  # nothing is lost with it
    if any(_is_ome(f"{path}/{name}") for name in ("zarr.json", ".zattrs")):
        return True
    images = [name for name in names if name.endswith(_IMAGES)]
    others = [name for name in names if name not in images and not name.endswith(_BESIDE)]
    return bool(images) and not others and all(_is_tiff(f"{path}/{name}") for name in images)


def _is_ome(path: str) -> bool:
    """Tell whether a file is the metadata of the root of an OME-Zarr."""
    try:
        with open(path, encoding="utf-8") as file:
            found: Any = json.load(file)
        if path.endswith("zarr.json"):
            found = found["attributes"]
        return bool(_KEYS & {*found})
    except (OSError, ValueError, LookupError, TypeError):
        return False


def refuse_frames(path: str, final: str) -> None:
    """Refuse to delete the folder of an unfinished stream that holds frames.

    Parameters
    ----------
    path
        The folder.
    final
        Path of the finished image.

    Raises
    ------
    OccupiedError
        It holds frames, is being written, or is no folder of a stream.
    """
    is_ours = os.path.isdir(path) and not os.path.islink(path) and {*os.listdir(path)} <= _OURS
    if not is_ours:
        message = f"{path} is no unfinished stream, so it is not overwritten; move it away"
        raise OccupiedError(message)
    recorded = read_journal(f"{path}/journal.jsonl")
    if recorded.slabs or recorded.spooled or recorded.planes or _is_held(f"{path}/journal.jsonl"):
        message = (
            f"{path} is an unfinished stream with frames, which overwriting does not delete; "
            f"finish it with: spimpack stream finish {final} - or delete {path} yourself"
        )
        raise OccupiedError(message)


def _is_held(journal: str) -> bool:
    """Tell whether a process is writing a stream."""
    try:
        file = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # some network disks have no locks
        return False
    finally:
        os.close(file)
    return False
