"""The tasks that join stages. A module of its own, since importing the package imports it."""

from __future__ import annotations

from typing import Any

import luigi

from spimpack_tasks.errors import ExitCode, MissingExtraError
from spimpack_tasks.packaging.tasks.dataset import ChecksumTask, PackageDataset
from spimpack_tasks.validation.bids_validator import find_validator
from spimpack_tasks.validation.tasks.dataset import ValidateDataset, make_run_id


class PackageAndValidate(ChecksumTask):
    """Package the images of a manifest into a BIDS dataset, then validate the dataset."""

    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identifies this run among others; chosen if not given."
    )

    retry_count = ValidateDataset.retry_count

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out `run_id` where it is not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        values["run_id"] = values["run_id"] or make_run_id(values["output_dir"])
        return list(values.items())

    def requires(self) -> list[luigi.Task]:
        # Without the validator nothing is packaged: run() says that it is missing.
        return self.refusal() or [self.packaging()] if has_validator() else []

    def output(self) -> list[luigi.Target]:
        return [*self.packaging().output(), self.validation().output()]

    def run(self) -> None:
        find_validator()
        validation = self.validation()
        if not validation.complete():
            validation.run()

    def packaging(self) -> PackageDataset:
        """Return the task that packages."""
        packaging: PackageDataset = self.clone(PackageDataset)
        return packaging

    def validation(self) -> ValidateDataset:
        """Return the task that validates the dataset in its present state."""
        return ValidateDataset(dataset=self.output_dir, strict=bool(self.strict))

    def verdict(self) -> ExitCode | None:
        """Return the exit code that the state of the dataset asks for, `None` if it is open."""
        code = super().verdict()
        if code is not None:
            return code
        if not has_validator():
            return ExitCode.BAD_INPUT
        return self.validation().verdict() if self.packaging().complete() else None


def has_validator() -> bool:
    """Tell whether the official validator is installed."""
    try:
        find_validator()
    except MissingExtraError:
        return False
    return True
