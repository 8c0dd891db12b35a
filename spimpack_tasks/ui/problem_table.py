"""Shows problems as a table of places, causes and remedies; long texts are wrapped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import Place, printable
from spimpack_tasks.ui.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.errors import Problem

MOST_SHOWN = 100
"""Rows of a table; the command line shows all."""


def show_problem_table(problems: Sequence[Problem]) -> None:
    """Show problems, each with its place and remedy."""
    shown = problems[:MOST_SHOWN]
    st.table(
        {
            "Where": [plain(_where(problem.place)) for problem in shown],
            "What": [plain(_what(problem)) for problem in shown],
            "Remedy": [plain(printable(problem.hint)) for problem in shown],
        },
        hide_index=True,
    )
    if len(problems) > MOST_SHOWN:
        st.caption(f"and {len(problems) - MOST_SHOWN:,} more")


def _where(place: Place) -> str:
    name = os.path.basename(place.file) if os.path.isabs(place.file) else place.file
    return printable(str(Place(name, *place[1:])))


def _what(problem: Problem) -> str:
    key = f"{problem.key}: " if problem.key else ""
    return printable(f"{key}{problem.message} [{problem.code}]")
