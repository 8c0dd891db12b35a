"""Facts about processes of this machine."""

from __future__ import annotations

import os
from functools import cache
from multiprocessing import parent_process

from spimpack_tasks.files.processes import start_of_process
from spimpack_tasks.state.work_notes import host_name


@cache
def identify_process() -> str:
    """Return an identity of this process, or of the one that has forked it as a worker of Luigi.

    A flow that yields a task of ours makes it again in each worker, and it must be the same each
    time.
    """
    parent = parent_process()
    process = os.getpid() if parent is None or parent.pid is None else parent.pid
    return f"{host_name()}-{process:x}-{start_of_process(process)}"
