"""State of one browser tab.

The address of the page names the manifest, and unsaved edits are kept on disk, so reloading the
page loses nothing.
"""

from __future__ import annotations

import streamlit as st

from spimpack_tasks.editing.editor import ManifestEditor, open_manifest
from spimpack_tasks.editing.recent import note_recent
from spimpack_tasks.editing.unsaved import drop_unsaved, find_unsaved, keep_unsaved
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.ui.markdown import plain

_EDITOR, _OPENED, _NOTICE, _DIALOG = "editor", "opened", "notice", "dialog"
_PARAMETER = "manifest"


def current_editor(roots: tuple[str, ...], manifest: str = "") -> ManifestEditor | None:
    """Return the open manifest: of this tab, the page's address, or the command line."""
    editor: ManifestEditor | None = st.session_state.get(_EDITOR)
    if editor is not None:
        st.query_params[_PARAMETER] = editor.manifest
        return editor
    named = st.query_params.get(_PARAMETER, manifest)
    if named:
        try:
            take_up(open_or_restore(named, roots))
        except (SpimpackError, OSError) as error:
            st.query_params.clear()
            st.error(plain(str(error)), icon=":material/error:")
    return st.session_state.get(_EDITOR)


def was_just_opened() -> bool:
    """Tell whether the manifest was opened since this was asked last."""
    return bool(st.session_state.pop(_OPENED, False))


def open_or_restore(manifest: str, roots: tuple[str, ...]) -> ManifestEditor:
    """Open a manifest with the edits of it that were kept.

    Raises
    ------
    SpimpackError
        It cannot be opened.
    """
    unsaved = find_unsaved(manifest, roots)
    if unsaved is None:
        return open_manifest(manifest, roots)
    notify("Edits that were not saved are here again. Discard them on the page Save.")
    return ManifestEditor(manifest, unsaved)


def take_up(editor: ManifestEditor) -> None:
    """Make a manifest the one that is open in this tab."""
    st.session_state[_EDITOR] = editor
    st.session_state[_OPENED] = True
    note_recent(editor.manifest)
    st.query_params[_PARAMETER] = editor.manifest


def close() -> None:
    """Close the manifest; unsaved edits stay on disk."""
    st.session_state.pop(_EDITOR, None)
    st.query_params.clear()


def keep(editor: ManifestEditor) -> None:
    """Keep the edits that are not saved, for the next time this manifest is opened."""
    if editor.is_saved:
        drop_unsaved(editor.manifest)
    else:
        keep_unsaved(editor)


def notify(message: str) -> None:
    """Have a message shown once, at the top of the next page."""
    st.session_state[_NOTICE] = message


def show_notice() -> None:
    """Show the message that is waiting, if there is one."""
    message = st.session_state.pop(_NOTICE, "")
    if message:
        st.info(plain(message).replace("\n", "  \n"), icon=":material/info:")


def open_dialog(name: str) -> None:
    """Have a dialog stay open until it is closed."""
    st.session_state[_DIALOG] = name


def is_open(name: str) -> bool:
    """Tell whether a dialog is open."""
    return bool(st.session_state.get(_DIALOG) == name)


def close_dialog() -> None:
    """Close the dialog that is open."""
    st.session_state.pop(_DIALOG, None)
