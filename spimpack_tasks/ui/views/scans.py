"""The page of the scans table: a grid of all images, and a form for the one that is picked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.images import (
    cells_to_fill,
    copied_row,
    describe_header,
    examine_image,
    row_for,
)
from spimpack_tasks.editing.inline_rows import move_inline_rows
from spimpack_tasks.errors import count_of
from spimpack_tasks.files.roots import is_within
from spimpack_tasks.files.tsv_edit import cells_by_column
from spimpack_tasks.manifest.records import CANONICAL, RESERVED
from spimpack_tasks.manifest.rows import split_names
from spimpack_tasks.model.orientation import ORIENTATION_CODES
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.fields import choice_field, choice_to_confirm, text_field
from spimpack_tasks.ui.file_browser import IMAGES, browse
from spimpack_tasks.ui.grid import show_grid
from spimpack_tasks.ui.import_table import import_rows
from spimpack_tasks.ui.jumps import jump_in
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.problems import marks_of, show_problems
from spimpack_tasks.ui.row_filter import filter_rows
from spimpack_tasks.ui.run_options import check
from spimpack_tasks.ui.session import close_dialog, is_open, open_dialog
from spimpack_tasks.ui.set_column import set_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.editing.editor import ManifestEditor, ScanRow

TITLE = "Scans"
ICON = ":material/table_rows:"

COMMON_STAINS = ("Abeta", "ChAT", "CD31", "Iba1", "NeuN", "VACht", "YoPro", "autofluorescence")
"""Offered in addition to the table's stains; any other can be typed."""


def show(editor: ManifestEditor) -> None:
    """Show the grid, the buttons for its rows, the form of one row, and the problems."""
    report = check(editor).report
    path, table, rows = editor.scans_tables[0], editor.scans.table, editor.rows
    _show_other_tables(editor)
    marks = marks_of(report, path)
    line = jump_in(path)
    wanted = frozenset(n for n, row in enumerate(rows) if row.line == line) or None
    if not rows:
        st.info("There are no images yet.", icon=":material/info:")
    signs = {n: marks[row.line] for n, row in enumerate(rows) if row.line in marks}
    shown = filter_rows("scans", table, signs, wanted)
    picked = show_grid(
        "scans", table, signs, editor.set_cells, shown=shown.numbers, pick=shown.pick
    )
    _show_row_buttons(editor, rows, picked)
    if is_open("images"):
        _add_images(editor)
    if is_open("import-scans"):
        _import_table(editor)
    if len(picked) > 1:
        set_column("scans", table, picked, _settable(table.columns), editor.set_cells)
    elif picked:
        _show_form(editor, rows, picked[0])
    show_problems(editor, report, len(rows))


