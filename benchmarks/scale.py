"""What packaging 10 to 100,000 images takes, beside SPIMpack, plain Luigi and the bare system.

    python benchmarks/scale.py
    python benchmarks/scale.py --assets 10 1000 10000 100000 --rounds 3 --spimpack ~/SPIMpack

Writes Markdown: what each program takes for a fresh run, one with nothing to do, one after an
edited cell, and for checking the inputs alone; then the ratios that are aimed at. In each round all
programs run one after another; figures are medians, and ratios those within a round. Sources are
tiny OME-TIFFs, each a file of its own. We read their headers, which the others do not. With
`--differ` no two headers and no two sidecars are equal. Put TMPDIR on a quiet disk, best in memory:
making a file costs a disk anything from 5 to 500 us.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from measuring import BIN, Measurement, describe_machine, measure
from scale_inputs import edit_one_cell, undo_edit, write_inputs

HERE = Path(__file__).parent
MOST_PLAIN = 1_000
"""Plain Luigi takes minutes for 10,000 tasks, and a day for 100,000."""

OURS, CLI, SPIMPACK = "`luigi … PackageDataset`", "`spimpack package`", "SPIMpack"
PLAIN, LOOP, STAT, HELP = "one task per image", "bare loop", "`stat` sweep", "`luigi --help`"
FRESH, AGAIN, EDITED, CHECK = "fresh", "nothing to do", "one cell edited", "inputs checked"

Run = tuple[str, str, int]
"""Program, run and number of images."""
Results = dict[Run, list[Measurement]]
"""One measurement for each round."""


@dataclass(frozen=True)
class Goal:
    """A ratio of CPU times that is aimed at."""

    what: str
    above: Run
    below: tuple[Run, ...]
    """What the sum is taken of."""
    most: float | None
    differ: bool | None = None
    """Whether it is about sources that differ; `None` for both."""


def goals(n: int, large: int) -> list[Goal]:
    """Return the ratios for a usual and a large number of images."""
    help_and_stat = ((HELP, "", 0), (STAT, AGAIN, n))
    return [
        Goal(
            f"fresh, {n:,} / SPIMpack", (OURS, FRESH, n), ((SPIMPACK, FRESH, n),), 1.4, differ=False
        ),
        Goal(
            f"fresh, {n:,}, all differ / SPIMpack",
            (OURS, FRESH, n),
            ((SPIMPACK, FRESH, n),),
            1.8,
            differ=True,
        ),
        Goal(
            f"nothing to do, {n:,}, `spimpack` / SPIMpack",
            (CLI, AGAIN, n),
            ((SPIMPACK, AGAIN, n),),
            0.12,
        ),
        Goal(
            f"nothing to do, {n:,}, `luigi` / {HELP} and a {STAT}",
            (OURS, AGAIN, n),
            help_and_stat,
            1.5,
        ),
        Goal(
            f"one cell edited / nothing to do, {n:,}",
            (OURS, EDITED, n),
            ((OURS, AGAIN, n),),
            2.5,
        ),
        Goal(
            f"one cell edited / nothing to do, {large:,}",
            (OURS, EDITED, large),
            ((OURS, AGAIN, large),),
            4.0,
        ),
        Goal(
            f"one cell edited, {n:,} / SPIMpack",
            (OURS, EDITED, n),
            ((SPIMPACK, EDITED, n),),
            None,
        ),
        Goal(
            f"inputs checked, {n:,} / nothing to do",
            (CLI, CHECK, n),
            ((CLI, AGAIN, n),),
            1.5,
        ),
        Goal(f"fresh, {large:,} / {n:,}", (OURS, FRESH, large), ((OURS, FRESH, n),), 11.0),
    ]


MOST_PEAK = 200
"""MiB, of the largest process, for any number of images up to 100,000."""


def measure_packager(
    results: Results, name: str, folder: Path, out: Path, command: list[str | Path], **env: str
) -> None:
    """Measure a fresh run, a second one, and one after an edit."""
    assets = int(folder.name)
    results[name, FRESH, assets].append(measure(command, **env))
    results[name, AGAIN, assets].append(measure(command, **env))
    edit_one_cell(folder)
    results[name, EDITED, assets].append(measure(command, **env))
    undo_edit(folder)
    if name == CLI:
        measure(command, **env)
        check = [BIN / "spimpack", "validate", "--manifest", folder / "manifest.yml"]
        results[CLI, CHECK, assets].append(measure([*check, "--output-dir", out]))
    shutil.rmtree(out)


def luigi_run(
    folder: Path, out: Path, *further: str, module: str = "spimpack_tasks"
) -> list[str | Path]:
    """Return the command that packages by Luigi."""
    options = ["--manifest", folder / "manifest.yml", "--output-dir", out]
    program = [BIN / "luigi", "--module", module, "PackageDataset"]
    return [*program, *options, "--local-scheduler", *further]


def measure_size(results: Results, folder: Path, spimpack: str) -> None:
    """Measure all programs once, one after another, on the inputs of a folder."""
    assets = int(folder.name)
    inputs: list[str | Path] = ["--manifest", folder / "manifest.yml", "--output-dir"]
    out = folder / "out"
    results[HELP, "", 0].append(measure([BIN / "luigi", "--help"]))
    ours = luigi_run(folder, out)
    measure_packager(results, OURS, folder, out, ours, PYTHONPATH=str(HERE))
    cli = [BIN / "spimpack", "package", *inputs, out]
    measure_packager(results, CLI, folder, out, cli)
    if spimpack:
        theirs = [sys.executable, "-m", "spimpack.cli", "package", *inputs, out]
        source = str(Path(spimpack).resolve() / "src")
        measure_packager(results, SPIMPACK, folder, out, theirs, PYTHONPATH=source)
    table = [folder / "scans.tsv", out]
    loop = [sys.executable, HERE / "floors.py"]
    results[LOOP, FRESH, assets].append(measure([*loop, "make", *table]))
    results[STAT, AGAIN, assets].append(measure([*loop, "look", *table]))
    shutil.rmtree(out)
    if assets <= MOST_PLAIN:
        options = ["--table", folder / "scans.tsv", "--out", out, "--local-scheduler"]
        plain = [BIN / "luigi", "--module", "plain_tasks", "PlainPackage", *options]
        results[PLAIN, FRESH, assets].append(measure(plain, PYTHONPATH=str(HERE)))
        results[PLAIN, AGAIN, assets].append(measure(plain, PYTHONPATH=str(HERE)))
        shutil.rmtree(out)


def measure_workers(root: Path) -> tuple[float, float]:
    """Return what two workers cost on light steps, and how much faster they are on heavy ones."""
    light, heavy = root / "light", root / "heavy"
    write_inputs(light, 1000)
    write_inputs(heavy, 40)
    cpu, wall = [], []
    for workers in ("1", "2"):
        run = luigi_run(light, root / f"light{workers}", "--workers", workers)
        cpu.append(measure(run, PYTHONPATH=str(HERE)).cpu_s)
        further = ("--workers", workers, "--backend", "slow")
        out = root / f"heavy{workers}"
        run = luigi_run(heavy, out, *further, module="plain_tasks")
        wall.append(measure(run, PYTHONPATH=str(HERE)).wall_s)
    return cpu[1] / cpu[0], wall[0] / wall[1]


def task_count(measurement: Measurement) -> str:
    """Return how many tasks Luigi had, as it says itself."""
    found = re.search(r"Scheduled ([0-9]+) tasks", measurement.output)
    return found[1] if found else ""


def table_lines(results: Results) -> list[str]:
    """Return the medians as a table."""
    lines = ["| images | run | program | CPU s | wall s | peak MiB | tasks |"]
    lines.append("| ---: | --- | --- | ---: | ---: | ---: | ---: |")
    for (name, run, assets), rounds in results.items():
        cpu = statistics.median(m.cpu_s for m in rounds)
        wall = statistics.median(m.wall_s for m in rounds)
        peak = max(m.peak_mib for m in rounds)
        figures = f"{cpu:.2f} | {wall:.2f} | {peak:.0f} | {task_count(rounds[0])}"
        lines.append(f"| {assets:,} | {run} | {name} | {figures} |")
    return lines


def goal_lines(results: Results, sizes: list[int], *, differ: bool) -> list[str]:
    """Return a line for each ratio that is aimed at, as far as it was measured."""
    lines = ["| ratio of CPU | median | least to most | goal |", "| --- | ---: | ---: | ---: |"]
    for goal in goals(10_000, 100_000):
        parts = [results.get(run, []) for run in (goal.above, *goal.below)]
        if not all(parts) or goal.differ not in {None, differ}:
            continue
        above, *below = ([m.cpu_s for m in rounds] for rounds in parts)
        ratios = [one / sum(others) for one, *others in zip(above, *below, strict=False)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        most = f"<= {goal.most:g}" if goal.most else ""
        lines.append(f"| {goal.what} | {statistics.median(ratios):.2f} | {spread} | {most} |")
    for assets in sizes:
        peaks = [m.peak_mib for run in (FRESH, EDITED) for m in results[OURS, run, assets]]
        lines.append(f"| peak MiB, {assets:,} | {max(peaks):.0f} |  | <= {MOST_PEAK} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    sizes = {"type": int, "nargs": "+", "default": [10, 1_000, 10_000], "metavar": "N"}
    parser.add_argument("--assets", help="numbers of images", **sizes)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--differ", action="store_true", help="have all sidecars differ")
    parser.add_argument(
        "--spimpack", default="", metavar="DIR", help="a checkout of SPIMpack to compare with"
    )
    arguments = parser.parse_args()
    results: Results = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        machine = describe_machine(folder)
        write_inputs(root / "1", 1)
        measure_size(results, root / "1", arguments.spimpack)  # compiles the byte-code
        results.clear()
        for assets in arguments.assets:
            write_inputs(root / str(assets), assets, differ=arguments.differ)
            for _ in range(arguments.rounds):
                measure_size(results, root / str(assets), arguments.spimpack)
            shutil.rmtree(root / str(assets))
        workers = measure_workers(root)
    print(f"{machine}; {arguments.rounds} rounds.\n")
    print("\n".join([*table_lines(results), ""]))
    print("\n".join(goal_lines(results, arguments.assets, differ=arguments.differ)))
    print(f"| CPU of 2 workers / 1, light steps, 1,000 | {workers[0]:.2f} |  | <= 3 |")
    print(f"| wall of 1 worker / 2, 0.5 s an image | {workers[1]:.2f} |  | >= 1.7 |")


if __name__ == "__main__":
    main()
