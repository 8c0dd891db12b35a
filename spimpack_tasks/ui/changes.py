"""Shows the changes that a run would make, as numbers and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.packaging.changes import OTHERS_REMOVED, Verdict
from spimpack_tasks.ui.problems import show_problems

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.running.preview import RunPreview

MOST_SHOWN = 2_000
"""Rows of the table; a browser with more becomes slow."""
_MEANING: dict[str, str] = {
    Verdict.NEW: "not in the dataset yet",
    Verdict.CHANGED: "in the dataset, and to become another",
    Verdict.MISSING: "was written, and is gone",
    Verdict.UNCHANGED: "stays as it is",
    Verdict.CONFLICT: "a file that is not ours is in the way",
    Verdict.REMOVED: "no longer in the tables, and goes",
    OTHERS_REMOVED: "no longer wanted, such as a preview, and goes",
}


def show_counts(seen: RunPreview) -> None:
    """Show the number of images by verdict, and of other files to be removed."""
    for name, number in seen.counts().items():
        if number:
            st.metric(name, f"{number:,}", help=_MEANING[name], border=True, width="content")


def show_changes(editor: ManifestEditor, seen: RunPreview) -> None:
    """Show the verdict on each image and file, and the problems of the run."""
    if seen.changes and seen.may_run:
        _show_table(seen)
    if seen.report.problems:
        show_problems(editor, seen.report, 0)
    if seen.changes and not seen.may_run:
        _show_table(seen)


def _show_table(seen: RunPreview) -> None:
    shown = seen.shown()
    if not shown:
        st.success("Nothing would change: the dataset is as the inputs want it.")
        return
    st.dataframe(
        {
            "": [str(change.verdict) for change in shown[:MOST_SHOWN]],
            "In the dataset": [change.path for change in shown[:MOST_SHOWN]],
            "Why": ["; ".join(change.reasons) for change in shown[:MOST_SHOWN]],
            "From": [change.source for change in shown[:MOST_SHOWN]],
        },
        hide_index=True,
        width="stretch",
        height="auto" if len(shown) < 9 else 318,
        column_config={"": st.column_config.TextColumn(width="small")},
    )
    more = f", and {len(shown) - MOST_SHOWN:,} more" if len(shown) > MOST_SHOWN else ""
    st.caption(
        f"Images, then other files, then removed files{more}. The numbers above count images."
    )
