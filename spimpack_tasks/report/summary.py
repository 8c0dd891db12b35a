"""Summarises the data of a report: groups of problems, steps of a run, and all of it as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.report.formatting import time_as_iso
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.report.data import ReportData
    from spimpack_tasks.report.graph import Node
    from spimpack_tasks.report.problems import ReportedProblem
    from spimpack_tasks.state.runs import Run


@dataclass(slots=True)
class StepTimes:
    """Tasks of a run in one step, and their times."""

    task: str
    tasks: int = 0
    """Number of the step's tasks that ran."""
    images: int = 0
    seconds: float = 0
    """Sum over all tasks."""
    longest: float = 0
    """Seconds of the task that took longest."""


def group_problems(problems: Iterable[ReportedProblem]) -> list[list[ReportedProblem]]:
    """Return the problems of one code together, in the order of the first of each."""
    groups: dict[tuple[str, str, str], list[ReportedProblem]] = {}
    for problem in problems:
        groups.setdefault((problem.found_by, problem.severity, problem.code), []).append(problem)
    return list(groups.values())


def summarise_steps(nodes: Iterable[Node], run: Run | None) -> list[StepTimes]:
    """Return the tasks of a run, and their times, for each step of a graph."""
    steps = {node.name: StepTimes(node.name) for node in nodes}
    for task in run.tasks if run is not None else ():
        # Checksums and validation may have been asked for as well: they are no part of the graph.
        step = steps.get(task.task)
        if step is not None:
            seconds = task.ended - task.started
            step.tasks += 1
            step.images += task.images
            step.seconds += seconds
            step.longest = max(step.longest, seconds)
    return list(steps.values())


def run_state(run: Run) -> str:
    """Return in words how a run ended."""
    if run.is_complete is None:
        return "it is going on, or was stopped before its end"
    return "it completed the dataset" if run.is_complete else "it did not complete the dataset"


def summarise(gathered: ReportData) -> dict[str, Any]:
    """Return the facts as a JSON-ready mapping; the schema `report` describes its keys."""
    return {
        "about": "report on a packaged BIDS dataset",
        "spimpack_tasks": __version__,
        "made": time_as_iso(gathered.made),
        "directory": gathered.output_dir,
        "plan": gathered.plan_id,
        "backend": gathered.backend,
        "complete": gathered.is_complete,
        "description": gathered.description,
        "numbers": asdict(gathered.numbers),
        "counts": gathered.counts,
        "problems": [problem.as_dict() for problem in gathered.problems],
        "validation": _validation(gathered),
        "run": _run(gathered),
        "steps": [
            {"task": node.name, "units": len(node.units), "complete": node.done}
            for node in gathered.tasks
        ],
        "publications": [each.as_dict() for each in gathered.publications],
        "files": [
            {"path": c.path, "status": str(c.verdict), "reasons": list(c.reasons)}
            for c in gathered.files
        ],
        "images": [
            {
                "path": image.path,
                "status": image.status,
                "reasons": list(image.reasons),
                "source": image.source,
                "bytes": image.size,
                "dataset_id": image.dataset_id,
            }
            for image in gathered.images
        ],
    }


def _validation(gathered: ReportData) -> dict[str, Any] | None:
    if gathered.validation is None:
        return None
    verdict = gathered.validation.verdict
    return {
        "valid": verdict.is_valid(),
        "errors": len(verdict.errors),
        "warnings": len(verdict.warnings),
        "validator": verdict.validator_version,
        "schema": verdict.schema_version,
        "outdated": gathered.is_validation_old,
    }


def _run(gathered: ReportData) -> dict[str, Any] | None:
    run = gathered.run
    if run is None:
        return None
    steps = summarise_steps(gathered.tasks, run)
    return {
        "plan": run.plan_id,
        "started": time_as_iso(run.started),
        **run.as_dict(),
        "processes": run.processes,
        "versions": run.versions,
        "steps": [
            {
                "task": step.task,
                "tasks": step.tasks,
                "images": step.images,
                "seconds": round(step.seconds, 3),
                "longest": round(step.longest, 3),
            }
            for step in steps
            if step.tasks
        ],
    }
