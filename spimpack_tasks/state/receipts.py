"""Receipts: a record of each output that we wrote, and of its source.

They answer two questions that the disk alone cannot: is this file ours, and was it made from the
source and the settings of the present plan? Each step and bucket has one small file of receipts, so
a run reads and writes little. Before an output is moved to its place, its receipt announces it
(`next_evidence`). So the next run understands one that was killed in between.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.files.stamps import other_files_of, split_stamp
from spimpack_tasks.model.buckets import bucket_of
from spimpack_tasks.model.plan import ASSET_STEPS, KINDS, Kind, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.state.store import ScratchFolder, Store


class Receipt(NamedTuple):
    """Record of one output that we wrote.

    It is a tuple because a run reads that of each output, and tuples are made three times as fast.
    """

    kind: Kind
    fingerprint: str
    evidence: str
    """Evidence from `files.evidence`, or the digest of the block for `Kind.BLOCK`."""
    sha256: str = ""
    """Digest of the content, for text."""
    source: str = ""
    """Path of the source, for images."""
    stamp: str = ""
    """Size and modification time of the source when it was packaged."""
    next_fingerprint: str = ""
    next_evidence: str = ""
    content: str = ""
    """Digest of a directory's content (`state.content`); empty for files and in early receipts."""

    times: str = ""
    """Digest of the times of a directory's files (`state.content`)."""
    why: str = ""
    """Reason for which it was last written (`state.reasons`); empty in early receipts."""
    version: str = ""
    """Version of this program that wrote it."""
    other_files: str = ""
    """Path and stamp of each further file of the source, as a list in JSON; empty if none."""
    choices: str = ""
    """The user's choices in the source, as an object in JSON; empty if none."""

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Path and stamp of all files of the source, for images."""
        others = json.loads(self.other_files) if self.other_files else []
        return [(self.source, self.stamp), *map(split_stamp, others)]

    @property
    def is_data(self) -> bool:
        """Whether the output is more than a link."""
        return not self.evidence.startswith("link")

    def announcing(self, coming: Receipt) -> Receipt:
        """Return the record of this output while another one is about to take its place."""
        return Receipt(
            *(self.kind, self.fingerprint, self.evidence, self.sha256, self.source, self.stamp),
            *(coming.fingerprint, coming.evidence, self.content, self.times),
            *(self.why, self.version, self.other_files, self.choices),
        )

    def announced(self) -> Receipt:
        """Return the record of an output that is about to take a free place."""
        return Receipt(
            *(self.kind, "", "", "", self.source, self.stamp, self.fingerprint, self.evidence),
            *(self.content, self.times, self.why, self.version, self.other_files, self.choices),
        )


_CHOICES = {"scene": "scene", "axes": "source_axes", "reader": "reader"}
"""Choices in a source, and their keys in a request."""
Receipts = dict[str, Receipt]
"""Receipts by the output's path."""


def receipts_name(output: Output) -> str:
    """Return the name of the receipts file that an output belongs to."""
    is_of_asset = output.step in ASSET_STEPS
    return receipts_name_of(output.step, bucket_of(output.asset) if is_of_asset else "")


def receipts_name_of(step: Step, bucket: str) -> str:
    """Return the name of the receipts file of a step and a bucket of assets."""
    return f"{step.value}-{bucket}" if step in ASSET_STEPS else step.value


def read_receipts(store: Store, name: str) -> Receipts:
    """Return the receipts in one file, none where there is no such file."""
    return read_json(_file(store, name), _receipts_of, {})


def _receipts_of(data: dict[str, list[str]]) -> Receipts:
    return {path: Receipt(KINDS[kind], *rest) for path, (kind, *rest) in data.items()}


def _file(store: Store, name: str) -> str:
    return store.path("receipts", f"{name}.json")


def images_made_from(store: Store, source: str, stamp: str) -> Iterator[tuple[str, Receipt]]:
    """Yield path and receipt of each recorded image that was made from this state of a source."""
    mark = json.dumps(source, ensure_ascii=False).encode()
    for name in receipt_names(store):
        if name.startswith(Step.ASSETS):
            with suppress(FileNotFoundError):
                # Sixty times as fast as decoding the receipts.
                if mark in read_regular(_file(store, name)):
                    for path, receipt in read_receipts(store, name).items():
                        if (receipt.source, receipt.stamp) == (source, stamp):
                            yield path, receipt


def recorded_paths(store: Store) -> Iterator[str]:
    """Yield the path of every output on record."""
    for name in receipt_names(store):
        yield from paths_on_record(store, name)


def paths_on_record(store: Store, name: str) -> Iterable[str]:
    """Return the paths of the outputs in one file of receipts."""
    return read_json(_file(store, name), dict, {})


class PlannedPaths:
    """The paths of a plan, beside which those on record may be stale.

    A set of all paths of a hundred thousand images takes 10 MiB. As a rule, each file of receipts
    is about paths of one part of the plan, so that the others are not needed.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._by_name: dict[str, list[str]] = {}
        for bucket, outputs in plan.parts.items():
            names = {step: receipts_name_of(step, bucket) for step in Step}
            for output in outputs:
                self._by_name.setdefault(names[output.step], []).append(output.path)

    def stale(self, store: Store, name: str) -> list[str]:
        """Return the paths in one file of receipts that the plan does not have."""
        left = set(paths_on_record(store, name)).difference(self._by_name.get(name, ()))
        return sorted(left.difference(self._all)) if left else []

    @cached_property
    def _all(self) -> set[str]:
        return {output.path for output in self._plan.outputs}


def receipt_names(store: Store) -> list[str]:
    """Return the names of all files of receipts."""
    try:
        return sorted(name.removesuffix(".json") for name in os.listdir(store.path("receipts")))
    except FileNotFoundError:
        return []


def read_all_receipts(store: Store) -> dict[str, Receipts]:
    """Return all receipts by the name of their file."""
    return {name: read_receipts(store, name) for name in receipt_names(store)}


def sources_of(output: Output) -> list[tuple[str, str]]:
    """Return path and stamp of all files of the source of an image."""
    others = other_files_of(output.target) if output.is_converted else ()
    return [(output.source, output.stamp), *map(split_stamp, others)]


def choices_of(output: Output) -> dict[str, str]:
    """Return the choices of a user in the source of an image, and those of a merge."""
    try:
        told = json.loads(output.target) if output.is_converted else {}
        merge = json.loads(told.get("merge") or "{}")
    except (ValueError, AttributeError, TypeError):  # that of a backend of another package
        return {}
    found = {name: told.get(key) for name, key in _CHOICES.items()}
    if merge:
        found |= {"axis": merge.pop("merge")} | {k: v for k, v in merge.items() if k != "files"}
    return {name: str(value) for name, value in found.items() if value}


def _length(receipt: Receipt) -> int:
    """Return how many fields are written; the last ones are empty of most outputs."""
    return len(receipt) - (0 if receipt.choices else 1 if receipt.other_files else 2)


def write_receipts(scratch: ScratchFolder, name: str, receipts: Receipts) -> None:
    """Replace one file of receipts; the caller holds its lock."""
    # Most sources are one file, in which nothing is chosen.
    data = {p: r[: _length(r)] for p, r in sorted(receipts.items())}
    scratch.write(f"receipts/{name}.json", json.dumps(data, ensure_ascii=False).encode())
