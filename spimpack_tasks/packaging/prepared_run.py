"""From options to a validated dataset and the identity of its plan, or to the reasons why not.

A draft is a pure function of the manifest, the tables and what `stat` says of the sources. Luigi
asks for it several times in one run, so the last ones are remembered and used again as long as
none of these has changed.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from spimpack_tasks.errors import (
    ConflictError,
    InputError,
    Place,
    Problem,
    Report,
    SpimpackError,
    SupersededError,
)
from spimpack_tasks.files.annex import content_command
from spimpack_tasks.files.stamps import stamp_source
from spimpack_tasks.manifest.assets import AssetReader, WrittenLabels
from spimpack_tasks.manifest.column_descriptions import join_descriptions
from spimpack_tasks.manifest.headers import Headers
from spimpack_tasks.manifest.load import NOTHING_EDITED, Inputs, digest_now, load_inputs, shown
from spimpack_tasks.manifest.photos import PhotoReader
from spimpack_tasks.manifest.sidecars import SidecarReader, read_defaults
from spimpack_tasks.model.plan import Dataset, Kind
from spimpack_tasks.packaging.backends.registry import BACKENDS, find_choice, require_choice
from spimpack_tasks.packaging.companions import matches_output
from spimpack_tasks.packaging.disk_space import lack_of_room
from spimpack_tasks.packaging.losses import find_losses, find_own_sources
from spimpack_tasks.packaging.paths import PathBuilder
from spimpack_tasks.packaging.plan import identify, make_plan
from spimpack_tasks.packaging.rules import RULES, PlacedAsset, RuleInput
from spimpack_tasks.packaging.tables import join_tables
from spimpack_tasks.state.store import Store, parts_of
from spimpack_tasks.state.sweep import Status, Sweep, sweep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spimpack_tasks.manifest.further_columns import ColumnUse
    from spimpack_tasks.manifest.records import Record
    from spimpack_tasks.model.plan import Output, Plan
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.state.sweep import Inspection

_REMEMBERED = 4
_prepared_runs: dict[Options, PreparedRun] = {}


@dataclass
class PreparedRun:
    """What the inputs come to."""

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
    """What becomes of the further columns of each table."""
    sources: list[str] = field(default_factory=list, repr=False)
    """Path of each source that was looked for, links not resolved."""
    headers: str = field(default="", repr=False)
    """What the sources' headers told, as it is kept."""
    current_before: str = ""
    """Since when the output had had its current plan when the draft was asked for."""
    _plan: Plan | None = None
    _parts: dict[str, list[Output]] = field(default_factory=dict, repr=False)
    _refusal: InputError | None = None
    _looked_for_conflicts: bool = False
    _before: Sweep | None = None

    @property
    def store(self) -> Store:
        """The state directory of the output."""
        return Store(self.options.output_dir)

    @cached_property
    def paths(self) -> PathBuilder:
        """What builds the paths of the images."""
        return PathBuilder(self.store)

    @property
    def keys(self) -> list[str]:
        """The keys of all assets, sorted."""
        if self.dataset is not None:
            return [asset.key for asset in self.dataset.assets]
        return sorted({output.asset for output in self.plan().outputs} - {""})

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
        choice = self.choice or require_choice(self.options.backend)
        paths = self.paths.build(dataset.assets)
        plan = make_plan(dataset, self.plan_id, self.options.output_dir, paths, choice)
        self._refuse_bugs()
        return plan

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
        if self._plan is not None and not self._parts:
            self._parts = parts_of(self._plan)
        if name not in self._parts:
            found = None if self._plan else self.store.find_part(self.plan_id, name)
            if found is None and self._plan is None:
                raise self._loss()
            self._parts[name] = list(found.outputs) if found else []
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

    def sweep(self) -> Sweep:
        """Compare the disk with the plan."""
        choice = self.choice or require_choice(self.options.backend)
        matches = partial(matches_output, choice, self.options.output_dir)
        found = sweep(self.store, self.plan(), matches)
        self._refuse_bugs()
        return found

    def refusal(self) -> InputError | None:
        """Return why nothing may be written: bad inputs, or something of the user's in the way.

        The disk is looked at once for each draft that is asked for anew: what a run itself writes
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
        if os.path.isdir(self.options.output_dir):
            conflicts = self._conflicts()
            if conflicts.problems:
                return ConflictError(conflicts)
        choice = self.choice or require_choice(self.options.backend)
        if choice.backend.name not in BACKENDS:
            self.plan()  # so that its bugs are known before anything is written
        lack = lack_of_room(dataset, self.plan_id, self.store, choice)
        self._refuse_bugs()
        return InputError(Report([lack])) if lack else None

    def _conflicts(self) -> Report:
        report = Report()
        sources = {asset.source for asset in self.dataset.assets} if self.dataset else set()
        self._before = self.sweep()
        report.extend(find_own_sources(self.options.output_dir, sources))
        found = (_conflict(self.options, f, sources) for f in self._before.conflicts)
        # One folder that cannot be entered is in the way of all that belongs there.
        report.extend(dict.fromkeys(problem for problem in found if problem))
        report.extend(find_losses(self.options, self.store, self._before))
        return report

    def is_current(self) -> bool:
        """Tell whether the inputs still are what this draft was made from."""
        return (
            self.dataset is not None
            and all(digest_now(path) == digest for path, digest in self.texts.items())
            and all(stamp_source(asset.source) == asset.stamp for asset in self.dataset.assets)
        )

    def refresh(self) -> PreparedRun:
        """Note the current plan, and look for conflicts again when next asked."""
        self._refusal, self._looked_for_conflicts, self._before = None, False, None
        if self.options.output_dir:
            self.current_before = self.store.current_since()
        return self


def prepare_run(options: Options) -> PreparedRun:
    """Return what the inputs come to now; never raises on a user's mistake."""
    known = _prepared_runs.get(options)
    # A refused draft is never current: a source that was missing may be there by now.
    if known is not None and known.is_current():
        return known.refresh()
    with collecting_rarely():
        return _remember(_prepare(options)).refresh()


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Let Python look for cyclic garbage less often: ten thousand rows make a lot, and no cycle."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def find_prepared_run(options: Options, plan_id: str) -> PreparedRun:
    """Return the draft of a known identity, so that an edit during a run does not leak into it.

    Where it is not remembered, because another process made it, the saved plan is taken up; before
    there is one, the inputs are read again. They may have been edited by then: compare the
    identity.
    """
    known = _prepared_runs.get(options)
    if known is not None and known.plan_id == plan_id:
        return known
    if Store(options.output_dir).has_plan(plan_id):
        choice = require_choice(options.backend).collecting_bugs()
        return _remember(PreparedRun(options, plan_id, choice))
    return prepare_run(options)


