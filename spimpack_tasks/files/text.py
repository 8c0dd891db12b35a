"""Reading the text of a user's file, or saying why it cannot be read."""

from __future__ import annotations

import codecs
import os
import stat
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.files.near_paths import path_hint
from spimpack_tasks.files.regular import open_regular

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report

MAX_MANIFEST_BYTES = 16 * 2**20
"""Some 50,000 inline images of 300 bytes."""
MAX_TABLE_BYTES = 256 * 2**20
"""Some two million rows of 100 bytes."""

_SPREADSHEETS = (".csv", ".xlsx", ".xls")
"""Endings of tables in a manifest that are no tab-separated text."""
_SAVE = "save it as UTF-8"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_spreadsheet(path: str) -> bool:
    """Tell whether a table is read as one from a spreadsheet, and not as tab-separated text."""
    return path.lower().endswith(_SPREADSHEETS)


def read_text(path: str, *, name: str, blame: Place, limit: int, report: Report) -> str | None:
    """Return the text of a UTF-8 file, with or without byte order mark.

    Anything that keeps it from being read becomes a problem in `report`, and `None` is returned.
    A pipe or device is refused without being opened, so reading never hangs.

    Parameters
    ----------
    path
        The file.
    name
        The file as messages name it.
    blame
        The place that named the file, where a problem with the file as a whole is reported.
    limit
        Size in bytes above which the file is refused.
    """
    raw = read_bytes(path, name=name, blame=blame, limit=limit, report=report)
    if raw is None:
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"is {'UTF-16 text, not UTF-8' if raw[:2] in _UTF_16 else 'not UTF-8 text'}"
    else:
        # UTF-16 without a byte order mark is valid UTF-8, with a NUL beside each letter.
        nul = text.find("\0")
        if nul < 0:
            return text
        line = text.count("\n", 0, nul) + 1
        message = "holds NUL characters, so it is not UTF-8 text"
    report.add(Problem("file.encoding", Place(name, line), "", message, _SAVE))
    return None


def read_bytes(path: str, *, name: str, blame: Place, limit: int, report: Report) -> bytes | None:
    """Return the content of a file; parameters and refusals are as for a text."""
    problem = _why_unreadable(path, limit)
    if not problem:
        try:
            with open_regular(path) as file:
                return file.read()
        except OSError as error:
            problem = ("file.unreadable", f"cannot be read: {error.strerror}", "")
    code, message, hint = problem
    message = message if blame.file == name else f"{name} {message}"
    report.add(Problem(code, blame, "", message, hint))
    return None


def _why_unreadable(path: str, limit: int) -> tuple[str, str, str] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return "file.missing", "does not exist", path_hint(path) or "check the path"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return "file.unreadable", f"cannot be read: {reason}", ""
    if stat.S_ISDIR(status.st_mode):
        inside = sorted(name for name in os.listdir(path) if name.endswith((".yml", ".yaml")))
        hint = f"did you mean {os.path.join(path, inside[0])!r}?" if inside[:1] else "give a file"
        return "file.not-a-file", "is a directory", hint
    if not stat.S_ISREG(status.st_mode):
        return "file.not-a-file", "is not a regular file", "give the path of a text file"
    if status.st_size > limit:
        return "file.too-large", f"is larger than {limit // 2**20} MiB", "split it"
    return None
