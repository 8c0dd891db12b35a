"""Import of a spreadsheet: upload, choice of columns, preview, and confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.mapping import KEYS, Merge, merge_rows, suggest_mapping
from spimpack_tasks.errors import Report, Severity, SpimpackError
from spimpack_tasks.files.spreadsheets import ENDINGS, read_sheet
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.files.spreadsheets import Sheet

LEFT_OUT = "(leave out)"
MOST_SHOWN = 200
"""Rows of the preview; the summary counts all."""
MOST_PROBLEMS = 10
"""Problems shown; the others are counted."""


def import_rows(
    table: str, columns: Sequence[str], rows: Sequence[Mapping[str, str]]
) -> Merge | None:
    """Show an import, and return the rows to merge, once, when the user confirms.

    Parameters
    ----------
    table
        `participants` or `scans`.
    columns
        The columns that our table has.
    rows
        Its rows, by column.
    """
    number = st.session_state.setdefault(f"import-{table}-number", 0)
    upload = st.file_uploader(
        f"A table as {', '.join(ENDINGS)}", type=list(ENDINGS), key=f"import-{table}-{number}"
    )
    if upload is None:
        return None
    report = Report()
    try:
        sheet = _choose_sheet(table, upload.name, upload.getvalue(), report)
    except SpimpackError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    merge = None
    if sheet is not None:
        mapping = _choose_columns(table, sheet, columns)
        merge = merge_rows(sheet, mapping, table, rows, report)
        _show_merge(merge, table, rows)
    _show_problems(report)
    is_confirmed = st.button(
        "Take over",
        type="primary",
        key=f"import-{table}-take",
        disabled=merge is None or not (merge.new or merge.changed),
    )
    if not is_confirmed:
        return None
    # Another number makes the uploader a new one, with no file.
    st.session_state[f"import-{table}-number"] = number + 1
    return merge


def _choose_sheet(table: str, name: str, data: bytes, report: Report) -> Sheet | None:
    """Return the uploaded table, the chosen sheet of a workbook."""
    key = f"import-{table}-sheet"
    sheet = read_sheet(name, data, report)
    if sheet is None or len(sheet.all_sheets) < 2:
        return sheet
    chosen = st.selectbox("Sheet", sheet.all_sheets, index=None, key=key, placeholder="The first")
    if not chosen:
        return sheet
    report.problems.clear()
    return read_sheet(name, data, report, chosen)


def _choose_columns(table: str, sheet: Sheet, columns: Sequence[str]) -> dict[str, str]:
    """Return our column for each column of a sheet, as the user has chosen."""
    suggested = suggest_mapping(sheet.columns, table, columns)
    known = [*dict.fromkeys([KEYS[table], *columns, *load_schema(table)["properties"]])]
    st.caption("Our column for each of these:")
    mapping = {}
    grid = st.columns(4)
    for position, column in enumerate(sheet.columns):
        options = [LEFT_OUT, *dict.fromkeys([*known, column])]
        chosen = grid[position % 4].selectbox(
            plain(column),
            options,
            index=options.index(suggested[column] or LEFT_OUT),
            key=f"import-{table}-{sheet.file}-{column}",
        )
        mapping[column] = "" if chosen == LEFT_OUT else chosen
    return mapping


def _show_merge(merge: Merge, table: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Show which rows are new, and which cells change."""
    st.markdown(f"**{merge.in_words()}**")
    key = KEYS[table]
    lines = [{"": "new", **cells} for cells in merge.new[:MOST_SHOWN]]
    for index, cells in list(merge.changed.items())[:MOST_SHOWN]:
        old = {c: f"{rows[index].get(c, '')} \N{RIGHTWARDS ARROW} {t}" for c, t in cells.items()}
        lines.append({"": "changed", key: rows[index].get(key, ""), **old})
    if lines:
        names = dict.fromkeys(name for line in lines for name in line)
        st.dataframe(
            {name: [line.get(name, "") for line in lines] for name in names},
            hide_index=True,
            width="stretch",
        )


def _show_problems(report: Report) -> None:
    for problem in report.sorted()[:MOST_PROBLEMS]:
        show = st.error if problem.severity is Severity.ERROR else st.warning
        show(plain(str(problem)))
    if len(report.problems) > MOST_PROBLEMS:
        st.caption(f"and {len(report.problems) - MOST_PROBLEMS:,} more")
