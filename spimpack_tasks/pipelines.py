"""Use cases that combine stages: package, scan, demo.

Only this module and `joined_tasks` may import more than one stage.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spimpack_tasks.demo.dataset import write_demo_inputs
from spimpack_tasks.demo.tree import draw_tree
from spimpack_tasks.errors import (
    ConflictError,
    ExitCode,
    InputError,
    Place,
    Problem,
    Report,
    SpimpackError,
    count_of,
)
from spimpack_tasks.files.atomic import write_together
from spimpack_tasks.luigi_run import build_alone
from spimpack_tasks.manifest.template import SCHEMA_FILE, compose_manifest, compose_schema
from spimpack_tasks.model.plan import Step
from spimpack_tasks.packaging.backends.registry import find_choice
from spimpack_tasks.packaging.changes import (
    NOT_WRITTEN,
    Verdict,
    count_verdicts,
    find_changes,
    images_to_do,
)
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import collecting_rarely, prepare_run
from spimpack_tasks.packaging.tasks.dataset import PackageDataset
from spimpack_tasks.packaging.tasks.planning import DatasetTask
from spimpack_tasks.packaging.tasks.recording import record_run
from spimpack_tasks.packaging.up_to_date import find_snapshot
from spimpack_tasks.scanning.folder_scan import FolderScanner
from spimpack_tasks.scanning.headers import fill_from_headers
from spimpack_tasks.scanning.options import check_options
from spimpack_tasks.scanning.tables import (
    PARTICIPANTS,
    PHOTOS,
    REPORT,
    SCANS,
    compose_tables,
    describe_scan,
)
from spimpack_tasks.state.checksums import has_lists, lacks_checksum
from spimpack_tasks.state.runs import run_path
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.sweep import Status
from spimpack_tasks.validation.validate import find_report, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from spimpack_tasks.packaging.prepared_run import PreparedRun
    from spimpack_tasks.scanning.options import ScanOptions
    from spimpack_tasks.validation.report import ValidationReport


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a run."""

    exit_code: ExitCode
    counts: dict[str, int]
    """Number of assets by verdict, and by `failed`."""
    datasets: dict[str, int]
    """Number of images by dataset_id."""
    other_files: int = 0
    """Number of files of the dataset as a whole that were not right."""

    @classmethod
    def of_nothing(cls, datasets: dict[str, int]) -> Outcome:
        """Return the outcome of a run that found nothing to do."""
        counts = {str(Verdict.UNCHANGED): sum(datasets.values())}
        return cls(ExitCode.OK, counts, dict(sorted(datasets.items())))

    def lines(self, output_dir: str) -> list[str]:
        """Return the summary a user reads."""
        done = ", ".join(f"{number:,} {what}" for what, number in self.counts.items() if number)
        groups = [f"{name}: {count_of(n, 'image')}" for name, n in self.datasets.items() if name]
        changed = set(self.counts) - {str(Verdict.UNCHANGED)}
        if self.exit_code is not ExitCode.OK:
            first = f"{output_dir} is not complete: {done or 'nothing was done'}"
        elif any(self.counts[what] for what in changed):
            first = f"Packaged {output_dir}: {done}"
        elif self.other_files:
            first = f"Packaged {output_dir}: {done}, {count_of(self.other_files, 'other file')}"
        else:
            first = f"Nothing to do: {done} in {output_dir}"
        return [first, *groups]


@dataclass(frozen=True, slots=True)
class RemainingWork:
    """Work of a run, and the log that shows its progress."""

    log: str
    """Path of the log of the run (see `state.runs`)."""
    images: frozenset[str]
    """The images that are not as planned."""
    unread: frozenset[str]
    """The images to be read for their checksums."""


@collecting_rarely()
@SESSION.alone()
def package(
    options: Options,
    workers: int = 1,
    *,
    checksum: bool = False,
    on_begin: Callable[[RemainingWork], None] | None = None,
) -> Outcome:
    """Run PackageDataset with the local scheduler.

    Parameters
    ----------
    options
        Options of the run: inputs, output directory, backend.
    workers
        Number of processes.
    checksum
        Whether to read the images for their checksums as well.
    on_begin
        Receives the work before it begins.

    Raises
    ------
    InputError
        The inputs are refused, or something is in the way; nothing was written.
    """
    snapshot = find_snapshot(options, find_choice(options.backend))
    if snapshot is not None and not checksum and not has_lists(Store(options.output_dir)):
        return Outcome.of_nothing(snapshot.groups)
    prepared = _require_prepared(options)
    _show_messages()
    unread = _unread(prepared) if checksum else set()
    record_run(DatasetTask, options.output_dir)
    before = _look_before(prepared, unread, on_begin)
    task = PackageDataset(**options.parameters(), checksum=checksum, plan_id=prepared.plan_id)
    build_alone(task, workers)
    code = task.end()
    failed: set[str] = set()
    if code is not ExitCode.OK:
        code = ExitCode.FAILED if code is None else code
        inspections = prepared.sweep().inspections
        failed = {f.output.asset for f in inspections if f.status is not Status.RIGHT} - {""}
    still_unread = _unread(prepared) if checksum else set()
    failed |= still_unread
    counts = before.counts | {"checksums made": len(unread - still_unread), "failed": len(failed)}
    return replace(before, exit_code=code, counts=counts)