def _remember(prepared: PreparedRun) -> PreparedRun:
    _prepared_runs.pop(prepared.options, None)
    _prepared_runs[prepared.options] = prepared
    while len(_prepared_runs) > _REMEMBERED:
        del _prepared_runs[next(iter(_prepared_runs))]
    return prepared


def prepare_edited(options: Options, edited: Mapping[str, str], headers: Headers) -> PreparedRun:
    """Return what the inputs would come to with `edited` texts in their files; nothing is kept.

    Parameters
    ----------
    options
        Of a run that writes nothing.
    edited
        Texts by absolute path, that count instead of those on disk.
    headers
        The headers read so far; those that are read for this are added.
    """
    return _prepare(options, edited, headers)


def _prepare(
    options: Options,
    edited: Mapping[str, str] = NOTHING_EDITED,
    headers: Headers | None = None,
) -> PreparedRun:
    report = Report()
    line = Place("command line")
    for key, value in (("--manifest", options.manifest), ("--output-dir", options.output_dir)):
        if not value and (key == "--manifest" or options.writes):
            report.add(Problem("option.missing", line, key, "is not given", "give it a path"))
    if not options.manifest:
        return PreparedRun(options, refused_id(report), report=report)
    inputs = load_inputs(options.manifest, report, edited)
    headers = headers or Headers(Store(options.output_dir))
    placed = _read_assets(inputs, headers, report, options.roots)
    inputs.described_participants = join_descriptions(inputs.descriptions, report)
    found = find_choice(options.backend)
    choice = found.collecting_bugs() if found else None
    facts = RuleInput(options, inputs, _as_packaged(placed, choice), choice)
    for rule in RULES:
        report.extend(rule(facts))
    if choice is not None and choice.bugs is not None:
        report.extend(choice.bugs.problems())
    if choice is None or report.errors or (options.strict and report.warnings):
        return PreparedRun(options, refused_id(report), report=report, texts=inputs.texts)
    dataset = _dataset(facts)
    return PreparedRun(
        options,
        identify(dataset, options.output_dir, choice.backend),
        choice,
        report,
        dataset,
        inputs.texts,
        [use for part in inputs.parts for use in part.columns],
        inputs.sources,
        headers.text() if options.writes else "",
    )


