"""HTML pages of ours: escapes their text, recognises them, and replaces them."""

from __future__ import annotations

import os
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING

from spimpack_tasks.errors import printable
from spimpack_tasks.files.atomic import (
    discard,
    move_into_place,
    name_aside,
    require_plain_place,
)
from spimpack_tasks.files.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD_BYTES = 2**16
"""The mark of a page of ours stands in its first bytes."""


def safe(text: object) -> str:
    """Return a text for any place in a page: as HTML, and nothing in it that is not shown."""
    return escape(printable(str(text)))


def read_head(path: str) -> str:
    """Return how a regular file begins, empty where there is none, or where a link leads to it."""
    if os.path.islink(path) or not os.path.isfile(path):
        return ""
    with open_regular(path) as file:
        return file.read(_HEAD_BYTES).decode(errors="replace")


def write_page(root: str, temporary: str, name: str, lines: Iterable[str]) -> None:
    """Write a page below `root` in one step, line by line, so it need not fit into memory.

    Raises
    ------
    OSError
        It cannot be written; nothing is left of it then.
    """
    try:
        # A file name that is not UTF-8 has been made readable; nothing else is to be escaped here.
        with open(temporary, "x", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{line}\n" for line in lines)
        move_into_place(root, temporary, name)
    except BaseException:
        with suppress(FileNotFoundError):
            discard(temporary)
        raise


def write_page_at(path: str, lines: Iterable[str]) -> None:
    """Write a page to an absolute path, through a temporary name beside it."""
    require_plain_place(path)
    folder, name = os.path.split(path)
    write_page(folder, name_aside(path), name, lines)
