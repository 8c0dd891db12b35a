"""Shows the publications of a dataset that its records know; nothing is asked of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.errors import count_of, size_in_words
from spimpack_tasks.publishing.known import find_publications
from spimpack_tasks.ui.markdown import plain

if TYPE_CHECKING:
    from spimpack_tasks.publishing.known import KnownPublication
    from spimpack_tasks.state.store import Store


def show_known_publications(store: Store) -> None:
    """Show each publication, with links to its first image."""
    found = find_publications(store)
    if not found:
        st.caption("The records of the dataset know none.")
    for each in found:
        _show(each, is_current=each.plan_id == store.current_plan_id())


def _show(each: KnownPublication, *, is_current: bool) -> None:
    with st.container(border=True):
        state = ":green-badge[this state]" if is_current else ":orange-badge[an earlier state]"
        size = f"{count_of(each.objects, 'object')}, {size_in_words(each.bytes)}"
        st.markdown(f"**{plain(str(each.location))}** {state} {size}")
        st.caption(f"Address: {plain(each.address)}")
        if not each.links:
            st.caption("It has no image that can be opened by its address.")
            return
        st.caption(f"The first image, if the place is public: {plain(each.images[0])}")
        with st.container(horizontal=True):
            for link in each.links:
                st.link_button(link.viewer, link.url, icon=":material/open_in_new:")
