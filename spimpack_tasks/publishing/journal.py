"""The journal: for each object that the store has acknowledged, the file that it was made from.

A line is one append, so several processes may write it, and a kill tears no more than the last one.
The last line of a name counts. An object whose line fits its file need not be read or sent again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.files.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.publishing.objects import LocalObject


_encode = json.JSONEncoder(ensure_ascii=False).encode
"""One encoder for all lines, which is twice as fast as one each."""


class Entry(NamedTuple):
    """One acknowledged object, with size, time and inode of its file."""

    size: int
    mtime_ns: int
    inode: int
    sha256: str
    etag: str
    is_adopted: bool = False
    """Whether it was there, and not written by us."""

    def fits(self, local: LocalObject) -> bool:
        """Tell whether the file is still the one that was sent."""
        return self[:3] == local.stamp


Entries = dict[str, Entry]
"""By name of the object."""


def entry_of(local: LocalObject, sha256: str, etag: str, *, is_adopted: bool = False) -> Entry:
    """Return the entry of an object that the store has acknowledged."""
    return Entry(*local.stamp, sha256, etag, is_adopted)


def read_journal(path: str) -> Entries:
    """Return the entries of a journal, nothing where there is none."""
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return {}
    entries: Entries = {}
    for line in data.splitlines():
        with suppress(ValueError, TypeError):
            name, *values = json.loads(line)
            if values:
                entries[name] = Entry(*values)
            else:
                entries.pop(name, None)
    return entries


class Journal:
    """Appends to a journal; several threads may call it."""

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._path = path
        self._file = os.open(path, flags, 0o666)
        # A line that a kill has torn must not swallow the next one.
        self._write(b"\n")

    def _write(self, line: bytes) -> None:
        try:
            os.write(self._file, line)
        except OSError as error:
            error.filename = self._path
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def note(self, name: str, entry: Entry) -> None:
        """Note an acknowledged object."""
        self._write(_line(name, entry))

    def forget(self, name: str) -> None:
        """Note that an object is no longer there."""
        self._write(_line(name, ()))


def _line(name: str, values: Iterable[object]) -> bytes:
    return _encode([name, *values]).encode() + b"\n"


def write_journal(path: str, entries: Entries) -> None:
    """Replace a journal by one without lines that no longer count."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path, Durability.WHOLE) as aside:
        aside.file.write(b"".join(_line(name, entry) for name, entry in sorted(entries.items())))
