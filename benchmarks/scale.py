"""What packaging 10 to 100,000 images takes, beside SPIMpack, plain Luigi and the bare system.

    python benchmarks/scale.py
    python benchmarks/scale.py --assets 10 1000 10000 100000 --spimpack ~/SPIMpack

Writes Markdown: what each program takes for a fresh run, one with nothing to do, one after an
edited cell, and for checking the inputs alone; then the ratios that are aimed at. Sources are tiny
OME-TIFFs. We read their headers, which the others do not. Put TMPDIR on a quiet disk, best in
memory: making a file costs a disk anything from 5 to 500 us.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import BIN, Measurement, describe_machine, measure

MAKE_IMAGE = """\
import sys
from pathlib import Path
from spimpack_tasks.demo.images import DemoImage, write_ome_tiff
write_ome_tiff(Path(sys.argv[1]), DemoImage(("Abeta",), (2, 8, 8), (4.0, 1.8, 1.8), levels=1))
"""
HERE = Path(__file__).parent
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
    *("subject", "sample", "acquisition", "spim_path", "orientation_string_xyz"),
    *("sample_staining", "PixelSize", "PixelSizeUnits", "Comment"),
)
MOST_PLAIN = 1_000
"""Plain Luigi takes minutes for 10,000 tasks, and a day for 100,000."""

Results = dict[tuple[str, str, int], Measurement]
"""By program, run and number of images."""

OURS, CLI, SPIMPACK = "`luigi … PackageDataset`", "`spimpack package`", "SPIMpack"
PLAIN, LOOP, STAT, HELP = "one task per image", "bare loop", "`stat` sweep", "`luigi --help`"
FRESH, AGAIN, EDITED, CHECK = "fresh", "nothing to do", "one cell edited", "inputs checked"


def write_inputs(folder: Path, assets: int) -> None:
    """Make sources, table and manifest, ten images to a subject."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    # In a process of its own: a child's peak of memory begins with that of its parent.
    subprocess.run([sys.executable, "-c", MAKE_IMAGE, raw / "image"], check=True)
    content = (raw / "image").read_bytes()
    rows = [COLUMNS]
    for number in range(assets):
        source = raw / f"{number:06}.ome.tif"
        source.write_bytes(content)
        labels = (f"{number // 10:05}", "brain", f"{number % 10}x")
        rows.append((*labels, str(source), "RPI", "Abeta", "1.8;1.8;4", "um", "as delivered"))
    (folder / "scans.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    (folder / "manifest.yml").write_text(DESCRIPTION)


def edit_one_cell(folder: Path) -> None:
    table = folder / "scans.tsv"
    table.write_text(table.read_text().replace("as delivered", "edited", 1))


def undo_edit(folder: Path) -> None:
    table = folder / "scans.tsv"
    table.write_text(table.read_text().replace("edited", "as delivered", 1))


def measure_packager(
    results: Results, name: str, folder: Path, assets: int, command: list[str | Path], **env: str
) -> None:
    """Measure a fresh run, a second one, and one after an edit."""
    results[name, FRESH, assets] = measure(command, **env)
    results[name, AGAIN, assets] = measure(command, **env)
    edit_one_cell(folder)
    results[name, EDITED, assets] = measure(command, **env)
    undo_edit(folder)


def luigi_run(task: str, folder: Path, out: str, *further: str) -> list[str | Path]:
    options = ["--manifest", folder / "manifest.yml", "--output-dir", folder / out]
    program = [BIN / "luigi", "--module", "plain_tasks", task]
    return [*program, *options, "--local-scheduler", *further]


def measure_size(results: Results, root: Path, assets: int, spimpack: str) -> None:
    folder = root / str(assets)
    write_inputs(folder, assets)
    inputs: list[str | Path] = ["--manifest", folder / "manifest.yml", "--output-dir"]
    ours = luigi_run("PackageDataset", folder, "ours")
    measure_packager(results, OURS, folder, assets, ours, PYTHONPATH=str(HERE))
    cli = [BIN / "spimpack", "package", *inputs, folder / "cli"]
    measure_packager(results, CLI, folder, assets, cli)
    check = [BIN / "spimpack", "validate", *inputs[:2]]
    results[CLI, CHECK, assets] = measure(check)
    if spimpack:
        theirs = [sys.executable, "-m", "spimpack.cli", "package", *inputs, folder / "theirs"]
        source = str(Path(spimpack).resolve() / "src")
        measure_packager(results, SPIMPACK, folder, assets, theirs, PYTHONPATH=source)
    table = [folder / "scans.tsv", folder / "bare"]
    loop = [sys.executable, HERE / "floors.py"]
    results[LOOP, FRESH, assets] = measure([*loop, "make", *table])
    results[STAT, AGAIN, assets] = measure([*loop, "look", *table])
    if assets <= MOST_PLAIN:
        options = ["--table", folder / "scans.tsv", "--out", folder / "plain", "--local-scheduler"]
        plain = [BIN / "luigi", "--module", "plain_tasks", "PlainPackage", *options]
        results[PLAIN, FRESH, assets] = measure(plain, PYTHONPATH=str(HERE))
        results[PLAIN, AGAIN, assets] = measure(plain, PYTHONPATH=str(HERE))


def measure_workers(root: Path, assets: int) -> tuple[float, float]:
    """Return what two workers cost on light steps, and how much faster they are on heavy ones."""
    light, heavy = root / "light", root / "heavy"
    write_inputs(light, min(assets, 1000))
    write_inputs(heavy, min(assets, 40))
    cpu, wall = [], []
    for workers in ("1", "2"):
        run = luigi_run("PackageDataset", light, f"out{workers}", "--workers", workers)
        cpu.append(measure(run, PYTHONPATH=str(HERE)).cpu_s)
        further = ("--workers", workers, "--backend", "slow")
        run = luigi_run("PackageDataset", heavy, f"out{workers}", *further)
        wall.append(measure(run, PYTHONPATH=str(HERE)).wall_s)
    return cpu[1] / cpu[0], wall[0] / wall[1]


def task_count(measurement: Measurement) -> str:
    found = re.search(r"Scheduled ([0-9]+) tasks", measurement.output)
    return found[1] if found else ""


def table_lines(results: Results) -> list[str]:
    lines = ["| images | run | program | CPU s | wall s | peak MiB | tasks |"]
    lines.append("| ---: | --- | --- | ---: | ---: | ---: | ---: |")
    for (name, run, assets), m in results.items():
        figures = f"{m.cpu_s:.2f} | {m.wall_s:.2f} | {m.peak_mib:.0f} | {task_count(m)}"
        lines.append(f"| {assets:,} | {run} | {name} | {figures} |")
    return lines


def goal_lines(results: Results, floor: Measurement, workers: tuple[float, float]) -> list[str]:
    """Return a line for each ratio that is aimed at, as far as it was measured."""

    def cpu(name: str, run: str, assets: int) -> float | None:
        found = results.get((name, run, assets))
        return found.cpu_s if found else None

    def ratio(one: float | None, other: float | None) -> float | None:
        return one / other if one is not None and other is not None else None

    n, large = 10_000, 100_000
    again, edited = cpu(OURS, AGAIN, n), cpu(OURS, EDITED, n)
    peak = results.get((OURS, FRESH, large))
    goals = [
        ("fresh, 10,000 / SPIMpack", ratio(cpu(OURS, FRESH, n), cpu(SPIMPACK, FRESH, n)), 1.0),
        ("nothing to do, 10,000 / SPIMpack", ratio(again, cpu(SPIMPACK, AGAIN, n)), 0.15),
        (
            "the same by `spimpack package`",
            ratio(cpu(CLI, AGAIN, n), cpu(SPIMPACK, AGAIN, n)),
            0.15,
        ),
        (f"nothing to do, 10,000 / {HELP}", ratio(again, floor.cpu_s), 3.0),
        ("one cell edited / nothing to do, 10,000", ratio(edited, again), 3.0),
        ("one cell edited, 10,000 / SPIMpack", ratio(edited, cpu(SPIMPACK, EDITED, n)), None),
        ("fresh, 100,000 / 10,000", ratio(cpu(OURS, FRESH, large), cpu(OURS, FRESH, n)), 11.0),
        ("peak MiB, 100,000", peak.peak_mib if peak else None, 400.0),
        ("CPU of 2 workers / 1, light steps, 1,000", workers[0], 3.0),
    ]
    lines = ["| ratio of CPU | measured | goal |", "| --- | ---: | ---: |"]
    for what, measured, goal in goals:
        if measured is not None:
            lines.append(f"| {what} | {measured:.2f} | {f'<= {goal:g}' if goal else ''} |")
    lines.append(f"| wall of 1 worker / 2, 0.5 s an image | {workers[1]:.2f} | >= 1.7 |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    sizes = {"type": int, "nargs": "+", "default": [10, 1_000, 10_000], "metavar": "N"}
    parser.add_argument("--assets", help="numbers of images", **sizes)
    parser.add_argument(
        "--spimpack", default="", metavar="DIR", help="a checkout of SPIMpack to compare with"
    )
    arguments = parser.parse_args()
    results: Results = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        machine = describe_machine(folder)
        measure_size(results, root / "compile", 1, arguments.spimpack)
        results.clear()
        floor = measure([BIN / "luigi", "--help"])
        for assets in arguments.assets:
            measure_size(results, root, assets, arguments.spimpack)
        workers = measure_workers(root, max(arguments.assets))
    print(f"{machine}. {HELP} takes {floor.cpu_s:.2f} s of CPU.\n")
    print("\n".join([*table_lines(results), "", *goal_lines(results, floor, workers)]))


if __name__ == "__main__":
    main()
