"""Wall time of packaging where each question to the disk takes milliseconds, as on a network disk.

    python benchmarks/slow_disk.py --assets 1000 --ms 1 --spimpack ~/SPIMpack

Linux with a C compiler. `slow_disk.c` is loaded before each program, and has it wait whenever it
names a path below the folder of the benchmark. Writes a Markdown table: a fresh run, one with
nothing to do, and one after an edited cell, with the waiting and without it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import BIN, describe_machine, measure
from scale_inputs import edit_one_cell, undo_edit, write_inputs

SOURCE = Path(__file__).with_suffix(".c")
RUNS = ("fresh", "nothing to do", "one cell edited")


def build(folder: Path) -> Path:
    """Compile the stand-in, and return the library."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or sys.platform != "linux":
        sys.exit("skipped: the stand-in for a slow disk needs Linux and a C compiler")
    library = folder / "slow_disk.so"
    options = ["-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"]
    subprocess.run([compiler, *options], check=True)
    return library


def measure_runs(folder: Path, command: list[str | Path], **environment: str) -> list[float]:
    """Return the wall seconds of the three runs."""
    out = folder / "out"
    program = [*command, "--manifest", folder / "manifest.yml", "--output-dir", out]
    seconds = [measure(program, **environment).wall_s for _ in RUNS[:2]]
    edit_one_cell(folder)
    seconds.append(measure(program, **environment).wall_s)
    undo_edit(folder)
    shutil.rmtree(out)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--assets", type=int, default=1000, metavar="N", help="number of images")
    parser.add_argument("--ms", type=float, default=1.0, help="milliseconds for each question")
    parser.add_argument(
        "--spimpack", default="", metavar="DIR", help="a checkout of SPIMpack to compare with"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        library = build(Path(temporary))
        folder = Path(temporary, "data")
        write_inputs(folder, arguments.assets)
        slow = {
            "LD_PRELOAD": str(library),
            "SLOW_DISK": str(folder),
            "SLOW_DISK_US": str(round(arguments.ms * 1000)),
        }
        programs: dict[str, tuple[list[str | Path], dict[str, str]]] = {
            "`spimpack package`": ([BIN / "spimpack", "package"], {})
        }
        if arguments.spimpack:
            source = {"PYTHONPATH": str(Path(arguments.spimpack).resolve() / "src")}
            command: list[str | Path] = [sys.executable, "-m", "spimpack.cli", "package"]
            programs["SPIMpack"] = command, source
        print(f"{describe_machine(temporary)}; {arguments.assets:,} images.\n")
        print(f"| wall s | program | no waiting | {arguments.ms:g} ms a question | questions |")
        print("| --- | --- | ---: | ---: | ---: |")
        for name, (command, environment) in programs.items():
            quick = measure_runs(folder, command, **environment)
            waiting = measure_runs(folder, command, **environment, **slow)
            for run, without, with_it in zip(RUNS, quick, waiting, strict=True):
                each = (with_it - without) * 1000 / arguments.ms / arguments.assets
                print(f"| {run} | {name} | {without:.2f} | {with_it:.2f} | {each:.1f} |")


if __name__ == "__main__":
    main()
