"""Measures a command as a process of its own, with its children, and says on what machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Measurement:
    """What one run of a command took."""

    cpu_s: float
    """User and system time, of its children as well."""
    wall_s: float
    peak_mib: float
    """Of the largest of its processes."""
    output: str


def measure(command: list[str | Path], **environment: str) -> Measurement:
    """Run a command, which must succeed."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as output:
        start = time.monotonic()
        process = subprocess.Popen(
            command, env=inherited | environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        sys.exit(f"{command} exited {process.returncode}:\n{text}")
    return Measurement(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, text)


def describe_machine(folder: str) -> str:
    """Return what the figures depend on, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    disk = subprocess.run(
        ["stat", "--file-system", "--format=%T", folder], capture_output=True, text=True, check=True
    ).stdout.strip()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {disk} disk, load {load:.1f} at the start"
    )
