"""Frame of the web pages: the open manifest, the menu, and the chosen page."""

from __future__ import annotations

import argparse
import os
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import streamlit as st

from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.ui import session
from spimpack_tasks.ui.access import stop_strangers
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.menu import HIDDEN, close_menu_if_narrow

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

    from spimpack_tasks.editing.editor import ManifestEditor

PAGES = ("description", "scans", "orientation", "participants", "save", "run", "report", "publish")
"""Modules of `ui.views` that show an open manifest, in the order of the menu."""


TOP = "3.5rem"
"""Space above a title: as much as the button of the menu takes in a narrow window."""


class PageModule(Protocol):
    """Contents of the module of a page."""

    TITLE: str
    ICON: str

    def show(self, editor: ManifestEditor) -> None:
        """Show the page of an open manifest."""


def main() -> None:
    """Show the page that is chosen."""
    roots, manifest = _arguments()
    # Without an icon of ours, Streamlit has the browser fetch one from elsewhere.
    icon = os.path.join(os.path.dirname(__file__), "icon.svg")
    st.set_page_config(page_title="SPIMpack", page_icon=icon, layout="wide")
    top = f"[data-testid=stMainBlockContainer] {{padding-top: {TOP}}}"
    st.html(f"<style>{top} {HIDDEN}</style>")
    stop_strangers()
    editor = session.current_editor(roots, manifest)
    start: Any = import_module("spimpack_tasks.ui.views.start")
    scan: Any = import_module("spimpack_tasks.ui.views.scan")
    pages = {
        "start": st.Page(
            partial(start.show_start, roots, editor),
            title=start.TITLE,
            icon=start.ICON,
            default=True,
        ),
        "scan": st.Page(
            partial(scan.show_scan, roots, editor),
            title=scan.TITLE,
            icon=scan.ICON,
            url_path="scan",
        ),
    }
    if editor is not None:
        pages |= _pages_of(editor)
    st.session_state["pages"] = pages
    chosen = st.navigation(list(pages.values()))
    if editor is not None and session.was_just_opened() and chosen is pages["start"]:
        st.switch_page(pages["scans"])
    if editor is not None:
        _show_sidebar(editor)
    close_menu_if_narrow(chosen.url_path)
    st.title(chosen.title)
    session.show_notice()
    chosen.run()
    if editor is not None:
        session.keep(editor)


def _pages_of(editor: ManifestEditor) -> dict[str, StreamlitPage]:
    """Return the pages that show an open manifest, by the name of their module."""
    pages = {}
    for name in PAGES:
        page: PageModule = import_module(f"spimpack_tasks.ui.views.{name}")
        pages[name] = st.Page(
            partial(show_page, page, editor),
            title=page.TITLE,
            icon=page.ICON,
            url_path=name,
        )
    return pages


def _arguments() -> tuple[tuple[str, ...], str]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", action="append", default=[])
    parser.add_argument("--manifest", default="")
    arguments = parser.parse_args()
    roots = tuple(os.path.realpath(root) for root in arguments.root or ["."])
    manifest = os.path.realpath(arguments.manifest) if arguments.manifest else ""
    return roots, manifest


def show_page(page: PageModule, editor: ManifestEditor) -> None:
    """Show a page; errors of the user or the disk appear as messages."""
    try:
        page.show(editor)
    except (SpimpackError, OSError) as error:
        st.error(plain(str(error)), icon=":material/error:")


def _page(name: str) -> StreamlitPage:
    page: StreamlitPage = st.session_state["pages"][name]
    return page


def _show_sidebar(editor: ManifestEditor) -> None:
    with st.sidebar:
        st.markdown(f"**{plain(os.path.basename(editor.manifest))}**")
        st.caption(plain(editor.folder))
        if editor.is_saved:
            st.caption(":material/check: saved")
        else:
            files = count_of(len(editor.files.edited), "file")
            st.page_link(_page("save"), label=f"{files} not saved", icon=":material/edit:")
        if st.button("Undo", icon=":material/undo:", disabled=not editor.can_undo, width="stretch"):
            editor.undo()
            st.rerun()
