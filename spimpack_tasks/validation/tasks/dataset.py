"""The task that validates a dataset, and its target: an up-to-date report without errors.

A user repairs an invalid dataset by editing it or by an installation, which no task can see. So
each run makes tasks with an identity of their own (`run_id`). A central scheduler gives up failed
tasks and does not repeat recent ones; the identity makes it run the new task all the same.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.errors import ExitCode, InvalidDatasetError, SpimpackError
from spimpack_tasks.luigi_run import IdentifiedTask
from spimpack_tasks.luigi_setup import AbsolutePath, reporting_disk_errors
from spimpack_tasks.state.processes import identify_process
from spimpack_tasks.validation.report import check_place, place_for
from spimpack_tasks.validation.validate import (
    find_report,
    take_fingerprint,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.validation.report import ValidationReport

logger = logging.getLogger(__name__)


def make_run_id(dataset: str) -> str:
    """Return an identity for tasks of this run on the present state of a dataset."""
    try:
        fingerprint = take_fingerprint(dataset)
    except (SpimpackError, OSError):
        fingerprint = "unknown"
    return f"{fingerprint[:16]}-{identify_process()}"


class CleanReport(luigi.Target):
    """An up-to-date report without errors."""

    def __init__(self, task: ValidateDataset) -> None:
        self.task = task
        self.path = place_for(task.dataset, task.report)

    def exists(self) -> bool:
        """Compare the report with the dataset."""
        report = self.task.found()
        return report is not None and report.verdict.is_valid(strict=self.task.strict)


class ValidateDataset(IdentifiedTask):
    """Validate a BIDS dataset with the official validator and checks of our own."""

    dataset: luigi.Parameter[str] = AbsolutePath(
        default="", description="Directory of the BIDS dataset."
    )
    full: luigi.Parameter[bool] = luigi.BoolParameter(
        description="Let the official validator see the dataset itself, with every chunk."
    )
    strict: luigi.Parameter[bool] = luigi.BoolParameter(description="Treat warnings as errors.")
    report: luigi.Parameter[str] = AbsolutePath(
        default="", description="File for the report, if not in the state directory of the dataset."
    )
    identity = "run_id"
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identifies this run among others; chosen if not given."
    )

    @classmethod
    def identify(cls, values: dict[str, Any], _given: Mapping[str, Any]) -> str:
        """Return the identity of this run on the present state of the dataset."""
        return make_run_id(values["dataset"])

    def output(self) -> luigi.Target:
        return CleanReport(self)

    def run(self) -> None:
        with reporting_disk_errors():
            check_place(self.dataset, self.report)
            report = validate(self.dataset, full=self.full)
            report.write(self.dataset, self.report)
        page = "\n".join(report.lines(self.dataset, place_for(self.dataset, self.report)))
        if not report.verdict.is_valid(strict=self.strict):
            raise InvalidDatasetError(page)
        logger.info("%s", page)

    def found(self) -> ValidationReport | None:
        """Return the up-to-date report on the dataset, `None` if there is none."""
        try:
            return find_report(self.dataset, full=self.full, path=self.report)
        except (SpimpackError, OSError):
            return None

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the dataset asks for, `None` if it is open."""
        report = self.found()
        if report is not None:
            valid = report.verdict.is_valid(strict=self.strict)
            return ExitCode.OK if valid else ExitCode.INVALID
        try:
            take_fingerprint(self.dataset, full=self.full)
            check_place(self.dataset, self.report)
        except SpimpackError as error:
            return error.exit_code
        except OSError:
            return ExitCode.FAILED
        return None
