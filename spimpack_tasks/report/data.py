"""Gathers the content of a report from the state directory and the disk, without the inputs.

The dataset is compared with the plan of the last run; `spimpack plan` shows later edits of the
tables. No image is read, and nothing is written.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.entities import PHOTO_SUFFIX
from spimpack_tasks.model.plan import STEPS, Step
from spimpack_tasks.packaging.changes import Verdict, count_verdicts, find_changes
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import find_prepared_run
from spimpack_tasks.publishing.known import find_publications
from spimpack_tasks.report.graph import task_graph
from spimpack_tasks.report.problems import (
    problems_of_disk,
    problems_of_inputs,
    problems_of_run,
    problems_of_validator,
)
from spimpack_tasks.state.checksums import read_all_records
from spimpack_tasks.state.runs import read_last_run
from spimpack_tasks.validation.report import place_for, read_report
from spimpack_tasks.verification.verify import Fault, verify_fast

if TYPE_CHECKING:
    from spimpack_tasks.model.plan import Plan
    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.publishing.known import KnownPublication
    from spimpack_tasks.report.graph import Node
    from spimpack_tasks.report.problems import ReportedProblem
    from spimpack_tasks.state.runs import Run
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.validation.report import ValidationReport
    from spimpack_tasks.verification.verify import Deviation

SOURCE_FAULTS = (Fault.SOURCE_GONE, Fault.SOURCE_CHANGED)


@dataclass(frozen=True, slots=True)
class ReportedImage:
    """One image, or photo, of the plan."""

    path: str
    """Relative to the dataset."""
    status: str
    """A `Verdict`, or a fault of the source if the image itself is as planned."""
    reasons: tuple[str, ...]
    source: str
    size: int | None
    """Bytes; `None` for a directory that was not read for its checksum."""
    dataset_id: str

    @property
    def is_unchanged(self) -> bool:
        """Whether image and source are as planned."""
        return self.status == Verdict.UNCHANGED


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of a dataset."""

    images: int
    photos: int
    subjects: int
    sessions: int
    samples: int
    source_bytes: int
    unknown_sizes: int
    """Number of sources that are directories of unknown size."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Content of a report."""

    made: float
    """Seconds since 1970."""
    output_dir: str
    plan_id: str
    backend: str
    description: dict[str, Any]
    """Planned content of dataset_description.json."""
    numbers: Totals
    images: tuple[ReportedImage, ...]
    files: tuple[Change, ...]
    """The other files, and the files to be removed."""
    counts: dict[str, int]
    """Number of images by their status."""
    problems: tuple[ReportedProblem, ...]
    """Errors first."""
    validation: ValidationReport | None
    is_validation_old: bool
    """Whether a run has written to the dataset after the validation."""
    run: Run | None
    tasks: tuple[Node, ...]
    publications: tuple[KnownPublication, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every output of the plan is in place, and no stale one."""
        return self.tasks[-1].is_complete


def gather_data(store: Store) -> ReportData:
    """Return the content of the report on a dataset that has a current plan."""
    plan_id = store.current_plan_id()
    plan = store.load_plan(plan_id)
    backend = plan.backend
    steps = {output.step for output in plan.outputs}
    asked: dict[str, Any] = {
        spec.option: True for spec in STEPS if spec.option and spec.step in steps
    }
    prepared = find_prepared_run(replace(Options("", store.output_dir, backend), **asked), plan_id)
    sweep = prepared.sweep()
    changes = find_changes(prepared, sweep)
    deviations = list(verify_fast(store))
    images = _images(store, plan, changes, deviations)
    run = read_last_run(store)
    validation = read_report(place_for(store.output_dir))
    problems = [
        *problems_of_run(run),
        *problems_of_disk(changes, deviations),
        *problems_of_validator(validation),
        *problems_of_inputs(store, plan_id),
    ]
    counts = count_verdicts(changes)
    counts |= {fault: sum(image.status == fault for image in images) for fault in SOURCE_FAULTS}
    counts[Verdict.UNCHANGED] = sum(image.is_unchanged for image in images)
    return ReportData(
        made=time.time(),
        output_dir=store.output_dir,
        plan_id=plan_id,
        backend=backend,
        description=_description(plan),
        numbers=_count(images),
        images=images,
        files=tuple(change for change in changes if not change.source),
        counts={str(status): number for status, number in counts.items() if number},
        problems=tuple(sorted(problems, key=lambda problem: problem.severity)),
        validation=validation,
        is_validation_old=_is_old(store, run),
        run=run,
        tasks=task_graph(prepared, sweep),
        publications=tuple(find_publications(store)),
    )


def _description(plan: Plan) -> dict[str, Any]:
    text = next(output.text for output in plan.outputs if output.step is Step.DESCRIPTION)
    description: dict[str, Any] = json.loads(text)
    return description


def _images(
    store: Store, plan: Plan, changes: list[Change], deviations: list[Deviation]
) -> tuple[ReportedImage, ...]:
    faults = {d.path: d for d in deviations if d.fault in SOURCE_FAULTS}
    sizes = {path: record.size for path, record in read_all_records(store).items()}
    # The stamp of a directory has the size 0.
    stamped = ((o.path, int(o.stamp.partition(" ")[0] or 0)) for o in plan.outputs)
    sizes |= {path: size for path, size in stamped if size}
    images = []
    for change in changes:
        if not change.source:
            continue
        status, reasons = str(change.verdict), change.reasons
        fault = faults.get(change.path)
        if fault is not None and change.verdict is Verdict.UNCHANGED:
            status, reasons = str(fault.fault), (_EXPLAINED[fault.fault],)
        size = sizes.get(change.path)
        images.append(
            ReportedImage(change.path, status, reasons, change.source, size, change.dataset_id)
        )
    return tuple(images)


_EXPLAINED = {
    Fault.SOURCE_GONE: "the link leads nowhere; put the source back, or take the row out",
    Fault.SOURCE_CHANGED: "since it was packaged; package it again",
}


def _count(images: tuple[ReportedImage, ...]) -> Totals:
    subjects, sessions, samples = set(), set(), set()
    photos = 0
    for image in images:
        name = os.path.basename(image.path).partition(".")[0]
        labels = dict(part.split("-", 1) for part in name.split("_") if "-" in part)
        subjects.add(labels["sub"])
        samples.add((labels["sub"], labels["sample"]))
        if "ses" in labels:
            sessions.add((labels["sub"], labels["ses"]))
        photos += name.endswith(f"_{PHOTO_SUFFIX}")
    return Totals(
        images=len(images) - photos,
        photos=photos,
        subjects=len(subjects),
        sessions=len(sessions),
        samples=len(samples),
        source_bytes=sum(image.size or 0 for image in images),
        unknown_sizes=sum(image.size is None for image in images),
    )


def _is_old(store: Store, run: Run | None) -> bool:
    """Tell whether a run has written since the dataset was validated."""
    with suppress(OSError):
        made = os.stat(place_for(store.output_dir)).st_mtime
        return run is not None and any(task.ended > made for task in run.tasks)
    return False
