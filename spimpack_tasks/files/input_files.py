"""Digests of files of the inputs, by which they are known again when they have not changed."""

from __future__ import annotations

from codecs import BOM_UTF8
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Report
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.files.text import MAX_TABLE_BYTES, is_spreadsheet, read_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping


_PIECE = 2**20
"""Characters or bytes that are looked at at once: a table of a hundred thousand rows is 12 MB."""


def have_digests(texts: Mapping[str, str]) -> bool:
    """Tell whether files of the inputs have the digests that `Inputs.texts` has of them."""
    return all(
        _is_read_by(path, digest) if digest else _is_refused(path) for path, digest in texts.items()
    )


def _is_refused(path: str) -> bool:
    """Tell whether there is still no file that can be read."""
    read = read_bytes if is_spreadsheet(path) else read_text
    return read(path, name=path, blame=Place(path), limit=MAX_TABLE_BYTES, report=Report()) is None


def _is_read_by(path: str, digest: str) -> bool:
    """Tell whether a file still has a content; a large one is never held as a whole."""
    found = blake2b(digest_size=16)
    try:
        with open_regular(path) as file:
            start = file.read(len(BOM_UTF8))
            if start != BOM_UTF8 or is_spreadsheet(path):  # the mark is no part of a text
                found.update(start)
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError:
        return False
    return found.hexdigest() == digest


def digest_of(content: str | bytes | None) -> str:
    """Return the digest of a content, empty where there is none."""
    if content is None:
        return ""
    digest = blake2b(digest_size=16)
    for start in range(0, len(content), _PIECE):
        piece = content[start : start + _PIECE]
        digest.update(piece.encode() if isinstance(piece, str) else piece)
    return digest.hexdigest()
