"""CPU seconds and memory of merging files into one image, beside the same voxels from one file.

    python benchmarks/merging.py [--files N] [--megabytes N] [--folder DIR]

Makes OME-TIFFs of one time point each and one OME-TIFF of all, and converts both to OME-Zarr in
fresh processes, one after the other. The targets are a peak of 500 MB at the most, and 1.3 times
the CPU seconds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from measuring import BIN, describe_machine, measure

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE = 1000
"""Pixels of a plane along y and x: 2 MB of uint16."""
MOST_MIB = 500e6 / 2**20
MOST_RATIO = 1.3


def write_sources(folder: Path, files: int, megabytes: int) -> tuple[list[Path], Path]:
    """Write the files and the whole, of noise above a smooth ground as of a camera."""
    rng = np.random.default_rng(0)
    noise = rng.poisson(30, (SIDE, SIDE)).astype("u2")
    planes = megabytes // (2 * SIDE * SIDE // 10**6)
    facts = {f"PhysicalSize{axis}": 2.0 for axis in "XYZ"}
    facts |= {f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"}

    # One plane at a time: the peak of a process is at the least what its parent held.
    def stack(time: int) -> Iterator[np.ndarray]:
        return (np.roll(noise, (time, 7 * z), (0, 1)) + np.uint16(z) for z in range(planes))

    shape = (files, planes, SIDE, SIDE)
    paths = [folder / f"t{time}.ome.tif" for time in range(files)]
    for time, path in enumerate(paths):
        tifffile.imwrite(
            path, stack(time), shape=shape[1:], dtype="u2", metadata={"axes": "ZYX", **facts}
        )
    whole = folder / "whole.ome.tif"
    voxels = (plane for time in range(files) for plane in stack(time))
    tifffile.imwrite(
        whole, voxels, shape=shape, dtype="u2", bigtiff=True, metadata={"axes": "TZYX", **facts}
    )
    return paths, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=200, help="of each file")
    parser.add_argument("--folder", help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        print(describe_machine(name))
        paths, whole = write_sources(folder, arguments.files, arguments.megabytes)
        target = folder / "made.ome.zarr"
        found = {}
        for kind, sources in {"one file": [whole], "merged": [*paths, "--merge", "T"]}.items():
            command: list[str | Path] = [BIN / "spimpack", "convert", *sources, target]
            found[kind] = measure(command)
            shutil.rmtree(target)
            took = found[kind]
            print(
                f"{kind:10} {took.cpu_s:6.1f} s CPU {took.wall_s:6.1f} s {took.peak_mib:5.0f} MiB"
            )
        ratio = found["merged"].cpu_s / found["one file"].cpu_s
        peak = found["merged"].peak_mib
        print(f"CPU: {ratio:.2f} times (target {MOST_RATIO}); peak: {peak:.0f} MiB", end=" ")
        print(f"(target {MOST_MIB:.0f} MiB)")


if __name__ == "__main__":
    main()
