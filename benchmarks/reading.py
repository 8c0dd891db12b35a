"""CPU seconds of reading an OME-Zarr of each codec: all of it, and crops of 64 x 64 x 64 voxels.

    python benchmarks/reading.py [--depth N] [--side N] [--crops N] [--rounds N] [--ngff VERSION]

Makes an Imaris file as ImarisWriter does, converts it with each codec, and reads the full level by
tensorstore and zarr-python. Each reading is a process of its own, which counts the CPU of all of
its threads from when the array is open. The codecs take turns in each round; ratios are those
within a round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorstore
import zarr
from imaris_file import write_imaris
from measuring import BIN, describe_machine, measure

from spimpack_tasks.arrays.codec_table import CODEC_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIDE = 64
"""Voxels of a side of a crop, such as a program asks for that trains on patches."""
BASE = "blosc"
"""What the others are compared with."""


def open_by_tensorstore(path: Path) -> Callable[[Any], Any]:
    driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(path / "0")}}
    array = tensorstore.open(spec).result()
    return lambda region: array[region].read().result()


def open_by_zarr(path: Path) -> Callable[[Any], Any]:
    return zarr.open_array(path / "0", mode="r").__getitem__


READERS = {"tensorstore": open_by_tensorstore, "zarr": open_by_zarr}
WHAT = ("whole", "crops")


def regions(what: str, shape: tuple[int, ...], crops: int) -> Iterator[tuple[slice, ...]]:
    """Yield what is read: everything channel by channel, or crops at places of a fixed seed."""
    if what == "whole":
        yield from ((slice(channel, channel + 1), ...) for channel in range(shape[0]))
        return
    random = np.random.default_rng(0)
    for _ in range(crops):
        at = [int(random.integers(0, max(size - SIDE, 0) + 1)) for size in shape[1:]]
        channel = int(random.integers(shape[0]))
        places = (
            slice(start, start + min(size, SIDE)) for start, size in zip(at, shape[1:], strict=True)
        )
        yield slice(channel, channel + 1), *places


def read(reader: str, what: str, path: Path, crops: int) -> None:
    """Print the CPU seconds and the voxels of one reading."""
    shape = zarr.open_array(path / "0", mode="r").shape
    take, wanted = READERS[reader](path), list(regions(what, shape, crops))
    start = time.process_time()
    count = sum(take(region).size for region in wanted)
    print(time.process_time() - start, count)


def measure_round(folder: Path, crops: int) -> dict[tuple[str, str, str], float]:
    """Return CPU seconds by codec, reader and what is read; all codecs must hold as much."""
    found, counts = {}, defaultdict(set)
    for reader in READERS:
        for what in WHAT:
            for codec in CODEC_NAMES:
                path = folder / f"{codec}.ome.zarr"
                command = [sys.executable, __file__, "--read", reader, what, path]
                line = measure([*command, "--crops", str(crops)]).output.split()
                found[codec, reader, what] = float(line[0])
                counts[what].add(int(line[1]))
    assert all(len(each) == 1 for each in counts.values()), counts
    return found


def print_table(folder: Path, crops: int, rounds: int) -> None:
    taken = [measure_round(folder, crops) for _ in range(rounds)]
    columns = [(reader, what) for reader in READERS for what in WHAT]
    print("| codec | MB |", *(f"{reader}, {what}, CPU s | x {BASE} |" for reader, what in columns))
    print(f"|---|---:|{'---:|---:|' * len(columns)}")
    for codec in CODEC_NAMES:
        files = (path for path in (folder / f"{codec}.ome.zarr").rglob("*") if path.is_file())
        cells = [f"{sum(path.stat().st_size for path in files) / 1e6:,.0f}"]
        for column in columns:
            cells.append(f"{statistics.median(each[codec, *column] for each in taken):.2f}")
            ratios = (each[codec, *column] / each[BASE, *column] for each in taken)
            cells.append(f"{statistics.median(ratios):.2f}")
        print(f"| `{codec}` |", " | ".join(cells), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--depth", type=int, default=96)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--crops", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ngff", default="0.5")
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)  # the process that reads
    arguments = parser.parse_args()
    if arguments.read:
        reader, what, path = arguments.read
        read(reader, what, Path(path), arguments.crops)
        return
    shape = (arguments.depth, arguments.side, arguments.side)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "a.ims"
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(write_imaris, source, shape).result()
        convert = [BIN / "spimpack", "convert", "--ngff", arguments.ngff, source]
        for codec in CODEC_NAMES:
            measure([*convert, folder / f"{codec}.ome.zarr", "--codec", codec])
        print(f"{describe_machine(name)}, OME-Zarr {arguments.ngff}\n")
        print_table(folder, arguments.crops, arguments.rounds)


if __name__ == "__main__":
    main()
