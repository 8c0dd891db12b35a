"""Files of an open manifest: their texts on disk, their edited texts, and saving.

A file without edits is read again for each request, so other programs' changes show. A file with
edits remembers the text that it was edited from: if the disk holds another one, saving is refused.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ConflictError, Place, Problem, Report, SpimpackError
from spimpack_tasks.files.atomic import replace_together
from spimpack_tasks.files.locks import hold_folders
from spimpack_tasks.files.near_paths import shown
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.roots import check_within
from spimpack_tasks.files.tsv import parse_tsv

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class FileChange:
    """Change that saving would make to one file."""

    path: str
    is_new: bool
    added: int
    """Number of lines."""
    removed: int
    diff: str
    """In the unified format."""
    cells: tuple[str, ...] = ()
    """Of a table that keeps its rows and columns: each cell that becomes another one, in words."""


class OpenFiles:
    """Text files that may be edited.

    Parameters
    ----------
    roots
        Absolute paths of the folders below which files may be read and written.
    """

    def __init__(self, roots: tuple[str, ...]) -> None:
        self.roots = roots
        self.edited: dict[str, str] = {}
        """Edited texts by absolute path."""
        self._from: dict[str, bytes | None] = {}
        """Original content of each edited file; `None` if there was no file."""

    def text(self, path: str) -> str:
        """Return the edited text of a file, or its text on disk; empty if there is no file.

        Raises
        ------
        OutsideRootsError
            It lies outside the roots.
        SpimpackError
            It cannot be read, or is not text in UTF-8.
        """
        check_within(path, self.roots)
        if path in self.edited:
            return self.edited[path]
        return _decode(path, read_bytes(path) or b"")

    def edit(self, path: str, text: str) -> None:
        """Let a file have another text."""
        if path not in self.edited:
            data = read_bytes(path)
            if text == _decode(path, data or b"") and data is not None:
                return
            self._from[path] = data
        self.edited[path] = text
        before = self._from[path]
        if before is not None and text == _decode(path, before):
            self.forget(path)

    def forget(self, path: str) -> None:
        """Discard the edits of one file."""
        del self.edited[path], self._from[path]

    def changes(self) -> list[FileChange]:
        """Return the changes that saving would make, file by file."""
        return [self._change(path) for path in sorted(self.edited)]

    def _change(self, path: str) -> FileChange:
        before = self._from[path]
        old = _lines(_decode(path, before or b""))
        new = _lines(self.edited[path])
        name = os.path.basename(path)
        lines = list(unified_diff(old, new, f"{name} on disk", f"{name} to be saved", lineterm=""))
        added = sum(line.startswith("+") for line in lines[2:])
        removed = sum(line.startswith("-") for line in lines[2:])
        cells = tuple(_cell_changes(old, new)) if path.endswith(".tsv") else ()
        return FileChange(path, before is None, added, removed, "\n".join(lines), cells)

    def save(self) -> list[str]:
        """Write the edited files, and return their paths.

        Nothing is written unless every file can be written. A file keeps its permissions, and a
        link stays a link.

        Raises
        ------
        ConflictError
            A file has changed on disk since its first edit.
        OutsideRootsError
            A file lies outside the roots, possibly through a link.
        OSError
            The disk refuses the write.
        """
        places = {path: os.path.realpath(path) for path in sorted(self.edited)}
        for path, place in places.items():
            check_within(path, self.roots)
            check_within(place, self.roots)
        # The second of two savers must see the files of the first one.
        with hold_folders({os.path.dirname(place) for place in places.values()}):
            report = Report()
            report.extend(self._conflicts())
            if report.problems:
                raise ConflictError(report)
            replace_together({place: self._encoded(path) for path, place in places.items()})
        saved = list(self.edited)
        for path in saved:
            self.forget(path)
        return saved

    def _encoded(self, path: str) -> bytes:
        before = self._from[path] or b""
        mark = _BYTE_ORDER_MARK if before.startswith(_BYTE_ORDER_MARK) else b""
        return mark + self.edited[path].encode()

    def _conflicts(self) -> Iterator[Problem]:
        for path, before in self._from.items():
            if read_bytes(path) != before:
                message = "was changed by someone else since it was opened here"
                hint = "note your edits, discard them here, and make them again"
                yield Problem("conflict.edited", Place(shown(path)), "", message, hint)

    def base(self) -> dict[str, bytes | None]:
        """Return the original text of each edited file."""
        return dict(self._from)

    def restore(self, texts: dict[str, str], base: dict[str, bytes | None]) -> None:
        """Restore edits that were kept elsewhere, with their original texts."""
        self.edited, self._from = dict(texts), dict(base)


def read_bytes(path: str) -> bytes | None:
    """Return the content of a regular file, `None` if the path is free.

    Raises
    ------
    SpimpackError
        The path is not a regular file, or the file cannot be read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            message = f"{shown(path)} is not a regular file"
            raise SpimpackError(message)
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"{shown(path)} cannot be read: {reason}"
        raise SpimpackError(message) from error


def _decode(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{shown(path)} is not UTF-8 text; save it as UTF-8"
        raise SpimpackError(message) from error


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _cell_changes(old: list[str], new: list[str]) -> Iterator[str]:
    """Yield each changed cell, provided that no row or column was added or removed."""
    before, after = (parse_tsv("\n".join(lines), "", Report()) for lines in (old, new))
    if before is None or after is None or before.columns != after.columns or len(old) != len(new):
        return
    for row, changed in zip(before.rows, after.rows, strict=False):
        for column, was, becomes in zip(before.columns, row.cells, changed.cells, strict=True):
            if was != becomes:
                yield f"line {row.line}, {column}: {was or '(empty)'} -> {becomes or '(empty)'}"