def _settable(present: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return the columns that can be set in many rows, with the values that each may have."""
    described = load_schema("scans")["properties"] | load_schema("sidecar")["properties"]
    canonical = {CANONICAL.get(column, column) for column in present}
    others = [name for name in described if name not in canonical and name not in RESERVED]
    values: dict[str, Sequence[str]] = {
        column: described.get(CANONICAL.get(column, column), {}).get("enum", ())
        for column in (*present, *others)
    }
    for column in values:
        if column == "orientation_string_xyz":
            values[column] = sorted(ORIENTATION_CODES)
    return values


def _show_other_tables(editor: ManifestEditor) -> None:
    others = [os.path.basename(path) for path in editor.scans_tables[1:]]
    if others:
        st.info(f"Edited here is the first table; {plain(', '.join(others))} is read as well.")
    if editor.data.get("datasets"):
        st.info(
            "The manifest itself holds images, under datasets. They count, but are not shown here."
        )
        if st.button("Move them into the scans table", icon=":material/move_down:"):
            move_inline_rows(editor)
            st.rerun()


def _show_row_buttons(editor: ManifestEditor, rows: list[ScanRow], picked: list[int]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        icon = ":material/add_photo_alternate:"
        st.button("Add images", icon=icon, type="primary", on_click=open_dialog, args=("images",))
        icon = ":material/upload:"
        st.button("Import a table", icon=icon, on_click=open_dialog, args=("import-scans",))
        if st.button("Add row", icon=":material/add:"):
            editor.add_rows(
                [{"sample": rows[-1].cells.get("sample", "")} if rows else {"sample": "brain"}]
            )
            st.rerun()
        if st.button(
            "Copy settings",
            icon=":material/content_copy:",
            disabled=not picked,
            help="Add a row for each ticked one, with all but image and subject",
        ):
            editor.add_rows([copied_row(rows[number].cells) for number in picked], picked[-1])
            st.rerun()
        if st.button("Remove", icon=":material/delete:", disabled=not picked):
            editor.remove_rows(picked)
            st.rerun()
        with st.popover("Columns", icon=":material/view_column:"):
            _show_columns(editor)
        st.caption(f"{count_of(len(rows), 'image')}, {len(picked):,} ticked")


def _show_columns(editor: ManifestEditor) -> None:
    present = editor.scans.table.columns
    canonical = {CANONICAL.get(column, column) for column in present}
    known = [*load_schema("scans")["properties"], *load_schema("sidecar")["properties"]]
    offered = [name for name in known if name not in canonical and name not in RESERVED]
    choice_to_confirm(
        "Add a column", "column-new", offered, "Add", editor.add_column, accept_new_options=True
    )
    required = load_schema("scans")["required"]
    removable = [name for name in present if CANONICAL.get(name, name) not in required]
    label, button = "Remove a column", "Remove it with its cells"
    choice_to_confirm(label, "column-gone", removable, button, editor.remove_column)


def _show_form(editor: ManifestEditor, rows: list[ScanRow], number: int) -> None:
    row = rows[number]
    name = os.path.basename(row.source) if row.source else "no image yet"
    with st.container(border=True):
        st.markdown(f"**Row {number + 1}** of {len(rows)}: {plain(name)}")
        channels = _show_header(editor, row, number)
        described = load_schema("scans")["properties"]
        columns = st.columns(4)
        position = 0
        for column, text in row.cells.items():
            if column == "sample_staining":
                continue
            with columns[position % 4]:
                _show_cell(editor, number, column, text, described.get(column, {}))
            position += 1
        _show_stains(editor, rows, number, channels)


def _show_header(editor: ManifestEditor, row: ScanRow, number: int) -> int:
    """Show a summary of the image's header, and return its number of channels."""
    if not row.source:
        return 0
    header, failure = None, "lies outside the folders that may be seen; name them with --root"
    if is_within(row.source, editor.roots):
        header, failure = examine_image(row.source, row.selection)
    if header is None:
        st.caption(f":material/warning: {plain(failure)}")
        return 0
    fill = cells_to_fill(header, row.cells)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(describe_header(header)))
        if fill and st.button("Fill empty cells from the image", key=f"fill-{number}"):
            editor.set_cells({(number, column): text for column, text in fill.items()})
            st.rerun()
    return header.channel_count


def _show_cell(
    editor: ManifestEditor, number: int, column: str, text: str, schema: dict[str, object]
) -> None:
    def change(new: str) -> None:
        editor.set_cells({(number, column): new})

    key, about = f"cell-{number}-{column}", str(schema.get("description", ""))
    options = schema.get("enum")
    if column == "orientation_string_xyz":
        choice_field(column, key, text, sorted(ORIENTATION_CODES), change, help=about)
    elif isinstance(options, list):
        choice_field(column, key, text, options, change, help=about)
    else:
        text_field(column, key, text, change, help=about)


def _show_stains(editor: ManifestEditor, rows: list[ScanRow], number: int, channels: int) -> None:
    """Show one field for each channel, and one more to add a stain."""
    text = rows[number].cells.get("sample_staining", "")
    stains = list(split_names(text)) if text.strip() else []
    used = {name for row in rows for name in split_names(row.cells.get("sample_staining", ""))}
    offered = sorted((used | set(COMMON_STAINS)) - {""}, key=str.casefold)
    shown = max(channels, len(stains) + (0 if channels else 1))
    columns = st.columns(4)
    for channel in range(shown):

        def change(name: str, channel: int = channel) -> None:
            new = [*stains, *[""] * (shown - len(stains))]
            new[channel] = name.strip()
            while new and not new[-1]:
                new.pop()
            editor.set_cells({(number, "sample_staining"): ";".join(new)})

        with columns[channel % 4]:
            value = stains[channel] if channel < len(stains) else ""
            label, key = f"Stain of channel {channel + 1}", f"stain-{number}-{channel}"
            choice_field(label, key, value, offered, change, accept_new_options=True)
    if channels and len(stains) > channels:
        st.caption(
            f":material/warning: {len(stains)} stains, but the image has {channels} channels"
        )


@st.dialog("Add images", width="large", on_dismiss=close_dialog)
def _add_images(editor: ManifestEditor) -> None:
    chosen = browse("images", editor.roots, IMAGES, editor.folder)
    if chosen:
        editor.add_rows([row_for(image, editor.folder) for image in chosen])
        close_dialog()
        st.rerun()


@st.dialog("Import a table of images", width="large", on_dismiss=close_dialog)
def _import_table(editor: ManifestEditor) -> None:
    table = editor.scans.table
    merge = import_rows("scans", table.columns, cells_by_column(table))
    if merge is not None:
        editor.take_over(merge)
        close_dialog()
        st.rerun()