def _require_prepared(options: Options) -> PreparedRun:
    """Return the checked run, after deleting a damaged saved plan of it.

    Raises
    ------
    InputError
        The inputs are refused, or something is in the way.
    """
    prepared = prepare_run(options)
    prepared.store.forget_damaged_plan(prepared.plan_id)
    refusal = prepared.refusal()
    if refusal is not None:
        raise refusal
    return prepared


def _look_before(
    prepared: PreparedRun, unread: set[str], on_begin: Callable[[RemainingWork], None] | None
) -> Outcome:
    """Return the outcome of a successful run, after passing its work to `on_begin`."""
    # Of a hundred thousand images the changes are large: they must not outlive this.
    changes = find_changes(prepared)
    if on_begin is not None:
        on_begin(RemainingWork(run_path(prepared.store), images_to_do(changes), frozenset(unread)))
    datasets = Counter(change.dataset_id for change in changes if change.source)
    return Outcome(
        ExitCode.OK,
        count_verdicts(changes),
        dict(sorted(datasets.items())),
        sum(not change.source and change.verdict not in NOT_WRITTEN for change in changes),
    )


def validate_packaged(options: Options) -> ValidationReport:
    """Return the report on a packaged dataset; an up-to-date report on file is used again.

    Raises
    ------
    SpimpackError
        The official validator did not come to a verdict.
    """
    report = find_report(options.output_dir) or validate(options.output_dir)
    report.write(options.output_dir)
    return report


def _unread(prepared: PreparedRun) -> set[str]:
    """Return the images without an up-to-date checksum."""
    images = (output for output in prepared.plan().outputs if output.step is Step.ASSETS)
    return {output.asset for output in lacks_checksum(prepared.store, images)}


def _show_messages() -> None:
    """Show our tasks' messages as plain lines."""
    ours = logging.getLogger("spimpack_tasks")
    if not ours.handlers:
        ours.addHandler(logging.StreamHandler(sys.stderr))


def init_from_scan(options: ScanOptions) -> tuple[list[str], list[Problem]]:
    """Write a manifest and tables for the images below a folder.

    Returns
    -------
    The summary for the user, and warnings.

    Raises
    ------
    InputError
        The options are wrong, no image is found, or images cannot be told apart.
    ConflictError
        A manifest or a table is there already. In both cases nothing was written.
    """
    report = Report()
    request = check_options(options, report)
    if report.errors:
        raise InputError(report)
    report.extend(_conflicts(options.directory))
    if report.errors:
        raise ConflictError(report)
    result = FolderScanner(request, report).run()
    if report.errors:
        raise InputError(report)
    fill_from_headers(result, request, report)
    files = compose_tables(request, result)
    keys = {f"{name.removesuffix('.tsv')}_tsv" for name in files}
    files["manifest.yml"] = compose_manifest(keys, f"Made by: {options.command()}")
    if not os.path.lexists(os.path.join(request.directory, SCHEMA_FILE)):
        files[SCHEMA_FILE] = compose_schema()
    os.makedirs(request.directory, exist_ok=True)
    write_together(request.directory, files)
    wrote = [f"wrote {os.path.join(options.directory, name)}" for name in sorted(files)]
    return [*wrote, *describe_scan(result)], report.warnings


def _conflicts(directory: str) -> Iterator[Problem]:
    for name in ("manifest.yml", SCANS, PARTICIPANTS, PHOTOS, REPORT):
        path = os.path.join(directory, name)
        if os.path.lexists(path):
            hint = "move it away, or write elsewhere: spimpack init DIR --scan ..."
            yield Problem("conflict.exists", Place(path), "", "is there already", hint)


def make_demo(directory: Path, backend: str = "symlink") -> Iterator[str]:
    """Make the demo's inputs, package them, and yield messages for the user on the way.

    The dataset goes to `bids` in `directory`. If the demo exists already, only missing parts are
    made.

    Raises
    ------
    SpimpackError
        The directory holds other things, an extra is missing, or packaging failed.
    """
    if (
        directory.exists()
        and any(directory.iterdir())
        and not (directory / "manifest.yml").exists()
    ):
        message = f"{directory} is not empty and holds no demo; choose another directory"
        raise SpimpackError(message)
    manifest = write_demo_inputs(directory)
    yield f"Images, manifest and tables: {directory}"
    output = directory / "bids"
    options = Options(str(manifest.absolute()), str(output.absolute()), backend)
    outcome = package(options)
    yield from outcome.lines(str(output))
    yield from draw_tree(output)
    yield from validate(options.output_dir).verdict.lines()
