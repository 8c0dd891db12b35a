"""Rows of a scans table for stitched volumes and deskewed tiles, so that they enter a dataset.

A row is found again by its image. The cells that follow from the stitching, the matrix of a chunk
and the parameters, are kept up to date. All others belong to the user once they are written.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.tsv_edit import TsvText, cells_by_column
from spimpack_tasks.manifest.records import CANONICAL
from spimpack_tasks.manifest.rows import source_path
from spimpack_tasks.manifest.table_rows import add_table_rows, edit_table, named_as, path_cell
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.stitching.chunk_transforms import canvas_matrix, compose_transform
from spimpack_tasks.volumes.ome_zarr.header_extras import STITCHING_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.stitching.volume import Stitching

_PATH = "spim_path"
_SHORT = {entity.short: entity.name for entity in ENTITIES}


class RowsRefusedError(SpimpackError):
    """A row cannot be written; the message has a line for each mistake."""

    exit_code = ExitCode.BAD_INPUT


def parse_cells(table: str, texts: Sequence[str]) -> dict[str, str]:
    """Return the cells that a user gives for a row, by their columns.

    Parameters
    ----------
    table
        Path of the table, which may not be there yet.
    texts
        Such as `subject=01`; entities may have their short names.

    Raises
    ------
    RowsRefusedError
        The table is no `.tsv`, its folder is missing, or cells are wrong: all of it is told.
    """
    problems = [
        f"{text!r}: write a column and its cell, such as subject=01"
        for text in texts
        if not text.partition("=")[0].strip() or not text.partition("=")[2].strip()
    ]
    parts = [text.partition("=") for text in texts]
    cells = {_SHORT.get(key.strip(), key.strip()): text.strip() for key, _, text in parts}
    cells = {CANONICAL.get(key, key): text for key, text in cells.items()}
    problems += [
        f"{name} is missing; add --cell {name}=…"
        for name in ("subject", "sample")
        if not cells.get(name)
    ]
    if _PATH in cells:
        problems.append(f"{_PATH} is the image that is made; leave it out")
    if not table.endswith(".tsv"):
        problems.append(f"{table} does not end in .tsv")
    if not os.path.isdir(os.path.dirname(os.path.abspath(table))):
        problems.append(f"{os.path.dirname(table)} is not a folder; make it first")
    if problems:
        raise RowsRefusedError("\n".join(problems))
    return cells


def compose_row(work: Stitching, cells: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the cells of the user, and those that follow from the stitching.

    BIDS wants the matrix where there is an entity `chunk`; its translation is that of the OME-Zarr.
    """
    computed = {STITCHING_KEY: work.parameters} if work.parameters else {}
    if cells.get("chunk"):
        for key, value in compose_transform(canvas_matrix(work.canvas)).items():
            is_matrix = isinstance(value[0], list)
            computed[key] = json.dumps(value) if is_matrix else ";".join(map(str, value))
    return dict(cells), computed


def write_row(
    table: str, image: str, cells: Mapping[str, str], computed: Mapping[str, str]
) -> None:
    """Write the row of an image, or bring it up to date.

    Parameters
    ----------
    table
        Path of the scans table; a new one is made.
    image
        Path of the OME-Zarr.
    cells, computed
        As of `compose_row`.

    Raises
    ------
    SpimpackError
        The file is no table.
    OSError
        The disk does not take it.
    """
    folder = os.path.dirname(os.path.abspath(table))
    row = {_PATH: path_cell(image, folder), **cells, **computed}

    def edit(text: str) -> str:
        found = TsvText(text, list(row))
        (names,) = named_as(found.table.columns, [dict.fromkeys(row, "")])
        column = list(names)[list(row).index(_PATH)]
        number = _row_of(found, folder, image, column)
        if number is None:
            return add_table_rows(table, text, [row])
        found.set_cells({(number, key): value for key, value in computed.items()})
        return found.text

    edit_table(table, edit)


def _row_of(edited: TsvText, folder: str, image: str, column: str) -> int | None:
    for number, row in enumerate(cells_by_column(edited.table)):
        text = row.get(column, "")
        if text and os.path.normpath(source_path(folder, text)) == image:
            return number
    return None


def tell_parameters(values: Mapping[str, Any]) -> str:
    """Return parameters as one line of JSON, in the order of their names."""
    return json.dumps(values, sort_keys=True, allow_nan=False)
