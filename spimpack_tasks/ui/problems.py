"""Shows the problems of the open manifest, as `spimpack validate` does, and links to each."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import Place, Severity, count_of, line_of
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.ui.jumps import jump_to
from spimpack_tasks.ui.markdown import plain

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.errors import Problem, Report

MOST_BUTTONS = 20
"""Groups of equal problems with a button; each button costs time in a rerun of the page."""
ERROR_MARK, WARNING_MARK = "\N{BALLOT X}", "\N{WARNING SIGN}"


def marks_of(report: Report, path: str) -> dict[int, str]:
    """Return a sign for each line of a file that has problems."""
    marks: dict[int, str] = {}
    for problem in report.sorted():
        if problem.place.file == shown(path):
            is_error = problem.severity is Severity.ERROR
            if is_error or problem.place.line not in marks:
                marks[problem.place.line] = ERROR_MARK if is_error else WARNING_MARK
    return marks


def show_problems(editor: ManifestEditor, report: Report, images: int) -> None:
    """Show all problems; the button of each leads to its place."""
    problems = report.sorted()
    if not problems:
        st.success(f"{count_of(images, 'image')}: no problems", icon=":material/check_circle:")
        return
    groups = report.groups()
    kinds = Counter(problem.severity for problem in problems)
    counts = [count_of(kinds[severity], severity) for severity in Severity if kinds[severity]]
    with st.expander(f"**{', '.join(counts)}**", expanded=True, icon=":material/rule:"):
        for number, equal in enumerate(groups[:MOST_BUTTONS]):
            _show_group(editor, equal, number)
        if len(groups) > MOST_BUTTONS:
            st.caption(f"and {len(groups) - MOST_BUTTONS:,} more: see the text below")
        if st.toggle("As text", key="problems-as-text"):
            st.code("\n".join(report.lines(verbose=True)), language=None, wrap_lines=True)


def _show_group(editor: ManifestEditor, equal: list[Problem], number: int) -> None:
    """Show problems of the same text; the button leads to the first of them."""
    problem = equal[0]
    is_error = problem.severity is Severity.ERROR
    icon = ":material/error:" if is_error else ":material/warning:"
    place = problem.place
    path = next((p for p in _pages(editor) if shown(p) == place.file), "")
    name = Place(os.path.basename(place.file), *place[1:])
    left, right = st.columns([2, 7], vertical_alignment="center")
    with left:
        key, label = f"problem-{number}", plain(str(name))
        if st.button(label, key=key, icon=icon, width="stretch", disabled=not path):
            jump_to(path, place.line)
            st.switch_page(_pages(editor)[path])
    with right:
        st.markdown(plain(line_of(equal).removeprefix(f"{place}: ")))


def _pages(editor: ManifestEditor) -> dict[str, StreamlitPage]:
    """Return the page on which each file is edited."""
    pages = st.session_state["pages"]
    return {
        editor.manifest: pages["description"],
        editor.participants_table: pages["participants"],
        **dict.fromkeys(editor.scans_tables, pages["scans"]),
    }
