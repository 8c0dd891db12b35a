"""A browser of the server's files, below the roots, in which images or other things are chosen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.browsing import ListingKind, list_folder
from spimpack_tasks.errors import SpimpackError, count_of
from spimpack_tasks.files.roots import is_within
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.volumes.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.editing.browsing import Listing, ListingEntry

_ICONS = {
    ListingKind.FOLDER: ":material/folder:",
    ListingKind.IMAGE: ":material/deployed_code:",
    ListingKind.FILE: ":material/draft:",
    ListingKind.REFUSED: ":material/block:",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Kind of entries that the user may choose."""

    kind: ListingKind
    several: bool = False
    endings: tuple[str, ...] = ()
    """Those of the files that are offered; all if empty."""


LIST_HEIGHT = 440
"""Pixels of the list of files: seven lines, and the button below it stays on a small screen."""

IMAGE = Wanted(ListingKind.IMAGE)
IMAGES = Wanted(ListingKind.IMAGE, several=True)
MANIFEST = Wanted(ListingKind.FILE, endings=(".yml", ".yaml"))
FOLDER = Wanted(ListingKind.FOLDER)


def browse(key: str, roots: Sequence[str], wanted: Wanted, start: str = "") -> list[str]:
    """Show a folder, and return the absolute paths that were just chosen, usually none.

    Parameters
    ----------
    key
        Identifies this browser on the page.
    roots
        Absolute paths of the folders that may be seen.
    wanted
        Kind of entries to choose.
    start
        Absolute path of the folder that is shown first, or of something in it.
    """
    folder = _folder(key, roots, start)
    way = st.container(horizontal=True, vertical_alignment="center", gap="small")
    part = st.text_input(
        "Part of a name",
        key=f"{key}-part",
        placeholder="Type a part of a name, or a path that begins with /",
        label_visibility="collapsed",
        icon=":material/search:",
        on_change=_go_to,
        args=(key, roots),
    )
    try:
        listing = list_folder(folder, roots, part)
    except SpimpackError as error:
        st.error(plain(str(error)), icon=":material/error:")
        _enter(key, roots[0])
        return []
    with way:
        _show_way(key, listing, roots)
    entries = [] if wanted == FOLDER else _offered(listing, wanted)
    with st.container(height=LIST_HEIGHT):
        _show_folders(key, listing)
        chosen = _show_entries(key, entries, several=wanted.several)
        _show_rest(listing, anything=bool(entries))
    if wanted == FOLDER:
        label = f"Choose the folder {os.path.basename(listing.folder) or listing.folder}"
        is_chosen = st.button(plain(label), key=f"{key}-this", type="primary")
        return [listing.folder] if is_chosen else []
    return _confirmed(key, entries, chosen) if wanted.several else chosen


def _folder(key: str, roots: Sequence[str], start: str) -> str:
    """Return the folder that is shown."""
    known: str = st.session_state.get(f"{key}-folder", "")
    if not known:
        known = start if start and is_within(start, roots) else roots[0]
        while not os.path.isdir(known) and is_within(os.path.dirname(known), roots):
            known = os.path.dirname(known)
        st.session_state[f"{key}-folder"] = known
    return known


def _offered(listing: Listing, wanted: Wanted) -> list[ListingEntry]:
    entries = listing.of_kind(wanted.kind)
    return [e for e in entries if e.name.lower().endswith(wanted.endings or "")]


def _enter(key: str, folder: str) -> None:
    st.session_state[f"{key}-folder"] = folder
    st.session_state[f"{key}-part"] = ""


def _go_to(key: str, roots: Sequence[str]) -> None:
    """Enter the folder that was typed, or that of the file that was."""
    typed = os.path.expanduser(st.session_state[f"{key}-part"].strip())
    if not typed.startswith("/"):
        return
    # A path outside the roots is not examined; listing it is refused with a message.
    is_file = is_within(typed, roots) and (os.path.isfile(typed) or format_of(typed) is not None)
    _enter(key, os.path.dirname(typed) if is_file else typed)


def _show_way(key: str, listing: Listing, roots: Sequence[str]) -> None:
    """Show the folders that lead to this one, each of which can be entered."""
    others = [root for root in roots if root not in listing.parents]
    for folder in (*others, *listing.parents):
        is_root = folder in (listing.parents[0], *others)
        st.button(
            plain(folder if is_root else os.path.basename(folder)),
            key=f"{key}-way-{folder}",
            icon=":material/home:" if is_root else ":material/chevron_right:",
            type="tertiary",
            disabled=folder == listing.folder,
            on_click=_enter,
            args=(key, folder),
        )


def _show_folders(key: str, listing: Listing) -> None:
    for entry in listing.of_kind(ListingKind.FOLDER):
        st.button(
            plain(entry.name),
            key=f"{key}-enter-{entry.path}",
            icon=_ICONS[ListingKind.FOLDER],
            type="tertiary",
            on_click=_enter,
            args=(key, entry.path),
        )


def _show_entries(key: str, entries: Sequence[ListingEntry], *, several: bool) -> list[str]:
    """Show the entries to choose from, and return the chosen paths."""
    chosen = []
    for entry in entries:
        label = plain(entry.name)
        if several:
            is_chosen = st.checkbox(f"{_ICONS[entry.kind]} {label}", key=_pick_key(key, entry))
        else:
            icon, pick = _ICONS[entry.kind], _pick_key(key, entry)
            is_chosen = st.button(label, key=pick, icon=icon, type="tertiary")
        if is_chosen:
            chosen.append(entry.path)
    return chosen


def _show_rest(listing: Listing, *, anything: bool) -> None:
    """Show why entries cannot be chosen, and why there is little to see."""
    for entry in listing.of_kind(ListingKind.REFUSED):
        st.caption(f"{_ICONS[ListingKind.REFUSED]} {plain(entry.name)}: {plain(entry.detail)}")
    if listing.note:
        st.caption(f":material/info: This folder {plain(listing.note)}.")
    elif not anything and not listing.of_kind(ListingKind.FOLDER):
        st.caption("There is nothing to choose in this folder.")


def _confirmed(key: str, entries: Sequence[ListingEntry], chosen: list[str]) -> list[str]:
    """Show the buttons below several choices, and return these when they are confirmed."""
    what = "image" if not entries or entries[0].kind is ListingKind.IMAGE else "file"
    with st.container(horizontal=True):
        label = f"Choose {count_of(len(chosen), what)}"
        is_confirmed = st.button(label, key=f"{key}-done", type="primary", disabled=not chosen)
        if entries:
            label = f"Select all {len(entries):,}"
            st.button(label, key=f"{key}-all", on_click=_pick_all, args=(key, entries))
    return chosen if is_confirmed else []


def _pick_all(key: str, entries: Sequence[ListingEntry]) -> None:
    for entry in entries:
        st.session_state[_pick_key(key, entry)] = True


def _pick_key(key: str, entry: ListingEntry) -> str:
    return f"{key}-pick-{entry.path}"
