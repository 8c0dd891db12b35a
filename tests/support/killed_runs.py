"""Kills a run of the program, with all its processes, before a request of its reaches a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

from fault_proxy import FaultProxy, Request


def run_until(
    proxy: FaultProxy,
    words: list[str],
    environment: dict[str, str],
    is_due: Callable[[Request], bool],
) -> int:
    """Run the program until `is_due` says so of a request, and return its exit code.

    The request that it is killed before is dropped. Afterwards the proxy injects no faults, and
    its `requests` are those of the run.
    """
    killed: list[int] = []

    def kill(request: Request) -> str:
        if killed and is_due(request):
            os.killpg(killed[0], signal.SIGKILL)
            return "drop"
        return ""

    proxy.begin(kill)
    process = subprocess.Popen(
        [sys.executable, "-m", "spimpack_tasks.cli.main", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    killed.append(process.pid)
    process.wait(timeout=120)
    proxy.faults = []
    return process.returncode
