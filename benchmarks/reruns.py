"""CPU seconds of a fresh run, a run with nothing to do, and a run after one edited cell.

    python benchmarks/reruns.py
    python benchmarks/reruns.py --assets 1000 --spimpack ~/SPIMpack

Each run is a process of its own, and counts user and system time of it and its children. Beside
them stands `luigi --help`, which is what Python and Luigi alone take, and, where a checkout of
SPIMpack is given, SPIMpack on the same rows. Sources are tiny OME-TIFFs. A fresh run reads their
headers, which SPIMpack does not. Writes a Markdown table to standard output.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spimpack_tasks.demo.images import DemoImage, write_ome_tiff

BIN = Path(sys.executable).parent
DESCRIPTION = """\
dataset_description:
  Name: Benchmark
  BIDSVersion: 1.10.0
  DatasetType: raw
  License: CC0
  Authors: [A One]
scans_tsv: scans.tsv
"""
COLUMNS = (
    "subject",
    "sample",
    "acquisition",
    "spim_path",
    "orientation_string_xyz",
    "sample_staining",
    "PixelSize",
    "PixelSizeUnits",
    "Comment",
)


def measure(command: list[str | Path], environment: dict[str, str]) -> tuple[float, float]:
    """Return CPU and wall seconds of a command, which must succeed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall


def write_inputs(folder: Path, assets: int) -> Path:
    """Make sources, table and manifest, ten images to a subject."""
    raw = folder / "raw"
    raw.mkdir()
    image = raw / "image.ome.tif"
    write_ome_tiff(image, DemoImage(("Abeta",), (2, 8, 8), (4.0, 1.8, 1.8), levels=1))
    content = image.read_bytes()
    rows = []
    for number in range(assets):
        source = raw / f"{number:06}.ome.tif"
        source.write_bytes(content)
        subject, acquisition = f"{number // 10:05}", f"{number % 10}x"
        rows.append([subject, "brain", acquisition, str(source), "RPI", "Abeta"])
    write_table(folder, [[*row, "1.8;1.8;4", "um", "as delivered"] for row in rows])
    manifest = folder / "manifest.yml"
    manifest.write_text(DESCRIPTION)
    return manifest


def write_table(folder: Path, rows: list[list[str]]) -> None:
    text = "".join("\t".join(row) + "\n" for row in [list(COLUMNS), *rows])
    (folder / "scans.tsv").write_text(text)


def edit_one_cell(folder: Path) -> None:
    table = folder / "scans.tsv"
    table.write_text(table.read_text().replace("as delivered", "edited", 1))


def measure_runs(
    program: list[str | Path], folder: Path, assets: int, environment: dict[str, str]
) -> dict[str, tuple[float, float]]:
    """Return what a fresh run, a second one, and one after an edit take."""
    folder.mkdir()
    manifest = write_inputs(folder, assets)
    command = [*program, "package", "--manifest", manifest, "--output-dir", folder / "bids"]
    found = {"fresh": measure(command, environment)}
    found["nothing to do"] = measure(command, environment)
    edit_one_cell(folder)
    found["one cell edited"] = measure(command, environment)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--assets", type=int, default=10_000, metavar="N", help="number of images")
    parser.add_argument("--spimpack", metavar="DIR", help="a checkout of SPIMpack to compare with")
    arguments = parser.parse_args()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    ours: list[str | Path] = [BIN / "spimpack"]
    measure([*ours, "--help"], environment)  # compiles what is not compiled yet
    floor = measure([BIN / "luigi", "--help"], environment)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        programs = {
            "spimpack_tasks": measure_runs(ours, root / "ours", arguments.assets, environment)
        }
        if arguments.spimpack:
            source = str(Path(arguments.spimpack).resolve() / "src")
            theirs: list[str | Path] = [sys.executable, "-m", "spimpack.cli"]
            environment["PYTHONPATH"] = source
            measure([*theirs, "--help"], environment)
            programs["SPIMpack"] = measure_runs(
                theirs, root / "theirs", arguments.assets, environment
            )
    print(
        f"| {arguments.assets:,} images | {' | '.join(f'{p}, CPU s (wall s)' for p in programs)} |"
    )
    print(f"| --- |{' --- |' * len(programs)}")
    print(f"| `luigi --help` |{f' {floor[0]:.2f} ({floor[1]:.2f}) |' * len(programs)}")
    for run in ("fresh", "nothing to do", "one cell edited"):
        cells = (f"{times[run][0]:.2f} ({times[run][1]:.2f})" for times in programs.values())
        print(f"| {run} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
