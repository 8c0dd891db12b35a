"""The place of a file that a page is to show next, as the user chose it on another page."""

from __future__ import annotations

import streamlit as st

_JUMP = "jump"


def jump_to(path: str, line: int) -> None:
    """Note the place that a page is to show next."""
    st.session_state[_JUMP] = (path, line)


def jump_in(path: str) -> int:
    """Return the line of a file that is to be shown, once; 0 where there is none."""
    wanted = st.session_state.get(_JUMP)
    if wanted is None or wanted[0] != path:
        return 0
    del st.session_state[_JUMP]
    line: int = wanted[1]
    return line
