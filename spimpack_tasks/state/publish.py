"""Publishes outputs safely: make aside, announce in the receipt, rename, record.

A run may be killed at any point. Final names then hold only complete outputs, old or new, and the
receipts tell the next run which of them are ours.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import (
    OpenTree,
    sync_disk,
    write_new,
)
from spimpack_tasks.files.blocks import find_block, replace_block
from spimpack_tasks.files.evidence import LINK, evidence_of
from spimpack_tasks.files.stamps import other_files_of, stamp_text
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.state.content import (
    content_of,
    evidence_beside,
    holds_record,
    is_edited_in_place,
    times_of,
)
from spimpack_tasks.state.reasons import ADOPTED, reason_to_write
from spimpack_tasks.state.receipts import (
    PlannedPaths,
    Receipt,
    choices_of,
    read_receipts,
    receipt_names,
    receipts_name,
    write_receipts,
)
from spimpack_tasks.state.sweep import CONFLICTS, Status, digest, inspect, read_file
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.state.receipts import Receipts
    from spimpack_tasks.state.store import ScratchFolder, Store
    from spimpack_tasks.state.sweep import Matches


SOURCE_CHANGED = "its source changed while it was packaged; run it again"


@dataclass(frozen=True, slots=True)
class ImageMaker:
    """Functions of a backend that makes an image in a moment."""

    matches: Matches
    """Tells whether the image at a path is as planned."""
    make: Callable[[Output, str], None]
    """Makes the image of an output at a path that is free."""
    made: Mapping[str, str] = field(default_factory=dict)
    """Temporary path of each image that is made and synced already, by the path of its output."""
    makes_links: bool = False
    """Whether `make` makes a link with the text `Output.target`, so that it need not be read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An output that could not be written, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Staged:
    output: Output
    temporary: str
    receipt: Receipt


def publish(
    store: Store,
    plan_id: str,
    outputs: Iterable[Output],
    maker: ImageMaker,
    *,
    overwrite: bool = False,
) -> list[Failure]:
    """Publish outputs of the current plan; outputs that are right already are not touched.

    Returns
    -------
    list of Failure
        The outputs that could not be written; the others are in place.

    Raises
    ------
    SupersededError
        Another plan has become the current one; nothing was written.
    """
    parts: dict[str, list[Output]] = {}
    for output in outputs:
        parts.setdefault(receipts_name(output), []).append(output)
    with store.writing(plan_id), ExitStack() as scratches:
        publishers = []
        # In one order for all processes, so that no two wait for each other.
        for name, part in sorted(parts.items()):
            scratch = scratches.enter_context(store.scratch_folder(f"receipts-{name}"))
            publisher = _Publisher(scratch, name, maker, overwrite=overwrite)
            publisher.stage(part)
            publishers.append(publisher)
        # The data must be on the disk before a final name leads to it: after a power cut, a rename
        # may have survived where the data of the file have not.
        if any(publisher.is_unsynced for publisher in publishers):
            sync_disk(store.root)
        for publisher in publishers:
            publisher.announce()
        staged = [(item.output.path, item, each) for each in publishers for item in each.staged]
        with closing(OpenTree(store.output_dir)) as tree:
            # Those of one folder follow one another, so that it is opened once.
            for _, item, publisher in sorted(staged, key=itemgetter(0)):
                publisher.move(tree, item)
        for publisher in publishers:
            publisher.record()
    return [failure for publisher in publishers for failure in publisher.failures]


