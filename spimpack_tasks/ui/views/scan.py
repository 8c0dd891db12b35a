"""Page that scans a folder for images, shows the labels of their paths, and writes the tables."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.scan_preview import (
    add_to_open,
    is_known,
    preview_folder,
    rules_of,
    write_scan,
)
from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.scanning.options import ScanOptions
from spimpack_tasks.ui.file_browser import FOLDER, browse
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.session import close_dialog, is_open, notify, open_dialog, take_up

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.editing.scan_preview import ScanPreview

TITLE = "Scan a folder"
ICON = ":material/travel_explore:"

MOST_SHOWN = 2_000
"""Rows of a table; a browser with more becomes slow."""
_RULES = {
    "patterns": ("Patterns", "{subject}/exp_{session}/*.ims", "--pattern"),
    "defaults": ("Values where neither path nor header has one", "sample=brain", "--default"),
    "settings": ("Values for all rows", "sample=brain", "--set"),
    "labels": ("Labels made of captures", "subject={cohort}{number:02}", "--label"),
    "excludes": ("Names or paths to leave out", "*preview*", "--exclude"),
}
"""Fields of several lines: name, example, and the option of `spimpack init`."""
_FRONT = 2
"""Fields that are shown at once; the others are behind a line to open."""
_KEPT, _SEEN, _OF = "scan-kept", "scan-seen", "scan-of"


def show_scan(roots: tuple[str, ...], editor: ManifestEditor | None) -> None:
    """Show the rules of a scan, what it would take, and the button that writes it."""
    try:
        _show(roots, editor)
    except (SpimpackError, OSError) as error:
        st.error(plain(str(error)), icon=":material/error:")


def _show(roots: tuple[str, ...], editor: ManifestEditor | None) -> None:
    st.caption(
        "Labels such as the subject are read from the paths of the images. Change the rules until "
        "each image has its labels. Nothing is written before you press the button at the end."
    )
    _restore(editor)
    with st.container(border=True):
        _folder_field("scan-root", "Folder of the images")
        if editor is None:
            _folder_field("scan-directory", "Folder for the manifest and its tables")
        _show_rules()
        if editor is None:
            left, right = st.columns(2)
            left.text_input("Name of the dataset", key="scan-name")
            right.text_input("Licence", key="scan-license", placeholder="such as CC0")
    options = _options(editor)
    _keep()
    for key in ("scan-root", "scan-directory"):
        if is_open(key):
            _browse(key, roots)
    if not options.root:
        st.info("Choose the folder of the images.", icon=":material/info:")
        return
    preview = _look(options, roots)
    _show_preview(preview, editor)
    _offer(preview, options, roots, editor)


def _folder_field(key: str, label: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(label, key=key)
        icon = ":material/folder_open:"
        st.button("Browse", icon=icon, key=f"{key}-open", on_click=open_dialog, args=(key,))


def _show_rules() -> None:
    front, back = list(_RULES.items())[:_FRONT], list(_RULES.items())[_FRONT:]
    for column, (name, about) in zip(st.columns(_FRONT), front, strict=True):
        with column:
            _rule_field(name, *about)
    has_more = any(st.session_state.get(f"scan-{name}") for name, _ in back)
    with st.expander("More rules", icon=":material/add:", expanded=has_more):
        for column, (name, about) in zip(st.columns(len(back)), back, strict=True):
            with column:
                _rule_field(name, *about)


def _rule_field(name: str, label: str, example: str, option: str) -> None:
    about = f"One on each line, as for the option {option} of spimpack init --scan."
    st.text_area(label, key=f"scan-{name}", placeholder=f"such as {example}", help=about, height=96)


def _restore(editor: ManifestEditor | None) -> None:
    """Fill the fields as they were on this page before, or by the open manifest."""
    manifest = editor.manifest if editor else ""
    kept = st.session_state.get(_KEPT, {})
    is_same = kept.get(_OF) == manifest
    if not is_same:
        rules = rules_of(editor) if editor else ScanOptions("", "")
        texts = {name: "\n".join(getattr(rules, name)) for name in _RULES}
        kept = {
            _OF: manifest,
            **{f"scan-{name}": text for name, text in texts.items()},
            "scan-root": rules.root,
            "scan-directory": "",
            "scan-name": "",
            "scan-license": "",
        }
    for name, value in kept.items():
        if name != _OF and (not is_same or name not in st.session_state):
            st.session_state[name] = value
    for key in ("scan-root", "scan-directory"):
        chosen = st.session_state.pop(f"{key}-chosen", "")
        if chosen:
            st.session_state[key] = chosen
            if key == "scan-root" and not st.session_state["scan-directory"]:
                st.session_state["scan-directory"] = os.path.dirname(chosen)
    st.session_state[_KEPT] = kept


def _keep() -> None:
    kept = st.session_state[_KEPT]
    st.session_state[_KEPT] = {name: st.session_state.get(name, kept[name]) for name in kept}


def _options(editor: ManifestEditor | None) -> ScanOptions:
    state = st.session_state
    folder = editor.folder if editor else os.getcwd()
    root = os.path.expanduser(state["scan-root"].strip())
    root = os.path.normpath(os.path.join(folder, root)) if root else ""
    typed = os.path.expanduser(state["scan-directory"].strip())
    directory = folder if editor else os.path.normpath(os.path.join(os.path.dirname(root), typed))
    rules = ScanOptions(
        root,
        directory,
        patterns=_lines("patterns"),
        defaults=_lines("defaults"),
        settings=_lines("settings"),
        labels=_lines("labels"),
        excludes=_lines("excludes"),
    )
    if editor:
        return rules
    return replace(rules, name=state["scan-name"].strip(), license=state["scan-license"].strip())


def _lines(name: str) -> tuple[str, ...]:
    """Return the lines of a field that hold something."""
    lines = st.session_state[f"scan-{name}"].splitlines()
    return tuple(filter(None, map(str.strip, lines)))


def _look(options: ScanOptions, roots: tuple[str, ...]) -> ScanPreview:
    """Return what a scan would take; the folder is looked through when the rules change."""
    seen: ScanPreview | None
    asked, seen = st.session_state.get(_SEEN, (None, None))
    if asked != options or seen is None:
        with st.spinner("Looking through the folder"):
            seen = preview_folder(options, roots)
        st.session_state[_SEEN] = options, seen
    return seen


def _show_preview(preview: ScanPreview, editor: ManifestEditor | None) -> None:
    known = is_known(editor, preview) if editor else set()
    taken, skipped = preview.taken, preview.skipped
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{count_of(len(taken), 'image')}**, {len(skipped):,} other paths")
        st.button("Look again", icon=":material/refresh:", key="scan-again", on_click=_forget)
    if preview.report.problems:
        show = st.error if preview.report.errors else st.warning
        show(plain("\n".join(preview.report.lines())).replace("\n", "  \n"))
    if taken:
        table = {"": ["in the table" if one.path in known else "new" for one in taken]}
        table = table if editor else {}
        table["Path"] = [one.path for one in taken]
        table |= {name: [one.labels.get(name, "") for one in taken] for name in preview.columns}
        table |= {"Pattern": [one.pattern for one in taken], "Notes": [one.notes for one in taken]}
        _show_table(table)
    if skipped:
        with st.expander(f"{len(skipped):,} paths that are not taken", expanded=not taken):
            _show_table({"Path": [s.path for s in skipped], "Why": [s.reason for s in skipped]})


def _show_table(columns: dict[str, list[str]]) -> None:
    size = len(columns["Path"])
    filled = {name: texts[:MOST_SHOWN] for name, texts in columns.items() if any(texts)}
    st.dataframe(filled, hide_index=True, width="stretch", height="auto" if size < 9 else 318)
    if size > MOST_SHOWN:
        st.caption(f"and {size - MOST_SHOWN:,} more")


def _forget() -> None:
    st.session_state.pop(_SEEN, None)


def _offer(
    preview: ScanPreview,
    options: ScanOptions,
    roots: tuple[str, ...],
    editor: ManifestEditor | None,
) -> None:
    """Show the button that writes a new manifest, or adds to the open one."""
    if editor is None:
        label = f"Write manifest.yml and its tables into {os.path.basename(options.directory)}"
        if st.button(
            plain(label), type="primary", icon=":material/save:", disabled=not preview.may_write
        ):
            opened, lines = write_scan(options, roots)
            take_up(opened)
            _forget()
            notify("\n".join(lines))
            st.switch_page(st.session_state["pages"]["start"])
        return
    new = len(preview.taken) - len(is_known(editor, preview))
    st.caption("Rows that are there stay as they are. The rules are kept in the manifest.")
    label = f"Add {count_of(new, 'new image')} to {os.path.basename(editor.manifest)}"
    if st.button(
        plain(label), type="primary", icon=":material/add:", disabled=not preview.may_write
    ):
        update = add_to_open(editor, options)
        _forget()
        notify("\n".join([*update.lines, "To be saved on the page Save."]))
        st.switch_page(st.session_state["pages"]["scans"])


@st.dialog("Choose a folder", width="medium", on_dismiss=close_dialog)
def _browse(key: str, roots: tuple[str, ...]) -> None:
    start = st.session_state[key] or st.session_state["scan-root"]
    for path in browse(f"{key}-browse", roots, FOLDER, start):
        st.session_state[f"{key}-chosen"] = path
        close_dialog()
        st.rerun()
