"""Adds rows to the scans table of a manifest, for what makes images and lets them enter a dataset.

The table is held by the lock that the web pages take as well, so that several can add rows at once.
Nothing else in it is changed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import replace_together
from spimpack_tasks.files.csv_edit import add_csv_rows, csv_columns
from spimpack_tasks.files.locks import hold_folders
from spimpack_tasks.files.text import is_spreadsheet
from spimpack_tasks.files.tsv_edit import TsvText
from spimpack_tasks.manifest.records import CANONICAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MARK = "\ufeff"
"""Byte order mark, which spreadsheet programs put before a table, and which stays."""


def edit_table(table: str, edit: Callable[[str], str]) -> None:
    """Replace the text of a table in one step, while its lock is held; not where it stays equal.

    Parameters
    ----------
    table
        Its path; a new one is made. A link stays a link: what it points to is replaced.
    edit
        Returns the new text of the present one, which is empty where there is no table.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    path = os.path.realpath(table)
    with hold_folders([os.path.dirname(path)]):
        text = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8", newline="") as file:
                text = file.read()
        mark = _MARK if text.startswith(_MARK) else ""
        edited = mark + edit(text[len(mark) :])
        if edited != text:
            replace_together({path: edited.encode()})


def add_table_rows(table: str, text: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Return the text of a table with further rows, by the names that it has for their columns.

    Raises
    ------
    SpimpackError
        The text is no table.
    """
    if not rows:
        return text
    if is_spreadsheet(table):
        return add_csv_rows(text, named_as(csv_columns(text), rows))
    edited = TsvText(text, list(dict.fromkeys(column for row in rows for column in row)))
    edited.add_rows(named_as(edited.table.columns, rows))
    return edited.text


def named_as(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return rows by the names that a table has for their columns, such as `sub` for `subject`."""
    names = {CANONICAL.get(column, column): column for column in columns}
    return [{names.get(key, key): text for key, text in row.items()} for row in rows]


def path_cell(path: str, folder: str) -> str:
    """Return the cell of a file for a table in a folder: relative where it lies in there."""
    inside = os.path.commonpath([folder, path]) == folder
    return os.path.relpath(path, folder) if inside else path
