"""Page that previews a run, starts it, and shows its result."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.run_choices import keep_choices
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.packaging.backends.registry import require_choice, usable_backends
from spimpack_tasks.packaging.options import flag_help
from spimpack_tasks.packaging.prepare import read_resolved_options
from spimpack_tasks.running.preview import RunPreview, preview_run, why_no_validator
from spimpack_tasks.running.process import RUNS
from spimpack_tasks.running.supervised import RunningError
from spimpack_tasks.ui.changes import show_changes, show_counts
from spimpack_tasks.ui.file_browser import FOLDER, browse
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.run_options import (
    BACKEND,
    IMAGES,
    OUTPUT,
    OVERWRITE,
    REPLACE,
    SUBJECTS,
    SWITCHES,
    VALIDATES,
    WORKERS,
    keep_fields,
    request_of_fields,
    restore_fields,
    set_output,
    setting_key,
)
from spimpack_tasks.ui.run_status import show_run
from spimpack_tasks.ui.session import close_dialog, is_open, notify, open_dialog

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.running.request import RunRequest

TITLE = "Run"
ICON = ":material/play_arrow:"

_PREVIEW, _DIALOG, _CHOSEN = "run-preview", "run-output", "run-chosen"
_LABELS = {
    "relative_symlinks": "Relative links",
    "keep_source_links": "Links to originals",
    "previews": "Previews",
    "checksum": "Checksums",
    "strict": "Strict",
}
"""Switches that a manifest may choose, as the page names them."""


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
    if not restore_fields(editor):
        st.session_state.pop(_PREVIEW, None)
    chosen = st.session_state.pop(_CHOSEN, "")
    if chosen:
        set_output(chosen)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("Output folder", key=OUTPUT)
            icon = ":material/folder_open:"
            st.button("Browse", icon=icon, on_click=open_dialog, args=(_DIALOG,))
        left, right = st.columns([3, 1])
        left.selectbox("Backend", list(usable_backends()), key=BACKEND, format_func=_with_summary)
        right.number_input("Processes", 1, max(1, os.cpu_count() or 1), key=WORKERS)
        _show_settings()
        _show_switches()
        _show_part(editor)
    keep_fields(editor)
    if is_open(_DIALOG):
        _browse(editor)
    try:
        request = request_of_fields(editor)
    except SpimpackError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    _show_line(request)
    _offer_to_keep(editor, request)
    return request


def _with_summary(name: str) -> str:
    backend = require_choice(name).backend
    return f"{name}: {backend.summary}" if backend.summary else name


def _show_settings() -> None:
    """Show a choice for each setting of the backend, defaults first."""
    name = st.session_state[BACKEND]
    settings = require_choice(name).backend.settings
    if not settings:
        return
    columns = st.columns(max(3, len(settings)))
    for column, (setting, values) in zip(columns, settings.items(), strict=False):
        key = setting_key(name, setting)
        value = st.session_state.setdefault(key, values[0])
        # A value that the manifest has by mistake is shown, and the check names it.
        known = values if value in values else (value, *values)
        about = f"Setting of the backend {name}; {values[0]} by default"
        column.selectbox(f"{name}: {setting}", known, key=key, help=about)


def _show_switches() -> None:
    backend = require_choice(st.session_state[BACKEND]).backend
    missing = why_no_validator()
    with st.container(horizontal=True):
        for name, label in _LABELS.items():
            has_none = (name == "relative_symlinks" and not backend.makes_symlinks) or (
                name == "keep_source_links" and not backend.makes
            )
            st.toggle(label, key=SWITCHES[name], disabled=has_none, help=flag_help(name))
        st.toggle("Validate afterwards", key=VALIDATES, disabled=bool(missing))
        overwrites = st.toggle("Overwrite files in the way", key=OVERWRITE)
        replaces = st.toggle("Remove other images", key=REPLACE)
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


def _show_part(editor: ManifestEditor) -> None:
    """Show the choice of a part of the table; what was chosen before stays on offer."""
    with st.expander("Only a part of the table", icon=":material/filter_alt:"):
        st.caption("Images that are in the dataset stay in it; others wait for another run.")
        rows = [row.cells for row in editor.rows]
        for key, label, column in (
            (SUBJECTS, "Only these subjects", "subject"),
            (IMAGES, "Only these images", "spim_path"),
        ):
            values = [row.get(column, "").strip() for row in rows]
            known = dict.fromkeys([*st.session_state[key], *filter(None, values)])
            st.multiselect(label, list(known), key=key, placeholder="All")


def _show_line(request: RunRequest) -> None:
    with st.expander("The same on the command line", icon=":material/terminal:"):
        st.code(request.line(), language="bash", wrap_lines=True)
        st.caption(
            "For runs of many hours: a run started there continues when this page's server ends."
        )


def _offer_to_keep(editor: ManifestEditor, request: RunRequest) -> None:
    """Show the button that writes the choices into the manifest."""
    about = "backend, its settings, and the switches that a manifest can have"
    if st.button("Keep these choices in the manifest", icon=":material/save:", help=about):
        try:
            has_changed = keep_choices(editor, read_resolved_options(request.options))
        except SpimpackError as error:
            notify(str(error))
        else:
            notify(
                "The choices are in the manifest now, to be saved on the page Save."
                if has_changed
                else "The manifest has these choices already."
            )
        st.rerun()


@st.dialog("Output folder", width="medium", on_dismiss=close_dialog)
def _browse(editor: ManifestEditor) -> None:
    st.caption("Choose a folder. A new one in it can be typed behind its name afterwards.")
    start = os.path.join(editor.folder, st.session_state[OUTPUT])
    for path in browse("run-browse", editor.roots, FOLDER, start):
        st.session_state[_CHOSEN] = path
        close_dialog()
        st.rerun()
