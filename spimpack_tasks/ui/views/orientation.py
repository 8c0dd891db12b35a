"""Page that shows an image in its orientation, and saves the orientation that looks right."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.orientation_edit import cells_for, first_code, first_stains
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.roots import check_within
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.orientation import (
    CANONICAL,
    OPPOSITES,
    ORIENTATION_CODES,
    SIDES,
    describe_orientation,
)
from spimpack_tasks.qc.pictures import draw_slice, draw_strip, encode_png, frame_slice
from spimpack_tasks.qc.preview import Preview, PreviewChannel, compose_preview
from spimpack_tasks.qc.slices import VIEWS
from spimpack_tasks.qc.volume import SmallVolume, read_volume
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.session import notify

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor, ScanRow
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.qc.slices import View

TITLE = "Orientation"
ICON = ":material/view_in_ar:"

_CODES = sorted(ORIENTATION_CODES)
_SIDE, _LETTER = 420, 26
_COLUMNS = 4
"""Views side by side on a page of 1,280 pixels."""
_MOST_VALUES = 2_000_000
"""Voxels sent to the browser, 2 MB."""
_MOST_IMAGES = 4
"""Number of images that the server keeps, for all tabs."""


def show(editor: ManifestEditor) -> None:
    """Show the slices of one row's image, and the cells to write into the row."""
    rows = editor.rows
    if not rows:
        st.info("The table has no row yet. Add one on the page Scans.")
        return
    number = st.selectbox(
        "Image", range(len(rows)), format_func=partial(_row_name, rows), key="orient-row"
    )
    row = rows[number]
    if not row.source:
        st.info("This row names no image. Give it one on the page Scans.")
        return
    check_within(row.source, editor.roots)
    path = os.path.realpath(row.source)
    volume, preview = _read(path, row.source, stamp_text(path), row.selection)
    code = _choose_code(row, number, volume)
    views = st.container()
    preview = replace(preview, channels=_show_channels(preview, number))
    with views:
        _show_views(preview, code, number)
    _show_verdict(editor, row, number, volume, code)
    _show_candidates(preview, code, number)
    with st.expander("Image details"):
        st.text("\n".join(volume.lines()))
        if not volume.is_spacing_known:
            st.caption("The size of a voxel is not known, so the proportions may be wrong.")


def _row_name(rows: list[ScanRow], number: int) -> str:
    source = os.path.basename(rows[number].source) or "no image"
    subject = rows[number].cells.get("subject", "")
    return f"row {number + 1}: {f'sub-{subject}, ' if subject else ''}{source}"


@st.cache_resource(max_entries=_MOST_IMAGES, show_spinner="Reading a small level of the image")
def _read(
    path: str,
    name: str,
    stamp: str,  # noqa: ARG001 - in the key
    selection: Selection,
) -> tuple[SmallVolume, Preview]:
    """Read an image unless it is unchanged since; only the header of the volume is kept."""
    volume = read_volume(path, name, selection=selection)
    return replace(volume, voxels=volume.voxels[:, :1, :1, :1].copy()), compose_preview(
        volume, _MOST_VALUES
    )


def _choose_code(row: ScanRow, number: int, volume: SmallVolume) -> str:
    """Show the choice of the code, and its meaning."""
    key = f"orient-code-{number}"
    if key not in st.session_state:
        st.session_state[key] = first_code(row.cells, volume.header)
    choice, meaning = st.columns([1, 3], vertical_alignment="bottom")
    with choice:
        code: str = st.selectbox("Orientation", _CODES, key=key)
    own = row.cells.get("orientation_string_xyz", "").strip() or "nothing"
    header = volume.header.orientation_xyz or "nothing"
    with meaning:
        st.markdown(f"**{code}**: {describe_orientation(code)}")
        st.caption(
            f"The row says {plain(own)}; the image says {header}. Below, right is on the right: "
            "the code is right if the specimen lies as the letters at the edges say."
        )
    return code


