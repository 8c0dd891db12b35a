"""Rows that stand for several files, which make up one image.

`merge_axis` says along which axis the files lie one behind the other. `spim_path` names them: a
list where it is given inline, and with semicolons between them in a table. Each may have the
wildcards of glob. A path that exists as it is written has no wildcards.
"""

from __future__ import annotations

import os
from glob import glob, has_magic
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.natural_order import natural

if TYPE_CHECKING:
    from collections.abc import Mapping

AXIS_COLUMN = "merge_axis"
PREFIX = "merge_"
"""Begins the columns of axis and policies."""
SEPARATOR = ";"
"""Between paths in a cell."""


def split_paths(value: Any) -> list[Any]:
    """Return the paths of a cell, or of a list, whose items may be wrong."""
    if isinstance(value, list):
        return value
    return [part.strip() for part in str(value).split(SEPARATOR)]


def expand_path(path: str) -> tuple[list[str], list[str]]:
    """Return the files that a path stands for, and the folders that were looked through."""
    if os.path.lexists(path) or not has_magic(path):
        return [path], []
    return sorted(glob(path, recursive=True), key=natural), _folders_looked_at(path)


def has_same_files(wildcards: Mapping[str, list[str]]) -> bool:
    """Tell whether paths with wildcards still stand for the same files."""
    return all(expand_path(path)[0] == found for path, found in wildcards.items())


def _folders_looked_at(pattern: str) -> list[str]:
    """Return the folders in which another file would fit a pattern: a new one changes them."""
    parts = pattern.split("/")
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    found = {
        folder.rstrip("/")
        for number in range(first, len(parts))
        for folder in glob("/".join([*parts[:number], ""]), recursive=True)
    }
    return sorted(found)