def refused_id(report: Report) -> str:
    """Return an identity for a run that is refused; no plan ever has it."""
    return f"refused-{report.identity}"


def is_refused(plan_id: str) -> bool:
    """Tell whether an identity is that of a refused run."""
    return plan_id.startswith("refused-")


def _read_assets(
    inputs: Inputs, headers: Headers, report: Report, roots: tuple[str, ...]
) -> list[PlacedAsset]:
    required = inputs.description.get("RequiredMicroscopyFields", [])
    names = (
        [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    )
    images: list[PlacedAsset] = []
    photos: list[PlacedAsset] = []
    labels = WrittenLabels([r for part in inputs.parts for r in (*part.records, *part.photos)])
    for part in inputs.parts:
        defaults = read_defaults(part.document, report)
        sidecars = SidecarReader(defaults, names, headers, report, is_raw=inputs.is_raw)
        reader = AssetReader(part.folder, labels, sidecars, report)
        reader.roots = roots
        images += _read_rows(part.records, reader)
        inputs.sources += reader.looked_for
    for part in inputs.parts:
        photo_reader = PhotoReader(part.folder, labels, (i.asset for i in images), report)
        photo_reader.roots = roots
        photos += _read_rows(part.photos, photo_reader)
        inputs.sources += photo_reader.looked_for
    return [*images, *photos]


def _as_packaged(assets: list[PlacedAsset], choice: Choice | None) -> list[PlacedAsset]:
    """Return the assets with the extensions that a backend gives them."""
    if choice is None:
        return assets
    packaged = []
    for placed in assets:
        extension, is_valid = choice.extension_of(placed.asset)
        if extension != placed.asset.extension:
            asset = replace(placed.asset, extension=extension, valid_in_bids=is_valid)
            packaged.append(placed._replace(asset=asset))
        else:
            packaged.append(placed)
    return packaged


def _read_rows(
    records: Iterable[Record], reader: AssetReader | PhotoReader
) -> Iterator[PlacedAsset]:
    for record in records:
        asset = reader.read(record)
        if asset is not None:
            yield PlacedAsset(record, asset)


def _dataset(facts: RuleInput) -> Dataset:
    return Dataset(
        description=facts.inputs.description,
        assets=tuple(sorted((placed.asset for placed in facts.assets), key=lambda a: a.key)),
        participants=join_tables(facts.inputs.participant_tables),
        backend=facts.options.backend,
        relative_symlinks=facts.options.relative_symlinks,
        keep_source_links=facts.options.keep_source_links,
        previews=facts.options.previews,
        described_participants=facts.inputs.described_participants,
    )


def _conflict(options: Options, inspection: Inspection, sources: set[str]) -> Problem | None:
    path = os.path.join(options.output_dir, inspection.output.path)
    place = Place(shown(path))
    real = os.path.realpath(path)
    holds_source = not os.path.islink(path) and any(
        source == real or source.startswith(real + "/") for source in sources
    )
    if holds_source:
        return None  # told of the source
    if inspection.status is Status.BLOCKED:
        message = "is a link or a file, and a folder of the dataset belongs at its place"
        folder = Place(shown(_blocked_folder(options.output_dir, inspection.output.path)))
        return Problem("conflict.folder", folder, "", message, "make it a real folder")
    if options.overwrite:
        return None
    if inspection.output.kind is not Kind.LINK and (command := content_command(path)):
        message = "is a link of git-annex, and its content is not here"
        return Problem("conflict.altered", place, "", message, f"get it with: {command}")
    if inspection.status is Status.ALTERED:
        message = "was changed since it was written"
        hint = "move the change into the inputs, or use --overwrite to lose it"
        return Problem("conflict.altered", place, "", message, hint)
    message = "is in the way of an output, and was not written by this program"
    hint = "move it away, choose another --output-dir, or use --overwrite to replace it"
    return Problem("conflict.foreign", place, "", message, hint)


def _blocked_folder(root: str, path: str) -> str:
    """Return the first of the folders that lead to `path` that cannot be entered."""
    folder = root
    for part in path.split("/")[:-1]:
        folder = os.path.join(folder, part)
        if os.path.islink(folder) or not os.path.isdir(folder):
            break
    return folder
