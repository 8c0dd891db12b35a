"""Page that fills the publication block, and publishes the dataset of the page Run."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import SpimpackError, count_of, size_in_words
from spimpack_tasks.remote.isolated import IsolatedWorkError
from spimpack_tasks.running.publish_preview import PublishPreview, preview_publication
from spimpack_tasks.running.publishing import PUBLICATIONS, PublishRequest
from spimpack_tasks.running.supervised import RunningError
from spimpack_tasks.state.store import Store
from spimpack_tasks.ui.known_publications import show_known_publications
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.missing_facts import show_missing_facts
from spimpack_tasks.ui.publication_block_fields import show_block_fields
from spimpack_tasks.ui.publish_fields import (
    PORTALS,
    forget_credentials,
    keep_publish_fields,
    request_of_publish_fields,
    restore_publish_fields,
    show_credentials,
    show_publish_fields,
    show_publish_line,
)
from spimpack_tasks.ui.publish_status import show_publishing
from spimpack_tasks.ui.run_options import check, kept_output
from spimpack_tasks.ui.schema_fields import BlockFields

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor

TITLE = "Publish"
ICON = ":material/cloud_upload:"

_BLOCK, _PREVIEW = "publication", "publish-preview"


def show(editor: ManifestEditor) -> None:
    """Show the block, the facts that are missing, the address, and earlier publications."""
    store = Store(kept_output(editor))
    st.subheader("About the publication")
    show_block_fields(BlockFields(editor, _BLOCK, _BLOCK), check(editor))
    if not store.current_plan_id():
        _show_no_dataset(store)
        return
    restore_publish_fields(store)
    st.subheader("Missing facts")
    show_missing_facts(editor, store, PORTALS)
    st.subheader("Where to")
    st.caption(f"Dataset: {plain(store.output_dir)}")
    _show_sending(editor, store)
    keep_publish_fields()
    st.subheader("Publications")
    show_known_publications(store)


def _show_no_dataset(store: Store) -> None:
    st.info(
        f"There is no dataset in {plain(store.output_dir)} yet. Make it on the page Run, to see "
        "what portals miss and to publish it.",
        icon=":material/info:",
    )
    st.page_link(st.session_state["pages"]["run"], label="Go to Run")


def _show_sending(editor: ManifestEditor, store: Store) -> None:
    """Show the publication that is going on, or the fields for one and its preview."""
    run = PUBLICATIONS.find(store.output_dir)
    if run is not None and run.is_going_on:
        st.caption(f"To {plain(run.request.url)}")
        show_publishing(run)
        show_publish_line(run.request)
        return
    with st.container(border=True):
        show_publish_fields()
    request = request_of_publish_fields(store)
    if not request.url:
        st.caption("Give the address of a bucket and a prefix.")
        return
    try:
        show_credentials(request)
    except SpimpackError as error:
        st.error(_line_of(error), icon=":material/error:")
        return
    show_publish_line(request)
    seen = _ask_for_preview(editor, request, (request, store.current_plan_id()))
    if isinstance(seen, PublishPreview):
        _offer(request, seen)
    elif seen:
        st.error(seen, icon=":material/error:")
    elif run is not None:
        show_publishing(run)


def _ask_for_preview(
    editor: ManifestEditor, request: PublishRequest, state: object
) -> PublishPreview | str:
    """Show the button that looks at the location; return what was seen there, if it still counts.

    A text is an error, and empty where nobody has looked.
    """
    asked, seen = st.session_state.get(_PREVIEW, (None, ""))
    known: PublishPreview | str = seen if asked == state else ""
    has_seen = isinstance(known, PublishPreview)
    if st.button(
        "Look again" if has_seen else "See what would be sent",
        type="secondary" if has_seen else "primary",
        icon=":material/difference:",
        key="publish-look",
    ):
        with st.spinner("Looking at the location"):
            st.session_state[_PREVIEW] = state, _look(editor, request)
        forget_credentials()
        st.rerun()
    return known


def _look(editor: ManifestEditor, request: PublishRequest) -> PublishPreview | str:
    """Return what a run would do, or one line on why none is possible."""
    try:
        return preview_publication(request, editor.roots)
    except (SpimpackError, OSError, IsolatedWorkError) as error:
        return _line_of(error)


def _line_of(error: Exception) -> str:
    """Return an error as one line; of a traceback, its last line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return plain(lines[-1] if isinstance(error, IsolatedWorkError) else " ".join(lines))


def _offer(request: PublishRequest, seen: PublishPreview) -> None:
    """Show a preview, and the button that starts the publication."""
    whole = f"{count_of(seen.objects, 'object')} ({size_in_words(seen.bytes)})"
    if seen.is_current:
        st.success(f"Nothing to do: {whole} at {plain(seen.location)}")
    else:
        _show_counts(seen)
        st.caption(f"{whole} for {plain(seen.location)}. Nothing was changed there.")
    for number, note in enumerate(seen.notes):
        is_refusal = seen.is_blocked and number == 0
        (st.error if is_refusal else st.info)(plain(note).replace("\n", "  \n"))
    if seen.is_current or seen.is_blocked:
        return
    if st.button("Publish", type="primary", icon=":material/cloud_upload:", key="publish-start"):
        del st.session_state[_PREVIEW]
        # Another tab may have been faster; then its publication is shown.
        with suppress(RunningError):
            PUBLICATIONS.start(request, seen.bytes_to_send)
        st.rerun()


def _show_counts(seen: PublishPreview) -> None:
    planned = seen.planned
    requests = ", ".join(f"{n:,} {kind}" for kind, n in sorted(planned.requests.items()))
    shown = {
        "objects to send": f"{planned.objects:,}",
        "bytes to send": size_in_words(planned.bytes),
        "there already": f"{planned.adopted:,}" if planned.adopted else "",
        "to delete": f"{planned.deleted:,}" if planned.deleted else "",
        "requests": requests,
    }
    with st.container(horizontal=True):
        for label, value in shown.items():
            if value:
                st.metric(label, value, border=True, width="content")