class _Publisher:
    """Works on the outputs of one file of receipts."""

    def __init__(
        self, scratch: ScratchFolder, name: str, maker: ImageMaker, *, overwrite: bool
    ) -> None:
        self.scratch = scratch
        self.root = scratch.store.output_dir
        self.name = name
        self.maker = maker
        self.overwrite = overwrite
        self.receipts: Receipts = read_receipts(scratch.store, name)
        self.failures: list[Failure] = []
        self.staged: list[_Staged] = []
        self._before = dict(self.receipts)

    def stage(self, outputs: list[Output]) -> None:
        """Make outputs aside, except those that are right already."""
        self.staged = [item for item in map(self._stage, outputs) if item]

    @property
    def is_unsynced(self) -> bool:
        """Whether data were made that may not be on the disk yet."""
        made = self.maker.made
        return any(s.receipt.is_data and s.output.path not in made for s in self.staged)

    def announce(self) -> None:
        """Record the coming outputs beside the present ones.

        That is on record before the first rename. If we are killed between the rename and the last
        record, the next run recognises the new output as ours.
        """
        for item in self.staged:
            # The old receipt stays valid: until the rename, the old output is still in place.
            path, coming = item.output.path, item.receipt
            old = self.receipts.get(path)
            self.receipts[path] = old.announcing(coming) if old else coming.announced()
        if self.staged:
            write_receipts(self.scratch, self.name, self.receipts)

    def record(self) -> None:
        """Record the outputs as they are now."""
        if self.receipts != self._before:
            write_receipts(self.scratch, self.name, self.receipts)

    def _stage(self, output: Output) -> _Staged | None:
        """Make an output aside, unless it is right already."""
        try:
            receipt = self.receipts.get(output.path)
            status = inspect(self.root, output, receipt, self.maker.matches)
            if status is Status.RIGHT:
                return None
            if status is Status.EQUAL:
                self.receipts[output.path] = self._adopt(output, receipt)
                return None
            if status is Status.BLOCKED or (status in CONFLICTS and not self.overwrite):
                reason = f"is {status.value}: not written by us as it is, so it is left alone"
                self.failures.append(Failure(output.path, reason))
                return None
            temporary = self.maker.made.get(output.path)
            if not temporary:
                temporary = self.scratch.temporary()
                self._make(output, temporary)
            # Checked after making: an image of half old and half new bytes must not be published.
            if output.kind.is_made and stamp_text(output.source) != output.stamp:
                self.failures.append(Failure(output.path, SOURCE_CHANGED))
                return None
            evidence = self._evidence_of_new(output, temporary)
            why = reason_to_write(self.root, output, status, receipt)
            return _Staged(output, temporary, self._receipt(output, temporary, evidence, why))
        except OSError as error:
            self._fail(output, error)
            return None

    def _make(self, output: Output, temporary: str) -> None:
        if output.kind.is_made:
            self.maker.make(output, temporary)
        elif output.kind is Kind.LINK:
            os.symlink(output.text, temporary)
        elif output.kind is Kind.BLOCK:
            path = f"{self.root}/{output.path}"
            text = read_file(path).decode("utf-8", "surrogateescape") if evidence_of(path) else ""
            whole = replace_block(text, output.text)
            write_new(temporary, whole.encode("utf-8", "surrogateescape"))
        else:
            write_new(temporary, output.text.encode())

    def move(self, tree: OpenTree, item: _Staged) -> None:
        """Give an output that was made its final name."""
        path = item.output.path
        try:
            tree.move_in(item.temporary, path, self.scratch.temporary())
        except OSError as error:
            self._fail(item.output, error)
        else:
            self.receipts[path] = item.receipt

    def _adopt(self, output: Output, receipt: Receipt | None) -> Receipt:
        """Return the receipt of an output that is right, but has no matching record."""
        path = f"{self.root}/{output.path}"
        evidence = evidence_beside(path, receipt)
        if receipt is None or not receipt.why:
            return self._receipt(output, path, evidence, ADOPTED)
        found = self._receipt(output, path, evidence, receipt.why)
        return found._replace(version=receipt.version)

    def _evidence_of_new(self, output: Output, path: str) -> str:
        """Return the evidence of what was just made."""
        if output.kind is Kind.LINK:
            return f"{LINK}{output.text}"
        if output.kind is Kind.IMAGE and self.maker.makes_links:
            return f"{LINK}{output.target}"
        return evidence_of(path)

    def _receipt(self, output: Output, path: str, evidence: str, why: str) -> Receipt:
        text = output.text.encode()
        evidence = digest(text) if output.kind is Kind.BLOCK else evidence
        if output.kind is Kind.COMPANION:
            text = read_file(path)
        is_image = output.kind is Kind.IMAGE
        is_folder = is_image and evidence.startswith("directory")
        return Receipt(
            output.kind,
            output.fingerprint,
            evidence,
            "" if is_image else digest(text),
            output.source,
            output.stamp,
            content=content_of(path) if is_folder else "",
            times=times_of(path) if is_folder else "",
            why=why,
            version=__version__,
            other_files=_other_files(output) if is_image else "",
            choices=_choices(output) if is_image else "",
        )

    def _fail(self, output: Output, error: OSError) -> None:
        self.failures.append(Failure(output.path, reason_of(output, error)))


