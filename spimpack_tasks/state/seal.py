"""The seal of a finished dataset: tells by `stat` alone that nothing has changed since.

Comparing a dataset with its plan takes reading the tables, the plan and the receipts. When all of
it was found right, the seal notes what was looked at, and what `stat` said of it. As long as that
holds, the answer holds. A seal that is lost, or broken by a change, costs one full comparison.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, fields
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

from spimpack_tasks.readers.formats import stamp_source
from spimpack_tasks.state.receipts import receipt_names
from spimpack_tasks.state.store import STATE_DIRECTORY
from spimpack_tasks.state.sweep import README_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.model.plan import Plan
    from spimpack_tasks.state.store import Store

SEAL_FILE = "seal.json"


@dataclass(frozen=True, slots=True)
class SealedInputs:
    """What a plan was made from."""

    request: list[Any]
    """What was asked for, and the software that understood it; JSON-ready."""
    texts: dict[str, str]
    """Digest of manifest and tables by path, empty where none was found."""
    sources: list[str]
    """Absolute paths as the tables give them, links not resolved."""
    trace: str
    """What `trace_sources` said of the sources."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What was looked at when a dataset was found right, and what it was like."""

    plan_id: str
    inputs: SealedInputs
    outputs: list[str]
    """Paths relative to the dataset: the outputs, and the receipts."""
    trace: str
    """What `trace_outputs` said of the outputs."""
    groups: dict[str, int]
    """Number of images by dataset_id."""

    def is_whole(self, store: Store) -> bool:
        """Tell whether the outputs of the current plan are as they were."""
        is_current = store.current_plan_id() == self.plan_id and store.has_plan(self.plan_id)
        return is_current and trace_outputs(store.output_dir, self.outputs) == self.trace


def read_seal(store: Store) -> Seal | None:
    """Return the seal of an output, `None` where there is none that can be used."""
    try:
        with open(store.path(SEAL_FILE), encoding="utf-8") as file:
            data = json.load(file)
        return Seal(**data | {"inputs": SealedInputs(**data["inputs"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _values(record: Seal | SealedInputs) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def write_seal(store: Store, seal: Seal) -> None:
    """Keep a seal; where that cannot be written, the dataset is as right without."""
    text = json.dumps(_values(seal) | {"inputs": _values(seal.inputs)})
    with suppress(OSError), store.workplace("seal") as place:
        place.write(SEAL_FILE, text.encode())


def sealed_outputs(store: Store, plan: Plan) -> list[str]:
    """Return the paths that a seal of a dataset covers."""
    outputs = [output.path for output in plan.outputs]
    receipts = (f"{STATE_DIRECTORY}/receipts/{name}.json" for name in receipt_names(store))
    # A README of any name stands for ours.
    return [*outputs, *README_NAMES, *receipts]


def trace_outputs(root: str, paths: Iterable[str]) -> str:
    """Return a digest of what `lstat` says of paths below a folder."""
    return _digest(_trace(f"{root}/{path}") for path in paths)


def _trace(path: str) -> tuple[int, ...]:
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns


def trace_sources(paths: Iterable[str]) -> str:
    """Return a digest of what `stat` says of sources, and of the metadata of an OME-Zarr."""
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
    while some := list(islice(traces, 1000)):
        digest.update(json.dumps(some).encode())
    return digest.hexdigest()
