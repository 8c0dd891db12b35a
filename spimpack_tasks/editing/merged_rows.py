"""Rows of tables that stand for several files: their paths, and files that come to them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import count_of
from spimpack_tasks.files.tsv_edit import cells_by_column
from spimpack_tasks.manifest.merges import AXIS_COLUMN, SEPARATOR, expand_path, split_paths
from spimpack_tasks.manifest.rows import source_path
from spimpack_tasks.model.entities import MISSING
from spimpack_tasks.scanning.tables import cell_of_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.scanning.found import FoundImage
    from spimpack_tasks.scanning.options import ScanRequest


def paths_of_row(folder: str, path: Any, axis: Any) -> list[str]:
    """Return the absolute paths of the files that a row stands for.

    Parameters
    ----------
    folder
        Of the manifest.
    path
        The cell `spim_path`, or the list.
    axis
        The cell `merge_axis`; with nothing in it the row stands for one file.
    """
    is_merged = isinstance(path, list) or axis not in {None, "", MISSING}
    texts = split_paths(path) if is_merged else [path]
    wholes = [source_path(folder, text) for text in texts if isinstance(text, str) and text]
    return [each for whole in wholes for each in expand_path(whole)[0]] if is_merged else wholes


def real_paths_of_row(folder: str, path: Any, axis: Any) -> set[str]:
    """Return the real paths of the files that a row stands for."""
    return {os.path.realpath(each) for each in paths_of_row(folder, path, axis)}


def real_paths_of_cells(folder: str, cells: Mapping[str, str]) -> set[str]:
    """Return the real paths of the files that a row of a table stands for, by its columns."""
    return real_paths_of_row(folder, cells.get("spim_path", ""), cells.get(AXIS_COLUMN, ""))


def add_to_rows(
    editor: ManifestEditor, request: ScanRequest, images: list[FoundImage], known: set[str]
) -> list[str]:
    """Add files that came to an image, some of whose files a row names already, to that row.

    Parameters
    ----------
    editor
        Has the tables.
    request
        The scan that found them.
    images
        Those that were found.
    known
        Real paths of the files in all rows.

    Returns
    -------
    Lines for the user on each row that was changed, or has to be changed by hand.
    """
    rows = [real_paths_of_cells(editor.folder, row) for row in cells_by_column(editor.scans.table)]
    lines = []
    for image in images:
        come = [each for each in image.members if os.path.realpath(each.source.path) not in known]
        if not come or len(come) == len(image.members):
            continue
        there = {os.path.realpath(each.source.path) for each in image.members} & known
        numbers = [number for number, paths in enumerate(rows) if paths & there]
        listed = ", ".join(each.path for each in come)
        what = f"{count_of(len(come), 'more file')} to merge along {image.axis}: {listed}"
        cells = cells_by_column(editor.scans.table)[numbers[0]] if len(numbers) == 1 else {}
        if cells.get(AXIS_COLUMN) == image.axis:
            paths = _put_in_order(editor.folder, request, cells["spim_path"], image)
            editor.set_cells({(numbers[0], "spim_path"): SEPARATOR.join(paths)})
            name, line = os.path.basename(editor.scans_tables[0]), numbers[0]
            lines.append(f"{name}:{editor.scans.table.rows[line].line} gets {what}")
        else:
            lines.append(f"add to the row of {min(there)} yourself: {what}")
    return lines


def _put_in_order(folder: str, request: ScanRequest, cell: str, image: FoundImage) -> list[str]:
    """Return the paths of a cell with those that came to an image, each behind the one before it.

    The others keep their order, which may be that of the user.
    """
    texts = split_paths(cell)
    before = {
        os.path.realpath(path): number
        for number, text in enumerate(texts)
        for path in expand_path(source_path(folder, text))[0]
    }
    last = -1
    behind: list[list[str]] = [[] for _ in range(len(texts) + 1)]
    for each in image.members:
        real = os.path.realpath(each.source.path)
        if real in before:
            last = before[real]
        else:
            # The stains name the channels in their order, so a new one comes last.
            at = len(texts) if image.axis == "C" else last + 1
            behind[at].append(cell_of_path(request, each.path))
    pairs = zip(["", *texts], behind, strict=True)
    return [path for text, come in pairs for path in ([text] if text else []) + come]
