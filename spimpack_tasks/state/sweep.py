"""Compares the disk with the plan: the one question behind every run.

`inspect` answers it for one output, with a single `lstat` if nothing has changed. `sweep` answers
it for a whole plan. Nothing here writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.files.blocks import find_block
from spimpack_tasks.files.evidence import evidence_of, is_still
from spimpack_tasks.files.regular import read_regular
from spimpack_tasks.model.plan import STEPS, Kind, Step
from spimpack_tasks.state.content import evidence_beside, holds_record, is_edited_in_place
from spimpack_tasks.state.receipts import (
    read_receipts,
    receipt_names,
    receipts_name,
    receipts_name_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.state.look import Look
    from spimpack_tasks.state.receipts import Receipt, Receipts
    from spimpack_tasks.state.store import Store

    Matches = Callable[[Output, str], bool]
    """Tells whether an image at an absolute path equals the one that its backend would make."""

README_NAMES = ("README.md", "README", "README.rst", "README.txt")


class Status(StrEnum):
    """Result of comparing one output with the plan and its receipt."""

    RIGHT = "unchanged"
    """On disk as planned, and on record."""
    EQUAL = "equal"
    """On disk as planned, but not on record: only the receipt has to be written."""
    NEW = "new"
    """Not on disk, and never written."""
    CHANGED = "changed"
    """On disk as we wrote it, but the plan has changed."""
    MISSING = "missing"
    """Written by us, but no longer on disk."""
    ALTERED = "altered"
    """Written by us, and changed by someone else since."""
    FOREIGN = "foreign"
    """A file, link or folder that we did not write occupies the path."""
    BLOCKED = "blocked"
    """A link or a file occupies the path of a folder; nothing is written through it."""


CONFLICTS = frozenset({Status.ALTERED, Status.FOREIGN, Status.BLOCKED})


class Inspection(NamedTuple):
    """An output with its status and receipt."""

    output: Output
    status: Status
    receipt: Receipt | None


def inspect(root: str, output: Output, receipt: Receipt | None, matches: Matches) -> Status:
    """Return the status of one output."""
    path = f"{root}/{output.path}"
    there = evidence_beside(path, receipt)
    if output.kind is Kind.BLOCK:
        return _inspect_block(path, there, output, receipt)
    if not there:
        return _inspect_nothing(root, output, receipt)
    # A run was killed between the rename and the record: the announced output is in place.
    if receipt and there == receipt.next_evidence != receipt.evidence:
        equal = receipt.next_fingerprint == output.fingerprint
        return Status.EQUAL if equal else Status.CHANGED
    if receipt and (there == receipt.evidence or holds_record(path, there, receipt)):
        return _inspect_ours(output, path, there, receipt, matches)
    # A rerun after the state directory was lost ends here: the output is recognised by its content.
    if not _is_known_to_differ(receipt, output, path, there) and _is_as_planned(
        output, path, there, matches
    ):
        return Status.EQUAL
    return _inspect_other(path, there, output, receipt)


def _inspect_ours(
    output: Output, path: str, there: str, receipt: Receipt, matches: Matches
) -> Status:
    """Return the status of an output that still has the recorded content."""
    if receipt.fingerprint != output.fingerprint:
        if is_edited_in_place(path, receipt):
            return Status.ALTERED
        return _changed(output, path, receipt, matches)
    return Status.RIGHT if there == receipt.evidence else Status.EQUAL


def _is_known_to_differ(receipt: Receipt | None, output: Output, path: str, there: str) -> bool:
    """Tell whether the record alone proves that an image differs from the one we wrote.

    A backend recognises its own image by a mark in the metadata, which proves nothing about the
    voxels. So the record decides first.
    """
    if receipt and receipt.kind is Kind.COMPANION and there.startswith("file"):
        return digest(read_file(path)) != receipt.sha256
    if not receipt or receipt.kind is not Kind.IMAGE or not receipt.is_data:
        return False
    has_record = receipt.content or there.startswith("file")
    return bool(has_record and receipt.fingerprint == output.fingerprint)


def _inspect_nothing(root: str, output: Output, receipt: Receipt | None) -> Status:
    if has_other_readme(root, output.path):
        return Status.RIGHT
    return Status.MISSING if receipt else Status.NEW


def has_other_readme(root: str, path: str) -> bool:
    """Tell whether a path is that of a README, and a dataset has one with any ending."""
    return path in README_NAMES and any(os.path.lexists(f"{root}/{n}") for n in README_NAMES)


def _inspect_other(path: str, there: str, output: Output, receipt: Receipt | None) -> Status:
    """Return the status of a path that holds neither the recorded nor the planned output."""
    if output.kind is Kind.SEED:
        return Status.RIGHT
    if receipt and _is_ours(receipt, path, there):
        return Status.CHANGED
    return Status.ALTERED if receipt else Status.FOREIGN


def _changed(output: Output, path: str, receipt: Receipt, matches: Matches) -> Status:
    """Return the status after a change of the inputs; the output may still come out the same."""
    if output.kind.is_made:
        equal = matches(output, path)
    else:
        equal = receipt.sha256 == digest(output.text.encode())
    return Status.EQUAL if equal else Status.CHANGED


def _inspect_block(path: str, there: str, output: Output, receipt: Receipt | None) -> Status:
    if there and not there.startswith("file"):
        return Status.FOREIGN
    block = find_block(read_file(path).decode("utf-8", "surrogateescape")) if there else ""
    if block == output.text:
        known = receipt and receipt.fingerprint == output.fingerprint
        return Status.RIGHT if known else Status.EQUAL
    if not block:
        return Status.MISSING if receipt else Status.NEW
    ours = receipt and digest(block.encode()) in {receipt.evidence, receipt.next_evidence}
    return Status.CHANGED if ours else Status.ALTERED


def _is_as_planned(output: Output, path: str, there: str, matches: Matches) -> bool:
    if output.kind.is_made:
        return matches(output, path)
    if output.kind is Kind.LINK:
        return there == f"link {output.text}"
    return there.startswith("file") and read_file(path) == output.text.encode()


def _is_ours(receipt: Receipt, path: str, there: str) -> bool:
    """Tell whether a text holds nothing of the user's: its content is ours, or it is empty."""
    if not receipt.kind.is_hashed or not there.startswith("file"):
        return False
    data = read_file(path)
    return not data or digest(data) == receipt.sha256


