"""The page on which a manifest is opened, or created."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.editor import new_manifest
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.ui.file_browser import FOLDER, MANIFEST, browse
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.session import close, open_or_restore, take_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.editing.editor import ManifestEditor

TITLE = "Open"
ICON = ":material/folder_open:"


def show_start(roots: tuple[str, ...], editor: ManifestEditor | None) -> None:
    """Show the ways to a manifest."""
    if editor is not None:
        st.info(f"Open is {plain(editor.manifest)}", icon=":material/description:")
        if st.button("Close it", icon=":material/close:"):
            close()
            st.rerun()
    left, right = st.columns(2, border=True)
    with left:
        st.subheader("Open a manifest")
        for path in browse("open", roots, MANIFEST):
            _take(partial(open_or_restore, path, roots))
    with right:
        st.subheader("Start a new one")
        name = st.text_input("Name of the manifest", key="new-name", value="manifest.yml")
        st.caption("Choose the folder it is to be in. Nothing is written before you save.")
        for folder in browse("new", roots, FOLDER):
            path = os.path.join(folder, name.strip() or "manifest.yml")
            _take(partial(new_manifest, path, roots))


def _take(make: Callable[[], ManifestEditor]) -> None:
    try:
        take_up(make())
    except (SpimpackError, OSError) as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.rerun()
