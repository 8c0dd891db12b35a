"""One run of our tasks by Luigi's local scheduler, for programs that import Luigi for work only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks import PackageDataset
from spimpack_tasks.luigi_run import build_alone
from spimpack_tasks.packaging.tasks.planning import DatasetTask
from spimpack_tasks.packaging.tasks.recording import record_tasks

if TYPE_CHECKING:
    from spimpack_tasks.errors import ExitCode
    from spimpack_tasks.packaging.options import Options


def run_tasks(options: Options, plan_id: str, workers: int) -> ExitCode | None:
    """Run PackageDataset in this process, and return the exit code that the dataset asks for.

    Parameters
    ----------
    options
        Options of the run, nothing open; it is noted as the present one.
    plan_id
        Identity of its plan.
    workers
        Number of processes.
    """
    record_tasks(DatasetTask)
    task = PackageDataset(**options.parameters(), plan_id=plan_id)
    build_alone(task, workers)
    return task.end()
