"""The assets that we made, a line for each: only these may be pruned.

An asset is announced before it is made, so one whose identity a kill has lost is known again by its
content. A replaced or edited asset has another identity at the archive, and is no longer ours.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import NamedTuple

from spimpack_tasks.files.regular import read_regular


class Made(NamedTuple):
    """An asset of ours."""

    asset_id: str
    """Empty for one that was announced."""
    metadata_id: str
    """Digest of the metadata that it was given."""


class MadeAssets:
    """Reads and writes the record; several threads may write."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()

    def read(self) -> dict[str, Made]:
        """Return the assets by path; the last line of a path counts."""
        made: dict[str, Made] = {}
        try:
            data = read_regular(self._path)
        except FileNotFoundError:
            return made
        for line in data.splitlines():
            with suppress(ValueError, TypeError):
                path, *values = json.loads(line)
                if values:
                    made[path] = Made(*values)
                else:
                    made.pop(path, None)
        return made

    def note(self, path: str, asset_id: str, metadata_id: str) -> None:
        """Note an asset, or announce one by an empty identity."""
        self._write([path, asset_id, metadata_id])

    def forget(self, path: str) -> None:
        """Note that an asset is no longer there."""
        self._write([path])

    def _write(self, values: list[str]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._lock:
            file = os.open(self._path, flags, 0o666)
            try:
                # A line that a kill has torn must not swallow this one.
                os.write(file, b"\n" + json.dumps(values).encode() + b"\n")
            finally:
                os.close(file)
