"""What stitching costs, beside a copy of the same bytes in the same run.

    python benchmarks/stitching.py [FOLDER] [--frames 300] [--rows 256] [--columns 512] [--runs 3]
    python benchmarks/stitching.py [FOLDER] --memory 600x512x1024 2400x512x1024 600x2048x2048

Statements of the reference about speed and memory: 7 (kernels and volumes), 8 (memory), 15
(aligning one pair), 16 (million voxels a CPU-s of fused tiles). What of them does not depend on the
machine is counted by `tests/unit/test_stitch_costs.py`.

Kernels: bytes of samples read and of covered voxels written, and the CPU time, beside copies of the
samples in memory. Volumes: from an OME-Zarr of frames to a whole OME-Zarr with its levels. Each
number is the least of some runs; ratios are of CPU time, so that other work matters little. Memory:
the most that a process of its own has while it makes a volume with its levels, of frames that are
generated when they are read, so that no disk need hold them.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.stitching.align import align
from spimpack_tasks.stitching.correct import Corrections, correct_frame
from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.fuse import Fuser
from spimpack_tasks.stitching.identity import Pace
from spimpack_tasks.stitching.making import stitch
from spimpack_tasks.stitching.placing import place_alone, place_tiles
from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet
from spimpack_tasks.stitching.volume import deskew, finish_volume, write_part
from spimpack_tasks.volumes.spec import VolumeSpec
from spimpack_tasks.volumes.writer import create_volume

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = math.sqrt(2)


@dataclass
class Stacks:
    """Frames in memory, as `OpenTiles` has them."""

    stacks: list[np.ndarray]

    def need(self, numbers: tuple[int, ...]) -> dict[int, ArrayFrames]:
        return {number: ArrayFrames(self.stacks[number]) for number in numbers}


def cpu_of(work: Callable[[], object], runs: int) -> float:
    """Return the least CPU seconds of some runs."""
    found = []
    for _ in range(runs):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def tiles_of(
    shape: tuple[int, ...], places: list[tuple[float, ...]], geometry: Geometry
) -> TileSet:
    return TileSet(
        geometry,
        tuple(
            Tile(f"tile{n}", f"/nowhere/{n}", place, shape, "uint16")
            for n, place in enumerate(places)
        ),
    )


def fuse_all(fuser: Fuser, stacks: list[np.ndarray]) -> int:
    """Fuse a canvas in blocks; return the number of its voxels that are not zero."""
    depth, rows, width = fuser.canvas.shape_zyx
    frames = {number: ArrayFrames(stack) for number, stack in enumerate(stacks)}
    count = 0
    for z in range(0, depth, 512):
        for y in range(0, rows, 128):
            for x in range(0, width, 512):
                ends = (min(z + 512, depth), min(y + 128, rows), min(x + 512, width))
                box = tuple(slice(a, b) for a, b in zip((z, y, x), ends, strict=True))
                count += int(np.count_nonzero(fuser.fuse(box, frames, None)))
    return count


def print_kernels(stack: np.ndarray, runs: int) -> None:
    """Print the table of kernels."""
    other = np.empty_like(stack)
    copy = cpu_of(lambda: np.copyto(other, stack), runs)
    rate = 2 * stack.nbytes / copy
    print("| kernel | CPU s | million voxels a CPU-s | bytes moved, of a copy's rate |")
    print("| --- | --- | --- | --- |")
    print(f"| copy in memory | {copy:.2f} | {stack.size / copy / 1e6:.0f} | 100 % |")
    rows = stack.shape[1]
    for name, shear, places, interpolation in (
        ("deskew, shear 1", 1.0, 1, "linear"),
        ("deskew, shear 0.849", 0.849, 1, "linear"),
        ("fuse two tiles, whole voxels", 1.0, 2, "cubic"),
        ("fuse two tiles, cubic", 1.0, 2.3, "cubic"),
    ):
        geometry = Geometry(ROOT, 1 / shear)
        shift = places - int(places)
        stage = [(0.0, 0.0, 0.0), (shift, (rows * 3 // 4 + shift) * ROOT, 2 * shift)]
        tiles = tiles_of(stack.shape, stage[: int(places)], geometry)
        alone = places == 1
        canvas = place_alone(tiles, 0) if alone else place_tiles(tiles, stage)
        fuser = Fuser(canvas, stack.dtype, interpolation, keeps_to_frames=alone)
        stacks = [stack] * int(places)
        count = fuse_all(fuser, stacks)
        seconds = cpu_of(lambda fuser=fuser, stacks=stacks: fuse_all(fuser, stacks), runs)
        moved = (stack.nbytes * int(places) + 2 * count) / seconds
        print(f"| {name} | {seconds:.2f} | {count / seconds / 1e6:.0f} | {moved / rate:.0%} |")


def print_steps(runs: int) -> None:
    """Print what alignment and corrections cost."""
    random = np.random.default_rng(2)
    scene = random.normal(1000, 100, (80, 320, 240))
    for axis in range(3):
        scene = sum(np.roll(scene, shift, axis) for shift in range(-2, 3)) / 5
    column = np.arange(64)
    stacks = [
        np.stack([scene[column, y : y + 160, f + column].T for f in range(150)]).astype("u2")
        for y in (0, 120)
    ]
    tiles = tiles_of(stacks[0].shape, [(0, 0, 0), (0, 118 * ROOT, 0)], Geometry(ROOT, 1.0))
    pair = cpu_of(lambda: align(tiles, Stacks(stacks)), runs)
    print(f"| aligning one pair | {pair:.2f} CPU-s |")
    frame = random.poisson(300, (2048, 2048)).astype("u2")
    for method in ("wavelet", "lightsheet"):
        seconds = cpu_of(lambda method=method: correct_frame(frame, Corrections(method), None), 1)
        print(f"| {method}, a frame of 2048 x 2048 | {seconds:.2f} CPU-s |")


def write_source(path: str, stack: np.ndarray) -> None:
    spec = VolumeSpec((1, 1, *stack.shape), stack.dtype, axes="zyx")
    with create_volume(LocalPlace(path), spec) as writer:
        for block in writer.missing():
            writer.write(block, np.ascontiguousarray(stack[block.region[2:]])[None, None])
        writer.finish()


@dataclass
class GeneratedFrames:
    """Frames that are made when they are read: one of noise, brighter from frame to frame."""

    shape_frc: tuple[int, int, int]
    noise: np.ndarray
    dtype = np.dtype("u2")
    stored_rows = 1

    def read(self, region_frc: tuple[slice, slice, slice]) -> np.ndarray:
        frames, rows, columns = region_frc
        numbers = np.arange(frames.start, frames.stop, dtype="u2") % 1000
        return self.noise[rows, columns] + numbers[:, None, None]


class GeneratedStacks:
    """Generated frames, as `OpenTiles` has files."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        noise = np.random.default_rng(1).poisson(300, shape[1:]).astype("u2")
        self.frames = GeneratedFrames(shape, noise)

    def need(self, numbers: list[int]) -> dict[int, GeneratedFrames]:
        return dict.fromkeys(numbers, self.frames)


