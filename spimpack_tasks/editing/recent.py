"""Recent manifests, kept in the user's state directory for the user alone.

A list that cannot be read counts as empty, and one that cannot be written is not kept.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass

from spimpack_tasks.editing.unsaved import state_folder
from spimpack_tasks.files.atomic import name_aside
from spimpack_tasks.files.roots import is_within

MOST_KEPT = 10
"""Manifests in the list: more than a user has at work, and few enough to read."""
FILE = "recent.json"


@dataclass(frozen=True, slots=True)
class RecentManifest:
    """A manifest that was opened before."""

    path: str
    """Absolute."""
    refusal: str
    """Reason why it cannot be opened now; empty if it can."""


def note_recent(manifest: str) -> None:
    """Put a manifest at the head of the list."""
    paths = _read()
    if paths[:1] != [manifest]:
        _write([manifest, *(path for path in paths if path != manifest)][:MOST_KEPT])


def forget_recent(manifest: str) -> None:
    """Take a manifest out of the list; the file stays."""
    _write([path for path in _read() if path != manifest])


def recent_manifests(roots: tuple[str, ...]) -> list[RecentManifest]:
    """Return the list, the last manifest first; nothing outside the roots is looked at."""
    return [RecentManifest(path, _refusal(path, roots)) for path in _read()]


def _refusal(path: str, roots: tuple[str, ...]) -> str:
    if not is_within(path, roots):
        return "outside the folders that may be used here"
    return "" if os.path.isfile(path) else "is not there any more"


def _path() -> str:
    return os.path.join(state_folder(), FILE)


def _read() -> list[str]:
    try:
        with open(_path(), encoding="utf-8") as file:
            paths = json.load(file)
    except (OSError, ValueError):
        return []
    is_list = isinstance(paths, list)
    return [path for path in paths if isinstance(path, str) and path] if is_list else []


def _write(paths: list[str]) -> None:
    with suppress(OSError):
        os.makedirs(state_folder(), mode=0o700, exist_ok=True)
        aside = name_aside(_path())
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(paths, file, indent=1)
        os.replace(aside, _path())
