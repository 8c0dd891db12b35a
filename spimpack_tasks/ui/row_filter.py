"""Filter of the rows of a grid, and buttons that tick all rows that it shows.

The rows are chosen when the filter changes, and stay until it changes again: a row that is put
right does not vanish while its user still types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.files.tsv import TsvTable


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Rows that a filter has chosen, and what it was asked."""

    text: str
    has_problems: bool
    size: int
    """Number of rows of the table then."""
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShownRows:
    """The rows to show, and those to tick from now on."""

    numbers: tuple[int, ...]
    pick: frozenset[int] | None


def filter_rows(
    name: str, table: TsvTable, marks: Mapping[int, str], jump: frozenset[int] | None
) -> ShownRows:
    """Show the fields of a filter, and return the rows that it leaves.

    Parameters
    ----------
    name
        Identifies the grid.
    table
        The table that it shows.
    marks
        A sign beside each row with problems, by number.
    jump
        Rows that another page leads to; a filter that hides one of them is emptied.
    """
    keys = f"{name}-filter-text", f"{name}-filter-problems"
    kept: _Chosen | None = st.session_state.get(f"{name}-filter")
    if jump and kept is not None and not jump <= set(kept.numbers):
        st.session_state[keys[0]], st.session_state[keys[1]] = "", False
    with st.container(horizontal=True, vertical_alignment="center"):
        text = st.text_input(
            "Filter",
            key=keys[0],
            placeholder="Show rows that contain a text",
            label_visibility="collapsed",
            icon=":material/filter_alt:",
            width=300,
        )
        has_problems = st.toggle("Only rows with problems", key=keys[1])
        chosen = _choose(kept, table, marks, text.strip().casefold(), has_problems=has_problems)
        st.session_state[f"{name}-filter"] = chosen
        size, number = len(table.rows), len(chosen.numbers)
        ticks_all = st.button(
            f"Tick all {number:,}", icon=":material/check_box:", disabled=not number
        )
        ticks_none = st.button("Tick none", icon=":material/check_box_outline_blank:")
    # The tools of the grid are drawn over the end of this line.
    st.caption(f"{number:,} of {size:,} rows are shown")
    if ticks_all or ticks_none:
        return ShownRows(chosen.numbers, frozenset(chosen.numbers if ticks_all else ()))
    return ShownRows(chosen.numbers, jump)


def _choose(
    kept: _Chosen | None,
    table: TsvTable,
    marks: Mapping[int, str],
    text: str,
    *,
    has_problems: bool,
) -> _Chosen:
    size = len(table.rows)
    if kept is not None and (kept.text, kept.has_problems, kept.size) == (text, has_problems, size):
        return kept
    numbers = tuple(
        number
        for number, row in enumerate(table.rows)
        if (not has_problems or number in marks)
        and (not text or any(text in cell.casefold() for cell in row.cells))
    )
    return _Chosen(text, has_problems, size, numbers)