def memory_of(shape: tuple[int, int, int], folder: str) -> tuple[int, float]:
    """Return the most memory of this process in MB after a volume was made, and the CPU seconds."""
    tile = Tile("tile", folder, (0, 0, 0), shape, "uint16")
    work = deskew(TileSet(Geometry(ROOT, 1.0), (tile,)), 0)
    place = LocalPlace(f"{folder}/volume.ome.zarr")
    write_part(work, place, (0, 1), GeneratedStacks(shape), Pace(2, lambda _: None))
    finish_volume(work, place, 2)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_maxrss // 1024, used.ru_utime + used.ru_stime


def print_memory(shapes: list[str], folder: str) -> None:
    """Print the most memory that volumes of stacks of several sizes take."""
    print("| frames x rows x columns | most memory | CPU |\n| --- | --- | --- |")
    for text in shapes:
        frames, rows, columns = map(int, text.split("x"))
        inner = tempfile.mkdtemp(dir=folder)
        with get_context("spawn").Pool(1) as pool:
            memory, seconds = pool.apply(memory_of, ((frames, rows, columns), inner))
        shutil.rmtree(inner)
        print(f"| {frames} x {rows} x {columns} | {memory} MB | {seconds:.0f} s |", flush=True)


def print_volume(folder: str, stack: np.ndarray) -> None:
    """Print what a whole volume costs, beside `cp -r` of the frames."""
    source, target = f"{folder}/frames.ome.zarr", f"{folder}/volume.ome.zarr"
    write_source(source, stack)
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["cp", "-r", source, f"{folder}/copy"], check=True)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    copy = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    tile = Tile("tile", source, (0, 0, 0), stack.shape, "uint16")
    work = deskew(TileSet(Geometry(ROOT, 1.0), (tile,)), 0)
    seconds = cpu_of(lambda: stitch(work, target, 2, lambda _: None), 1)
    size = sum(
        os.path.getsize(os.path.join(root, name))
        for root, _, names in os.walk(target)
        for name in names
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"| frames to volume with levels | {seconds:.2f} CPU-s, {size / 1e6:.0f} MB |")
    print(f"| `cp -r` of the frames | {copy:.2f} CPU-s |")
    print(f"| most memory of this process | {memory} MB |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="")
    for name, count in (("frames", 300), ("rows", 256), ("columns", 512), ("runs", 3)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--memory", nargs="+", metavar="FRAMESxROWSxCOLUMNS")
    given = parser.parse_args()
    if given.memory:
        folder = tempfile.mkdtemp(dir=given.folder or None)
        try:
            print_memory(given.memory, folder)
        finally:
            shutil.rmtree(folder)
        return
    shape = (given.frames, given.rows, given.columns)
    stack = np.random.default_rng(1).poisson(300, shape).astype("u2")
    print_kernels(stack, given.runs)
    print("\n| step | cost |\n| --- | --- |")
    print_steps(given.runs)
    folder = tempfile.mkdtemp(dir=given.folder or None)
    try:
        print_volume(folder, stack)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
