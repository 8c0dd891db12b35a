"""The page on which a manifest is opened, or created."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.editor import new_manifest
from spimpack_tasks.editing.recent import forget_recent, recent_manifests
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
    else:
        st.markdown(
            "A *manifest* names the dataset and its tables: one row for each image. Make one from "
            "a folder of images, or open one; then fill in the tables, save them, and run."
        )
    left, right = st.columns(2, border=True)
    with left:
        _show_new(roots)
    with right:
        _show_recent(roots)
    with st.container(border=True):
        st.subheader("Open a manifest")
        for path in browse("open", roots, MANIFEST):
            _take(partial(open_or_restore, path, roots))


def _show_new(roots: tuple[str, ...]) -> None:
    st.subheader("Make a manifest")
    pages = st.session_state["pages"]
    icon = ":material/travel_explore:"
    st.page_link(pages["scan"], label="**From a folder of images**", icon=icon)
    st.caption("Labels are read from the paths, sizes and stains from the headers of the images.")
    with st.expander("An empty one, to fill in", icon=":material/note_add:"):
        name = st.text_input("Name of the manifest", key="new-name", value="manifest.yml")
        st.caption("Choose the folder it is to be in. Nothing is written before you save.")
        for folder in browse("new", roots, FOLDER):
            path = os.path.join(folder, name.strip() or "manifest.yml")
            _take(partial(new_manifest, path, roots))


def _show_recent(roots: tuple[str, ...]) -> None:
    st.subheader("Recent manifests")
    recent = recent_manifests(roots)
    if not recent:
        st.caption("Manifests that you open are listed here.")
    for one in recent:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(
                plain(_short(one.path)),
                key=f"recent-{one.path}",
                icon=":material/block:" if one.refusal else ":material/description:",
                type="tertiary",
                disabled=bool(one.refusal),
                help=plain(one.path),
            ):
                _take(partial(open_or_restore, one.path, roots))
            if one.refusal:
                st.caption(plain(one.refusal))
                st.button(
                    "",
                    key=f"forget-{one.path}",
                    icon=":material/close:",
                    type="tertiary",
                    help="Take it off this list",
                    on_click=forget_recent,
                    args=(one.path,),
                )


def _short(path: str) -> str:
    """Return the name of a manifest with its folder, which tells manifests apart."""
    return "/".join(path.rsplit("/", 2)[-2:])


def _take(make: Callable[[], ManifestEditor]) -> None:
    try:
        take_up(make())
    except (SpimpackError, OSError) as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.rerun()
