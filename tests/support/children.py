"""Forked children, for tests that harm or watch a process in ways that cannot be undone."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def start(action: Callable[[], int], log: str = os.devnull) -> int:
    """Run an action in a forked child, its standard error in `log`; return the process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
        code = action()
    except BaseException:  # noqa: BLE001 - the child must not go on as a second pytest
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """Wait for a child and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


PRINT_PEAK_KIB = (
    "print(next(line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line))"
)
"""Code that prints the peak of the process it is in; `ru_maxrss` would count its parent's too."""
