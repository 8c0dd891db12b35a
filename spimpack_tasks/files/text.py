"""Reading the text of a user's file, or saying why it cannot be read."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report

MAX_MANIFEST_BYTES = 16 * 2**20
MAX_TABLE_BYTES = 256 * 2**20


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
    problem = _why_unreadable(path, limit)
    if not problem:
        try:
            with open(path, "rb") as file:
                raw = file.read()
            return raw.decode("utf-8-sig")
        except OSError as error:
            problem = ("file.unreadable", f"cannot be read: {error.strerror}", "")
        except UnicodeDecodeError as error:
            blame = Place(name, raw.count(b"\n", 0, error.start) + 1)
            problem = ("file.encoding", "is not UTF-8 text", "save it as UTF-8")
    code, message, hint = problem
    report.add(Problem(code, blame, "", f"{name} {message}", hint))
    return None


def _why_unreadable(path: str, limit: int) -> tuple[str, str, str] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return "file.missing", "does not exist", "check the path"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return "file.unreadable", f"cannot be read: {reason}", ""
    if not stat.S_ISREG(status.st_mode):
        return "file.not-a-file", "is not a regular file", "give the path of a text file"
    if status.st_size > limit:
        return "file.too-large", f"is larger than {limit // 2**20} MiB", "split it"
    return None
