"""Values from the images' headers, for sidecars and for comparison with the tables.

Reading a header takes milliseconds, which add up for thousands of images. The values are kept in
the state directory, and used again as long as the source has the same size and time.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.axis_names import describe_unclear
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import look_inside
from spimpack_tasks.volumes.formats import OME_TIFF, TIFF_EXTENSIONS, format_of
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.header import Header

VERSION = 12
"""Raise it when other facts are kept, or readers say something else of the same file."""

HEADERS_FILE = "headers.json"

_WRITERS = re.compile(
    r"(ome[ -])?(bio-?formats|imagej|fiji|imaris|tifffile|ngff-zarr|zarrnii|bioio|aicsimageio"
    r"|ome-types|libtiff|imagemagick|matlab|python)",
    re.IGNORECASE,
)
"""Software that converts or analyses images. It writes its own name in place of the microscope's
software, but BIDS's SoftwareVersions means the latter."""


_NOTHING_TOLD: dict[str, str | float | list[float]] = {}
"""Of all images that tell no instrument; nothing is put into it."""


class HeaderFacts(NamedTuple):
    """Values of a header that this package uses. It is a tuple, which is made quickly."""

    pixel_size_um: tuple[float | None, ...] = ()
    """Along x, y and z, or x and y if the image has no depth; `None` for an unknown size."""
    channel_count: int | None = None
    """`None` if the file does not distinguish channels from other pages."""
    orientation_xyz: str | None = None
    instrument: dict[str, str | float | list[float]] = _NOTHING_TOLD
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
    extension: str = ""
    """The extension in BIDS where the content tells it, and not the name."""
    problem: str = "source.content"
    """Code of the problem that `failure` is."""
    scene: str = ""
    """Number of the image in a file that holds several; nothing where it holds one."""
    remarks: tuple[tuple[str, str], ...] = ()
    """Doubts whether the image is as it is meant: the code of a problem, and the text."""
    channel_names: tuple[str, ...] = ()
    """Empty for a channel without one; nothing if none has a name."""
    unclear: str = ""
    """Why it is not certain what the axes of the image are; nothing if it is."""


class Headers:
    """The headers of the sources of one dataset.

    Equal facts of several sources are one object, in memory as in the state directory.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._saved: dict[str, tuple[str, HeaderFacts]] | None = None
        self._facts: dict[str, tuple[str, HeaderFacts]] = {}
        """Stamp and facts of each source that was asked for, by its key."""
        self._has_read = False
        """Whether a header was read that is not saved."""
        self._equal: dict[str, HeaderFacts] = {}

    def facts(self, source: Source) -> HeaderFacts:
        """Return the header values of a source; the caller checks for missing ones.

        Raises
        ------
        SourceRefusedError
            The file does not begin as one of its format.
        """
        stamp = source.stamp
        key = _key_of(source)
        known = self._facts.get(key)
        if known is None or known[0] != _with_others(stamp, known[1]):
            known = self._find(source, key, stamp)
            self._facts[key] = known
        return known[1]

    def _find(self, source: Source, key: str, stamp: str) -> tuple[str, HeaderFacts]:
        if self._saved is None:
            self._saved = self._load()
        saved = self._saved.pop(key, None)  # it is in `_facts` from now on
        if saved is not None and saved[0] == _with_others(stamp, saved[1]):
            return saved
        self._has_read = True
        facts = self._share(_read_facts(source))
        return _with_others(stamp, facts), facts

    def _share(self, facts: HeaderFacts) -> HeaderFacts:
        """Return the facts that are equal to these and were known before, or these."""
        return self._equal.setdefault(repr(tuple(facts)), facts)

    def _load(self) -> dict[str, tuple[str, HeaderFacts]]:
        try:
            return read_json(self.store.path(HEADERS_FILE), self._entries_of, {})
        except OSError:  # headers that cannot be looked up are read again
            return {}

    def _entries_of(self, data: dict[str, Any]) -> dict[str, tuple[str, HeaderFacts]]:
        if data["version"] != VERSION:
            return {}
        facts = [self._share(HeaderFacts(*map(_frozen, values))) for values in data["facts"]]
        return {key: (str(stamp), facts[at]) for key, (stamp, at) in data["sources"].items()}

    def text(self) -> str:
        """Return the values to keep, as JSON; empty if there are none, or they are kept already.

        A library that is missing now may be installed by the next run, and what could not be read
        may be complete by then, without another size or time of the file that is looked at.
        """
        if not self._has_read and not self._saved:
            return ""
        numbers: dict[int, int] = {}
        listed: list[HeaderFacts] = []
        sources: dict[str, tuple[str, int]] = {}
        for key, (stamp, facts) in sorted(self._facts.items()):
            if not facts.failure:
                at = numbers.setdefault(id(facts), len(listed))
                if at == len(listed):
                    listed.append(facts)
                sources[key] = stamp, at
        data = {"version": VERSION, "facts": listed, "sources": sources}
        return json.dumps(data) if sources else ""


def _key_of(source: Source) -> str:
    """Return the path of a source, with the format of a file whose own name does not tell it.

    The choice in it follows.
    Two links may give one file of a content-addressed store two formats.
    """
    is_told = source.format.directory or format_of(source.path) is source.format
    key = source.path if is_told else f"{source.path}\0{source.format.text}"
    chosen = source.selection
    return key if chosen == WHOLE else "\0".join([key, *chosen.parts])


def _frozen(value: Any) -> Any:
    """Return a value of JSON as `HeaderFacts` has it: with tuples for lists."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _with_others(stamp: str, facts: HeaderFacts) -> str:
    """Return the stamp of a source with those of the other files that its image lies in."""
    others = facts.other_files
    return " ".join([stamp, *map(stamp_text, others)]) if others else stamp


def _read_facts(source: Source) -> HeaderFacts:
    try:
        header = read_header(source.path, source.format, source.selection)
    except SourceRefusedError as error:
        failed = HeaderFacts(failure=error.told, problem=error.code)
    except MissingExtraError as error:
        failed = HeaderFacts(failure=str(error), missing_library=True)
    else:
        # A file whose header can be read begins as its format wants it.
        tells = source.format is OME_TIFF
        return facts_of(header, TIFF_EXTENSIONS[header.beginning] if tells else "")
    if os.path.isdir(source.path):  # its beginning tells nothing
        return failed
    inside = look_inside(source)
    return failed._replace(extension=inside.extension) if inside is not source else failed


def facts_of(header: Header, extension: str = "") -> HeaderFacts:
    """Return the values of a header that this package uses."""
    instrument: dict[str, str | float | list[float]] = dict(header.instrument)
    if _WRITERS.match(str(instrument.get("SoftwareVersions", ""))):
        del instrument["SoftwareVersions"]
    if header.excitation_nm:
        instrument["ExcitationWavelengths"] = list(header.excitation_nm)
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
        extension=extension,
        scene=str(header.scene) if header.scenes else "",
        remarks=header.remarks,
        channel_names=header.channel_names,
        unclear=describe_unclear(header.axes, header.shapes[0]),
    )
