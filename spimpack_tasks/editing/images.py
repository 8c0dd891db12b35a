"""Composes rows for images that a user picks, from their paths and headers, without guessing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.scanning.headers import header_cells
from spimpack_tasks.scanning.labels import as_label, tokens_of
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import examine_selected
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.header import Header

NOT_COPIED = frozenset({"spim_path", "scene", "subject", "acq_time"})
"""Columns that tell one image from another, and so are left out of a copied row."""

_TIMES = "\N{MULTIPLICATION SIGN}"


def row_for(image: str, folder: str) -> dict[str, str]:
    """Return the cells of the row of an image, by canonical column.

    Parameters
    ----------
    image
        Absolute path.
    folder
        The manifest's folder. Below it a path is written relative to it, so that both can be moved
        together.
    """
    below = image.startswith(folder.rstrip("/") + "/")
    path = os.path.relpath(image, folder) if below else image
    texts, _ = tokens_of(path)
    labels = {entity: as_label(entity, text) for entity, text in texts.items()}
    header, _ = examine_image(image)
    header_values = header_cells(header) if header is not None else {}
    return {
        "spim_path": path,
        **labels,
        **{name: text for name, text in header_values.items() if text},
    }


def examine_image(image: str, selection: Selection = WHOLE) -> tuple[Header | None, str]:
    """Return the header of an image, or why it cannot be had."""
    try:
        source = examine_selected(os.path.realpath(image), image, selection)
        return read_header(source.path, source.format, source.selection), ""
    except SourceRefusedError as refused:
        return None, refused.told
    except MissingExtraError as error:
        return None, str(error)


def cells_to_fill(header: Header, cells: Mapping[str, str]) -> dict[str, str]:
    """Return values from a header for the empty cells of a row."""
    header_values = header_cells(header)
    return {
        name: text
        for name, text in header_values.items()
        if text and not cells.get(name, "").strip()
    }


def describe_header(header: Header) -> str:
    """Return a one-line summary of a header: size in voxels, their distance, the channels."""
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    size = f" {_TIMES} ".join(f"{sizes[axis]:,}" for axis in "xyz" if axis in sizes)
    known = [f"{step:g}" if step is not None else "?" for step in header.pixel_size_um]
    spacing = f"{f' {_TIMES} '.join(known)} µm" if known else "voxel size not known"
    count = f"{header.channel_count} channel{'s' if header.channel_count != 1 else ''}"
    names = ", ".join(name or "?" for name in header.channel_names)
    words = [f"{size} voxels", spacing, f"{count}: {names}" if names else count, header.dtype]
    if header.orientation_xyz:
        words.append(header.orientation_xyz)
    return " · ".join(words)


def copied_row(cells: Mapping[str, str]) -> dict[str, str]:
    """Return the cells of a row that shares the settings of another."""
    return {name: text for name, text in cells.items() if name not in NOT_COPIED}
