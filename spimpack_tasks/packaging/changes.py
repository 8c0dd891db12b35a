"""Says what a run would do, asset by asset, and why."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.model.plan import SPECS, Step
from spimpack_tasks.state.reasons import changed_fields, reason_to_make
from spimpack_tasks.state.receipts import sources_of
from spimpack_tasks.state.sweep import CONFLICTS, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.packaging.prepared_run import PreparedRun
    from spimpack_tasks.state.sweep import Inspection, Sweep


class Verdict(StrEnum):
    """The action of a run on an asset or a file."""

    NEW = "new"
    CHANGED = "changed"
    MISSING = "missing"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    REMOVED = "removed"


class Change(NamedTuple):
    """The action of a run on one asset, or on one file of the dataset as a whole."""

    path: str
    """The path below the dataset."""
    verdict: Verdict
    """The action of a run, such as `new` or `unchanged`."""
    reasons: tuple[str, ...] = ()
    """The reasons in words."""
    source: str = ""
    """Absolute path of the source of an image; empty for other files."""
    other_sources: int = 0
    """Number of further files that an image is made from."""
    dataset_id: str = ""
    """The `dataset_id` of the image's row."""
    sidecar: Output | None = None
    """Of an asset, as it is planned."""
    removed_step: str = ""
    """Of a path to be removed: the step that wrote it."""

    @property
    def is_image(self) -> bool:
        """Whether this is an image, and no other file."""
        return bool(self.source) or self.removed_step == Step.ASSETS

    def automatic(self) -> dict[str, dict[str, Any]]:
        """Return value and origin of each sidecar key that the asset's row does not give."""
        if self.sidecar is None or not self.sidecar.origins:
            return {}
        values = json.loads(self.sidecar.text)
        origins = self.sidecar.origins.items()
        return {key: {"value": values[key], "origin": origin} for key, origin in origins}

    def as_dict(self) -> dict[str, Any]:
        """Return the change as a JSON-ready mapping."""
        return {
            "path": self.path,
            "verdict": str(self.verdict),
            "reasons": list(self.reasons),
            "source": self.source,
            **({"other_sources": self.other_sources} if self.other_sources else {}),
            "dataset_id": self.dataset_id,
            "automatic": self.automatic(),
        }


_VERDICTS = {
    Status.RIGHT: Verdict.UNCHANGED,
    Status.EQUAL: Verdict.UNCHANGED,
    Status.NEW: Verdict.NEW,
    Status.CHANGED: Verdict.CHANGED,
    Status.MISSING: Verdict.MISSING,
    Status.ALTERED: Verdict.CONFLICT,
    Status.FOREIGN: Verdict.CONFLICT,
    Status.BLOCKED: Verdict.CONFLICT,
}

NOT_WRITTEN = frozenset({Verdict.UNCHANGED, Verdict.REMOVED})
"""Verdicts on what a run would not write."""

OTHERS_REMOVED = "other files removed"
"""Key of `count_verdicts` for files to be removed that are neither images nor their sidecars."""

_COUNTED = (*map(str, Verdict), OTHERS_REMOVED)

# Of two outputs of one asset, the weightier verdict stands for both.
_WEIGHT = [Verdict.UNCHANGED, Verdict.CHANGED, Verdict.MISSING, Verdict.NEW, Verdict.CONFLICT]


def find_changes(prepared: PreparedRun, sweep: Sweep | None = None) -> list[Change]:
    """Return what a run would do: assets first, then other files, then what would be removed.

    Parameters
    ----------
    prepared
        The inputs of the run.
    sweep
        The result of comparing the outputs with the plan; they are compared if it is not given.
    """
    sweep = prepared.before() if sweep is None else sweep
    found = [*_changes(prepared, sweep, prepared.plan().outputs)]
    assets = {change.sidecar.asset: change for change in found if change.sidecar}
    others = (change for change in found if not change.sidecar)
    return [*(assets[key] for key in sorted(assets)), *others]


def find_differences(prepared: PreparedRun) -> Iterator[Change]:
    """Yield what a run would do, without assets and files of which every output is right."""
    sweep = prepared.before()
    different = {inspection.output.asset for inspection in sweep.differences}
    outputs = (output for output in prepared.plan().outputs if output.asset in different)
    return _changes(prepared, sweep, outputs)


