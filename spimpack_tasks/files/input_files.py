"""How files of the inputs are named in messages, and known again when they have not changed."""

from __future__ import annotations

import os
from hashlib import blake2b

from spimpack_tasks.errors import Place, Report
from spimpack_tasks.files.spreadsheets import is_spreadsheet
from spimpack_tasks.files.text import MAX_TABLE_BYTES, read_bytes, read_text


def shown(path: str) -> str:
    """Return a path as messages show it: relative where it lies below the working directory."""
    try:
        relative = os.path.relpath(path)
    except OSError:  # the working directory is gone
        relative = os.pardir
    name = path if relative.startswith(os.pardir) else relative
    # A name that is not UTF-8 can be opened, but not printed.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def digest_now(path: str) -> str:
    """Return the digest of a file of the inputs as it is now, as `Inputs.texts` has it."""
    read = read_bytes if is_spreadsheet(path) else read_text
    blame, report = Place(path), Report()
    return digest_of(read(path, name=path, blame=blame, limit=MAX_TABLE_BYTES, report=report))


def digest_of(content: str | bytes | None) -> str:
    """Return the digest of a content, empty where there is none."""
    data = content.encode() if isinstance(content, str) else content
    return "" if data is None else blake2b(data, digest_size=16).hexdigest()
