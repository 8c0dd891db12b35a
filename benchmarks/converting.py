"""Wall and CPU seconds and memory of converting an Imaris file, beside `cp` and other programs.

    python benchmarks/converting.py [--depth N] [--side N] [--rounds N] [--peers]

Makes a file as ImarisWriter does, and converts it in fresh processes, one after another in each
round. `--peers` adds zarrnii, and a re-encoding by dask; they take minutes for the default size.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from imaris_file import write_imaris
from measuring import BIN, Measurement, describe_machine, measure

ZARRNII = """
import sys
from zarrnii import ZarrNii
ZarrNii.from_file(sys.argv[1]).to_ome_zarr(sys.argv[2])
"""

DASK = """
import sys
import dask.array, h5py
with h5py.File(sys.argv[1]) as file:
    for level, group in enumerate(file["DataSet"].values()):
        channels = [channel["Data"] for channel in group["TimePoint 0"].values()]
        arrays = [dask.array.from_array(data, chunks=data.chunks) for data in channels]
        dask.array.stack(arrays).to_zarr(f"{sys.argv[2]}/{level}")
"""


def commands(source: Path, *, peers: bool) -> dict[str, list[str | Path]]:
    """Return the commands, each to be followed by its target."""
    convert: list[str | Path] = [BIN / "spimpack", "convert"]
    found: dict[str, list[str | Path]] = {
        "cp": ["cp", source],
        "gzip": [*convert, source],
        "gzip, 1 thread": [*convert, "--threads", "1", source],
        "blosc": [*convert, "--codec", "blosc", source],
    }
    if peers:
        python = [sys.executable, "-W", "ignore", "-c"]
        found |= {"zarrnii": [*python, ZARRNII, source], "dask": [*python, DASK, source]}
    return found


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=512)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "a.ims"
        decoded = write_imaris(source, (arguments.depth, arguments.side, arguments.side))
        print(describe_machine(name))
        print(f"{source.stat().st_size / 1e6:,.0f} MB, {decoded / 1e6:,.0f} MB of voxels\n")
        print("| program | wall s | x cp | CPU s | peak MiB | files | MB |")
        print("|---|---|---|---|---|---|---|")
        wanted = commands(source, peers=arguments.peers)
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


if __name__ == "__main__":
    main()
