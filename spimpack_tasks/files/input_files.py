"""Digests of files of the inputs, by which they are known again when they have not changed."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Report
from spimpack_tasks.files.text import MAX_TABLE_BYTES, is_spreadsheet, read_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping


_PIECE = 2**20
"""Characters that are encoded at once: a table of a hundred thousand rows is 12 MB."""


def have_digests(texts: Mapping[str, str]) -> bool:
    """Tell whether files of the inputs have the digests that `Inputs.texts` has of them."""
    return all(_digest_now(path) == digest for path, digest in texts.items())


def _digest_now(path: str) -> str:
    read = read_bytes if is_spreadsheet(path) else read_text
    blame, report = Place(path), Report()
    return digest_of(read(path, name=path, blame=blame, limit=MAX_TABLE_BYTES, report=report))


def digest_of(content: str | bytes | None) -> str:
    """Return the digest of a content, empty where there is none."""
    if content is None:
        return ""
    digest = blake2b(digest_size=16)
    for start in range(0, len(content), _PIECE):
        piece = content[start : start + _PIECE]
        digest.update(piece.encode() if isinstance(piece, str) else piece)
    return digest.hexdigest()