def read_file(path: str) -> bytes:
    """Return the content of one of the small files of a dataset."""
    return read_regular(path)


def digest(data: bytes) -> str:
    """Return the SHA-256 of a small file."""
    return sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Result of comparing a whole plan with the disk."""

    differences: tuple[Inspection, ...]
    """The outputs that are not right. All others of the plan are, which may be a great many."""
    stale: tuple[str, ...]
    """Paths that we wrote and that the plan no longer has."""
    stale_steps: Mapping[str, str] = field(default_factory=dict)
    """The step that wrote each stale path."""
    unwanted: frozenset[str] = frozenset()
    """Stale files that lie beside an image, such as a preview, while the image may stay."""
    wrong_parts: frozenset[str] = frozenset()
    """The names of the files of receipts of which an output is not right."""

    @property
    def is_right(self) -> bool:
        """Whether the disk matches the plan."""
        return not self.differences and not self.stale

    def count_other_images(self) -> int:
        """Return how many images are not as planned; one that is not on record may be."""
        found = (i.status for i in self.differences if i.output.step is Step.ASSETS)
        return sum(status is not Status.EQUAL for status in found)

    @property
    def conflicts(self) -> list[Inspection]:
        """The outputs whose paths are occupied or were changed by someone else."""
        return [inspection for inspection in self.differences if inspection.status in CONFLICTS]


def sweep(store: Store, plan: Plan, matches: Matches) -> Sweep:
    """Compare every output of a plan with the disk."""
    differences: list[Inspection] = []
    stale: dict[str, str] = {}
    unwanted: set[str] = set()
    wrong: set[str] = set()
    for part in _parts_of_plan(store, plan):
        found = [*part.differences(matches)]
        differences += found
        if found:
            wrong.add(part.name)
        left = part.receipts.keys() - part.planned
        stale |= dict.fromkeys(left, part.step)
        if part.is_further:
            unwanted |= left
    paths = tuple(sorted(stale))
    return Sweep(tuple(differences), paths, stale, frozenset(unwanted), frozenset(wrong))


def is_whole(store: Store, plan: Plan, matches: Matches, look: Look) -> bool:
    """Tell whether the disk matches a plan, stopping at the first difference.

    It looks at all that the answer depends on: the outputs, the files of receipts, which a run that
    writes an output again changes, and any README, which takes the place of ours.
    """
    for name in README_NAMES:
        look.at(name)
    return all(
        part.is_right(matches, look) and part.receipts.keys() <= part.planned
        for part in _parts_of_plan(store, plan, look)
    )


def are_right(store: Store, outputs: Iterable[Output], matches: Matches) -> bool:
    """Tell whether the disk holds these outputs of a plan."""
    return all(part.is_right(matches) for part in _parts(store, outputs))


def differences_of(
    store: Store, outputs: Iterable[Output], matches: Matches
) -> Iterator[Inspection]:
    """Yield the inspection of each of some outputs of a plan that is not right."""
    for part in _parts(store, outputs):
        yield from part.differences(matches)


@dataclass(frozen=True, slots=True)
class _Part:
    """Outputs that share a file of receipts. One part at a time is held, so memory stays small."""

    store: Store
    name: str
    outputs: list[Output]
    receipts: Receipts
    folders: _Folders

    @property
    def planned(self) -> set[str]:
        return {output.path for output in self.outputs}

    @property
    def step(self) -> str:
        """The step that writes its outputs."""
        return self.name.partition("-")[0]

    @property
    def is_further(self) -> bool:
        """Whether its outputs are files beside images, such as previews."""
        return any(spec.is_further for spec in STEPS if spec.step.value == self.step)

    def is_right(self, matches: Matches, look: Look | None = None) -> bool:
        return not any(True for _ in self.differences(matches, look))

    def differences(self, matches: Matches, look: Look | None = None) -> Iterator[Inspection]:
        """Yield the inspection of each output that is not right.

        One look tells that of most outputs they are: those are passed over.
        """
        root, receipts = self.store.output_dir, self.receipts
        for output in self.outputs:
            path = output.path
            receipt = receipts.get(path)
            evidence = ""
            if receipt and receipt.fingerprint == output.fingerprint:
                evidence = "" if output.kind is Kind.BLOCK else receipt.evidence
            if look is None:
                is_right = bool(evidence) and is_still(f"{root}/{path}", evidence)
            else:  # it has to see what is not on record as well
                is_right = look.finds(path, receipt.evidence if receipt else "") and bool(evidence)
            if is_right:
                continue
            inspection = self._inspection(output, matches)
            if inspection.status is not Status.RIGHT:
                yield inspection

    def _inspection(self, output: Output, matches: Matches) -> Inspection:
        root = self.store.output_dir
        receipt = self.receipts.get(output.path)
        folder = output.path.rpartition("/")[0]
        status: Status | None
        if self.folders.lacks(folder):  # on a network disk, each look is a question to a server
            status = _inspect_nothing(root, output, receipt)
        else:
            status = _inspect_moving(root, output, receipt, matches)
        if status is None or status in CONFLICTS:
            # A running process may have written it after the receipts were read.
            receipt = read_receipts(self.store, self.name).get(output.path)
            status = inspect(root, output, receipt, matches)
        if status is not Status.RIGHT and self.folders.is_blocked(folder):
            status = Status.BLOCKED
        return Inspection(output, status, receipt)


def _parts(store: Store, outputs: Iterable[Output]) -> Iterator[_Part]:
    """Yield outputs with their receipts."""
    parts: dict[str, list[Output]] = {}
    for output in outputs:
        parts.setdefault(receipts_name(output), []).append(output)
    return _with_receipts(store, parts)


def _parts_of_plan(store: Store, plan: Plan, look: Look | None = None) -> Iterator[_Part]:
    """Yield all outputs of a plan with their receipts, and receipts without outputs."""
    parts: dict[str, list[Output]] = {}
    for bucket, outputs in plan.parts.items():
        names = {step: receipts_name_of(step, bucket) for step in Step}
        for output in outputs:
            parts.setdefault(names[output.step], []).append(output)
    for name in receipt_names(store):
        parts.setdefault(name, [])
    return _with_receipts(store, parts, look)


def _with_receipts(
    store: Store, parts: dict[str, list[Output]], look: Look | None = None
) -> Iterator[_Part]:
    """Yield parts with their receipts, the files of which are looked at before they are read."""
    folders = _Folders(store.output_dir)
    for name, part in parts.items():
        if look:
            look.at(store.path_in_dataset("receipts", f"{name}.json"))
        yield _Part(store, name, part, read_receipts(store, name), folders)


def _inspect_moving(
    root: str, output: Output, receipt: Receipt | None, matches: Matches
) -> Status | None:
    """Return the status of an output, `None` if it vanished during the inspection."""
    try:
        return inspect(root, output, receipt, matches)
    except FileNotFoundError:
        return None


class _Folders:
    """The folders of a dataset that outputs lie in; each is looked at once."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._there: dict[str, str] = {}
        self._blocked: dict[str, bool] = {"": False}

    def lacks(self, folder: str) -> bool:
        """Tell whether there is no such folder."""
        return not self._evidence(folder)

    def is_blocked(self, folder: str) -> bool:
        """Tell whether a link or a file occupies its path, so that it cannot be entered."""
        if folder not in self._blocked:
            there = self._evidence(folder)
            blocked = bool(there) and not there.startswith("directory")
            self._blocked[folder] = blocked or self.is_blocked(folder.rpartition("/")[0])
        return self._blocked[folder]

    def _evidence(self, folder: str) -> str:
        if folder not in self._there:
            self._there[folder] = evidence_of(f"{self.root}/{folder}")
        return self._there[folder]