def _changes(prepared: PreparedRun, sweep: Sweep, outputs: Iterable[Output]) -> Iterator[Change]:
    """Yield what a run would do about the assets and files with these outputs."""
    root = prepared.options.output_dir
    differences = {inspection.output.path: inspection for inspection in sweep.differences}
    # One asset at a time: those of a hundred thousand images take much memory.
    for key, group in groupby(outputs, attrgetter("asset")):
        if key:
            yield _asset_change(root, [*group], differences)
        else:
            for output in group:
                yield _file_change(root, output, differences.get(output.path))
    for path in sweep.stale:
        why = "no longer wanted" if path in sweep.unwanted else "no longer in the tables"
        step = sweep.stale_steps[path]
        yield Change(path, Verdict.REMOVED, (why,), removed_step=step)


def _verdict(inspection: Inspection) -> Verdict:
    # Outputs that are added to an image make no new image.
    if SPECS[inspection.output.step].is_further and inspection.status is Status.NEW:
        return Verdict.CHANGED
    # Made from other inputs, although what comes out of them is on disk already.
    if inspection.status is Status.EQUAL and _is_made_from_others(inspection):
        return Verdict.CHANGED
    return _VERDICTS[inspection.status]


def _is_made_from_others(inspection: Inspection) -> bool:
    """Tell whether an output was made from other inputs, and not just copied or moved since."""
    receipt = inspection.receipt
    return bool(receipt and receipt.fingerprint != inspection.output.fingerprint)


def _asset_change(root: str, outputs: list[Output], differences: dict[str, Inspection]) -> Change:
    image = next(output for output in outputs if output.step is Step.ASSETS)
    sidecar = next(output for output in outputs if output.step is Step.SIDECARS)
    found = [differences[output.path] for output in outputs if output.path in differences]
    verdict = max(map(_verdict, found), key=_WEIGHT.index, default=Verdict.UNCHANGED)
    reasons = tuple(reason for inspection in found for reason in _reasons(root, inspection))
    if verdict is Verdict.NEW:
        reasons = ()
    others = len(sources_of(image)) - 1 if image.is_converted else 0
    return Change(image.path, verdict, reasons, image.source, others, image.dataset_id, sidecar)


def _file_change(root: str, output: Output, difference: Inspection | None) -> Change:
    if difference is None:
        return Change(output.path, Verdict.UNCHANGED)
    return Change(output.path, _verdict(difference), tuple(_reasons(root, difference)))


def _reasons(root: str, inspection: Inspection) -> Iterator[str]:
    output, status, receipt = inspection.output, inspection.status, inspection.receipt
    name = output.path.rpartition("/")[2]
    if status is Status.MISSING:
        yield f"{name} is gone"
    elif status is Status.NEW and SPECS[output.step].is_further:
        yield f"{output.path} is wanted"
    elif status is Status.ALTERED:
        yield f"{name} was changed since it was written"
    elif status in CONFLICTS:
        yield f"{name} was not written by this program"
    elif status is Status.CHANGED and (remade := SPECS[output.step].remade):
        yield f"{output.path} {remade}"
    elif status is Status.CHANGED and output.step is Step.SIDECARS:
        yield from changed_fields(os.path.join(root, output.path), output.text)
    elif output.step is Step.ASSETS and receipt and _is_remade(inspection):
        yield reason_to_make(output, receipt)


def _is_remade(inspection: Inspection) -> bool:
    is_equal = inspection.status is Status.EQUAL and _is_made_from_others(inspection)
    return inspection.status is Status.CHANGED or is_equal


@dataclass(slots=True)
class ChangeCounts:
    """How many images and files a run would work at."""

    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    """Images of each verdict, and other files to be removed."""
    images: int = 0
    """Images of the plan that were counted."""
    files: int = 0
    """Files of the dataset as a whole to be written."""
    to_do: set[str] = field(default_factory=set)
    """The keys of the images to work at."""

    def add(self, change: Change) -> None:
        """Count a change; a sidecar goes with its image, and is not counted."""
        if change.is_image:
            self.verdicts[change.verdict] += 1
        elif change.removed_step and change.removed_step != Step.SIDECARS:
            self.verdicts[OTHERS_REMOVED] += 1
        self.images += bool(change.source)
        if change.verdict in NOT_WRITTEN:
            return
        self.files += not change.source
        if change.sidecar:
            self.to_do.add(change.sidecar.asset)


def count_changes(changes: Iterable[Change]) -> ChangeCounts:
    """Count changes, which are looked at once."""
    found = ChangeCounts()
    for change in changes:
        found.add(change)
    return found


def count_verdicts(changes: Iterable[Change]) -> dict[str, int]:
    """Return how many images there are of each verdict, and other files to be removed."""
    return count_changes(changes).verdicts
