"""Rows that stand for several files, which make up one image.

`merge_axis` says along which axis the files lie one behind the other. `spim_path` names them: a
list where it is given inline, and with semicolons between them in a table. Each may have wildcards:
`*` within a name, and `**` for folders. Brackets and question marks are letters like any other. A
part of a path that exists as it is written, such as the folder of the manifest, has no wildcards.
"""

from __future__ import annotations

import os
from glob import escape, glob
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.natural_order import sort_numbered

if TYPE_CHECKING:
    from collections.abc import Mapping

AXIS_COLUMN = "merge_axis"
PREFIX = "merge_"
"""Begins the columns of axis and policies."""
SEPARATOR = ";"
"""Between paths in a cell."""
WILDCARD = "*"


def split_paths(value: Any) -> list[Any]:
    """Return the paths of a cell, or of a list, whose items may be wrong."""
    if isinstance(value, list):
        return value
    return [part.strip() for part in str(value).split(SEPARATOR)]


def expand_path(path: str) -> tuple[list[str], list[str]]:
    """Return the files that a path stands for, and the folders that were looked through."""
    if os.path.lexists(path) or _first_wildcard(path) is None:
        return [path], []
    return sort_numbered(_find(path))[0], _folders_looked_at(path)


def has_wildcards(path: str) -> bool:
    """Tell whether a path stands for files that its pattern finds."""
    return not os.path.lexists(path) and _first_wildcard(path) is not None


def _first_wildcard(path: str) -> int | None:
    """Return the number of the first part of a path with a wildcard; there is none in a literal."""
    if WILDCARD not in path:
        return None
    parts = path.split("/")
    for number, part in enumerate(parts):
        if WILDCARD in part and not os.path.lexists("/".join(parts[: number + 1])):
            return number
    return None


def _find(path: str) -> list[str]:
    """Return the paths that a pattern fits."""
    parts = path.split("/")
    first = _first_wildcard(path)
    literal = [escape(part) for part in parts[:first]]
    rest = [part.replace("[", "[[]").replace("?", "[?]") for part in parts[len(literal) :]]
    return glob("/".join([*literal, *rest]), recursive=True)


def fixed_part(path: str) -> str:
    """Return the folder that a path with wildcards begins with, or a path without any."""
    first = _first_wildcard(path)
    return path if first is None else "/".join(path.split("/")[:first]) or "/"


def has_same_files(wildcards: Mapping[str, list[str]]) -> bool:
    """Tell whether paths with wildcards still stand for the same files."""
    return all(expand_path(path)[0] == found for path, found in wildcards.items())


def _folders_looked_at(pattern: str) -> list[str]:
    """Return the folders in which another file would fit a pattern: a new one changes them."""
    parts = pattern.split("/")
    first = _first_wildcard(pattern) or 0
    found = {"/".join(parts[:first])}
    for number in range(first + 1, len(parts)):
        found.update(folder.rstrip("/") for folder in _find("/".join([*parts[:number], ""])))
    return sorted(found)
