"""What the images themselves add to their sidecars: the pixel size, where the tables leave it out.

Reading a header takes milliseconds, which add up for thousands of images. What was learned is kept
in the state directory, and used again as long as the source has the same size and time.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.readers.base import read_header
from spimpack_tasks.readers.formats import SourceRefusedError, write_stamp

if TYPE_CHECKING:
    from spimpack_tasks.readers.base import Header
    from spimpack_tasks.readers.formats import Source
    from spimpack_tasks.state.store import Store

VERSION = 1
"""Raise it when other facts are kept, or readers say something else of the same file."""

HEADERS_FILE = "headers.json"


class Headers:
    """The headers of the sources of one dataset."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, list[Any]] | None = None
        self.used: dict[str, list[Any]] = {}
        """Stamp and facts of each source that was asked for, by its path."""

    def facts(self, source: Source) -> dict[str, Any]:
        """Return the sidecar keys that a source has values for; nothing if it cannot be read.

        Whether anything is missing then is for the rules to say.
        """
        if self._known is None:
            self._known = self._load()
        stamp = write_stamp(source.size, source.mtime_ns)
        entry = self._known.get(source.path)
        if entry is None or entry[0] != stamp:
            try:
                facts = sidecar_facts(read_header(source.path, source.format))
            except SourceRefusedError:
                facts = {}
            except MissingExtraError:  # not worth keeping: it may be installed by the next run
                return {}
            entry = [stamp, facts]
        self.used[source.path] = entry
        return dict(entry[1])

    def _load(self) -> dict[str, list[Any]]:
        try:
            with open(self.store.path(HEADERS_FILE), encoding="utf-8") as file:
                data = json.load(file)
        except (OSError, ValueError):
            return {}
        known: dict[str, list[Any]] = data["sources"] if data.get("version") == VERSION else {}
        return known

    def text(self) -> str:
        """Return what is to be kept, as JSON."""
        return json.dumps({"version": VERSION, "sources": self.used}, sort_keys=True)


def sidecar_facts(header: Header) -> dict[str, Any]:
    """Return the sidecar keys that follow from a header.

    PixelSize is [X, Y, Z] in micrometres, [X, Y] where there is no z axis; nothing where any of
    these is unknown.
    """
    x, y, z = header.spacing_um_xyz
    size = [x, y, z] if "z" in header.axes else [x, y]
    if None in size:
        return {}
    return {"PixelSize": size, "PixelSizeUnits": "um"}