def reason_of(output: Output, error: OSError) -> str:
    """Return why an output could not be made, with the name of the file inside its source."""
    reason = error.strerror or str(error)
    name = str(error.filename or "")
    inside = output.source and name.startswith(f"{output.source}/")
    return f"{name.removeprefix(f'{output.source}/')!r} in it: {reason}" if inside else reason


def prune(store: Store, plan: Plan) -> tuple[int, list[str]]:
    """Remove our outputs that the plan no longer has, and the folders that this empties.

    Returns
    -------
    removed
        The number of outputs that were removed.
    left
        Paths that someone else has changed since; they stay, and belong to the user now.
    """
    removed, left = 0, []
    planned = PlannedPaths(plan)
    with (
        store.writing(plan.plan_id),
        store.scratch_folder("prune") as trash,
        closing(OpenTree(store.output_dir)) as tree,
    ):
        for name in receipt_names(store):
            with store.scratch_folder(f"receipts-{name}") as scratch:
                stale = planned.stale(store, name)
                if stale:
                    receipts = read_receipts(store, name)
                    changed = [p for p in stale if not _remove(tree, scratch, p, receipts[p])]
                    removed += len(stale) - len(changed)
                    left += changed
                    for path in stale:
                        del receipts[path]
                    write_receipts(scratch, name, receipts)
        store.forget_other_plans(plan.plan_id, trash)
    return removed, left


def _remove(tree: OpenTree, scratch: ScratchFolder, path: str, receipt: Receipt) -> bool:
    """Remove one output; tell whether it is gone."""
    root = scratch.store.output_dir
    absolute = f"{root}/{path}"
    there = evidence_beside(absolute, receipt)
    # Nothing is deleted unless evidence, digest or content proves that it is still ours.
    if there and receipt.kind is Kind.BLOCK:
        return _remove_block(tree, scratch, path, absolute)
    if there and is_edited_in_place(absolute, receipt):
        return False
    if there and there not in {receipt.evidence, receipt.next_evidence}:
        touched_only = there.startswith("file") and receipt.kind.is_hashed
        is_text = touched_only and digest(read_file(absolute)) == receipt.sha256
        if not is_text and not holds_record(absolute, there, receipt):
            return False
    tree.remove(path, scratch.temporary())
    return True


def _remove_block(tree: OpenTree, scratch: ScratchFolder, path: str, absolute: str) -> bool:
    text = read_file(absolute).decode("utf-8", "surrogateescape")
    rest = replace_block(text, "")
    if not rest:
        tree.remove(path, scratch.temporary())
    elif find_block(text):
        temporary = scratch.temporary()
        write_new(temporary, rest.encode("utf-8", "surrogateescape"))
        tree.move_in(temporary, path)
    return True


def _choices(output: Output) -> str:
    found = choices_of(output)
    return json.dumps(found) if found else ""


def _other_files(output: Output) -> str:
    others = other_files_of(output.target) if output.is_converted else ()
    return json.dumps(others) if others else ""
