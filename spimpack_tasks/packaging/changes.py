"""Says what a run would do, asset by asset, and why."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.plan import ASSET_STEPS, SPECS, Step
from spimpack_tasks.state.reasons import changed_fields, reason_to_make
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


@dataclass(frozen=True, slots=True)
class Change:
    """The action of a run on one asset, or on one file of the dataset as a whole."""

    path: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    source: str = ""
    dataset_id: str = ""
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

# Of two outputs of one asset, the weightier verdict stands for both.
_WEIGHT = [Verdict.UNCHANGED, Verdict.CHANGED, Verdict.MISSING, Verdict.NEW, Verdict.CONFLICT]


def find_changes(prepared: PreparedRun, sweep: Sweep | None = None) -> list[Change]:
    """Return what a run would do: assets first, then other files, then what would be removed.

    Parameters
    ----------
    draft
        What the inputs come to.
    sweep
        How the outputs stand, if that is known; else they are looked at.
    """
    sweep = prepared.before() if sweep is None else sweep
    assets: dict[str, list[Inspection]] = {}
    others = []
    for inspection in sweep.inspections:
        if inspection.output.step in ASSET_STEPS:
            assets.setdefault(inspection.output.asset, []).append(inspection)
        else:
            others.append(inspection)
    root = prepared.options.output_dir
    changes = [_asset_change(root, inspections) for _, inspections in sorted(assets.items())]
    changes += [Change(f.output.path, _verdict(f), tuple(_reasons(root, f))) for f in others]
    for path in sweep.stale:
        why = "no longer wanted" if path in sweep.unwanted else "no longer in the tables"
        step = sweep.stale_steps[path]
        changes.append(Change(path, Verdict.REMOVED, (why,), removed_step=step))
    return changes


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


def _asset_change(root: str, inspections: list[Inspection]) -> Change:
    image = next(f.output for f in inspections if f.output.step is Step.ASSETS)
    sidecar = next(f.output for f in inspections if f.output.step is Step.SIDECARS)
    verdict = max((_verdict(f) for f in inspections), key=_WEIGHT.index)
    reasons = tuple(reason for inspection in inspections for reason in _reasons(root, inspection))
    if verdict is Verdict.NEW:
        reasons = ()
    return Change(image.path, verdict, reasons, image.source, image.dataset_id, sidecar)


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


def images_to_do(changes: Iterable[Change]) -> frozenset[str]:
    """Return the keys of the images that a run would work at."""
    return frozenset(c.sidecar.asset for c in changes if c.sidecar and c.verdict not in NOT_WRITTEN)


def count_verdicts(changes: list[Change]) -> dict[str, int]:
    """Return how many images there are of each verdict, and other files to be removed.

    A sidecar goes with its image, and is not counted.
    """
    images = [change for change in changes if change.is_image]
    counts = {str(v): sum(change.verdict is v for change in images) for v in Verdict}
    others = (c.removed_step for c in changes if c.removed_step and not c.is_image)
    return counts | {OTHERS_REMOVED: sum(step != Step.SIDECARS for step in others)}
