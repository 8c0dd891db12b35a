"""Supervises a command, as a program of its own: `python supervisor.py DESCRIPTOR COMMAND ...`.

The command runs in a process group of its own. It is stopped when standard input ends: the parent
process has closed it, or has died. Stopping begins with the signal of Ctrl+C, so that the command
can end in its own way. A command that does not end is killed, with all its children. The process id
is written to the descriptor, and the exit code becomes that of the supervisor. This module imports
nothing of the package, so it takes hardly any memory.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress

STEPS = (
    # Python loses a signal that arrives while it forks a worker or runs a finaliser.
    (signal.SIGINT, 1.0),
    (signal.SIGINT, 4.0),
    (signal.SIGINT, 10.0),
    (signal.SIGTERM, 5.0),
    (signal.SIGKILL, None),
)
"""Signals to all processes of the command, each with the seconds to wait for its end."""


def main(descriptor: int, command: list[str]) -> int:
    """Run a command until it ends, or standard input does."""
    # A server that a script has put into the background has this signal ignored, as its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(  # noqa: S603 - no shell, and arguments that were checked
        command, stdin=subprocess.DEVNULL, process_group=0
    )
    os.write(descriptor, str(process.pid).encode())
    os.close(descriptor)
    ended = _watch(process.pid)
    if ended not in select.select([ended, sys.stdin.fileno()], (), ())[0]:
        for step, seconds in STEPS:
            os.killpg(process.pid, step)
            if select.select([ended], (), (), seconds)[0]:
                break
    # Until its exit code is read, its number cannot belong to another process group.
    with suppress(PermissionError, ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    return code if code >= 0 else 128 - code


def _watch(process: int) -> int:
    """Return a descriptor that can be read when a process has ended."""
    ended, end = os.pipe()

    def wait() -> None:
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        os.close(end)

    threading.Thread(target=wait, daemon=True).start()
    return ended


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
