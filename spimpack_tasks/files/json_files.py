"""Reads JSON files that the program wrote itself, and that may be lost or damaged since."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from spimpack_tasks.files.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def read_json(path: str, build: Callable[[Any], T], default: T) -> T:
    """Return the content of a JSON file, or `default` where it is lost or damaged.

    A power cut can leave a file empty, and so can a full disk or a program that syncs folders.

    Parameters
    ----------
    path
        Of the file.
    build
        Makes a value of the content. A content of the wrong form makes it raise `ValueError`,
        `TypeError`, `LookupError` or `AttributeError`.
    default
        The value where there is no such file, or nothing can be made of it.

    Raises
    ------
    OSError
        The file is there and cannot be read.
    """
    try:
        return build(json.loads(read_regular(path).decode()))
    except (FileNotFoundError, NotADirectoryError, *_DAMAGE):
        return default
