"""CPU, wall time and memory of a copy, beside those of `cp` on the same disk in the same minute.

    python benchmarks/copying.py [MB of the file] [files of the store]

Linux. One large file against `cp --reflink=never`, and one store of many small files against
`cp -r`; each is synced at the end, as what is published is. Files are compared by size and time at
the end, as `copy` does. Each copy is a process of its own; every figure is the median of three
runs, taken in turn. Memory does not count what the disk keeps in its cache.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROUNDS = 3
PIECE = os.urandom(2**20)
OURS = """\
import os, sys
from spimpack_tasks.files.atomic import sync_disk
from spimpack_tasks.files.copying import copy_file, copy_tree
source, path = sys.argv[1:]
(copy_tree if os.path.isdir(source) else copy_file)(source, path, lambda _: None)
sync_disk(os.path.dirname(path))
"""
CP = 'cp -r --reflink=never --preserve=timestamps "$0" "$1" && sync --file-system "$1"'


def write_file(path: Path, size_mb: int) -> Path:
    """Write a file that no disk can make smaller."""
    with path.open("wb") as file:
        for _ in range(size_mb):
            file.write(PIECE)
    return path


def write_store(path: Path, count: int) -> Path:
    """Write files of 20 kB, a hundred in a folder."""
    for number in range(count):
        chunk = path / str(number // 100) / str(number)
        chunk.parent.mkdir(parents=True, exist_ok=True)
        chunk.write_bytes(PIECE[:20_000])
    return path


def measure(command: list[str], source: Path, path: Path) -> tuple[float, float, float]:
    """Return CPU seconds, wall seconds, and MiB of memory of a copy."""
    os.sync()
    start = time.monotonic()
    process = subprocess.Popen([*command, source, path])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed")
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def machine() -> str:
    """Return what the figures depend on."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"


def main() -> None:
    """Print a table."""
    size_mb, count = (int(text) for text in (*sys.argv[1:], "2000", "10000")[:2])
    commands = {"spimpack": [sys.executable, "-c", OURS], "cp": ["bash", "-c", CP]}
    with tempfile.TemporaryDirectory(dir=".") as temporary:
        folder = Path(temporary)
        sources = {
            f"file of {size_mb:,} MiB": write_file(folder / "file", size_mb),
            f"store of {count:,} files": write_store(folder / "store", count),
        }
        print(f"{machine()}\n")
        print("| Copied | By | CPU s | Wall s | MiB | CPU / cp | Wall / cp |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for what, source in sources.items():
            rounds = defaultdict(list)
            for _ in range(ROUNDS):
                for name, command in commands.items():
                    rounds[name].append(measure(command, source, folder / "copy"))
            medians = {
                name: [statistics.median(column) for column in zip(*runs, strict=True)]
                for name, runs in rounds.items()
            }
            for name, (cpu, wall, memory) in medians.items():
                ratios = f"{cpu / medians['cp'][0]:.2f} | {wall / medians['cp'][1]:.2f}"
                print(f"| {what} | {name} | {cpu:.2f} | {wall:.2f} | {memory:.0f} | {ratios} |")


if __name__ == "__main__":
    main()
