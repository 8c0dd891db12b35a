"""Table with cells to edit in place, rows to pick, and marks beside the rows.

The browser's grid keeps the edits itself, as differences from its first rows. Those rows are never
replaced by edited ones, or every second edit would be lost; typed values are passed on instead. The
grid starts again only when the table has been edited elsewhere, or other rows are to be shown. Its
content is composed once, since a table may have thousands of rows and each click runs the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.session import notify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spimpack_tasks.files.tsv import TsvTable

PICK, MARK = "✓", "!"
ROW_HEIGHT = 35
"""Pixels of a row in Streamlit's grid."""
MOST_ROWS_SHOWN = 14
"""Rows that fit on a page beside its form; the grid scrolls."""


@dataclass
class _Grid:
    """Content that the browser was given."""

    number: int = 0
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    numbers: tuple[int, ...] = ()
    """Number in the table of each row."""
    picked: frozenset[int] = frozenset()
    """Numbers in the table."""
    signs: list[str] = field(default_factory=list)
    frame: Any = None
    """Ticks, signs and cells as the browser gets them."""


def show_grid(  # noqa: PLR0913 - all but three by name
    name: str,
    table: TsvTable,
    marks: Mapping[int, str],
    change: Callable[[dict[tuple[int, str], str]], None],
    *,
    shown: Sequence[int] | None = None,
    pick: frozenset[int] | None = None,
) -> list[int]:
    """Show a table for editing, and return the numbers of the rows that are picked.

    Parameters
    ----------
    name
        Identifies this grid, and names the schema that describes its columns.
    table
        The table to show.
    marks
        A sign beside some rows, by number.
    change
        Takes the edited cells, by number of the row and name of the column.
    shown
        Numbers of the rows to show; all without. Only rows that are shown can be picked.
    pick
        The rows to be picked from now on, in place of earlier ones.
    """
    names = (PICK, MARK, *table.columns)
    if len(set(names)) < len(names) or "" in names:
        st.error("Columns need names, each another one. Put the header right in a text editor.")
        return []
    numbers = tuple(range(len(table.rows)) if shown is None else shown)
    rows = [table.rows[number].cells for number in numbers]
    grid = _present_grid(name, table.columns, numbers, rows, pick)
    signs = [marks.get(number, "") for number in numbers]
    if grid.frame is None or grid.signs != signs:
        grid.signs = signs
        grid.frame = _frame(grid)
    st.data_editor(
        grid.frame,
        key=_key(name, grid),
        num_rows="fixed",
        hide_index=True,
        width="stretch",
        height=min(max(len(rows), 2) + 1, MOST_ROWS_SHOWN) * ROW_HEIGHT + 3,
        disabled=[MARK],
        column_config=_settings(name, grid.columns),
        on_change=_hand_on,
        args=(name, change),
    )
    return sorted(_picked(grid, _edits(name, grid)))


def _present_grid(
    name: str,
    columns: tuple[str, ...],
    numbers: tuple[int, ...],
    rows: list[tuple[str, ...]],
    pick: frozenset[int] | None,
) -> _Grid:
    """Return the grid that the browser has, or a new one where that shows something else."""
    grid: _Grid = st.session_state.setdefault(f"{name}-grid", _Grid())
    edits = _edits(name, grid)
    picked = _picked(grid, edits) if pick is None else pick
    is_same = grid.columns == columns and grid.numbers == numbers
    if not is_same or pick is not None or _with_edits(grid, edits) != rows:
        picked &= frozenset(numbers)
        grid = _Grid(grid.number + 1, columns, rows, numbers, picked)
        st.session_state[f"{name}-grid"] = grid
    return grid


def _frame(grid: _Grid) -> Any:
    """Return the content for the browser: ticks, signs, and the cells."""
    import pandas as pd

    # Of no rows pandas would take the type to be another one.
    ticks = pd.Series([number in grid.picked for number in grid.numbers], dtype="bool")
    frame = pd.DataFrame(grid.rows, columns=list(grid.columns), dtype="object")
    frame.insert(0, MARK, pd.Series(grid.signs, dtype="object"))
    frame.insert(0, PICK, ticks)
    return frame


def _settings(schema: str, columns: Sequence[str]) -> dict[str, Any]:
    described = load_schema(schema)["properties"]
    settings: dict[str, Any] = {
        PICK: st.column_config.CheckboxColumn(PICK, help="Pick rows", width=64, pinned=True),
        MARK: st.column_config.TextColumn(MARK, help="Problems", width=40, pinned=True),
    }
    for column in columns:
        about = described.get(column, {}).get("description")
        settings[column] = st.column_config.TextColumn(column, help=about)
    return settings


def _key(name: str, grid: _Grid) -> str:
    return f"{name}-grid-{grid.number}"


def _edits(name: str, grid: _Grid) -> dict[int, dict[str, Any]]:
    state = st.session_state.get(_key(name, grid), {})
    return {int(row): cells for row, cells in state.get("edited_rows", {}).items()}


def _picked(grid: _Grid, edits: dict[int, dict[str, Any]]) -> frozenset[int]:
    on = {grid.numbers[row] for row, cells in edits.items() if cells.get(PICK)}
    off = {grid.numbers[row] for row, cells in edits.items() if cells.get(PICK) is False}
    return frozenset((grid.picked | on) - off)


def _with_edits(grid: _Grid, edits: dict[int, dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = list(grid.rows)
    for (row, column), text in _cells(grid.columns, edits).items():
        cells = list(rows[row])
        cells[grid.columns.index(column)] = text
        rows[row] = tuple(cells)
    return rows


def _cells(columns: Sequence[str], edits: dict[int, dict[str, Any]]) -> dict[tuple[int, str], str]:
    return {
        (row, column): str(value if value is not None else "")
        for row, cells in edits.items()
        for column, value in cells.items()
        if column in columns
    }


def _hand_on(name: str, change: Callable[[dict[tuple[int, str], str]], None]) -> None:
    """Hand on all cells that were edited since the grid was started; most of them were before."""
    grid: _Grid = st.session_state[f"{name}-grid"]
    cells = _cells(grid.columns, _edits(name, grid))
    try:
        change({(grid.numbers[row], column): text for (row, column), text in cells.items()})
    except SpimpackError as error:
        notify(str(error))
