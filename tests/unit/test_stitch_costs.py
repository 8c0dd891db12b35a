"""What stitching reads, writes and holds, counted: the part of its speed that no machine changes.

CPU times and memory are measured by `benchmarks/stitching.py`.
"""

import math
import os
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from oblique_scenes import ROOT, make_scene, sample_tile, tile_set

from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.stitching import volume as volumes
from spimpack_tasks.stitching.align import align
from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.identity import Pace
from spimpack_tasks.stitching.kernels import choose_kernels
from spimpack_tasks.stitching.pairs import find_overlaps
from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet
from spimpack_tasks.stitching.volume import deskew, plan_volume, stitch_on_stage, write_part

V, STEP = 1.8, 1.28


class CountingStacks:
    """Frames in memory, as `OpenTiles` has them, and the samples that are read of each."""

    def __init__(self, stacks):
        self.stacks, self.read = stacks, Counter()

    def need(self, numbers):
        return {number: CountingFrames(self, number) for number in numbers}


class CountingFrames(ArrayFrames):
    def __init__(self, owner, number):
        super().__init__(owner.stacks[number])
        self.owner, self.number = owner, number

    def read(self, region_frc):
        found = super().read(region_frc)
        self.owner.read[self.number] += found.size
        return found


def write(work, stacks, folder):
    """Write all blocks of a volume."""
    write_part(work, LocalPlace(f"{folder}/a.ome.zarr"), (0, 1), stacks, Pace(1, lambda _: None))


@pytest.mark.parametrize(("shear", "taps"), [(1.0, 0), (0.849, 1)], ids=["one", "other"])
def test_i19_07_s13_blocks_read_no_more_than_their_frames_and_write_each_shard_once(
    tmp_path, monkeypatch, shear, taps
):
    """A sample is read by each block that has a voxel of it, whatever the shear.

    A block of z from z0 until z1 and x from x0 until x1 has voxels of column c = z and frame
    x - c * shear, so of the frames from x0 - (z1 - 1) * shear until x1 - 1 - z0 * shear.
    """
    monkeypatch.setattr(volumes, "BLOCK_SIDES_ZYX", (32, 64, 128))
    shape = frames, rows, columns = (150, 70, 80)
    stack = np.random.default_rng(1).integers(1, 4000, shape).astype("u2")
    written = Counter()
    put = LocalPlace.put

    def count(self, key, *arguments):
        written[key] += 1
        return put(self, key, *arguments)

    monkeypatch.setattr(LocalPlace, "put", count)
    work = deskew(tile_set([shape], [(0, 0, 0)], Geometry(ROOT, 1 / shear)), 0)
    stacks = CountingStacks([stack])
    write(work, stacks, tmp_path)
    full = plan_volume(work)[1][0]
    most = 0
    for shard in full.shards():
        z, y, x = full.region_of(shard)[2:]
        low = math.floor(x.start - (z.stop - 1) * shear)
        high = math.ceil(x.stop - 1 - z.start * shear) + taps
        count = max(min(high + 1, frames) - max(low, 0), 0)
        most += count * (y.stop - y.start) * (z.stop - z.start)
    assert frames * rows * columns < stacks.read[0] <= most
    assert set(written.values()) == {1}
    assert {key for key in written if key.startswith("0/c/")} <= {
        f"0/c/{z}/{y}/{x}" for _, _, z, y, x in full.shards()
    }


def test_i19_07_a_shear_of_one_moves_samples_and_calculates_none(tmp_path, monkeypatch):
    called = Counter()
    kernels = choose_kernels()

    class Counting:
        def __getattr__(self, name):
            called[name] += 1
            return getattr(kernels, name)

    monkeypatch.setattr("spimpack_tasks.stitching.fuse.choose_kernels", Counting)
    stack = np.ones((50, 40, 30), "u2")
    write(
        deskew(tile_set([stack.shape], [(0, 0, 0)], Geometry(ROOT, 1.0)), 0),
        CountingStacks([stack]),
        tmp_path,
    )
    assert set(called) == {"remap"}


