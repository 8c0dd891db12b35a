"""How many system calls an image costs: on a network disk, each of them is a question to a server.

    python benchmarks/system_calls.py
    python benchmarks/system_calls.py --assets 400 3000 --program spimpack

Counts the calls of a run by `strace -f -c` for two numbers of images; the slope between them is the
cost of an image, without that of Python's start. Writes a Markdown table for a fresh run, one with
nothing to do, and one after an edited cell. Needs strace.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from measuring import BIN, measure
from scale import AGAIN, EDITED, FRESH, HERE, edit_one_cell, luigi_run, write_inputs

SMALLEST = 0.05
"""Calls of a kind that are less than this for an image are not of the images."""

GROUPS = {
    "stat": {"newfstatat", "stat", "lstat", "fstat", "statx"},
    "open": {"openat", "open", "openat2"},
    "close": {"close"},
    "readlink": {"readlink", "readlinkat"},
    "rename": {"rename", "renameat", "renameat2"},
    "symlink, mkdir": {"symlink", "symlinkat", "mkdir", "mkdirat"},
    "read, write": {"read", "pread64", "write", "writev"},
    "lseek, ioctl": {"lseek", "ioctl"},
    "list": {"getdents64", "getdents"},
    "unlink": {"unlink", "unlinkat", "rmdir"},
    "lock": {"flock"},
}
MEMORY = {
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "madvise",
    "mprotect",
    "futex",
    "rt_sigaction",
    "clock_gettime",
}
"""Calls that ask no disk."""


def command_of(program: str, folder: Path) -> list[str | Path]:
    """Return the command that packages the images of a folder."""
    if program == "luigi":
        return luigi_run(folder, folder / "out")
    inputs = ["--manifest", folder / "manifest.yml", "--output-dir", folder / "out"]
    return [BIN / "spimpack", "package", *inputs]


def count_calls(command: list[str | Path], folder: Path) -> Counter[str]:
    """Run a command, and return its system calls by name."""
    counts = folder / "counts"
    measure(["strace", "-f", "-c", "-o", counts, *command], PYTHONPATH=str(HERE))
    found: Counter[str] = Counter()
    for line in counts.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            found[words[-1]] = int(words[3])
    return found


def count_runs(program: str, root: Path, assets: int) -> dict[str, Counter[str]]:
    """Return the system calls of each run."""
    folder = root / str(assets)
    write_inputs(folder, assets)
    command = command_of(program, folder)
    found = {run: count_calls(command, folder) for run in (FRESH, AGAIN)}
    edit_one_cell(folder)
    found[EDITED] = count_calls(command, folder)
    return found


def slope(few: Counter[str], many: Counter[str], images: int) -> dict[str, float]:
    """Return the calls for an image, by group."""
    by_name = {name: (many[name] - few[name]) / images for name in many if name not in MEMORY}
    grouped = {g: sum(by_name.pop(n, 0.0) for n in names) for g, names in GROUPS.items()}
    shown = {name: calls for name, calls in (grouped | by_name).items() if abs(calls) >= SMALLEST}
    return {"all": sum(shown.values())} | shown


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    sizes = {"type": int, "nargs": 2, "default": [400, 3_000], "metavar": "N"}
    parser.add_argument("--assets", help="two numbers of images", **sizes)
    parser.add_argument("--program", choices=["luigi", "spimpack"], default="luigi")
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is not installed")
    few, many = sorted(arguments.assets)
    with tempfile.TemporaryDirectory() as folder:
        count_runs(arguments.program, Path(folder) / "compile", 1)
        counted = [count_runs(arguments.program, Path(folder), n) for n in (few, many)]
    slopes = {run: slope(counted[0][run], counted[1][run], many - few) for run in counted[0]}
    names = list(dict.fromkeys(name for found in slopes.values() for name in found))
    print(f"| system calls an image | {' | '.join(slopes)} |")
    print(f"| --- |{' ---: |' * len(slopes)}")
    for name in names:
        print(f"| {name} | {' | '.join(f'{s.get(name, 0.0):.1f}' for s in slopes.values())} |")
    fixed = (sum(counted[0][run].values()) for run in slopes)
    print(f"| all calls of {few} images | {' | '.join(f'{calls:,}' for calls in fixed)} |")


if __name__ == "__main__":
    main()
