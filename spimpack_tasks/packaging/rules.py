"""The rules that concern several rows or several files; those of options are in `option_rules`.

Each rule is a function from the facts to the problems it finds, listed in `RULES`. A new rule is
one function and one line there. The content of a single row is checked in `manifest.assets`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, Severity, closest, count_of, suggestion
from spimpack_tasks.manifest.description_rules import identifiers_are_uris, lists_are_filled_once
from spimpack_tasks.manifest.rows import cell_problem
from spimpack_tasks.model.entities import ENTITIES, MISSING
from spimpack_tasks.model.labels import differ_in_zeros, probable_label, without_zeros
from spimpack_tasks.packaging.image_rules import (
    images_are_whole,
    images_come_once,
    validator_agrees_on_voxels,
)
from spimpack_tasks.packaging.option_rules import (
    backend_takes_the_formats,
    backend_works_here,
    chunks_can_be_chosen,
    options_fit_the_backend,
    output_can_be_made,
    output_holds_nothing_else,
    output_is_apart_from_sources,
    sources_are_apart_from_output,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.files.tsv import Row, TsvTable
    from spimpack_tasks.manifest.load import Inputs
    from spimpack_tasks.manifest.read_assets import PlacedAsset
    from spimpack_tasks.packaging.backends.base import Choice
    from spimpack_tasks.packaging.options import Options
    from spimpack_tasks.packaging.resolved_options import ChosenOptions
    from spimpack_tasks.state.store import Store

MAX_NAME_BYTES = 255
"""NAME_MAX of Linux file systems."""

BIDS_VERSIONS = ("1.7.0", "1.8.0", "1.9.0", "1.10.0", "1.10.1", "1.11.0", "1.11.1", "1.11.2")
"""Microscopy came into BIDS with 1.7.0."""


@dataclass(frozen=True, slots=True)
class RuleInput:
    """Everything the rules may look at."""

    inputs: Inputs
    assets: list[PlacedAsset]
    store: Store
    """The state directory of the output."""
    choice: Choice | None
    """The backend, `None` where there is none of that name, or it cannot be used."""
    chosen: ChosenOptions
    """The options with their origins."""

    @property
    def options(self) -> Options:
        """The options of the run."""
        return self.chosen.options

    @property
    def images(self) -> list[PlacedAsset]:
        """The assets that are no photos."""
        return [placed for placed in self.assets if not placed.asset.is_photo]


def needs_assets(facts: RuleInput) -> Iterator[Problem]:
    """A dataset without images is a mistake, such as a table that is not named."""
    inputs = facts.inputs
    data = inputs.document.data
    has_rows = any(part.records for part in inputs.parts)
    if has_rows or inputs.lost_rows or not isinstance(data, dict):
        return
    place, key = Place(inputs.document.file), ""
    hint = "name a table with scans_tsv, put scans.tsv beside the manifest, or list datasets"
    beside = os.path.join(inputs.folder, "scans")
    other = next((e for e in (".csv", ".xlsx", ".xls") if os.path.exists(beside + e)), "")
    if other:
        hint = f"write scans_tsv: scans{other} to use the table that is there"
    if inputs.tables:
        place, hint = Place(inputs.tables[0]), "the table has no row below its header"
    elif "datasets" in data:
        place, key = inputs.document.key_place(("datasets",)), "datasets"
        hint = "give each dataset one asset or more"
    yield Problem("assets.none", place, key, "there is no image to package", hint)


def one_row_per_path(facts: RuleInput) -> Iterator[Problem]:
    """Two rows must not make one BIDS path, of any extension or letter case."""
    # A hash in place of the text takes a third of the memory; the texts decide.
    seen: dict[int, PlacedAsset] = {}
    for placed in facts.assets:
        folded = placed.asset.key.casefold()
        first = seen.setdefault(hash(folded), placed)
        if first is placed or first.asset.key.casefold() != folded:
            continue
        place = placed.record.where("subject")
        other = first.record.where("subject")
        if first.asset.key == placed.asset.key:
            code, message = (
                "path.duplicate",
                f"makes {placed.asset.key}, as {other.line_in_words()} does",
            )
            hint = "tell them apart by session, acquisition, stain, run or chunk"
        else:
            code = "path.case"
            message = (
                f"makes {placed.asset.key}, and {other.line_in_words()} makes {first.asset.key}"
            )
            hint = "names must differ in more than upper and lower case"
        yield Problem(code, place, "subject", message, hint)


def subjects_differ_in_more_than_case(facts: RuleInput) -> Iterator[Problem]:
    """`sub-aB` and `sub-AB` are one folder on many disks."""
    seen: dict[str, PlacedAsset] = {}
    told = set()
    for placed in facts.assets:
        label = placed.asset.subject_label
        first = seen.setdefault(label.casefold(), placed)
        other = first.asset.subject_label
        if other != label and label not in told:
            told.add(label)
            message = (
                f"sub-{label} and sub-{other} ({first.record.where('subject').line_in_words()})"
            )
            message += " differ in letter case only"
            hint = "write both alike, or tell them apart"
            place = placed.record.where("subject")
            yield Problem("path.case", place, "subject", message, hint)


def labels_differ_in_more_than_zeros(facts: RuleInput) -> Iterator[Problem]:
    """`sub-1` and `sub-01` are two subjects, and one animal more often than not."""
    assets = facts.assets
    for name, first, number in differ_in_zeros([placed.asset.key for placed in assets]):
        here, there = (assets[n].asset.entities[name] for n in (number, first))
        where = assets[first].record.where(name).line_in_words()
        message = f"{here!r} and {there!r} ({where}) differ in leading zeros only"
        place, hint = assets[number].record.where(name), "write both alike, if they are one"
        yield Problem("path.zeros", place, name, message, hint, Severity.WARNING)


def names_fit_the_disk(facts: RuleInput) -> Iterator[Problem]:
    """File systems hold names of up to 255 bytes."""
    for record, asset in facts.assets:
        longest = len(asset.key) + max(len(asset.extension), len(".json"))
        if longest > MAX_NAME_BYTES:
            message = f"makes a file name of {longest} bytes; {MAX_NAME_BYTES} is the most"
            place = record.where("subject")
            yield Problem("path.too-long", place, "subject", message, "shorten the labels")


def samples_agree(facts: RuleInput) -> Iterator[Problem]:
    """All rows of a sample describe it alike."""
    seen: dict[tuple[str, str, str], PlacedAsset] = {}
    for placed in facts.assets:
        asset = placed.asset
        for column, value in asset.sample.items():
            first = seen.setdefault((asset.subject_label, asset.sample_label, column), placed)
            if first.asset.sample[column] != value:
                other = first.record.where(column).line_in_words()
                message = f"is {value!r}, but {first.asset.sample[column]!r} in {other}"
                sample, subject = asset.sample_label, asset.subject_label
                hint = f"sample-{sample} of sub-{subject} can have one only"
                place = placed.record.where(column)
                yield Problem("sample.contradiction", place, column, message, hint)


def entities_fit_the_dataset_type(facts: RuleInput) -> Iterator[Problem]:
    """`space` and `desc` tell processed images from raw ones; a space needs a reference."""
    names = [entity.name for entity in ENTITIES if entity.derivative]
    marks = [f"_{entity.short}-" for entity in ENTITIES if entity.derivative]
    for record, asset in facts.assets:
        if not any(mark in asset.key for mark in marks):
            continue  # most have none
        for name in names if facts.inputs.is_raw else ():
            if name in asset.entities:
                message = "is for derivative datasets, and DatasetType is raw"
                hint = "leave it out, or write DatasetType: derivative"
                yield Problem("entity.derivative", record.where(name), name, message, hint)
        if "space" in asset.entities and not asset.sidecar.get("SpatialReference"):
            key, message = "SpatialReference", "is missing beside space"
            hint = "give the URI of the image that defines the space, in a column of this name"
            yield Problem("sidecar.incomplete", record.where("space"), key, message, hint)


def derivatives_tell_their_origin(facts: RuleInput) -> Iterator[Problem]:
    """BIDS recommends to say what a derivative was made from, and how."""
    if facts.inputs.is_raw:
        return
    warning = Severity.WARNING
    if not facts.inputs.description.get("SourceDatasets"):
        place = facts.inputs.document.key_place(("dataset_description",))
        key, message = "dataset_description.SourceDatasets", "is missing in a derivative dataset"
        hint = "list the datasets that it was made from, such as - URL: bids::sourcedata"
        yield Problem("description.no-source", place, key, message, hint, warning)
    without = [record for record, asset in facts.assets if "Description" not in asset.sidecar]
    if without:
        images = count_of(len(without), "image")
        key, message = "Description", f"is not given for {images} of a derivative dataset"
        hint = "say how they were made, in a column Description or in sidecar_defaults"
        place = without[0].where(key)._replace(column=0)
        yield Problem("sidecar.no-description", place, key, message, hint, warning)


def bids_version_is_known(facts: RuleInput) -> Iterator[Problem]:
    """A version that BIDS does not know is written, but validators complain."""
    version = facts.inputs.description.get("BIDSVersion")
    well_formed = isinstance(version, str) and re.fullmatch(r"[0-9.]+", version)
    if well_formed and version not in BIDS_VERSIONS:
        path = ("dataset_description", "BIDSVersion")
        message = f"{version!r} is not a version of BIDS with microscopy known here"
        hint = f"known are {', '.join(BIDS_VERSIONS)}"
        place, key = facts.inputs.document.place(path), ".".join(path)
        yield Problem("description.version", place, key, message, hint, Severity.WARNING)


def participants_are_known(facts: RuleInput) -> Iterator[Problem]:
    """The participants tables, where there are any, list each subject once."""
    tables = facts.inputs.participant_tables
    seen: dict[str, tuple[TsvTable, Row]] = {}
    # Levels of the user's own go before the values that BIDS lists.
    leveled = {c for told in facts.inputs.descriptions for c in told.columns if told.levels(c)}
    for table in tables:
        if "participant_id" not in table.columns:
            yield _lacks_participant_id(table)
            return
        for row in table.rows:
            yield from _participant_is_new(table, row, seen)
            yield from _participant_cells(table, row, leveled)
    told: set[str] = set()
    is_whole = all(table.is_whole for table in tables)
    for record, asset in facts.assets if tables and is_whole else ():
        label = asset.subject_label
        if label not in seen and label not in told:
            told.add(label)
            message = f"sub-{label} is not in {_listed(table.file for table in tables)}"
            place = record.where("subject")
            hint = _participant_hint(label, seen)
            yield Problem("participants.unknown", place, "subject", message, hint)


def _participant_hint(label: str, seen: dict[str, tuple[TsvTable, Row]]) -> str:
    """Return what to do about a subject that is no participant."""
    for other, (table, row) in seen.items():
        if label and without_zeros(other) == without_zeros(label):
            place = table.place(row, table.columns.index("participant_id"))
            hint = f"{other!r} ({place.line_in_words()}) differs in leading zeros: write both alike"
            return f"{hint}, in columns formatted as text"
    return suggestion(label, seen) or "add a row there"


def _lacks_participant_id(table: TsvTable) -> Problem:
    near = closest("participant_id", table.columns, 0.6)
    place = table.place(table.header, table.columns.index(near) if near else 0)
    hint = f"rename {near!r}" if near else "name the column of subjects participant_id"
    place, message = place if near else place._replace(column=0), "is missing"
    return Problem("column.missing", place, "participant_id", message, hint)


def _participant_is_new(
    table: TsvTable, row: Row, seen: dict[str, tuple[TsvTable, Row]]
) -> Iterator[Problem]:
    """Note a row of a table of participants in `seen`; each participant has one."""
    column = table.columns.index("participant_id")
    label = row.cells[column].strip().removeprefix("sub-")
    where, first = seen.setdefault(label, (table, row))
    if first is not row and label not in {"", MISSING}:
        of = "" if where is table else f" of {where.file}"
        message = f"{row.cells[column]!r} stands in line {first.line}{of} already"
        place = table.place(row, column)
        yield Problem("participants.duplicate", place, "participant_id", message, "keep one")


def _participant_cells(table: TsvTable, row: Row, leveled: set[str]) -> Iterator[Problem]:
    for column in dict.fromkeys(table.columns):
        index = table.columns.index(column)
        text = row.cells[index].strip()
        if column == "participant_id" and text in {"", MISSING}:
            place = table.place(row, index)
            yield Problem("value.empty", place, column, "is empty", "give the subject")
        elif text and text != MISSING and column not in leveled:
            problem = cell_problem("participants", column, text)
            if problem:
                code, message, hint = problem
                label = probable_label("label", text) if column == "participant_id" else ""
                hint = f"write {f'sub-{label}'!r}" if label else hint
                yield Problem(code, table.place(row, index), column, message, hint)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


RULES: tuple[Callable[[RuleInput], Iterator[Problem]], ...] = (
    needs_assets,
    one_row_per_path,
    subjects_differ_in_more_than_case,
    labels_differ_in_more_than_zeros,
    names_fit_the_disk,
    samples_agree,
    entities_fit_the_dataset_type,
    derivatives_tell_their_origin,
    bids_version_is_known,
    identifiers_are_uris,
    lists_are_filled_once,
    participants_are_known,
    options_fit_the_backend,
    output_is_apart_from_sources,
    sources_are_apart_from_output,
    output_holds_nothing_else,
    output_can_be_made,
    backend_takes_the_formats,
    backend_works_here,
    chunks_can_be_chosen,
    images_come_once,
    images_are_whole,
    validator_agrees_on_voxels,
)
