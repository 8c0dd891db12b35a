"""Values from the images' headers, for sidecars and for comparison with the tables.

Reading a header takes milliseconds, which add up for thousands of images. The values are kept in
the state directory, and used again as long as the source has the same size and time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.stamps import stamp_text, write_stamp
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.formats import format_of
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.header import Header

VERSION = 7
"""Raise it when other facts are kept, or readers say something else of the same file."""

HEADERS_FILE = "headers.json"

_WRITERS = re.compile(
    r"(ome[ -])?(bio-?formats|imagej|fiji|imaris|tifffile|ngff-zarr|zarrnii|bioio|aicsimageio"
    r"|ome-types|libtiff|imagemagick|matlab|python)",
    re.IGNORECASE,
)
"""Software that converts or analyses images. It writes its own name in place of the microscope's
software, but BIDS's SoftwareVersions means the latter."""


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """Values of a header that this package uses."""

    pixel_size_um: tuple[float | None, ...] = ()
    """Along x, y and z, or x and y if the image has no depth; `None` for an unknown size."""
    channel_count: int | None = None
    """`None` if the file does not distinguish channels from other pages."""
    orientation_xyz: str | None = None
    instrument: dict[str, str | float] = field(default_factory=dict)
    """Sidecar keys of BIDS."""
    shape_nyx: tuple[int, ...] = ()
    """Number of planes, and their sizes along y and x; empty if unknown."""
    itemsize: int = 0
    """Bytes of a voxel, 0 if unknown."""
    failure: str = ""
    """Reason why the header cannot be read, empty if it can."""
    missing_library: bool = False
    """Whether the reason is an optional library that is not installed."""
    doubts: tuple[str, ...] = ()
    """Impossible values of the voxel size in the image."""
    other_files: tuple[str, ...] = ()
    """Absolute paths of further files that the image needs."""
    left_out: tuple[str, ...] = ()
    """Further content of the source that is left out."""
    extras: tuple[str, ...] = ()
    """Further content of the image that only OME-Zarr can hold."""
    display_doubts: tuple[str, ...] = ()
    """Wrong colours and windows in the image."""
    ome_sizes: dict[str, str] | None = None
    """Attributes of OME-XML that the official validator compares with the sidecar."""


_values = attrgetter(*(each.name for each in fields(HeaderFacts)))


class Headers:
    """The headers of the sources of one dataset."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._saved: dict[str, list[Any]] | None = None
        self._facts: dict[str, tuple[str, HeaderFacts]] = {}
        """Stamp and facts of each source that was asked for, by its key."""

    def facts(self, source: Source) -> HeaderFacts:
        """Return the header values of a source; the caller checks for missing ones."""
        stamp = write_stamp(source.size, source.mtime_ns)
        key = _key_of(source)
        known = self._facts.get(key)
        if known is None or known[0] != _with_others(stamp, known[1]):
            facts = self._find(source, stamp)
            known = _with_others(stamp, facts), facts
            self._facts[key] = known
        return known[1]

    def _find(self, source: Source, stamp: str) -> HeaderFacts:
        if self._saved is None:
            self._saved = self._load()
        entry = self._saved.get(_key_of(source))
        if entry and str(entry[0]).startswith(stamp):
            facts = HeaderFacts(*entry[1:])
            if entry[0] == _with_others(stamp, facts):
                return facts
        return _read_facts(source)

    def _load(self) -> dict[str, list[Any]]:
        try:
            return read_json(self.store.path(HEADERS_FILE), _entries_of, {})
        except OSError:  # headers that cannot be looked up are read again
            return {}

    def text(self) -> str:
        """Return the values to keep, as JSON; empty if there are none.

        A library that is missing now may be installed by the next run.
        """
        kept = {
            path: [stamp, *_values(facts)]
            for path, (stamp, facts) in self._facts.items()
            if not facts.missing_library
        }
        data = {"version": VERSION, "sources": kept}
        return json.dumps(data, sort_keys=True) if kept else ""


def _key_of(source: Source) -> str:
    """Return the path of a source, with the format of a file whose own name does not tell it.

    Two links may give one file of a content-addressed store two formats.
    """
    is_told = source.format.directory or format_of(source.path) is source.format
    return source.path if is_told else f"{source.path}\0{source.format.name}"


def _entries_of(data: dict[str, Any]) -> dict[str, list[Any]]:
    return dict(data["sources"]) if data["version"] == VERSION else {}


def _with_others(stamp: str, facts: HeaderFacts) -> str:
    """Return the stamp of a source with those of the other files that its image lies in."""
    return " ".join([stamp, *map(stamp_text, facts.other_files)])


def _read_facts(source: Source) -> HeaderFacts:
    try:
        return facts_of(read_header(source.path, source.format))
    except SourceRefusedError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return HeaderFacts(failure=f"{error.message}{hint}")
    except MissingExtraError as error:
        return HeaderFacts(failure=str(error), missing_library=True)


def facts_of(header: Header) -> HeaderFacts:
    """Return the values of a header that this package uses."""
    instrument = dict(header.instrument)
    if _WRITERS.match(str(instrument.get("SoftwareVersions", ""))):
        del instrument["SoftwareVersions"]
    return HeaderFacts(
        pixel_size_um=header.pixel_size_um,
        channel_count=None if "page" in header.axes else header.channel_count,
        orientation_xyz=header.orientation_xyz,
        instrument=instrument,
        shape_nyx=header.shape_nyx,
        itemsize=header.itemsize,
        doubts=header.doubts,
        other_files=header.files_needed,
        left_out=header.left_out,
        extras=header.extras,
        display_doubts=header.display_doubts,
        ome_sizes=None if header.ome_sizes is None else dict(header.ome_sizes),
    )
