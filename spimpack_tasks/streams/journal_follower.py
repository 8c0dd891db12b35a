"""Follows the journal of a stream that another process writes."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from spimpack_tasks.streams.journal import Recorded, note_entry, read_journal

if TYPE_CHECKING:
    from types import TracebackType


class JournalFollower:
    """The journal of a stream, read again whenever its user likes. It takes no lock.

    The file stays open, so that lines are read that came before it was deleted.

    Raises
    ------
    FileNotFoundError
        There is no journal.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - as long as the follower
        self.recorded = read_journal(path)
        self._rest = b""
        self._read(is_first=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def refresh(self) -> Recorded:
        """Return what is recorded, with lines that have come since."""
        self._read(is_first=False)
        return self.recorded

    def _read(self, *, is_first: bool) -> None:
        lines = (self._rest + self._file.read()).split(b"\n")
        self._rest = lines.pop()  # it has no end yet
        for line in lines:
            with suppress(ValueError):
                entry: dict[str, Any] = json.loads(line)
                if not is_first:
                    note_entry(self.recorded, entry)
