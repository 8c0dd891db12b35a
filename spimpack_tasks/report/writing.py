"""Writes the page where the user wants it, and over nothing but an earlier report."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.pages import read_head, write_page, write_page_at
from spimpack_tasks.report.page import GENERATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.state.store import Store

PAGE = "report.html"


class PlaceRefusedError(SpimpackError):
    """The report cannot be written to a path; the message names the reason and a remedy."""

    exit_code = ExitCode.BAD_INPUT


def check_place(store: Store, path: str, *, overwrite: bool) -> None:
    """Refuse a place at which a report would do harm.

    Raises
    ------
    PlaceRefusedError
        It would be a part of the dataset, or replace something else than a report.
    """
    inner = os.path.relpath(os.path.realpath(path), os.path.realpath(store.output_dir))
    if not inner.startswith("."):
        message = f"{path} would be a part of the dataset; choose another place for the report"
        raise PlaceRefusedError(message)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        message = f"there is no folder {folder}; make it, or choose another place for the report"
        raise PlaceRefusedError(message)
    if os.path.isdir(path):
        message = f"{path} is a directory; give the name of a file for the report"
        raise PlaceRefusedError(message)
    if os.path.lexists(path) and not (overwrite or GENERATOR in read_head(path)):
        message = (
            f"{path} is there already, and is no report; choose another file, or replace it with "
            "--overwrite"
        )
        raise PlaceRefusedError(message)


def write_report(store: Store, lines: Iterable[str], path: str = "") -> str:
    """Write a page to `path`, or to the state directory, and return where it is.

    Raises
    ------
    OSError
        It cannot be written.
    """
    if path:
        write_page_at(path, lines)
        return path
    with store.scratch_folder("report") as place:
        write_page(store.root, place.temporary(), PAGE, lines)
    return store.path(PAGE)
