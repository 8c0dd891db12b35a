"""The result of reading a run's inputs: problems, or a dataset, its plan and its disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from spimpack_tasks.errors import (
    ConflictError,
    InputError,
    Report,
    SpimpackError,
    SupersededError,
)
from spimpack_tasks.files.input_files import have_digests
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.manifest.merges import has_same_files
from spimpack_tasks.model.buckets import MOST_UNITS, light_unit_of, unit_of
from spimpack_tasks.model.plan import DATASET_PART, Step
from spimpack_tasks.packaging.companions import matches_output
from spimpack_tasks.packaging.conflicts import find_conflicts
from spimpack_tasks.packaging.disk_space import find_missing_space
from spimpack_tasks.packaging.losses import find_losses, find_own_sources
from spimpack_tasks.packaging.paths import PathBuilder
from spimpack_tasks.packaging.plan import make_plan
from spimpack_tasks.packaging.resolved_options import read_last_options, resolve_options
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.snapshot import SourceTrace
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.sweep import Sweep, sweep

if TYPE_CHECKING:
    from spimpack_tasks.manifest.further_columns import ColumnUse
    from spimpack_tasks.model.plan import Dataset, Output, Plan
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.packaging.resolved_options import ChosenOptions


@dataclass
class PreparedRun:
    """The result of reading the inputs."""

    options: Options
    plan_id: str
    choice: Choice | None = None
    """The backend, `None` where the inputs are refused before one is needed."""
    report: Report = field(default_factory=Report)
    dataset: Dataset | None = None
    """`None` where the inputs are refused, or were not read because the plan is saved."""
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    """Digest of each file of the inputs, empty where there is none."""
    columns: list[ColumnUse] = field(default_factory=list, repr=False)
    """The use of the further columns of each table."""
    sources: list[str] = field(default_factory=list, repr=False)
    """Path of each source that was looked for, links not resolved."""
    wildcards: dict[str, list[str]] = field(default_factory=dict, repr=False)
    """The files that each path with wildcards stood for."""
    source_trace: SourceTrace = field(default_factory=SourceTrace, repr=False)
    """The state of the sources when they were looked at."""
    headers: str = field(default="", repr=False)
    """The facts of the sources' headers, as they are kept."""
    chosen: ChosenOptions | None = None
    """The options with their origins; `None` where no manifest was read."""
    current_before: str = ""
    """Since when the output had had its current plan when the draft was asked for."""
    _plan: Plan | None = None
    _parts: dict[str, list[Output]] = field(default_factory=dict, repr=False)
    _units: dict[bool, list[str]] = field(default_factory=dict, repr=False)
    _refusal: InputError | None = None
    _looked_for_conflicts: bool = False
    _before: Sweep | None = None

    @property
    def asked(self) -> Options:
        """The options as they were given."""
        return self.chosen.asked if self.chosen else self.options

    def resolve(self, asked: Options) -> Options:
        """Return options of which nothing is open, as the inputs of this draft have them.

        The draft may be that of a run without checksums, while they are asked for now.
        """
        chosen = self.chosen
        return resolve_options(asked, chosen.in_manifest, chosen.last) if chosen else self.options

    def is_resolved(self) -> bool:
        """Tell whether another run has not made the last run's choices other ones."""
        chosen, last = self.chosen, read_last_options(self.store)
        return chosen is None or (
            resolve_options(chosen.asked, chosen.in_manifest, last) == self.options
        )

    @property
    def store(self) -> Store:
        """The state directory of the output."""
        return Store(self.options.output_dir)

    @cached_property
    def paths(self) -> PathBuilder:
        """The builder of the paths of the images."""
        return PathBuilder(self.store)

    @cached_property
    def keys(self) -> list[str]:
        """The keys of all assets, sorted."""
        if self.dataset is not None:
            return [asset.key for asset in self.dataset.assets]
        return sorted({output.asset for output in self.plan().outputs} - {""})

    def units(self, *, is_slow: bool) -> list[str]:
        """Return the units of work that the assets are divided into, sorted."""
        if is_slow not in self._units:
            count = len(self.keys)
            if count > MOST_UNITS and not is_slow and self._plan is not None:
                buckets = self._plan.parts.keys() - {DATASET_PART}
                found = {light_unit_of(bucket) for bucket in buckets}
            else:
                found = {unit_of(key, count, is_slow=is_slow) for key in self.keys}
            self._units[is_slow] = sorted(found)
        return self._units[is_slow]

    def plan(self) -> Plan:
        """Return the plan, the saved one if there is one.

        Raises
        ------
        InputError
            The inputs are refused.
        SupersededError
            The saved plan is lost or damaged, and this process has not read the inputs.
        """
        if self._plan is None:
            self._plan = self.store.find_plan(self.plan_id)
        if self._plan is None:
            if self.dataset is None:
                raise self._loss()
            self._plan = self._make_plan(self.dataset)
        return self._plan

    def _make_plan(self, dataset: Dataset) -> Plan:
        choice = self._known_choice()
        paths = self.paths.build(dataset.assets)
        plan = make_plan(dataset, self.plan_id, self.options.output_dir, paths, choice)
        self._refuse_bugs()
        return plan

    def _known_choice(self) -> Choice:
        """Return the backend, which is known wherever there is a plan."""
        if self.choice is None:
            raise self._loss()
        return self.choice

    def _refuse_bugs(self) -> None:
        """Refuse a backend that met a bug of its own.

        Raises
        ------
        InputError
            It met one.
        """
        bugs = self.choice.bugs if self.choice else None
        if bugs is not None and bugs.hit:
            raise InputError(Report([*bugs.problems()]))

    @property
    def is_planned(self) -> bool:
        """Whether there is a plan."""
        return self.dataset is not None or self.store.has_plan(self.plan_id)

    def part(self, name: str) -> list[Output]:
        """Return a part of the plan; where another process made it, no more than that is read."""
        if self._plan is None and not self.store.has_plan(self.plan_id):
            self.plan()  # nobody has saved it yet
        if self._plan is not None:
            return self._plan.parts.get(name, [])
        if name not in self._parts:
            found = self.store.find_part(self.plan_id, name)
            if found is None:
                raise self._loss()
            self._parts[name] = list(found.outputs)
        return self._parts[name]

    def _loss(self) -> SpimpackError:
        """Return why there is no plan."""
        if self.report.errors or not self.store.has_plan(self.plan_id):
            return InputError(self.report)
        message = "the plan in .spimpack is damaged; run it again from the manifest"
        return SupersededError(message)

    def before(self) -> Sweep:
        """Return how the disk stood when conflicts were looked for; it is not kept any longer."""
        before, self._before = self._before or self.sweep(), None
        return before

    def forget_before(self) -> None:
        """Let go of how the disk stood; the run changes it now."""
        self._before = None

    def sweep(self) -> Sweep:
        """Compare the disk with the plan."""
        choice = self._known_choice()
        matches = partial(matches_output, choice, self.options.output_dir)
        found = sweep(self.store, self.plan(), matches)
        self._refuse_bugs()
        return found

    def refusal(self) -> InputError | None:
        """Return why nothing may be written: bad inputs, or something of the user's in the way.

        The disk is looked at once for each draft that is asked for again: what a run itself writes
        is no conflict.
        """
        if self._refusal is None and not self._looked_for_conflicts:
            self._looked_for_conflicts = True
            if self.report.errors or (self.options.strict and self.report.warnings):
                self._refusal = InputError(self.report)
            elif self.dataset is not None:
                try:
                    self._refusal = self._find_obstacle(self.dataset)
                except InputError as error:  # the backend has a bug
                    self._refusal = error
        return self._refusal

    def _find_obstacle(self, dataset: Dataset) -> InputError | None:
        """Return what the disk has against the plan."""
        SESSION.kept[self.store.root, self.plan_id] = 0
        if os.path.isdir(self.options.output_dir):
            conflicts = self._conflicts()
            if conflicts.problems:
                return ConflictError(conflicts)
        choice = self._known_choice()
        if choice.is_foreign:
            self.plan()  # so that its bugs are known before anything is written
        lack = find_missing_space(dataset, self.plan_id, self.store, choice)
        self._refuse_bugs()
        return InputError(Report([lack])) if lack else None

    def _conflicts(self) -> Report:
        assets = self.dataset.assets if self.dataset else ()
        sources = {path for asset in assets for path, _ in asset.sources}
        self._before = self.sweep()
        # The whole counts as wrong: its parts may be right, and it may still have another plan.
        SESSION.found_wrong[self.store.root, self.plan_id] = self._before.wrong_parts | {""}
        images = sum(output.step is Step.ASSETS for output in self.plan().outputs)
        kept = images - self._before.count_other_images()
        SESSION.kept[self.store.root, self.plan_id] = kept
        report = Report([*find_own_sources(self.options.output_dir, sources)])
        report.extend(find_conflicts(self.options, self._before, sources))
        stamped = (each for asset in assets for each in asset.sources)
        report.extend(find_losses(self.options, self.store, self._before, stamped))
        return report

    def has_same_texts(self) -> bool:
        """Tell whether manifest and tables still are what this draft was made from."""
        return have_digests(self.texts)

    def is_current(self) -> bool:
        """Tell whether the inputs still are what this draft was made from."""
        return (
            self.dataset is not None
            and self.has_same_texts()
            and has_same_files(self.wildcards)
            and all(
                stamp_text(path) == stamp
                for asset in self.dataset.assets
                for path, stamp in asset.sources
            )
        )

    def refresh(self) -> PreparedRun:
        """Note the current plan, and look for conflicts again when next asked."""
        self._refusal, self._looked_for_conflicts, self._before = None, False, None
        if self.options.output_dir:
            self.current_before = self.store.current_since()
        return self