SIZES = {
    "600 of 512 x 1024": (600, 512, 1024),
    "2400 of 512 x 1024": (2400, 512, 1024),
    "4800 of 512 x 1024": (4800, 512, 1024),
    "20,000 of 2048 x 2048": (20_000, 2048, 2048),
    "9 of 5000 x 5000": (9, 5000, 5000),
    "small": (20, 30, 40),
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("shape", SIZES.values(), ids=SIZES)
def test_i19_08_s11_no_block_takes_more_than_64_mib(shape, dtype):
    """Chunks of wide volumes were those of low slabs, and blocks of them twice as large or more."""
    tiles = TileSet(Geometry(ROOT, 1.0), (Tile("a", "a", (0, 0, 0), shape, dtype),))
    for level in plan_volume(deskew(tiles, 0))[1]:
        assert math.prod(level.shard_voxels) * np.dtype(dtype).itemsize <= 64 * 2**20


@pytest.mark.slow
def test_i19_15_what_a_pair_reads_does_not_grow_with_its_tiles():
    """Windows of the overlap are compared, and their number and size are bounded."""
    read = []
    for frames in (150, 450):
        shape = (frames, 120, 60)
        places = [(0, 0, 0), (0, 80 * V, 0)]
        scene = make_scene((-10, -10, -10), (90, 380, frames * STEP + 90), seed=4)
        stacks = CountingStacks(
            [sample_tile(scene, at, shape, v_um=V, step_um=STEP) for at in places]
        )
        tiles = tile_set([shape] * 2, places, Geometry(V, STEP))
        found = align(tiles, stacks)
        assert not found.pairs[0].reason
        read.append(sum(stacks.read.values()))
    assert read[1] <= 1.25 * read[0]


def test_i19_15_tiles_that_touch_at_edges_are_not_compared():
    """Of twelve tiles 20 pairs share a face; all that share a sample would be 58."""
    places = [
        (z * 60.0, y * 100.0, x * 200.0) for z in range(2) for x in range(2) for y in range(3)
    ]
    tiles = tile_set([(300, 140, 100)] * 12, places, Geometry(1.0, 1.0, 90.0))
    assert len(find_overlaps(tiles)) == 20


def test_i19_16_frames_are_fused_as_they_are_and_read_no_more_than_twice(tmp_path):
    """No tile is deskewed first: of twelve tiles one volume is written, and nothing beside it."""
    shape = (64, 50, 40)
    places = [
        (z * 30 / ROOT, y * 40.0, x * 50.0) for z in range(2) for x in range(2) for y in range(3)
    ]
    tiles = tile_set([shape] * 12, places, Geometry(1.0, 1 / ROOT))
    random = np.random.default_rng(1)
    stacks = CountingStacks([random.integers(1, 4000, shape).astype("u2") for _ in places])
    write(stitch_on_stage(tiles, interpolation="nearest"), stacks, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
    assert set(stacks.read) == set(range(12))
    assert sum(stacks.read.values()) <= 2 * 12 * math.prod(shape)


class GeneratedStacks:
    """Frames that are made when they are read, as `OpenTiles` has them."""

    stored_rows = 1
    dtype = np.dtype("u2")

    def __init__(self, shape_frc):
        self.shape_frc = shape_frc

    def need(self, numbers):
        return dict.fromkeys(numbers, self)

    def read(self, region_frc):
        shape = [part.stop - part.start for part in region_frc]
        return np.random.default_rng(region_frc[0].start).integers(1, 4000, shape, dtype="u2")


def test_i19_08_s11_memory_does_not_grow_with_the_frames_of_a_stack(tmp_path, monkeypatch):
    """All frames of a stack lay in shared memory."""
    monkeypatch.setattr(volumes, "BLOCK_SIDES_ZYX", (64, 64, 128))
    monkeypatch.setattr(volumes, "_MOST_WAITING", 2**20)
    shared = {*os.listdir("/dev/shm")}
    peaks = []
    for frames in (60, 300, 900):  # the first loads libraries
        shape = (frames, 70, 64)
        work = deskew(tile_set([shape], [(0, 0, 0)], Geometry(ROOT, 1.0)), 0)
        tracemalloc.start()
        write(work, GeneratedStacks(shape), tmp_path / str(frames))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1]
    assert peaks[2] < 900 * 70 * 64 * 2
    assert {name for name in {*os.listdir("/dev/shm")} - shared if "spimpack" in name} == set()
