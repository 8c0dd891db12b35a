"""Shows the progress of a publication, and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.report.formatting import duration_in_words
from spimpack_tasks.running.exit_messages import publishing_message
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.run_status import EVERY_S, show_messages, show_outcome

if TYPE_CHECKING:
    from spimpack_tasks.running.publishing import PublishingRun


def show_publishing(run: PublishingRun) -> None:
    """Show a publication: its progress once a second, or its result."""
    if run.is_going_on:
        _follow(run)
        return
    message = publishing_message(run)
    took = duration_in_words(run.ended - run.started)
    show_outcome(run, f"{message.text} ({took})", is_good=message.is_good)
    show_messages(run)


@st.fragment(run_every=EVERY_S)
def _follow(run: PublishingRun) -> None:
    if not run.is_going_on:
        st.rerun()
    share, text = run.progress()
    st.progress(min(share, 1.0), plain(text))
    if run.is_stopping:
        st.caption("Stopping. The next publication resumes.")
    else:
        st.button("Stop", icon=":material/stop:", key="publish-stop", on_click=run.stop)
    st.caption(
        "It goes on when you leave this page, and is found here again. It is stopped when the "
        "server of this page ends."
    )
    show_messages(run)
