"""Makes drafts: reads the inputs, checks them, and works out the identity of their plan.

A draft is a pure function of the manifest, the tables and the results of `stat` for sources. Luigi
asks for it several times in one run, so the last ones are remembered and used again as long as
none of these has changed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ConflictError, Place, Problem, Report
from spimpack_tasks.files.text import MAX_MANIFEST_BYTES, read_text
from spimpack_tasks.files.yaml_marks import load_yaml
from spimpack_tasks.manifest.column_descriptions import join_descriptions
from spimpack_tasks.manifest.headers import Headers
from spimpack_tasks.manifest.load import NOTHING_EDITED, load_inputs
from spimpack_tasks.manifest.part import ALL, Part
from spimpack_tasks.manifest.products import is_study, manifest_of
from spimpack_tasks.manifest.read_assets import read_assets
from spimpack_tasks.model.plan import Dataset, refused_id
from spimpack_tasks.packaging.backends.registry import read_choice, require_choice
from spimpack_tasks.packaging.changes import find_changes
from spimpack_tasks.packaging.consumers import compose_notes
from spimpack_tasks.packaging.kept_versions import find_kept_versions
from spimpack_tasks.packaging.plan import identify
from spimpack_tasks.packaging.prepared_run import PreparedRun
from spimpack_tasks.packaging.resolved_options import (
    ChosenOptions,
    find_options,
    read_last_options,
    resolve_options,
    settings_problems,
)
from spimpack_tasks.packaging.rules import RULES, RuleInput
from spimpack_tasks.packaging.tables import join_tables
from spimpack_tasks.state.garbage import not_collecting
from spimpack_tasks.state.receipts import recorded_paths
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.files.yaml_marks import Document
    from spimpack_tasks.manifest.read_assets import PlacedAsset
    from spimpack_tasks.model.plan import Table
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.packaging.options import Options

_REMEMBERED = 8
"""Keys of drafts kept in a process, two for each: a flow packages few datasets at a time."""


def prepare_run(options: Options) -> PreparedRun:
    """Return what the inputs come to now; never raises on a user's mistake."""
    known: PreparedRun | None = SESSION.drafts.get(options)
    # A refused draft is never current: a source that was missing may be there by now.
    if known is not None and known.is_current() and known.is_resolved():
        return known.refresh()
    with not_collecting():
        return _remember(_prepare(options)).refresh()


def look(options: Options) -> tuple[PreparedRun, list[Change], ConflictError | None]:
    """Return what the inputs come to, what a run would do, and what stands in its way.

    Raises
    ------
    InputError
        The inputs are refused.
    """
    prepared = prepare_run(options)
    if prepared.dataset is not None:
        # A run with other inputs may just be forgetting our plan: then it is made again.
        with suppress(FileNotFoundError):
            prepared.plan()
    refusal = prepared.refusal()
    if refusal is not None and not isinstance(refusal, ConflictError):
        raise refusal
    return prepared, find_changes(prepared), refusal


def find_prepared_run(options: Options, plan_id: str) -> PreparedRun:
    """Return the draft of a known identity, so that an edit during a run does not leak into it.

    Where it is not remembered, because another process made it, the saved plan is taken up; before
    there is one, the inputs are read again. They may have been edited by then: compare the
    identity.
    """
    known: PreparedRun | None = SESSION.drafts.get(options)
    if known is not None and known.plan_id == plan_id:
        return known
    if Store(options.output_dir).has_plan(plan_id):
        choice = require_choice(options.backend).collecting_bugs()
        return _remember(PreparedRun(options, plan_id, choice))
    return prepare_run(options)


