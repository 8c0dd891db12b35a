"""Page that previews the changes of saving, saves, and shows the resulting files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.participants import participants_of
from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.problems import show_problems
from spimpack_tasks.ui.run_options import check
from spimpack_tasks.ui.session import notify

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor

TITLE = "Save"
ICON = ":material/save:"


def show(editor: ManifestEditor) -> None:
    """Show the difference to the disk, the buttons, and the files as they would be."""
    changes = editor.changes()
    if not changes:
        st.success(
            "All is saved: the files on disk are as shown here.", icon=":material/check_circle:"
        )
    for change in changes:
        what = "new file" if change.is_new else f"+{change.added} -{change.removed} lines"
        with st.expander(f"**{plain(shown(change.path))}**: {what}", expanded=True):
            if change.cells:
                st.code("\n".join(change.cells), language=None, wrap_lines=True)
            if not change.cells or st.toggle("Whole lines", key=f"lines-{change.path}"):
                st.code(change.diff, language="diff")
    if changes:
        _show_buttons(editor, len(changes))
    prepared = check(editor)
    show_problems(editor, prepared.report, len(editor.rows))
    _show_files(editor)


def _show_buttons(editor: ManifestEditor, number: int) -> None:
    with st.container(horizontal=True):
        if st.button(f"Save {count_of(number, 'file')}", type="primary", icon=":material/save:"):
            try:
                saved = editor.save()
            except (SpimpackError, OSError) as error:
                st.error(plain(str(error)), icon=":material/error:")
                return
            notify(f"Saved {', '.join(os.path.basename(path) for path in saved)}.")
            st.rerun()
        if st.button("Discard all edits", icon=":material/undo:"):
            editor.discard()
            notify("The edits are discarded. Undo brings them back.")
            st.rerun()


def _show_files(editor: ManifestEditor) -> None:
    paths = [editor.manifest, *editor.scans_tables]
    if participants_of(editor).table.rows:
        paths.append(editor.participants_table)
    st.subheader("Files")
    for path in paths:
        name, text = os.path.basename(path), editor.files.text(path)
        with st.expander(plain(shown(path)), icon=":material/draft:"):
            st.download_button(
                f"Download {name}", text.encode(), file_name=name, icon=":material/download:"
            )
            st.code(text, language="yaml" if path == editor.manifest else None)
