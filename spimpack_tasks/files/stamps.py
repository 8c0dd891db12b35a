"""Stamps: size and time of a source, by which it is known again without reading it."""

from __future__ import annotations

import json
import os
import re
import stat
from hashlib import blake2b

from spimpack_tasks.files.plane_names import stamp_planes
from spimpack_tasks.files.trees import files_below

_WITH_STAMP = re.compile("(.*) ([0-9]+ [0-9]+)", re.DOTALL)

GROUP_METADATA = ("zarr.json", ".zattrs", ".zgroup")
"""Files of which the group of an OME-Zarr has one."""
ZARR_METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
"""Files of which a Zarr has one: a group or an array."""


def stamp_source(path: str) -> tuple[int, int] | None:
    """Return size in bytes and modification time in nanoseconds, `None` if nothing exists.

    The metadata of an OME-Zarr represent the store, which may hold a million chunks: it has the
    size 0, and the latest time of its folder and its metadata. A folder of planes has the stamp of
    `stamp_planes`.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    return stamp_zarr(path, status) or stamp_planes(path)


def stamp_zarr(path: str, status: os.stat_result) -> tuple[int, int] | None:
    """Return the stamp of a folder that is an OME-Zarr, `None` where it is none."""
    for metadata in GROUP_METADATA:
        try:
            inner = os.stat(os.path.join(path, metadata))
        except OSError:
            continue
        return 0, max(status.st_mtime_ns, inner.st_mtime_ns)
    return None


def stamp_text(path: str) -> str:
    """Return the stamp of a source as plans and receipts hold it, empty where nothing is there."""
    stamp = stamp_source(path)
    return write_stamp(*stamp) if stamp else ""


def stamp_folder(path: str, depth: int = 2) -> list[str]:
    """Return names and times of what is in a folder and in its folders, down to a depth.

    A recording has thousands of files; those that a program makes again change the time of a folder
    near the top.
    """
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        return []
    found = []
    for entry in entries:
        try:
            status = entry.stat()
        except OSError:
            continue
        is_folder = stat.S_ISDIR(status.st_mode)
        size = 0 if is_folder else status.st_size
        found.append(f"{entry.name} {write_stamp(size, status.st_mtime_ns)}")
        found += stamp_folder(entry.path, depth - 1) if is_folder and depth > 1 else []
    return found


def stamp_tree(path: str) -> str:
    """Return a digest of name, size and time of each file below a folder.

    It takes a look at each chunk of an OME-Zarr, so it is for work that reads all of them. It is
    empty where `path` is no folder, or cannot be looked through.
    """
    digest = blake2b(digest_size=8)
    try:
        for name in files_below(path):
            status = os.stat(f"{path}/{name}")
            stamp = write_stamp(status.st_size, status.st_mtime_ns)
            digest.update(os.fsencode(f"{name}\0{stamp}\0"))
    except OSError:
        return ""
    return digest.hexdigest()


def split_stamp(text: str) -> tuple[str, str]:
    """Return path and stamp of a file that are written as one text, as requests hold them.

    The stamp of a file that was not there is empty.
    """
    match = _WITH_STAMP.fullmatch(text)
    return (match[1], match[2]) if match else (text.removesuffix(" "), "")


def write_stamp(size: int, mtime_ns: int) -> str:
    """Return a stamp as the one text that plans, receipts and headers compare."""
    return f"{size} {mtime_ns}"


def other_files_of(text: str) -> tuple[str, ...]:
    """Return path and stamp of further files that a request names; of other texts nothing.

    A backend of another package writes what it needs in its own way.
    """
    try:
        return tuple(json.loads(text).get("other_files", ()))
    except (ValueError, AttributeError, TypeError):
        return ()