def _remember(prepared: PreparedRun) -> PreparedRun:
    drafts = SESSION.drafts
    # Tasks ask by the resolved options, and what makes them by those that were given.
    for options in {prepared.options, prepared.asked}:
        drafts.pop(options, None)
        drafts[options] = prepared
    while len(drafts) > _REMEMBERED:
        del drafts[next(iter(drafts))]
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
    store = Store(options.output_dir)
    chosen = _choose(options, inputs.document, store)
    options = chosen.options
    headers = headers or Headers(store)
    part = _part(options, store)
    placed = read_assets(inputs, headers, report, options.roots, part)
    inputs.described_participants = join_descriptions(inputs.descriptions, report)
    choice, problems = read_choice(options.backend, chosen.where)
    report.extend([*settings_problems(inputs.document), *problems, *chosen.notes()])
    facts = RuleInput(inputs, _as_packaged(placed, choice), store, choice, chosen)
    for rule in RULES:
        report.extend(rule(facts))
    report.extend(compose_notes(facts))
    if choice is not None and choice.bugs is not None:
        report.extend(choice.bugs.problems())
    if choice is None or report.errors or (options.strict and report.warnings):
        refused = refused_id(report)
        return PreparedRun(options, refused, None, report, texts=inputs.texts, chosen=chosen)
    dataset = _dataset(facts, part)
    kept = find_kept_versions(dataset, choice, store)
    dataset = replace(dataset, kept_versions=kept) if kept else dataset
    return PreparedRun(
        options,
        identify(dataset, options.output_dir, choice.backend),
        choice,
        report,
        dataset,
        inputs.texts,
        [use for part in inputs.parts for use in part.columns],
        inputs.sources,
        inputs.wildcards,
        inputs.trace,
        headers.text() if options.writes else "",
        chosen=chosen,
    )


def read_resolved_options(asked: Options) -> Options:
    """Return options of which nothing is open, by the manifest and the dataset on the disk."""
    report = Report()
    text = read_text(
        asked.manifest,
        name=asked.manifest,
        blame=Place(""),
        limit=MAX_MANIFEST_BYTES,
        report=report,
    )
    document = load_yaml(text or "", asked.manifest, report)
    if is_study(document.data):
        document = manifest_of(document, report)
    last = read_last_options(Store(asked.output_dir))
    return resolve_options(asked, find_options(document.data), last)


def _choose(options: Options, document: Document, store: Store) -> ChosenOptions:
    in_manifest, last = find_options(document.data), read_last_options(store)
    resolved = resolve_options(options, in_manifest, last)
    return ChosenOptions(resolved, options, in_manifest, last, document)


def _as_packaged(assets: list[PlacedAsset], choice: Choice | None) -> list[PlacedAsset]:
    """Return the assets with the extensions that a backend gives them."""
    if choice is None:
        return assets
    packaged = []
    for placed in assets:
        extension, is_valid = choice.extension_of(placed.asset)
        if extension != placed.asset.extension:
            asset = placed.asset._replace(extension=extension, valid_in_bids=is_valid)
            packaged.append(placed._replace(asset=asset))
        else:
            packaged.append(placed)
    return packaged


def _part(options: Options, store: Store) -> Part:
    """Return the rows that are wanted now, with those of images that are there: they stay."""
    if not options.subjects and not options.images:
        return ALL
    names = (os.path.basename(path) for path in recorded_paths(store) if path.startswith("sub-"))
    return Part(
        frozenset(label.removeprefix("sub-") for label in options.subjects),
        frozenset(options.images),
        frozenset(name.partition(".")[0] for name in names),
    )


def _participants(facts: RuleInput, part: Part) -> Table | None:
    table = join_tables(facts.inputs.participant_tables)
    if table is None or part.is_all:
        return table
    index = table.columns.index("participant_id")
    wanted = {placed.asset.subject_label for placed in facts.assets}
    rows = (row for row in table.rows if row[index].strip().removeprefix("sub-") in wanted)
    return replace(table, rows=tuple(rows))


def _dataset(facts: RuleInput, part: Part) -> Dataset:
    return Dataset(
        description=facts.inputs.description,
        assets=tuple(sorted((placed.asset for placed in facts.assets), key=lambda a: a.key)),
        participants=_participants(facts, part),
        backend=facts.options.backend,
        relative_symlinks=bool(facts.options.relative_symlinks),
        keep_source_links=bool(facts.options.keep_source_links),
        previews=bool(facts.options.previews),
        described_participants=facts.inputs.described_participants,
    )
