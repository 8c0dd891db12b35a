"""Detects changes of a path by `lstat` alone."""

from __future__ import annotations

import os
import stat

LINK = "link "
"""Beginning of the evidence of a link."""


def evidence_of(path: str) -> str:
    """Return the evidence of a file, link or directory without reading it; empty if none exists.

    A link is known by its text, a file by size and modification time, a directory by inode and
    modification time. Renaming changes none of these, so the evidence of a temporary file stays
    valid for the final one.
    """
    try:
        status = os.lstat(path)
        return f"{LINK}{os.readlink(path)}" if stat.S_ISLNK(status.st_mode) else evidence_in(status)
    except (FileNotFoundError, NotADirectoryError):
        return ""


def evidence_in(status: os.stat_result) -> str:
    """Return the evidence of what is no link."""
    if stat.S_ISREG(status.st_mode):
        return f"file {status.st_size} {status.st_mtime_ns}"
    if stat.S_ISDIR(status.st_mode):
        return f"directory {status.st_ino} {status.st_mtime_ns}"
    return f"other {stat.S_IFMT(status.st_mode):o}"


def is_still(path: str, evidence: str) -> bool:
    """Tell whether the thing at `path` has this evidence; of a link, one look is enough."""
    if not evidence.startswith(LINK):
        return evidence_of(path) == evidence
    try:
        return os.readlink(path) == evidence[len(LINK) :]
    except OSError:
        return False
