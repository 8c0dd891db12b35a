"""Snapshot of a complete dataset: `stat` alone shows that nothing has changed since.

A comparison of a dataset with its plan reads the tables, the plan and the receipts. When all of it
is right, the snapshot records the paths that were checked, and a digest of what `stat` returned for
them. As long as the digests are equal, the answer is still right. A snapshot that is lost or out of
date costs one full comparison.

The file is named `seal`, as in earlier versions.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TextIO

from spimpack_tasks.acquisition.names import list_metadata
from spimpack_tasks.files.regular import open_regular_text
from spimpack_tasks.files.stamps import stamp_source, stamp_text, write_stamp
from spimpack_tasks.state.look import Result, ResultDigest, trace_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spimpack_tasks.state.store import Store

SNAPSHOT_FILE = "seal"

NOTHING_LISTED: Mapping[str, frozenset[str]] = {}
"""Where no folder was listed before."""
_LINES = 10_000
"""Lines that are written at once, about a megabyte."""


@dataclass(frozen=True, slots=True)
class DatasetSnapshot:
    """State of a dataset that was found right.

    The paths are not held in memory, but read from the file when they are needed.
    """

    plan_id: str
    request: list[Any]
    """Options of the run, and versions of the software; JSON-ready."""
    manifest_options: dict[str, Any]
    """Options that the manifest chose, which count where a run leaves them open; JSON-ready."""
    texts: dict[str, str]
    """Digest of manifest and tables by path, empty for a file that did not exist."""
    source_count: int
    source_trace: str
    """Digest of the sources, from `trace_sources`."""
    output_trace: str
    """Digest of the outputs, from `trace_outputs`."""
    groups: dict[str, int]
    """Number of images by dataset_id."""

    def has_same_sources(self, store: Store) -> bool:
        """Tell whether the sources are unchanged."""
        return trace_sources(islice(_lines(store), self.source_count)) == self.source_trace

    def is_whole(self, store: Store) -> bool:
        """Tell whether the outputs of the current plan are unchanged."""
        if store.current_plan_id() != self.plan_id or not store.has_plan(self.plan_id):
            return False
        outputs = islice(_lines(store), self.source_count, None)
        return trace_again(store.output_dir, outputs) == self.output_trace


def read_snapshot(store: Store) -> DatasetSnapshot | None:
    """Return the snapshot of an output, `None` where there is none that can be used."""
    try:
        with _open(store) as file:
            return DatasetSnapshot(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError):
        return None


def write_snapshot(
    store: Store, snapshot: DatasetSnapshot, sources: list[str], outputs: Iterable[str]
) -> None:
    """Write a snapshot with what it covers, a line for each: paths of sources, and `Look.lines`.

    A snapshot that cannot be written is skipped: it only saves time.
    """
    head = json.dumps({field.name: getattr(snapshot, field.name) for field in fields(snapshot)})
    # A path with a line end would read back as two, and the digest of others would be compared.
    if any("\n" in path for path in sources):
        return
    lines = chain([head], sources, outputs)
    with suppress(OSError), store.scratch_folder("seal") as scratch:
        scratch.write_pieces(SNAPSHOT_FILE, _pieces(lines))


def _pieces(lines: Iterator[str]) -> Iterator[bytes]:
    while some := list(islice(lines, _LINES)):
        yield "\n".join([*some, ""]).encode("utf-8", "surrogateescape")


def _lines(store: Store) -> Iterator[str]:
    """Yield the lines behind the first: the sources, then the outputs."""
    with suppress(FileNotFoundError), _open(store) as file:
        file.readline()
        yield from (line.removesuffix("\n") for line in file)


def _open(store: Store) -> TextIO:
    path = store.path(SNAPSHOT_FILE)
    return open_regular_text(path, errors="surrogateescape", newline="\n")


class SourceTrace:
    """A digest of `stat` results for sources in their order, taken when they are looked at.

    A source that changes later makes the digest of the next run another one.
    """

    def __init__(self) -> None:
        self._digest = ResultDigest()
        self._folders: set[str] = set()
        self._unseen: dict[str, str] = {}
        self._is_broken = False

    def add(
        self,
        path: str,
        status: os.stat_result | None = None,
        listed: Mapping[str, frozenset[str]] = NOTHING_LISTED,
    ) -> tuple[int, int] | None:
        """Add a source, and return its stamp, `None` where nothing can be found.

        Parameters
        ----------
        path
            Absolute.
        status
            What `lstat` returned for it a moment ago, if it is a file.
        listed
            Names of the files of metadata by folder, where they were read.
        """
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._folders.add(folder)
            names = listed.get(folder)
            names = list_metadata(folder) if names is None else names
            # Links lead to the real place of a source, which may change while the file does not.
            # Files about the images in it may have come, as acquisition programs write.
            self._digest.add((os.path.realpath(folder or "/"), *sorted(names)))
        if status is None:
            result, stamp = _trace_source(path)
        else:
            stamp = status.st_size, status.st_mtime_ns
            result = (status.st_ino, *stamp, "")
        self._digest.add(result)
        return stamp

    def add_image(
        self,
        paths: Iterable[str],
        stamps: Iterable[tuple[str, str]],
        statuses: dict[str, os.stat_result],
        listed: Mapping[str, frozenset[str]],
    ) -> None:
        """Add the sources of an image.

        Parameters
        ----------
        paths
            Each path that was looked for.
        stamps
            Path and stamp of the files that the image is made from. Where a file has another one by
            now, there is no digest.
        statuses
            What `lstat` returned for some of the paths, which are files. They are used up.
        listed
            As of `add`.
        """
        unseen = dict(stamps)
        for path in paths:
            stamp = self.add(path, statuses.pop(path, None), listed)
            told = unseen.pop(path, None)
            if told is not None and (stamp is None or told != write_stamp(*stamp)):
                self._is_broken = True
        if unseen:
            self._unseen |= unseen

    def text(self) -> str:
        """Return the digest, nothing where a source is known to have changed since."""
        unseen = self._unseen.items()
        is_same = not self._is_broken and all(stamp_text(path) == stamp for path, stamp in unseen)
        return self._digest.text() if is_same else ""


def trace_sources(paths: Iterable[str]) -> str:
    """Return the digest of a `SourceTrace` of sources as they are now."""
    trace = SourceTrace()
    for path in paths:
        trace.add(path)
    return trace.text()


def _trace_source(path: str) -> tuple[Result, tuple[int, int] | None]:
    """Return what of a source makes the digest, and its stamp."""
    place = ""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            place, status = os.path.realpath(path), os.stat(path)
    except (OSError, ValueError):
        return (), None
    stamp: tuple[int, int] | None = status.st_size, status.st_mtime_ns
    inner: tuple[int, ...] = ()
    if stat.S_ISDIR(status.st_mode):
        stamp = stamp_source(path)
        inner = stamp or ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, place, *inner), stamp
