"""The page on which a manifest is opened, or begun."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.desk import start_desk
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.ui.session import close, open_or_restore, take_up
from spimpack_tasks.ui.words import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.editing.desk import Desk

TITLE = "Open"
ICON = ":material/folder_open:"


def show_start(roots: tuple[str, ...], desk: Desk | None) -> None:
    """Show the ways to a manifest."""
    if desk is not None:
        st.info(f"Open is {plain(desk.manifest)}", icon=":material/description:")
        if st.button("Close it", icon=":material/close:"):
            close()
            st.rerun()
    left, right = st.columns(2, border=True)
    with left:
        st.subheader("Open a manifest")
        path = st.text_input("Path", key="open-path", placeholder=f"{roots[0]}/manifest.yml")
        if st.button("Open", type="primary", disabled=not path):
            _take(lambda: open_or_restore(_absolute(path, roots), roots))
    with right:
        st.subheader("Start a new one")
        folder = st.text_input("Folder", key="new-folder", value=roots[0])
        name = st.text_input("Name of the manifest", key="new-name", value="manifest.yml")
        st.caption("Nothing is written before you save.")
        if st.button("Start", disabled=not (folder and name)):
            _take(lambda: start_desk(_absolute(os.path.join(folder, name), roots), roots))


def _take(make: Callable[[], Desk]) -> None:
    try:
        take_up(make())
    except (SpimpackError, OSError) as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.switch_page(st.session_state["pages"]["scans"])


def _absolute(path: str, roots: tuple[str, ...]) -> str:
    return os.path.normpath(os.path.join(roots[0], os.path.expanduser(path)))
