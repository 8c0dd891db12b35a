"""One study by Luigi's local scheduler."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from spimpack_tasks import ProcessStudy
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.luigi_run import build_alone
from spimpack_tasks.state.processes import identify_process
from spimpack_tasks.study.joint_run import join_run, leave_run
from spimpack_tasks.study.reading import read_study
from spimpack_tasks.study.tasks.memory import MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_study(path: str, workers: int, only: Sequence[str] = (), until: str = "") -> ExitCode:
    """Make all that a study asks for in this process, and return the exit code.

    Raises
    ------
    SpimpackError
        The study is wrong, or another run works at it.
    """
    study = read_study(path)
    join_run(study, is_alone=True)
    try:
        return _run_study(path, workers, only, until)
    finally:
        leave_run(study)


def _run_study(path: str, workers: int, only: Sequence[str], until: str) -> ExitCode:
    MEMORY.forget()
    run_id = f"{identify_process()}-{time.time_ns():x}"
    task = ProcessStudy(study=path, only=",".join(only), until=until, run_id=run_id)
    build_alone(task, workers)
    MEMORY.forget()
    code = task.verdict()
    return ExitCode.FAILED if code is None else code
