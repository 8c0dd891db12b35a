"""Import of a spreadsheet: upload, choice of columns, preview, and confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.import_values import (
    MOST_VALUES,
    convert_cells,
    implausible_cells,
    quantity_of,
    split_unit,
    suggest_values,
    values_of,
)
from spimpack_tasks.editing.mapping import KEYS, Merge, merge_rows, suggest_mapping
from spimpack_tasks.errors import Report, Severity, SpimpackError
from spimpack_tasks.files.spreadsheets import ENDINGS, read_sheet
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.editing.import_values import Quantity
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
        sheet = _convert(table, sheet, mapping, report)
        merge = merge_rows(sheet, mapping, table, rows, report)
        report.extend(implausible_cells(sheet, mapping, rows, KEYS[table]))
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
    """Return the uploaded table: the chosen sheet of a workbook, from the chosen row on."""
    place = st.container(horizontal=True, vertical_alignment="bottom")
    header = place.number_input(
        "Row with the names of the columns",
        min_value=1,
        value=None,
        key=f"import-{table}-header",
        placeholder="the first that is filled",
        help="As your spreadsheet numbers its rows; the rows above are left out.",
        width=280,
    )
    sheet = read_sheet(name, data, report, header=header or 0)
    if sheet is None or len(sheet.all_sheets) < 2:
        return sheet
    chosen = place.selectbox(
        "Sheet", sheet.all_sheets, index=None, key=f"import-{table}-sheet", placeholder="The first"
    )
    if not chosen:
        return sheet
    report.problems.clear()
    return read_sheet(name, data, report, chosen, header or 0)


def _convert(table: str, sheet: Sheet, mapping: Mapping[str, str], report: Report) -> Sheet:
    """Show the units of columns, and other words for values; return the sheet with ours."""
    units = _choose_units(table, sheet, mapping)
    chosen = {column: target for column, target in mapping.items() if target}
    suggested = {
        column: suggest_values(table, target, values_of(sheet, column))
        for column, target in chosen.items()
    }
    offered = [
        column
        for column, target in chosen.items()
        if target != KEYS[table]
        and column not in units
        and 0 < len(values_of(sheet, column)) <= MOST_VALUES
    ]
    asked = st.multiselect(
        "Columns in which words become others",
        offered,
        default=[column for column in offered if suggested[column]],
        key=f"import-{table}-{sheet.file}-words",
        placeholder="None",
    )
    words = {column: _choose_words(table, sheet, column, suggested[column]) for column in asked}
    return convert_cells(sheet, words, units, report)


def _choose_units(
    table: str, sheet: Sheet, mapping: Mapping[str, str]
) -> dict[str, tuple[Quantity, str]]:
    """Return the unit of each column that has one, as the header says or the user has chosen."""
    held = {column: quantity_of(target) for column, target in mapping.items()}
    found = {column: quantity for column, quantity in held.items() if quantity is not None}
    units = {}
    grid = st.columns(4)
    for position, (column, quantity) in enumerate(found.items()):
        names = list(quantity.factors)
        said = split_unit(column)[1]
        unit = grid[position % 4].selectbox(
            f"Unit of {plain(column)}",
            names,
            index=names.index(said) if said in names else 0,
            key=f"import-{table}-{sheet.file}-{column}-unit",
            help=f"Our table has {quantity.wanted}; other numbers are converted.",
        )
        units[column] = (quantity, unit)
    return units


def _choose_words(
    table: str, sheet: Sheet, column: str, suggested: Mapping[str, str]
) -> dict[str, str]:
    """Return the new text of each value of a column."""
    st.caption(f"New words for the values of {plain(column)}; an empty one leaves cells empty:")
    grid = st.columns(4)
    return {
        value: grid[position % 4]
        .text_input(
            plain(value),
            suggested.get(value, value),
            key=f"import-{table}-{sheet.file}-{column}-word-{value}",
        )
        .strip()
        for position, value in enumerate(values_of(sheet, column))
    }


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
