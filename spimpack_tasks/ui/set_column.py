"""Sets one column in all ticked rows of a table at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.session import notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spimpack_tasks.files.tsv import TsvTable

MOST_VALUES = 4
"""Present values that are named; they fit on one line of a page."""


def set_column(
    name: str,
    table: TsvTable,
    picked: Sequence[int],
    known: Mapping[str, Sequence[str]],
    change: Callable[[dict[tuple[int, str], str]], None],
) -> None:
    """Show the fields for a column and a value, and the button that sets it.

    Parameters
    ----------
    name
        Identifies the grid.
    table
        The table.
    picked
        Numbers of the rows.
    known
        Columns that can be chosen, those that are not in the table as well, with the values that
        they may have; none where any text will do.
    change
        Takes the new cells, by number of the row and name of the column.
    """
    with st.container(border=True):
        st.markdown(f"**{len(picked):,} rows** are ticked. Set one column in all of them:")
        left, middle, right = st.columns([2, 2, 1], vertical_alignment="bottom")
        column = left.selectbox("Column", list(known), index=None, key=f"{name}-set-column")
        values = list(known.get(column or "", ()))
        key = f"{name}-set-{column}"
        if values:
            value = middle.selectbox("Value", values, index=None, key=key) or ""
        else:
            value = middle.text_input("Value", key=key, placeholder="empty")
        fills = right.toggle("Empty cells only", key=f"{name}-set-fills")
        present = _present(table, picked, column) if column else {}
        numbers = [number for number in picked if not fills or not present.get(number, "")]
        if column:
            st.caption(f"Now: {_in_words(present.values())}")
        # A callback: after a button the page would have to run twice.
        st.button(
            f"Set it in {count_of(len(numbers), 'row')}",
            icon=":material/edit_note:",
            disabled=not column or not numbers,
            key=f"{name}-set-do",
            on_click=_hand_on,
            args=({(number, column or ""): value.strip() for number in numbers}, change),
        )


def _hand_on(
    cells: dict[tuple[int, str], str], change: Callable[[dict[tuple[int, str], str]], None]
) -> None:
    try:
        change(cells)
    except SpimpackError as error:
        notify(str(error))


def _present(table: TsvTable, picked: Sequence[int], column: str) -> dict[int, str]:
    """Return the present cell of each row."""
    if column not in table.columns:
        return dict.fromkeys(picked, "")
    index = table.columns.index(column)
    return {number: table.rows[number].cells[index].strip() for number in picked}


def _in_words(texts: Iterable[str]) -> str:
    counts = Counter(texts).most_common()
    shown = [f"{plain(text) or '(empty)'} in {number:,}" for text, number in counts[:MOST_VALUES]]
    more = len(counts) - MOST_VALUES
    return ", ".join(shown) + (f", and {more:,} other values" if more > 0 else "")
