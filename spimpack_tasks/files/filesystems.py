"""Finds the file system of a directory, without writing to it."""

from __future__ import annotations

import os
import re

_OCTAL = re.compile(r"\\([0-7]{3})")
"""Escapes of blanks, tabs, line ends and backslashes in proc(5)'s mountinfo."""

NO_LINKS = frozenset({"vfat", "msdos", "exfat", "fuseblk.exfat"})
"""File systems that know neither symbolic nor hard links."""


def nearest_directory(path: str) -> str | None:
    """Return `path` or its nearest parent that exists; `None` where that is no directory."""
    path = os.path.abspath(path)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path if os.path.isdir(path) else None


def device_of(path: str) -> int | None:
    """Return the number of the disk that holds `path`, `None` where it has just vanished."""
    try:
        return os.stat(path).st_dev
    except OSError:
        return None


def file_system_of(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """Return the type of the file system that holds `path`, empty if it is unknown.

    The format of `mountinfo` is that of proc(5): the mount point is field 5, the type follows the
    separator `-`.
    """
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:  # not Linux
        return ""
    real = os.path.realpath(path)
    best, found = "", ""
    for fields in mounts:
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        if os.path.commonpath([real, point]) == point and len(point) >= len(best):
            best, found = point, fields[fields.index("-") + 1]
    return found
