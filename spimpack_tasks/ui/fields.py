"""Fields that show a value of the open manifest, and pass typed values on.

Streamlit keeps the content of a field under its key. Before a field is drawn, its key gets the
present value, so a field never shows an outdated one, after undoing for example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.ui.session import notify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _bind(key: str, value: Any) -> None:
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def _hand_on(key: str, change: Callable[[Any], None]) -> None:
    """Pass the content of a field on, and show a notice if it is refused."""
    try:
        change(st.session_state[key])
    except SpimpackError as error:
        notify(str(error))


def _hand_on_once(key: str, change: Callable[[Any], None]) -> None:
    """Pass the content of a field on, and empty the field."""
    _hand_on(key, change)
    st.session_state[key] = None


def text_field(
    label: str, key: str, value: str, change: Callable[[str], None], *, lines: int = 1, **looks: Any
) -> None:
    """Show a field for text, of one line or several."""
    _bind(key, value)
    if lines == 1:
        st.text_input(label, key=key, on_change=_hand_on, args=(key, change), **looks)
    else:
        looks["height"] = 28 + 25 * lines
        st.text_area(label, key=key, on_change=_hand_on, args=(key, change), **looks)


def choice_field(
    label: str,
    key: str,
    value: str,
    options: Sequence[str],
    change: Callable[[str], None],
    **looks: Any,
) -> None:
    """Show a choice; nothing chosen is an empty text, and a value of no option can stay."""
    known = [value, *options] if value and value not in options else list(options)
    _bind(key, value or None)
    st.selectbox(
        label,
        known,
        index=None,
        key=key,
        on_change=_hand_on,
        args=(key, lambda chosen: change(chosen or "")),
        **looks,
    )


def choices_field(
    label: str,
    key: str,
    values: Sequence[str],
    options: Sequence[str],
    change: Callable[[list[str]], None],
    **looks: Any,
) -> None:
    """Show a choice of several; values of no option can stay."""
    known = dict.fromkeys([*options, *values])
    _bind(key, list(values))
    st.multiselect(label, list(known), key=key, on_change=_hand_on, args=(key, change), **looks)


def choice_to_confirm(
    label: str,
    key: str,
    options: Sequence[str],
    button: str,
    change: Callable[[str], None],
    **looks: Any,
) -> None:
    """Show a choice with a button; pressing the button passes the choice on."""
    chosen = st.selectbox(label, options, index=None, key=key, **looks)
    st.button(
        button, key=f"{key}-done", disabled=not chosen, on_click=_hand_on_once, args=(key, change)
    )
