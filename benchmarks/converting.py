"""Wall and CPU seconds and memory of converting images, beside `cp` of them and other programs.

    python benchmarks/converting.py [--depth N] [--side N] [--rounds N] [--chunks N]
    python -m venv ~/peers && ~/peers/bin/pip install -r benchmarks/peers.txt
    python benchmarks/converting.py --peers ~/peers/bin/python

Makes an Imaris file as ImarisWriter does, one of a twelfth of its size, a folder of planes, and an
OME-TIFF, and converts them in fresh processes, one after another in each round. Then it looks up
the chunks of a file of very many, which is what comes before the first is converted. Other programs
run by the Python that `--peers` names; those that are not installed there are left out.
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
from typing import TYPE_CHECKING

from imaris_file import write_imaris, write_many_chunks, write_ome_tiff, write_planes
from measuring import BIN, Measurement, describe_machine, measure

if TYPE_CHECKING:
    from collections.abc import Callable


PEERS = Path(__file__).with_name("converting_peers.py")
PATIENCE_S = 1200

Commands = dict[str, list[str | Path]]
"""Commands by name, each to be followed by its target."""


class Peers:
    """Other programs, as far as they are installed for a Python."""

    def __init__(self, python: str) -> None:
        self.python = python
        said = measure([python, PEERS, "--missing"]).output if python else ""
        self.missing = {line.partition(":")[0] for line in said.splitlines()}
        for line in said.splitlines():
            print(f"not measured, since modules are not installed: {line}")

    def commands(self, names: list[str], source: Path) -> Commands:
        known = [name for name in names if self.python and name not in self.missing]
        patience = ["timeout", str(PATIENCE_S)]
        return {name: [*patience, self.python, PEERS, name, source] for name in known}


def commands_for_imaris(source: Path, peers: Peers) -> Commands:
    convert: list[str | Path] = [BIN / "spimpack", "convert"]
    return {
        "cp": ["cp", source],
        "gzip": [*convert, source],
        "gzip, 1 thread": [*convert, "--threads", "1", source],
        "blosc": [*convert, "--codec", "blosc", source],
        "lz4": [*convert, "--codec", "lz4", source],
        "gzip, OME-Zarr 0.4": [*convert, "--ngff", "0.4", source],
        **peers.commands(["zarrnii", "dask-imaris"], source),
    }


def commands_for_voxels(source: Path, peers: Peers, names: list[str]) -> Commands:
    return {
        "cp": ["cp", "-r", source],
        "blosc, with levels": [BIN / "spimpack", "convert", source],
        "lz4, with levels": [BIN / "spimpack", "convert", "--codec", "lz4", source],
        **peers.commands(names, source),
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
        "from spimpack_tasks.volumes.imaris.chunks import ImarisChunks\n"
        "with ImarisChunks(sys.argv[1]): pass\n"
    )
    found = [measure([sys.executable, "-c", code, path]) for _ in range(rounds)]
    wall = statistics.median(m.wall_s for m in found)
    cpu = statistics.median(m.cpu_s for m in found)
    peak = max(m.peak_mib for m in found)
    return f"| index of {math.prod(grid):,} chunks | {wall:.2f} | | {cpu:.2f} | {peak:.0f} | | |"


def print_table(wanted: Commands, folder: Path, rounds: int) -> None:
    """Run the commands in rounds, and print what each took; ratios are those within a round."""
    print("| program | wall s | x cp | CPU s | peak MiB | files | MB |")
    print("|---|---|---|---|---|---|---|")
    taken = [
        {program: run(program, command, folder) for program, command in wanted.items()}
        for _ in range(rounds)
    ]
    for program in wanted:
        found = [each[program] for each in taken]
        ratio = statistics.median(e[program][0].wall_s / e["cp"][0].wall_s for e in taken)
        wall = statistics.median(m.wall_s for m, _, _ in found)
        cpu = statistics.median(m.cpu_s for m, _, _ in found)
        peak = max(m.peak_mib for m, _, _ in found)
        _, files, size = found[0]
        print(
            f"| {program} | {wall:.2f} | {ratio:.1f} | {cpu:.2f} | {peak:.0f} | {files:,} |"
            f" {size:,.0f} |",
            flush=True,
        )


def make(write: Callable[..., int], path: Path, shape: tuple[int, int, int]) -> str:
    """Make a source in a process of its own, since what this one has in memory counts for all."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        decoded = pool.submit(write, path, shape).result()
    files = [path] if path.is_file() else path.iterdir()
    size = sum(file.stat().st_size for file in files)
    return f"{size / 1e6:,.0f} MB, {decoded / 1e6:,.0f} MB of voxels"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=512)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=100_000, help="of the file of many")
    parser.add_argument(
        "--peers", default="", metavar="PYTHON", help="measure other programs as well, by this"
    )
    arguments = parser.parse_args()
    depth, side, rounds = arguments.depth, arguments.side, arguments.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(describe_machine(name))
        source = folder / "a.ims"
        peers, alone = Peers(arguments.peers), Peers("")
        print(f"\nImaris, {make(write_imaris, source, (depth, side, side))}\n")
        print_table(commands_for_imaris(source, peers), folder, rounds)
        source.unlink()
        print(f"\nImaris, {make(write_imaris, source, (max(depth // 12, 32), side, side))}\n")
        print_table(commands_for_imaris(source, alone), folder, rounds)
        source.unlink()
        planes = folder / "planes"
        print(f"\nPlanes, {make(write_planes, planes, (depth, side, side))}\n")
        names = ["ome-writers", "ome-zarr-py", "ngff-zarr", "dask"]
        print_table(commands_for_voxels(planes, peers, names), folder, rounds)
        shutil.rmtree(planes)
        tiff = folder / "a.ome.tif"
        print(f"\nOME-TIFF, {make(write_ome_tiff, tiff, (depth, side, side))}\n")
        print_table(commands_for_voxels(tiff, peers, names[1:]), folder, rounds)
        tiff.unlink()
        print("\n| program | wall s | | CPU s | peak MiB | | |")
        print("|---|---|---|---|---|---|---|")
        print(measure_index(folder, arguments.chunks, rounds))


if __name__ == "__main__":
    main()
