"""Page that previews a run, starts it, and shows its result."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.roots import check_within
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.packaging.backends.registry import name_of, require_choice, usable_backends
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import read_resolved_options
from spimpack_tasks.running.preview import RunPreview, preview_run, why_no_validator
from spimpack_tasks.running.process import RUNS, RunningError
from spimpack_tasks.running.request import RunRequest
from spimpack_tasks.ui.changes import show_changes, show_counts
from spimpack_tasks.ui.file_browser import FOLDER, browse
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.run_status import show_run
from spimpack_tasks.ui.session import close_dialog, is_open, open_dialog

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor

TITLE = "Run"
ICON = ":material/play_arrow:"

_KEPT, _PREVIEW, _DIALOG = "run-kept", "run-preview", "run-output"


def show(editor: ManifestEditor) -> None:
    """Show the options of a run, its preview, and its progress."""
    request = _ask(editor)
    if request is None:
        return
    run = RUNS.find(request.options.output_dir)
    if run is not None and run.is_going_on:
        show_run(run)
        return
    may_look = editor.is_saved
    if not may_look:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning("A run uses the saved files. Save your edits first.")
            st.page_link(
                st.session_state["pages"]["save"], label="Go to Save", icon=":material/save:"
            )
    asked, seen = st.session_state.get(_PREVIEW, (None, None))
    is_seen = may_look and asked == (request, _stamps(editor))
    if st.button(
        "Look again" if is_seen else "See what would change",
        type="secondary" if is_seen else "primary",
        icon=":material/difference:",
        disabled=not may_look,
        key="run-look",
    ):
        with st.spinner("Looking at inputs and output"):
            st.session_state[_PREVIEW] = (request, _stamps(editor)), preview_run(request.options)
        st.rerun()
    if is_seen:
        _offer(editor, request, seen)
    elif run is not None:
        show_run(run)


def _stamps(editor: ManifestEditor) -> list[str]:
    """Return the stamps of the inputs, which change when they are saved."""
    return [
        stamp_text(p) for p in (editor.manifest, *editor.scans_tables, editor.participants_table)
    ]


def _offer(editor: ManifestEditor, request: RunRequest, seen: RunPreview) -> None:
    """Show the preview of a run, and the button that starts it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        show_counts(seen)
        label = "Run" if seen.shown() else "Run all the same"
        is_wanted = seen.may_run and st.button(
            label, type="primary", icon=":material/play_arrow:", key="run-start"
        )
    if is_wanted:
        del st.session_state[_PREVIEW]
        # Another tab may have been faster; then its run is shown.
        with suppress(RunningError):
            RUNS.start(request, seen.work)
        st.rerun()
    show_changes(editor, seen)


def _ask(editor: ManifestEditor) -> RunRequest | None:
    """Show the fields, and return their request, `None` if it cannot be run."""
    _restore(editor)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("Output folder", key="run-output")
            icon = ":material/folder_open:"
            st.button("Browse", icon=icon, on_click=open_dialog, args=(_DIALOG,))
        left, right = st.columns([3, 1])
        left.selectbox(
            "Backend", list(usable_backends()), key="run-backend", format_func=_with_summary
        )
        right.number_input("Processes", 1, max(1, os.cpu_count() or 1), key="run-workers")
        _show_switches()
    _keep(editor)
    if is_open(_DIALOG):
        _browse(editor)
    try:
        return _request(editor)
    except SpimpackError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _with_summary(name: str) -> str:
    backend = require_choice(name).backend
    return f"{name}: {backend.summary}" if backend.summary else name


