"""Page with the report on the dataset that the page Run makes.

It is the page that `spimpack report` writes, without a script and with nothing from elsewhere. It
is shown as a document of its own, so that its style and ours stay apart.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.report.data import gather_data
from spimpack_tasks.report.page import compose_page
from spimpack_tasks.state.store import Store
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.run_options import kept_output
from spimpack_tasks.verification.recorded import recorded_store

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor

TITLE = "Report"
ICON = ":material/summarize:"

HEIGHT = 900
"""Pixels of the report on the page; it scrolls by itself, so that its menu stays in reach."""


def show(editor: ManifestEditor) -> None:
    """Show the report, and the buttons that look again and that download it."""
    output = kept_output(editor)
    if not Store(output).current_plan_id():
        st.info(
            f"There is no dataset in {plain(output)} yet. Make it on the page Run.",
            icon=":material/info:",
        )
        st.page_link(st.session_state["pages"]["run"], label="Go to Run")
        return
    with st.spinner("Comparing the dataset with its plan"):
        gathered = gather_data(recorded_store(output))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Look again", icon=":material/refresh:", key="report-again")
        name = f"{os.path.basename(output)}-report.html"
        data = "\n".join(compose_page(gathered)).encode(errors="backslashreplace")
        st.download_button("Download", data, file_name=name, icon=":material/download:")
        contains = st.text_input(
            "Filter",
            key="report-filter",
            placeholder="List images that contain a text",
            label_visibility="collapsed",
            icon=":material/filter_alt:",
            width=300,
        )
    st.caption(plain(output))
    page = "\n".join(compose_page(gathered, contains=contains.strip()))
    # Of a name that is not UTF-8 there are characters that cannot be sent.
    st.iframe(page.encode(errors="backslashreplace").decode(), height=HEIGHT)
