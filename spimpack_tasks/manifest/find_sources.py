"""Finds the sources that rows name, side by side where the disk is slow.

A network disk answers after milliseconds, and a hundred thousand rows ask it one after the other.
So threads look at the next rows while the disk is slow, and the rows are read from their results.
What is refused is looked at again when its row is read. So problems keep the order of the rows.
"""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from time import perf_counter, thread_time
from typing import TYPE_CHECKING

from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import Source, find_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.formats import Format

THREADS = 32
"""Looks at the same time: the answers of a disk that takes 5 ms then keep one core busy."""
AHEAD = 512
"""Rows that are looked at before the first of them is read: enough to keep the threads busy."""
_SLOW_S = 0.0003
"""Seconds of waiting that a look takes on a slow disk. A local one answers in a tenth of it."""
_SLOW_LOOKS = 5
"""So many slow looks in a row tell a slow disk; a busy computer delays single ones."""


class SourceFinder:
    """Finds sources by their paths. Links of a directory are resolved once."""

    def __init__(
        self, formats: tuple[Format, ...], look_inside: Callable[[Source], Source]
    ) -> None:
        self.formats = formats
        self.look_inside = look_inside
        """Returns a source after a look at its content."""
        self._real_directories: dict[str, str] = {}
        self._found: dict[str, Source] = {}
        """By path: the sources that threads have looked at."""
        self._slow_looks = 0
        self.statuses: dict[str, os.stat_result] = {}
        """By path: what `lstat` returned for a source that is a file, until it is taken."""

    @property
    def is_slow(self) -> bool:
        """Whether the disk is slow."""
        return self._slow_looks >= _SLOW_LOOKS

    def look_at(self, path: str, selection: Selection = WHOLE) -> Source:
        """Return the source at an absolute path, links not resolved, with what is chosen in it.

        Raises
        ------
        SourceRefusedError
            It cannot be packaged.
        """
        began = perf_counter()
        # The clock of the thread takes longer than some looks: it is asked after a slow look.
        busy = thread_time() if self._slow_looks else 0.0
        try:
            found = self.find(path, selection.reader)
            chosen = found if selection == WHOLE else replace(found, selection=selection)
            return self.look_inside(chosen)
        finally:
            waited = perf_counter() - began
            if busy and waited > _SLOW_S:
                waited -= thread_time() - busy
            if not self.is_slow:
                self._slow_looks = self._slow_looks + 1 if waited > _SLOW_S else 0

    def look_ahead(self, paths: Iterable[str]) -> None:
        """Look at sources side by side; their content is remembered by `look_inside`."""

        def look(path: str) -> None:
            with suppress(SourceRefusedError):
                found = self.find(path)
                self.look_inside(found)
                self._found[path] = found

        with ThreadPoolExecutor(THREADS) as pool:
            # The results are asked for, since they raise what a look has raised.
            for _ in pool.map(look, dict.fromkeys(paths)):
                pass

    def find(self, path: str, reader: str = "") -> Source:
        """Return the source at an absolute path by its name, or for a reader; no file is opened.

        Raises
        ------
        SourceRefusedError
            There is none.
        """
        found = None if reader else self._found.pop(path, None)
        if found is not None:
            return found
        real, status = self._resolve(path)
        return find_source(real, path, self.formats, status, reader)

    def _resolve(self, path: str) -> tuple[str, os.stat_result | None]:
        """Resolve links as `os.path.realpath` does, but each directory only once.

        The second result is that of `stat`, where it is known on the way.
        """
        if "\0" in path:
            return path, None  # no file has such a name; examining it says so
        head, _, name = path.rstrip("/").rpartition("/")
        head = head or "/"
        folder = self._real_directories.get(head)
        if folder is None:
            folder = self._real_directories[head] = os.path.realpath(head)
        real = f"{folder.rstrip('/')}/{name}"
        if real == path:
            real = path  # one text in memory is enough
        if name not in {"", ".", ".."}:
            try:
                status = os.lstat(real)
            except (OSError, ValueError):
                return real, None  # examining it says why
            if stat.S_ISREG(status.st_mode):
                self.statuses[path] = status
            if not stat.S_ISLNK(status.st_mode):
                return real, status
        resolved = os.path.realpath(path)
        return (resolved if os.path.exists(resolved) else real), None
