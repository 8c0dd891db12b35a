"""Shows the progress of a run, and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import ExitCode, count_of
from spimpack_tasks.report.formatting import duration_in_words
from spimpack_tasks.running.exit_messages import exit_message
from spimpack_tasks.validation.report import place_for, read_report

if TYPE_CHECKING:
    from spimpack_tasks.running.process import PackagingRun
    from spimpack_tasks.running.supervised import SupervisedRun

EVERY_S = 1.0
"""Seconds between two looks at a run."""
LINES = 200
"""Last lines of the output that are shown."""
MOST_FINDINGS = 500
"""Rows of the table; the report holds all."""


def show_run(run: PackagingRun) -> None:
    """Show a run: its progress once a second, or its result."""
    if run.is_going_on:
        _follow(run)
    else:
        _show_result(run)


@st.fragment(run_every=EVERY_S)
def _follow(run: PackagingRun) -> None:
    if not run.is_going_on:
        st.rerun()
    progress = run.progress()
    count = f": {progress.done:,} of {count_of(progress.total, 'image')}" if progress.total else ""
    st.progress(min(progress.share, 1.0), f"{progress.step}{count} ({progress.text})")
    for line in progress.workers:
        st.caption(line)
    if run.is_stopping:
        st.caption("Stopping. Unfinished images are resumed by the next run.")
    else:
        st.button("Stop", icon=":material/stop:", key="run-stop", on_click=run.stop)
    st.caption(
        "It goes on when you leave this page, and is found here again. It is stopped when the "
        "server of this page ends."
    )
    show_messages(run)


def _show_result(run: PackagingRun) -> None:
    message = exit_message(run)
    text = f"{message.text} ({duration_in_words(run.ended - run.started)})"
    show_outcome(run, text, is_good=message.is_good)
    if run.request.validates and run.exit_code in {ExitCode.OK, ExitCode.INVALID}:
        _show_verdict(run)
    elif not run.request.validates and run.exit_code == ExitCode.OK:
        st.caption("The BIDS validator was not asked.")
    if run.exit_code in {ExitCode.OK, ExitCode.INVALID, ExitCode.FAILED}:
        icon = ":material/summarize:"
        st.page_link(st.session_state["pages"]["report"], label="Show report", icon=icon)
    show_messages(run)


def show_outcome(run: SupervisedRun, text: str, *, is_good: bool) -> None:
    """Show how a run has ended, and its summary."""
    summary = run.summary()
    if is_good:
        st.success(text, icon=":material/check_circle:")
    elif run.is_stopping:
        st.warning(text, icon=":material/stop_circle:")
    else:
        st.error(text, icon=":material/error:")
    if summary:
        st.code("\n".join(summary), language=None, wrap_lines=True)


def _show_verdict(run: PackagingRun) -> None:
    """Show the findings of the official validator and of our own checks."""
    report = read_report(place_for(run.request.options.output_dir))
    if report is None:
        return
    findings = sorted(report.verdict.findings, key=lambda finding: finding.rank)
    errors, warnings = len(report.verdict.errors), len(report.verdict.warnings)
    if not findings:
        st.success("The BIDS validator finds nothing wrong.", icon=":material/verified:")
        return
    counts = f"{count_of(errors, 'error')}, {count_of(warnings, 'warning')}"
    with st.expander(f"The BIDS validator: {counts}", expanded=bool(errors)):
        st.dataframe(
            {
                "": [str(finding.severity) for finding in findings[:MOST_FINDINGS]],
                "Where": [finding.location or "dataset" for finding in findings[:MOST_FINDINGS]],
                "Code": [
                    f"{finding.code} {finding.sub_code}".strip()
                    for finding in findings[:MOST_FINDINGS]
                ],
                "What": [" ".join(f.message.split()) for f in findings[:MOST_FINDINGS]],
            },
            hide_index=True,
            width="stretch",
        )
        if len(findings) > MOST_FINDINGS:
            st.caption(f"and {len(findings) - MOST_FINDINGS:,} more, in the report of the dataset")


def show_messages(run: SupervisedRun) -> None:
    """Show the last messages of a run."""
    lines = run.messages()
    if not lines:
        return
    with (
        st.expander(f"Messages ({len(lines):,})", expanded=run.is_going_on or run.exit_code != 0),
        st.container(height=min(260, 40 + 25 * len(lines)), border=False, autoscroll=True),
    ):
        st.code("\n".join(lines[-LINES:]), language=None, wrap_lines=True)