def _show_views(preview: Preview, code: str, number: int) -> None:
    for view, column in zip(VIEWS, st.columns(len(VIEWS)), strict=True):
        letter = CANONICAL[view.through]
        with column:
            place = st.empty()
            percent = st.slider(
                f"{view.name.capitalize()}: {SIDES[OPPOSITES[letter]]} to {SIDES[letter]}",
                *(0, 100, 50),
                key=f"orient-slice-{number}-{view.through}",
                format="%d%%",
            )
            place.image(_draw(preview, code, view, percent), width="stretch")


def _draw(preview: Preview, code: str, view: View, percent: int) -> bytes:
    axis = next(n for n, letter in enumerate(code) if letter in _axis_letters(view))
    depth = preview.voxels.shape[3 - axis]
    position = min(depth * percent // 100, depth - 1)
    picture = draw_slice(preview, code, view, _SIDE, position)
    return encode_png(frame_slice(picture, view, _SIDE, _LETTER))


def _axis_letters(view: View) -> set[str]:
    return {CANONICAL[view.through], OPPOSITES[CANONICAL[view.through]]}


def _show_channels(preview: Preview, number: int) -> tuple[PreviewChannel, ...]:
    """Show the settings of the channels, and return the channels with them."""
    columns = st.columns(_COLUMNS)
    channels = []
    for index, channel in enumerate(preview.channels):
        with columns[index % _COLUMNS]:
            channels.append(_show_channel(channel, f"orient-{number}-{index}"))
    return tuple(channels)


def _show_channel(channel: PreviewChannel, key: str) -> PreviewChannel:
    with st.container(horizontal=True, vertical_alignment="center"):
        colour = st.color_picker(
            channel.name, channel.colour, key=f"{key}-colour", label_visibility="collapsed"
        )
        is_shown = st.checkbox(plain(channel.name), value=True, key=f"{key}-on")
    black, white = channel.black, channel.white
    if channel.low < channel.high:
        ends = st.slider(
            f"Black and bright values of {plain(channel.name)}",
            channel.low,
            channel.high,
            (channel.low, channel.bright),
            key=f"{key}-contrast",
            format="%.4g",
            disabled=not is_shown,
        )
        scale = 255 / (channel.high - channel.low)
        black, white = (round((end - channel.low) * scale) for end in ends)
    seen = colour if is_shown else "#000000"
    return replace(channel, colour=seen, black=black, white=white)


def _show_verdict(
    editor: ManifestEditor, row: ScanRow, number: int, volume: SmallVolume, code: str
) -> None:
    """Show the cells to write into the row, and the button for it."""
    with st.container(border=True):
        stains = []
        first = first_stains(row.cells, volume.header)
        columns = st.columns(_COLUMNS)
        for index, name in enumerate(first):
            with columns[index % _COLUMNS]:
                stains.append(
                    st.text_input(
                        f"Stain of channel {index + 1}", name, key=f"orient-stain-{number}-{index}"
                    )
                )
        label = f"Looks right: write {code} into the row"
        if st.button(label, type="primary", icon=":material/check:", key="orient-right"):
            try:
                cells = cells_for(code, stains)
            except SpimpackError as error:
                st.error(plain(str(error)), icon=":material/error:")
                return
            editor.set_cells({(number, column): text for column, text in cells.items()})
            listed = ", ".join(f"{column} is {text}" for column, text in cells.items())
            then = "as it was" if editor.is_saved else "to be saved on the page Save"
            notify(f"Row {number + 1}: {listed}; {then}.")
            st.rerun()


def _show_candidates(preview: Preview, code: str, number: int) -> None:
    """Show the middle slices of other codes side by side."""
    chosen = st.multiselect("Compare with", _CODES, key=f"orient-compare-{number}")
    if not chosen:
        return
    columns = st.columns(2)
    for index, candidate in enumerate(dict.fromkeys([code, *chosen])):
        with columns[index % 2], st.container(border=True):
            st.markdown(f"**{candidate}**: {describe_orientation(candidate)}")
            st.image(draw_strip(preview, candidate), width="stretch")
            st.button(
                f"Take {candidate}",
                key=f"orient-take-{number}-{candidate}",
                disabled=candidate == code,
                on_click=_take,
                args=(number, candidate),
            )


def _take(number: int, code: str) -> None:
    st.session_state[f"orient-code-{number}"] = code
