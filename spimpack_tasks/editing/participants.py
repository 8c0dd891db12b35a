"""Edits the table of participants, and finds the subjects that it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.editing.mapping import cells_of
from spimpack_tasks.files.natural_order import natural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from spimpack_tasks.editing.editor import ManifestEditor, ScanRow
    from spimpack_tasks.editing.mapping import Merge
    from spimpack_tasks.files.tsv_edit import TsvText

ID = "participant_id"
COLUMNS = (ID, "species", "strain", "age", "sex")
"""Columns of a table that is started here."""


def participants_of(editor: ManifestEditor) -> TsvText:
    """Return the table of participants of a manifest, with a header where there is none yet."""
    return editor.table(editor.participants_table, COLUMNS)


def missing_subjects(rows: Iterable[ScanRow], table: TsvText) -> list[str]:
    """Return the labels of subjects that have scans, but are not among the participants."""
    columns = table.table.columns
    known = set()
    if ID in columns:
        index = columns.index(ID)
        known = {_label(row.cells[index]) for row in table.table.rows}
    labels = {_label(row.cells.get("subject", "")) for row in rows} - {"", "n/a"}
    return sorted(labels - known, key=natural)


def unused_participants(rows: Iterable[ScanRow], table: TsvText) -> list[int]:
    """Return the numbers of the rows of participants that have no scan."""
    columns = table.table.columns
    if ID not in columns:
        return []
    index = columns.index(ID)
    labels = {_label(row.cells.get("subject", "")) for row in rows}
    return [n for n, row in enumerate(table.table.rows) if _label(row.cells[index]) not in labels]


def add_participants(editor: ManifestEditor, rows: Iterable[Mapping[str, str]]) -> None:
    """Add rows to the table of participants."""
    with editor.editing(editor.participants_table, participants_of(editor)) as table:
        table.add_rows(rows)


def set_participant_cells(editor: ManifestEditor, cells: Mapping[tuple[int, str], str]) -> None:
    """Put texts into cells of the table of participants."""
    with editor.editing(editor.participants_table, participants_of(editor)) as table:
        table.set_cells(cells)


def remove_participants(editor: ManifestEditor, numbers: Collection[int]) -> None:
    """Take rows out of the table of participants."""
    with editor.editing(editor.participants_table, participants_of(editor)) as table:
        table.remove_rows(numbers)


def add_merged_participants(editor: ManifestEditor, merge: Merge) -> None:
    """Apply the new and changed rows of an imported table."""
    with editor.editing(editor.participants_table, participants_of(editor)) as table:
        table.set_cells(cells_of(merge))
        table.add_rows(merge.new)


def _label(text: str) -> str:
    return text.strip().removeprefix("sub-")
