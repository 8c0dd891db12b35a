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
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from spimpack_tasks.files.regular import open_regular_text
from spimpack_tasks.files.stamps import stamp_source
from spimpack_tasks.state.receipts import receipt_names
from spimpack_tasks.state.store import STATE_DIRECTORY
from spimpack_tasks.state.sweep import README_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.model.plan import Plan
    from spimpack_tasks.state.store import Store

SNAPSHOT_FILE = "seal"


@dataclass(frozen=True, slots=True)
class DatasetSnapshot:
    """State of a dataset that was found right.

    The paths are not held in memory, but read from the file when they are needed.
    """

    plan_id: str
    request: list[Any]
    """Options of the run, and versions of the software; JSON-ready."""
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
        return trace_sources(islice(_paths(store), self.source_count)) == self.source_trace

    def is_whole(self, store: Store) -> bool:
        """Tell whether the outputs of the current plan are unchanged."""
        if store.current_plan_id() != self.plan_id or not store.has_plan(self.plan_id):
            return False
        outputs = islice(_paths(store), self.source_count, None)
        return trace_outputs(store.output_dir, outputs) == self.output_trace


def read_snapshot(store: Store) -> DatasetSnapshot | None:
    """Return the snapshot of an output, `None` where there is none that can be used."""
    try:
        with _open(store) as file:
            return DatasetSnapshot(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError):
        return None


def write_snapshot(
    store: Store, snapshot: DatasetSnapshot, sources: list[str], outputs: list[str]
) -> None:
    """Write a snapshot with the paths that it covers, a line for each.

    A snapshot that cannot be written is skipped: it only saves time.
    """
    head = json.dumps({field.name: getattr(snapshot, field.name) for field in fields(snapshot)})
    paths = [*sources, *outputs]
    # A path with a line end would read back as two, and the digest of others would be compared.
    if any("\n" in path for path in paths):
        return
    text = "\n".join([head, *paths, ""])
    with suppress(OSError), store.scratch_folder("seal") as scratch:
        scratch.write(SNAPSHOT_FILE, text.encode("utf-8", "surrogateescape"))


def _paths(store: Store) -> Iterator[str]:
    """Yield the paths that a snapshot covers: the sources, then the outputs."""
    with suppress(FileNotFoundError), _open(store) as file:
        file.readline()
        yield from (line.removesuffix("\n") for line in file)


def _open(store: Store) -> TextIO:
    path = store.path(SNAPSHOT_FILE)
    return open_regular_text(path, errors="surrogateescape", newline="\n")


def snapshot_paths(store: Store, plan: Plan) -> list[str]:
    """Return the output paths that a snapshot of a dataset covers."""
    outputs = [output.path for output in plan.outputs]
    receipts = (f"{STATE_DIRECTORY}/receipts/{name}.json" for name in receipt_names(store))
    # A README with any of these names takes the place of ours. The files of receipts are covered
    # too: a run that writes an output again changes them.
    return [*outputs, *README_NAMES, *receipts]


def trace_outputs(root: str, paths: Iterable[str]) -> str:
    """Return a digest of `lstat` results for paths below a folder."""
    return _digest(_trace(f"{root}/{path}") for path in paths)


def _trace(path: str) -> tuple[int, ...]:
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    # The inode tells a file from another one of equal size and time that was moved into its place.
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns


def trace_sources(paths: Iterable[str]) -> str:
    """Return a digest of `stat` results for sources, and for the metadata of an OME-Zarr."""
    return _digest(map(_trace_source, paths))


def _trace_source(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ()
    inner = (stamp_source(path) or ()) if stat.S_ISDIR(status.st_mode) else ()
    return status.st_ino, status.st_size, status.st_mtime_ns, *inner


def _digest(traces: Iterator[tuple[int, ...]]) -> str:
    digest = blake2b(digest_size=16)
    # In batches, so that memory stays small with a million paths.
    while some := list(islice(traces, 1000)):
        digest.update(json.dumps(some).encode())
    return digest.hexdigest()
