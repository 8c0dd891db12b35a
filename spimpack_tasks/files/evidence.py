"""Detects changes of a path by `lstat` alone."""

from __future__ import annotations

import os
import stat

_LINK = "link "


def evidence_of(path: str) -> str:
    """Return the evidence of a file, link or directory without reading it; empty if none exists.

    A link is known by its text, a file by size and modification time, a directory by inode and
    modification time. Renaming changes none of these, so the evidence of a temporary file stays
    valid for the final one.
    """
    try:
        return _evidence(os.lstat(path), path)
    except (FileNotFoundError, NotADirectoryError):
        return ""


def evidence_of_made(path: str) -> str:
    """Return the evidence of what was made just now; of a link, one look is enough."""
    try:
        return f"{_LINK}{os.readlink(path)}"
    except OSError:  # it is no link
        return evidence_of(path)


def _evidence(status: os.stat_result, path: str) -> str:
    if stat.S_ISLNK(status.st_mode):
        return f"{_LINK}{os.readlink(path)}"
    if stat.S_ISREG(status.st_mode):
        return f"file {status.st_size} {status.st_mtime_ns}"
    if stat.S_ISDIR(status.st_mode):
        return f"directory {status.st_ino} {status.st_mtime_ns}"
    return f"other {stat.S_IFMT(status.st_mode):o}"


def status_of(path: str) -> os.stat_result | None:
    """Return the `lstat` result of a path, `None` where nothing can be found."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def is_evidence(evidence: str, status: os.stat_result | None, path: str) -> bool:
    """Tell whether the thing at `path`, of which the status is known, has this evidence."""
    if status is None:
        return not evidence
    try:
        return _evidence(status, path) == evidence
    except OSError:  # it has just vanished
        return False


def is_still(path: str, evidence: str) -> bool:
    """Tell whether the thing at `path` has this evidence; of a link, one look is enough."""
    if not evidence.startswith(_LINK):
        return evidence_of(path) == evidence
    try:
        return os.readlink(path) == evidence[len(_LINK) :]
    except OSError:
        return False
