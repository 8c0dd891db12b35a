"""The page of the participants table."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.editing.participants import (
    ID,
    add_merged_participants,
    add_participants,
    missing_subjects,
    participants_of,
    remove_participants,
    set_participant_cells,
    unused_participants,
)
from spimpack_tasks.errors import count_of
from spimpack_tasks.files.tsv_edit import cells_by_column
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.grid import show_grid
from spimpack_tasks.ui.import_table import import_rows
from spimpack_tasks.ui.jumps import jump_in
from spimpack_tasks.ui.problems import marks_of, show_problems
from spimpack_tasks.ui.row_filter import filter_rows
from spimpack_tasks.ui.run_options import check
from spimpack_tasks.ui.session import close_dialog, is_open, open_dialog
from spimpack_tasks.ui.set_column import set_column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.files.tsv_edit import TsvText

TITLE = "Participants"
ICON = ":material/group:"


def show(editor: ManifestEditor) -> None:
    """Show the grid, the buttons for its rows, and the problems."""
    report = check(editor).report
    table = participants_of(editor)
    rows = table.table.rows
    path = editor.participants_table
    marks = marks_of(report, path)
    line = jump_in(path)
    wanted = frozenset(n for n, row in enumerate(rows) if row.line == line) or None
    if not rows and not os.path.exists(path):
        st.info(
            "There is no table of participants yet. It is optional: BIDS recommends it, and "
            "nothing is lost without.",
            icon=":material/info:",
        )
    picked: list[int] = []
    change = partial(set_participant_cells, editor)
    if rows:
        signs = {n: marks[row.line] for n, row in enumerate(rows) if row.line in marks}
        shown = filter_rows("participants", table.table, signs, wanted)
        picked = show_grid(
            "participants", table.table, signs, change, shown=shown.numbers, pick=shown.pick
        )
    _show_buttons(editor, table, picked)
    if is_open("import-participants"):
        _import_table(editor, table)
    if len(picked) > 1:
        described = load_schema("participants")["properties"]
        names = dict.fromkeys([*table.table.columns, *described])
        known = {name: _values(described.get(name, {})) for name in names if name != ID}
        set_column("participants", table.table, picked, known, change)
    show_problems(editor, report, len(editor.rows))


def _values(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that a column may have, without other spellings of the same."""
    return [text for text in schema.get("enum", ()) if len(text) > 1 and text.islower()]


def _show_buttons(editor: ManifestEditor, table: TsvText, picked: list[int]) -> None:
    missing = missing_subjects(editor.rows, table)
    unused = unused_participants(editor.rows, table)
    with st.container(horizontal=True, vertical_alignment="center"):
        label = f"Add {count_of(len(missing), 'subject')} of the scans"
        if missing and st.button(label, icon=":material/group_add:", type="primary"):
            add_participants(editor, [{ID: f"sub-{subject}"} for subject in missing])
            st.rerun()
        icon, name = ":material/upload:", "import-participants"
        st.button("Import a table", icon=icon, on_click=open_dialog, args=(name,))
        if st.button("Add row", icon=":material/add:"):
            add_participants(editor, [{ID: "sub-"}])
            st.rerun()
        if st.button("Remove", icon=":material/delete:", disabled=not picked):
            remove_participants(editor, picked)
            st.rerun()
        label = f"Remove {count_of(len(unused), 'participant')} without scans"
        if unused and st.button(label, icon=":material/group_remove:"):
            remove_participants(editor, unused)
            st.rerun()
        with st.popover("Add a column", icon=":material/view_column:"):
            name = st.text_input("Name", key="participants-column", placeholder="genotype")
            if st.button("Add", key="participants-column-add", disabled=not name.strip()):
                changed = participants_of(editor)
                changed.add_columns([name.strip()])
                editor.edit(editor.participants_table, changed.text)
                st.rerun()


@st.dialog("Import a table of participants", width="large", on_dismiss=close_dialog)
def _import_table(editor: ManifestEditor, table: TsvText) -> None:
    merge = import_rows("participants", table.table.columns, cells_by_column(table.table))
    if merge is not None:
        add_merged_participants(editor, merge)
        close_dialog()
        st.rerun()
