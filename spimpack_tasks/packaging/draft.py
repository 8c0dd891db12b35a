"""From options to a validated dataset and the identity of its plan, or to the reasons why not.

A draft is a pure function of the manifest, the tables and what `stat` says of the sources. Luigi
asks for it several times in one run, so the last ones are remembered and used again as long as
none of these has changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ConflictError, InputError, Place, Problem, Report
from spimpack_tasks.model.plan import Dataset, Table
from spimpack_tasks.packaging.assets import AssetReader
from spimpack_tasks.packaging.load import Inputs, load_inputs, shown
from spimpack_tasks.packaging.plan import identify, make_plan
from spimpack_tasks.packaging.rules import RULES, Facts, PlacedAsset
from spimpack_tasks.readers.formats import SourceRefusedError, examine_source
from spimpack_tasks.registry import load_backend
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.sweep import Status, Sweep, sweep

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Plan
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.state.sweep import Finding

_REMEMBERED = 4
_drafts: dict[Options, Draft] = {}


@dataclass(slots=True)
class Draft:
    """What the inputs come to."""

    options: Options
    report: Report
    dataset: Dataset | None
    """`None` where the inputs are refused."""
    plan_id: str
    texts: dict[str, str | None] = field(repr=False)
    _plan: Plan | None = None

    @property
    def store(self) -> Store:
        """The state directory of the output."""
        return Store(self.options.output_dir)

    def plan(self) -> Plan:
        """Return the plan, the saved one if there is one."""
        if self._plan is None:
            assert self.dataset is not None
            if self.store.has_plan(self.plan_id):
                self._plan = self.store.load_plan(self.plan_id)
            else:
                self._plan = make_plan(self.dataset, self.plan_id, self.options.output_dir)
        return self._plan

    def sweep(self) -> Sweep:
        """Compare the disk with the plan."""
        return sweep(self.store, self.plan(), load_backend(self.options.backend).matches)

    def refusal(self) -> InputError | None:
        """Return why nothing may be written: bad inputs, or something of the user's in the way."""
        if self.dataset is None:
            return InputError(self.report)
        if not os.path.isdir(self.options.output_dir):
            return None
        conflicts = self._conflicts(self.sweep())
        return ConflictError(conflicts) if conflicts.problems else None

    def _conflicts(self, found: Sweep) -> Report:
        report = Report()
        sources = {asset.source for asset in self.dataset.assets} if self.dataset else set()
        for finding in found.conflicts:
            problem = _conflict(self.options, finding, sources)
            if problem:
                report.add(problem)
        return report

    def is_current(self) -> bool:
        """Tell whether the inputs still are what this draft was made from."""
        return all(_text_now(path) == text for path, text in self.texts.items()) and all(
            _stamp_now(asset.source) == asset.stamp
            for asset in (self.dataset.assets if self.dataset else ())
        )


def make_draft(options: Options) -> Draft:
    """Return what the inputs come to; never raises on a user's mistake."""
    known = _drafts.get(options)
    # A refused draft is not looked at again: a source that was missing may be there by now.
    if known is not None and known.dataset is not None and known.is_current():
        return known
    draft = _make_draft(options)
    _drafts.pop(options, None)
    _drafts[options] = draft
    while len(_drafts) > _REMEMBERED:
        del _drafts[next(iter(_drafts))]
    return draft


def _make_draft(options: Options) -> Draft:
    report = Report()
    if not options.manifest:
        hint = "name the YAML manifest"
        place = Place("command line")
        report.add(Problem("option.missing", place, "--manifest", "is not given", hint))
        return Draft(options, report, None, refused_id(report), {})
    inputs = load_inputs(options.manifest, report)
    facts = Facts(options, inputs, _read_assets(inputs, report))
    for rule in RULES:
        report.extend(rule(facts))
    if report.errors or (options.strict and report.warnings):
        return Draft(options, report, None, refused_id(report), inputs.texts)
    dataset = _dataset(facts)
    return Draft(options, report, dataset, identify(dataset, options.output_dir), inputs.texts)


def refused_id(report: Report) -> str:
    """Return an identity for a run that is refused; no plan ever has it."""
    digest = blake2b("\n".join(report.lines()).encode(), digest_size=8).hexdigest()
    return f"refused-{digest}"


def _read_assets(inputs: Inputs, report: Report) -> list[PlacedAsset]:
    required = inputs.description.get("RequiredMicroscopyFields", [])
    names = (
        [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    )
    reader = AssetReader(inputs.folder, names, report)
    found = []
    for record in inputs.records:
        asset = reader.read(record)
        if asset is not None:
            found.append(PlacedAsset(record, asset))
    return found


def _dataset(facts: Facts) -> Dataset:
    table = facts.inputs.participants
    rows = tuple(row.cells for row in table.rows) if table else ()
    return Dataset(
        description=facts.inputs.description,
        assets=tuple(sorted((placed.asset for placed in facts.assets), key=lambda a: a.key)),
        participants=Table(table.columns, rows) if table else None,
        backend=facts.options.backend,
        relative_symlinks=facts.options.relative_symlinks,
    )


def _conflict(options: Options, finding: Finding, sources: set[str]) -> Problem | None:
    path = os.path.join(options.output_dir, finding.output.path)
    place = Place(shown(path))
    real = os.path.realpath(path)
    holds_source = not os.path.islink(path) and any(
        source == real or source.startswith(real + "/") for source in sources
    )
    if holds_source:
        message = "is a source of this dataset, and an output belongs at its place"
        return Problem("conflict.source", place, "", message, "choose another --output-dir")
    if options.overwrite:
        return None
    if finding.status is Status.ALTERED:
        message = "was changed since it was written"
        hint = "move the change into the inputs, or use --overwrite to lose it"
        return Problem("conflict.altered", place, "", message, hint)
    message = "is in the way of an output, and was not written by this program"
    hint = "move it away, choose another --output-dir, or use --overwrite to replace it"
    return Problem("conflict.foreign", place, "", message, hint)


def _text_now(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _stamp_now(source: str) -> tuple[int, int] | None:
    try:
        now = examine_source(source)
    except SourceRefusedError:
        return None
    return now.size, now.mtime_ns
