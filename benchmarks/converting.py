"""Wall and CPU seconds and memory of converting an Imaris file, beside `cp` of it.

    python benchmarks/converting.py [--depth N] [--side N] [--rounds N] [--chunks N]

Makes a file as ImarisWriter does, and converts it in fresh processes, one after another in each
round. Then it looks up the chunks of a file of very many, which is what comes before the first is
converted.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from imaris_file import write_imaris, write_many_chunks
from measuring import BIN, Measurement, describe_machine, measure


def commands(source: Path) -> dict[str, list[str | Path]]:
    """Return the commands, each to be followed by its target."""
    convert: list[str | Path] = [BIN / "spimpack", "convert"]
    return {
        "cp": ["cp", source],
        "gzip": [*convert, source],
        "gzip, 1 thread": [*convert, "--threads", "1", source],
        "blosc": [*convert, "--codec", "blosc", source],
        "gzip, OME-Zarr 0.4": [*convert, "--ngff", "0.4", source],
    }


def run(name: str, command: list[str | Path], folder: Path) -> tuple[Measurement, int, float]:
    """Return what a command took, and how many files of how many MB it made."""
    target = folder / f"{name}.ome.zarr"
    found = measure([*command, target])
    files = [path for path in [target, *target.rglob("*")] if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    return found, len(files), size


def measure_index(folder: Path, chunks: int, rounds: int) -> str:
    """Return what it takes to look up the chunks of a file, in processes that do no more."""
    path = folder / "many.ims"
    grid = (-(-chunks // 2500), 50, 50)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(write_many_chunks, path, grid).result()
    code = (
        "import sys\n"
        "from spimpack_tasks.transcoding.imaris import ImarisChunks\n"
        "with ImarisChunks(sys.argv[1]): pass\n"
    )
    found = [measure([sys.executable, "-c", code, path]) for _ in range(rounds)]
    wall = statistics.median(m.wall_s for m in found)
    cpu = statistics.median(m.cpu_s for m in found)
    peak = max(m.peak_mib for m in found)
    return f"| index of {math.prod(grid):,} chunks | {wall:.2f} | | {cpu:.2f} | {peak:.0f} | | |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=512)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=100_000, help="of the file of many")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "a.ims"
        shape = (arguments.depth, arguments.side, arguments.side)
        # In a process of its own: what this one has in memory counts for all that it starts.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            decoded = pool.submit(write_imaris, source, shape).result()
        print(describe_machine(name))
        print(f"{source.stat().st_size / 1e6:,.0f} MB, {decoded / 1e6:,.0f} MB of voxels\n")
        print("| program | wall s | x cp | CPU s | peak MiB | files | MB |")
        print("|---|---|---|---|---|---|---|")
        wanted = commands(source)
        rounds = [
            {program: run(program, command, folder) for program, command in wanted.items()}
            for _ in range(arguments.rounds)
        ]
        for program in wanted:
            found = [each[program] for each in rounds]
            ratio = statistics.median(e[program][0].wall_s / e["cp"][0].wall_s for e in rounds)
            wall = statistics.median(m.wall_s for m, _, _ in found)
            cpu = statistics.median(m.cpu_s for m, _, _ in found)
            peak = max(m.peak_mib for m, _, _ in found)
            _, files, size = found[0]
            print(
                f"| {program} | {wall:.2f} | {ratio:.1f} | {cpu:.2f} | {peak:.0f} | {files:,} |"
                f" {size:,.0f} |"
            )
        print(measure_index(folder, arguments.chunks, arguments.rounds))


if __name__ == "__main__":
    main()
