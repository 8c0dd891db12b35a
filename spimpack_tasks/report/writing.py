"""Writes the page where the user wants it, and over nothing but an earlier report."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.files.atomic import write_atomically
from spimpack_tasks.report.page import GENERATOR

if TYPE_CHECKING:
    from spimpack_tasks.state.store import Store

PAGE = "report.html"
_HEAD_BYTES = 1000


class PlaceRefusedError(SpimpackError):
    """There cannot be a report at a place; the message says why, and what to do."""

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
    if os.path.isdir(path):
        message = f"{path} is a directory; give the name of a file for the report"
        raise PlaceRefusedError(message)
    if os.path.lexists(path) and not (overwrite or _is_report(path)):
        message = (
            f"{path} is there already, and is no report; choose another file, or replace it with "
            "--overwrite"
        )
        raise PlaceRefusedError(message)


def write_page(store: Store, page: str, path: str = "") -> str:
    """Write the page to `path`, or to the state directory, and return where it is.

    Raises
    ------
    OSError
        It cannot be written.
    """
    # A file name that is not UTF-8 has been made readable; nothing else is to be escaped here.
    data = page.encode("utf-8", "backslashreplace")
    if path:
        folder, name = os.path.split(path)
        write_atomically(folder, f"{folder}/.{name}.{os.getpid()}", name, data)
        return path
    with store.workplace("report") as place:
        place.write(PAGE, data)
    return store.path(PAGE)


def _is_report(path: str) -> bool:
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return GENERATOR.encode() in file.read(_HEAD_BYTES)
