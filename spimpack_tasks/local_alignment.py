"""One task of the alignment by Luigi's local scheduler, without the tasks of other stages."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment.tasks.results import PrepareAlignment, WriteDatapackage
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.luigi_run import build_alone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.luigi_run import CheckedTask


def run_alignment(parameters: Mapping[str, Any], workers: int, *, only_package: bool) -> ExitCode:
    """Run the alignment in this process, and return its exit code."""
    kind: type[CheckedTask] = WriteDatapackage if only_package else PrepareAlignment
    task = kind(**parameters)
    if only_package and isinstance(task, WriteDatapackage) and not task.is_refused:
        task.remove_stale()
        with suppress(FileNotFoundError):
            os.unlink(task.chain.state_path("datapackage"))
    build_alone(task, workers)
    code = task.verdict()
    return ExitCode.FAILED if code is None else code