def _show_switches() -> None:
    backend = require_choice(st.session_state["run-backend"]).backend
    missing = why_no_validator()
    with st.container(horizontal=True):
        st.toggle("Relative links", key="run-relative", disabled=not backend.makes_symlinks)
        st.toggle("Links to originals", key="run-sources", disabled=not backend.makes)
        st.toggle("Validate afterwards", key="run-validates", disabled=bool(missing))
        overwrites = st.toggle("Overwrite files in the way", key="run-overwrite")
        replaces = st.toggle("Remove other images", key="run-replace")
    if missing:
        st.caption(plain(missing))
    if overwrites:
        st.caption(
            ":material/warning: Files that you made or changed are lost where an output belongs at "
            "their place. Sources are never touched."
        )
    if replaces:
        st.caption(
            ":material/warning: Images that another manifest made, or whose sources are gone, are "
            "removed where the tables no longer have them."
        )


def _request(editor: ManifestEditor) -> RunRequest:
    """Return the request in the fields.

    Raises
    ------
    OutsideRootsError
        The output folder is outside the roots.
    """
    state = st.session_state
    backend = require_choice(state["run-backend"]).backend
    typed = os.path.expanduser(state["run-output"].strip())
    output = os.path.normpath(os.path.join(editor.folder, typed))
    check_within(output, editor.roots)
    options = Options(
        manifest=editor.manifest,
        output_dir=output,
        overwrite=state["run-overwrite"],
        replace=state["run-replace"],
        roots=editor.roots,
    )
    # Choices of the manifest stay open, so that an edit of the manifest counts next time.
    given = read_resolved_options(options)
    if state["run-backend"] != name_of(given.backend):
        options = replace(options, backend=state["run-backend"])
        given = read_resolved_options(options)
    is_relative = state["run-relative"] and backend.makes_symlinks
    links_sources = state["run-sources"] and bool(backend.makes)
    if is_relative != given.relative_symlinks:
        options = replace(options, relative_symlinks=is_relative)
    if links_sources != given.keep_source_links:
        options = replace(options, keep_source_links=links_sources)
    request = RunRequest(options, state["run-workers"], state["run-validates"])
    with st.expander("The same on the command line", icon=":material/terminal:"):
        st.code(request.line(), language="bash", wrap_lines=True)
        st.caption(
            "For runs of many hours: a run started there continues when this page's server ends."
        )
    return request


def _restore(editor: ManifestEditor) -> None:
    """Restore the fields: from this page before, or from the last run of the manifest."""
    kept = st.session_state.get(_KEPT, {})
    if kept.get("manifest") != editor.manifest:
        kept = _first(editor)
        st.session_state.pop(_PREVIEW, None)
    chosen = st.session_state.pop("run-chosen", "")
    if chosen:
        kept["run-output"] = st.session_state["run-output"] = chosen
    for name, value in kept.items():
        if name.startswith("run-") and name not in st.session_state:
            st.session_state[name] = value
    st.session_state[_KEPT] = kept


def _keep(editor: ManifestEditor) -> None:
    kept = st.session_state[_KEPT]
    names = [name for name in kept if name.startswith("run-")]
    st.session_state[_KEPT] = {"manifest": editor.manifest} | {
        name: st.session_state[name] for name in names
    }


def _first(editor: ManifestEditor) -> dict[str, object]:
    """Return the initial content of the fields."""
    run = RUNS.find_last(editor.manifest)
    output = os.path.join(editor.folder, "bids")
    open_options = Options(editor.manifest, output)
    request = run.request if run else RunRequest(open_options, validates=not why_no_validator())
    options = read_resolved_options(request.options)
    return {
        "manifest": editor.manifest,
        "run-output": request.options.output_dir,
        "run-backend": name_of(options.backend),
        "run-workers": request.workers,
        "run-relative": options.relative_symlinks,
        "run-sources": options.keep_source_links,
        "run-overwrite": request.options.overwrite,
        "run-replace": request.options.replace,
        "run-validates": request.validates,
    }


@st.dialog("Output folder", width="medium", on_dismiss=close_dialog)
def _browse(editor: ManifestEditor) -> None:
    st.caption("Choose a folder. A new one in it can be typed behind its name afterwards.")
    start = os.path.join(editor.folder, st.session_state[_KEPT]["run-output"])
    for path in browse("run-browse", editor.roots, FOLDER, start):
        st.session_state["run-chosen"] = path
        close_dialog()
        st.rerun()
