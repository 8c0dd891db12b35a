"""Supervises a command, as a program of its own: `python supervisor.py DESCRIPTOR COMMAND ...`.

The command runs in a process group of its own, and is stopped when standard input ends: because
whoever started it lets go, or because that process is gone, in whatever way. Stopping begins with
what Ctrl+C sends, so that the command can end as it likes; what does not end is killed, with all
that it started. The number of its process is written to the descriptor, and its exit code becomes
that of the supervisor. Nothing of this package is imported here: it takes no memory to speak of.
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
    # Python loses one that comes while it forks a worker, or runs what an object has to do last.
    (signal.SIGINT, 1.0),
    (signal.SIGINT, 4.0),
    (signal.SIGINT, 10.0),
    (signal.SIGTERM, 5.0),
    (signal.SIGKILL, None),
)
"""What is sent to all processes of the command, and how many seconds it then has to end."""


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
    # As long as nobody has asked for its exit code, its number cannot be that of another group.
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
