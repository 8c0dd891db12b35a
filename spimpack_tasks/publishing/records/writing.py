"""Writes records into a directory, without touching files of anyone else.

    .spimpack-records.json    digests of each file that was written, so that a later run knows them

A file that is there already is replaced only if it is one that we wrote; an equal one stays. Before
files are written, the list has the digests that they are going to have besides the earlier ones, so
a killed run leaves nothing that the next one does not know.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ConflictError, Place, Problem, Report
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.publishing.records.texts import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

LIST_FILE = ".spimpack-records.json"
_KEY = "sha256"
_Digests = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Written:
    """One file of records."""

    path: str
    """Relative to the directory."""
    size: int
    sha256: str
    is_new: bool
    """Whether it was written, and was not there as it is."""


def write_records(folder: str, texts: Mapping[str, str]) -> list[Written]:
    """Write texts by their paths into a directory; made if it is not there.

    Raises
    ------
    ConflictError
        A file of someone else's is in the place of one of them; nothing was written.
    OSError
        The disk refuses a file.
    """
    report = Report()
    known = _read_list(folder, report)
    written = [_look(folder, path, text, known, report) for path, text in texts.items()]
    if report.errors:
        raise ConflictError(report)
    if any(each.is_new for each in written):
        coming = {each.path: [*known.get(each.path, ()), each.sha256] for each in written}
        _write_list(folder, known | coming)
    for each in written:
        if each.is_new:
            _write(folder, each.path, texts[each.path])
    final = known | {each.path: [each.sha256] for each in written}
    if final != known:
        _write_list(folder, final)
    return written


def _look(folder: str, path: str, text: str, known: _Digests, report: Report) -> Written:
    """Return the record that is going to be at a path, and report a file of someone else's."""
    data = text.encode()
    digest, there = sha256(data).hexdigest(), _digest_at(f"{folder}/{path}")
    if there not in {"", digest, *known.get(path, ())}:
        report.add(_conflict(f"{folder}/{path}"))
    return Written(path, len(data), digest, there != digest)


def _conflict(path: str) -> Problem:
    message, hint = "is not a file that was written here", "move it away, or give another -o"
    return Problem("conflict.records", Place(path), "", message, hint)


def _read_list(folder: str, report: Report) -> _Digests:
    """Return the digests of the files that were written; a list of someone else's is reported."""
    path = f"{folder}/{LIST_FILE}"
    try:
        listed = json.loads(read_regular(path))[_KEY]
        return {str(name): [str(digest) for digest in each] for name, each in listed.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, TypeError, LookupError, AttributeError):
        report.add(_conflict(path))
        return {}


def _write_list(folder: str, digests: _Digests) -> None:
    content: dict[str, Any] = {_KEY: dict(sorted(digests.items()))}
    _write(folder, LIST_FILE, json_text(content))


def _digest_at(path: str) -> str:
    """Return the digest of a file, empty where nothing is, and a mark where there is no file."""
    if not os.path.lexists(path):
        return ""
    if os.path.islink(path):
        return "link"
    try:
        return sha256(read_regular(path)).hexdigest()
    except OSError:
        return "unreadable"


def _write(folder: str, path: str, text: str) -> None:
    whole = os.path.join(folder, path)
    os.makedirs(os.path.dirname(whole), exist_ok=True)
    with replacing(whole, Durability.SAFE) as written:
        written.file.write(text.encode())


def list_of(written: list[Written]) -> list[str]:
    """Return a line of JSON for each file."""
    names = ("path", "size", "sha256", "is_new")
    return [json.dumps({name: getattr(each, name) for name in names}) for each in written]
