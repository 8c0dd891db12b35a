"""The task that validates a dataset, and its target: a report that is about the dataset as it is.

What keeps a dataset from being valid is mended outside of what a task knows: in the dataset, or by
an installation. So each run makes tasks of its own (`run_id`), and a central scheduler, which gives
up a task that has failed, and does not repeat one that was done just now, never takes the next run
for the last one.
"""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import luigi

from spimpack_tasks.errors import ExitCode, InvalidDatasetError, SpimpackError
from spimpack_tasks.luigi_run import CheckedTask, at_end_of_run
from spimpack_tasks.luigi_setup import AbsolutePath, disk_trouble_told
from spimpack_tasks.validation.report import check_place, place_for
from spimpack_tasks.validation.validate import (
    find_report,
    take_fingerprint,
    validate,
)

if TYPE_CHECKING:
    from spimpack_tasks.validation.report import ValidationReport

logger = logging.getLogger(__name__)


@cache
def _start_of_process() -> str:
    return f"{time.time_ns():x}"


def make_run_id(dataset: str) -> str:
    """Return what tells tasks on a dataset from those of other runs, and of its other states."""
    try:
        fingerprint = take_fingerprint(dataset)
    except (SpimpackError, OSError):
        fingerprint = "unknown"
    return f"{fingerprint[:16]}-{_start_of_process()}"


class CleanReport(luigi.Target):
    """A report that is about the dataset as it is, and has nothing against it."""

    def __init__(self, task: ValidateDataset) -> None:
        self.task = task
        self.path = place_for(task.dataset, task.report)

    def exists(self) -> bool:
        """Compare the report with the dataset."""
        report = self.task.found()
        return report is not None and report.verdict.is_valid(strict=self.task.strict)


class ValidateDataset(CheckedTask):
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
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="What tells this run from others; worked out if not given."
    )

    # What is wrong now is wrong a minute later.
    retry_count = 1

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out `run_id` where it is not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values["run_id"]:
            values["run_id"] = make_run_id(values["dataset"])
            at_end_of_run(lambda: cls(**values).verdict())
        return list(values.items())

    def output(self) -> luigi.Target:
        return CleanReport(self)

    def run(self) -> None:
        with disk_trouble_told():
            check_place(self.dataset, self.report)
            report = validate(self.dataset, full=self.full)
            report.write(self.dataset, self.report)
        page = "\n".join(report.lines(self.dataset, place_for(self.dataset, self.report)))
        if not report.verdict.is_valid(strict=self.strict):
            raise InvalidDatasetError(page)
        logger.info("%s", page)

    def found(self) -> ValidationReport | None:
        """Return the report on the dataset as it is, `None` where there is none."""
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
