"""Shows the facts that portals want and the dataset has not got, as `spimpack records` does."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import InputError, Report, SpimpackError, count_of
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.publishing.lacks import find_problems_by_portal
from spimpack_tasks.publishing.objects import find_items
from spimpack_tasks.publishing.publication_block import read_block
from spimpack_tasks.publishing.read_facts import read_facts
from spimpack_tasks.publishing.records.portals import PORTALS, choose_portals, portal_names
from spimpack_tasks.running.publish_preview import require_items_within
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.problem_table import show_problem_table

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.publishing.facts import Facts
    from spimpack_tasks.publishing.publication_block import Places
    from spimpack_tasks.state.store import Store

_FACTS = "publish-facts"


def show_missing_facts(editor: ManifestEditor, store: Store, key: str) -> None:
    """Show the choice of portals, and the problems with the records of each.

    Parameters
    ----------
    editor
        The open manifest; the block is read from its file.
    store
        The state directory of the dataset.
    key
        That of the choice in the session.
    """
    if not editor.is_saved:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning("The saved files count here. Save your edits first.")
            page = st.session_state["pages"]["save"]
            st.page_link(page, label="Go to Save", icon=":material/save:")
    names = st.multiselect(
        "Portals",
        portal_names(),
        key=key,
        format_func=lambda name: PORTALS[name].title if name in PORTALS else name,
        placeholder="Choose portals",
    )
    if not names:
        st.caption("Choose portals to see the facts that their records lack.")
        return
    report = Report()
    portals = choose_portals(names, report)
    try:
        with st.spinner("Reading the facts about the dataset"):
            facts, places = _read(editor, store)
        found = find_problems_by_portal(facts, portals, places)
    except InputError as error:
        found = {"": error.report}
    except SpimpackError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    found.setdefault("", Report()).extend(report.problems)
    for title, problems in found.items():
        _show_portal(title, problems)
    _show_line(editor, store, names)


def _read(editor: ManifestEditor, store: Store) -> tuple[Facts, Places]:
    """Return the facts and the places of their values, read again when a file is saved."""
    paths = (editor.manifest, *editor.scans_tables, editor.participants_table)
    state = (store.output_dir, store.current_plan_id(), [stamp_text(path) for path in paths])
    seen, found = st.session_state.get(_FACTS, (None, None))
    if seen != state:
        require_items_within(store.output_dir, find_items(store), editor.roots)
        block, places = read_block(store, editor.manifest)
        found = read_facts(store, block), places
        st.session_state[_FACTS] = state, found
    known: tuple[Facts, Places] = found
    return known


def _show_portal(title: str, report: Report) -> None:
    problems = report.sorted()
    if title and not problems:
        st.success(f"{plain(title)}: nothing is missing", icon=":material/check_circle:")
    elif problems:
        name = plain(title) if title else "Wrong for every portal"
        with st.expander(
            f"**{name}**: {count_of(len(problems), 'problem')}",
            expanded=True,
            icon=":material/rule:",
        ):
            show_problem_table(problems)


def _show_line(editor: ManifestEditor, store: Store, names: list[str]) -> None:
    words = ["spimpack", "records", store.output_dir, "--for", ",".join(names)]
    st.caption("This command line writes the records, when nothing is missing:")
    line = shlex.join([*words, "--manifest", editor.manifest])
    st.code(line, language="bash", wrap_lines=True)
