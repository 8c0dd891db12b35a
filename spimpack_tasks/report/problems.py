"""Collects the problems of a dataset from runs, disk, validator and inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Severity
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.packaging.changes import Verdict
from spimpack_tasks.verification.verify import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.packaging.changes import Change
    from spimpack_tasks.state.runs import Run
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.validation.report import ValidationReport
    from spimpack_tasks.verification.verify import Deviation

DISK = "disk"
INPUTS = "inputs"
RUN = "last run"
VALIDATOR = "bids-validate"


@dataclass(frozen=True, slots=True)
class ReportedProblem:
    """One thing that is wrong."""

    found_by: str
    """One of the names above."""
    severity: Severity
    code: str
    """The key by which problems are grouped."""
    key: str
    """Which key or column it is about; empty where the code says all."""
    place: str
    """File, with line and column where that is known, or task."""
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the problem as a JSON-ready mapping."""
        names = self.__slots__
        return {name: str(getattr(self, name)) for name in names}


def problems_of_run(run: Run | None) -> Iterator[ReportedProblem]:
    """Yield the failures of a run."""
    for failure in run.failures if run is not None else ():
        place = " ".join(filter(None, [failure.task, failure.unit]))
        for reason in failure.error.splitlines():
            yield ReportedProblem(RUN, Severity.ERROR, "task failed", "", place, reason)


def problems_of_disk(
    changes: list[Change], deviations: list[Deviation]
) -> Iterator[ReportedProblem]:
    """Yield conflicts, files that are not ours, and changed or missing sources."""
    for change in changes:
        if change.verdict is Verdict.CONFLICT:
            message = "; ".join(change.reasons)
            yield ReportedProblem(DISK, Severity.ERROR, "conflict", "", change.path, message)
    for deviation in deviations:
        if deviation.fault in _SEVERITIES:
            severity, code = _SEVERITIES[deviation.fault], str(deviation.fault)
            message = deviation.detail or "was not written by this program"
            yield ReportedProblem(DISK, severity, code, "", deviation.path, message)


# All other deviations appear as the verdict on an image or a file.
_SEVERITIES = {
    Fault.SOURCE_GONE: Severity.ERROR,
    Fault.SOURCE_CHANGED: Severity.WARNING,
    Fault.UNREADABLE: Severity.ERROR,
    Fault.EXTRA: Severity.WARNING,
}


def problems_of_validator(validation: ValidationReport | None) -> Iterator[ReportedProblem]:
    """Yield the findings of the last validation."""
    for finding in validation.verdict.findings if validation is not None else ():
        place = ":".join(filter(None, [finding.location or "dataset", str(finding.line or "")]))
        message = " ".join(finding.message.split())
        code, key = finding.code, finding.sub_code
        yield ReportedProblem(VALIDATOR, finding.severity, code, key, place, message)


def problems_of_inputs(store: Store, plan_id: str) -> Iterator[ReportedProblem]:
    """Yield the warnings that validation of the inputs gave when a plan was made.

    Notes are about the choices of a run, and are no problems.
    """
    nothing: list[ReportedProblem] = []
    found = read_json(store.path("validated", plan_id), _reported, nothing)
    yield from (problem for problem in found if problem.severity is not Severity.NOTE)


def _reported(problems: list[dict[str, Any]]) -> list[ReportedProblem]:
    return [_report_input(problem) for problem in problems]


def _report_input(problem: dict[str, Any]) -> ReportedProblem:
    numbers = (str(problem[name] or "") for name in ("line", "column"))
    place = ":".join(filter(None, [problem["file"], *numbers]))
    hint = f"; {problem['hint']}" if problem["hint"] else ""
    message = f"{problem['message']}{hint}"
    severity = Severity(problem["severity"])
    return ReportedProblem(INPUTS, severity, problem["code"], problem["key"], place, message)
