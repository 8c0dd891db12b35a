"""Facts about processes of this machine, by which another one knows whether they have ended."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from functools import cache
from hashlib import blake2b


@cache
def identify_processes() -> str:
    """Return an identity of the numbers of processes: of this machine since it was started.

    Containers count by themselves. It is that of Linux ("random.c" and `man 7 pid_namespaces`), and
    empty elsewhere.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            parts = file.read() + os.fsencode(os.readlink("/proc/self/ns/pid"))
    except OSError:
        return ""
    return blake2b(parts, digest_size=8).hexdigest()


def start_of_process(process: int) -> str:
    """Return when a process began, which tells it from others that had its number.

    It is a number of clock ticks on Linux ("starttime", `man 5 proc`), and a date as of `ps`
    elsewhere; empty if it cannot be found out.
    """
    with suppress(OSError), open(f"/proc/{process}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[19].decode()
    command = ["ps", "-o", "lstart=", "-p", str(process)]
    try:
        found = subprocess.run(  # noqa: S603  # a program of the system, and a number
            command, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "-".join(found.stdout.split())


def has_ended(process: int, started: str, machine: str) -> bool:
    """Tell whether a process is known to have ended.

    Parameters
    ----------
    process
        Its number.
    started
        As of `start_of_process`.
    machine
        As of `identify_processes`, where the process ran.
    """
    if process <= 0 or not started or not machine or machine != identify_processes():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is of another user
    now = start_of_process(process)
    return bool(now) and now != started
