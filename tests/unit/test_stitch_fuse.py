"""Voxels of tiles: deskewed alone, and fused, by numba and by NumPy."""

import math

import numpy as np
import pytest
from oblique_scenes import ROOT, covered_by, cut_tiles, deskew_truth, tile_set

from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.fuse import Fuser
from spimpack_tasks.stitching.kernels_numba import NumbaKernels, _compiled
from spimpack_tasks.stitching.kernels_numpy import NumpyKernels
from spimpack_tasks.stitching.placing import (
    Canvas,
    Placement,
    place_alone,
    place_tiles,
    settle_shear,
)
from spimpack_tasks.stitching.tiles import Geometry

KERNELS = {"numba": NumbaKernels(), "numpy": NumpyKernels()}
EXACT = Geometry(pitch_um=ROOT, step_um=1.0)


def fuse_in_blocks(fuser, stacks, side=64, pool=None):
    """Return a whole canvas, made block by block."""
    out = np.zeros(fuser.canvas.shape_zyx, fuser.dtype)
    frames = {number: ArrayFrames(stack) for number, stack in enumerate(stacks)}
    sizes = fuser.canvas.shape_zyx
    for z in range(0, sizes[0], side):
        for y in range(0, sizes[1], side):
            for x in range(0, sizes[2], side):
                box = tuple(
                    slice(a, min(a + side, n)) for a, n in zip((z, y, x), sizes, strict=True)
                )
                out[box] = fuser.fuse(box, frames, pool)
    return out


def deskew(stack, geometry, kernels, side=64):
    tiles = tile_set([stack.shape], [(0, 0, 0)], geometry, stack.dtype.name)
    canvas = place_alone(tiles, 0)
    fuser = Fuser(canvas, stack.dtype, "linear", keeps_to_frames=True, kernels=kernels)
    return fuse_in_blocks(fuser, [stack], side)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 6), (5, 7, 40), (70, 24, 33)], ids=str)
def test_i19_03_frames_of_shear_one_are_moved_and_not_changed(shape, side, kernels):
    stack = np.random.default_rng(5).integers(1, 65536, shape).astype("u2")
    found = deskew(stack, EXACT, KERNELS[kernels], side)
    assert found.shape == (shape[2], shape[1], shape[0] + shape[2] - 1)
    assert np.array_equal(found, deskew_truth(stack, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(200, 64, 512), (300, 8, 2048)], ids=str)
def test_i19_03_large_stacks(shape):
    stack = np.random.default_rng(5).integers(1, 65536, shape).astype("u2")
    assert np.array_equal(deskew(stack, EXACT, None, 128), deskew_truth(stack, 1.0))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("shear", [0.636, 0.849, 0.99437, 0.99976, 1.27])
def test_i19_04_s06_other_shears_are_interpolated(shear, kernels):
    stack = np.random.default_rng(6).integers(1, 65536, (40, 6, 90)).astype("u2")
    geometry = Geometry(pitch_um=ROOT, step_um=1 / shear)
    found = deskew(stack, geometry, KERNELS[kernels])
    truth = deskew_truth(stack, settle_shear(shear, 90))
    assert found.shape == truth.shape
    assert np.array_equal(found > 0, truth > 0)
    assert np.abs(found.astype(int) - truth).max() <= 1


def test_i19_04_s05_a_shear_counts_as_one_only_where_no_column_shows_the_difference():
    assert settle_shear(1.8 / (ROOT * 1.28), 2048) != 1
    assert settle_shear(0.99976, 1000) == 1
    assert settle_shear(1.00012, 2000) == 1
    assert settle_shear(1.00013, 2000) != 1


def test_a_shear_to_the_other_side():
    stack = np.random.default_rng(7).integers(1, 65536, (9, 3, 5)).astype("u2")
    geometry = Geometry(ROOT, 1.0, angle_deg=135.0)
    found = deskew(stack, geometry, None)
    assert np.array_equal(found, deskew_truth(stack[::-1], 1.0)[:, :, ::-1])


CUTS = {
    "one": ([(0, 0, 0)], (20, 30, 40)),
    "x": ([(0, 0, 0), (0, 0, 31)], (20, 30, 40)),
    "y": ([(0, 0, 0), (0, 21, 0), (0, 40, 0)], (20, 30, 40)),
    "z": ([(0, 0, 0), (13, 0, 0)], (20, 30, 40)),
    "2x2x2": ([(z, y, x) for z in (0, 13) for y in (0, 21) for x in (0, 31)], (20, 30, 40)),
    "3x3x1": ([(0, y, x) for y in (0, 21, 45) for x in (0, 31, 58)], (20, 30, 40)),
    "2x2x3": ([(z, y, x) for z in (0, 13, 28) for y in (0, 21) for x in (0, 31)], (20, 30, 40)),
    "a gap": ([(0, 0, 0), (0, 0, 90)], (20, 30, 40)),
    "abutting": ([(0, 0, 0), (0, 30, 0)], (20, 30, 40)),
}


@pytest.mark.parametrize("interpolation", ["cubic", "linear", "nearest"])
@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", CUTS)
def test_i19_10_s03_s04_tiles_cut_of_a_volume_give_the_volume(name, kernels, interpolation):
    starts, size = CUTS[name]
    sizes = [size] * len(starts)
    shape = tuple(max(s[n] for s in starts) + e for n, e in enumerate((20, 30, 40 + 19)))
    volume = np.random.default_rng(8).integers(1, 65536, shape).astype("u2")
    stacks = cut_tiles(volume, starts, sizes)
    positions = [(z, y * ROOT, x) for z, y, x in starts]
    tiles = tile_set([s.shape for s in stacks], positions, EXACT)
    canvas = place_tiles(tiles, positions)
    assert canvas.shape_zyx == shape
    fuser = Fuser(canvas, np.dtype("u2"), interpolation, kernels=KERNELS[kernels])
    found = fuse_in_blocks(fuser, stacks, side=37)
    covered = covered_by(shape, starts, sizes)
    assert np.count_nonzero(found[covered] != volume[covered]) == 0
    assert np.count_nonzero(found[~covered]) == 0


@pytest.mark.few(2)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4", "f8", "u8"])
def test_other_data_types(dtype):
    starts, size = CUTS["2x2x2"]
    shape = (33, 51, 31 + 59)
    rng = np.random.default_rng(9)
    volume = rng.uniform(1, 100, shape).astype(dtype)
    if dtype == "u8":  # up to here all numbers are exact
        volume[:] = rng.integers(1, 2**52, shape)
    stacks = cut_tiles(volume, starts, [size] * len(starts))
    positions = [(z, y * ROOT, x) for z, y, x in starts]
    tiles = tile_set([s.shape for s in stacks], positions, EXACT, np.dtype(dtype).name)
    found = [
        fuse_in_blocks(Fuser(place_tiles(tiles, positions), np.dtype(dtype), kernels=each), stacks)
        for each in KERNELS.values()
    ]
    covered = covered_by(shape, starts, [size] * len(starts))
    assert np.array_equal(*found)
    assert np.allclose(found[0][covered], volume[covered], rtol=1e-6 if dtype == "f4" else 1e-12)


@pytest.mark.parametrize("interpolation", ["cubic", "linear", "nearest"])
@pytest.mark.parametrize("shear", [1.0, 0.849, 1.27])
def test_numba_and_numpy_give_equal_values(shear, interpolation):
    rng = np.random.default_rng(10)
    stacks = [rng.integers(0, 65536, (40, 30, 25)).astype("u2") for _ in range(4)]
    geometry = Geometry(ROOT, 1 / shear)
    positions = [(0, 0, 0), (0.3, 20.7, 2.2), (11.6, 1.1, 9.4), (12.2, 22.5, 14.9)]
    canvas = place_tiles(tile_set([s.shape for s in stacks], positions, geometry), positions)
    found = [
        fuse_in_blocks(Fuser(canvas, np.dtype("u2"), interpolation, kernels=each), stacks)
        for each in KERNELS.values()
    ]
    assert np.array_equal(*found)


def test_loops_that_are_loaded_before_a_fork_are_those_that_fuse_tiles():
    _compiled.cache_clear()
    NumbaKernels().prepare()
    before = _compiled.cache_info().misses
    positions = [(0, 0, 0), (0, 10 * ROOT, 0)]
    stacks = [np.full((30, 20, 20), 7, "u2")] * 2
    canvas = place_tiles(tile_set([(30, 20, 20)] * 2, positions, EXACT), positions)
    for interpolation in ("nearest", "cubic"):
        fuser = Fuser(canvas, np.dtype("u2"), interpolation, kernels=NumbaKernels())
        fuse_in_blocks(fuser, stacks)
    assert _compiled.cache_info().misses == before
    assert _compiled.cache_info().hits


def test_i19_11_two_tiles_blend_by_the_squares_of_their_distances():
    a, b, count, overlap = 1000, 3000, 60, 20
    stacks = [np.full((10, count, 4), value, "u2") for value in (a, b)]
    start = count - overlap
    positions = [(0, 0, 0), (0, start * ROOT, 0)]
    canvas = place_tiles(tile_set([s.shape for s in stacks], positions, EXACT), positions)
    found = fuse_in_blocks(Fuser(canvas, np.dtype("u2")), stacks)[1, :, 5].astype(float)
    y = np.arange(start, count)
    d, e = count - y, y - start + 1
    wanted = (a * d**2 + b * e**2) / (d**2 + e**2)
    assert np.abs(found[start:count] - wanted).max() <= 1
    assert np.abs(np.diff(found)).max() <= abs(a - b) * 2 / overlap
    assert (found[:start] == a).all()
    assert (found[count:] == b).all()


def test_planes_across_z_are_fused_as_they_are():
    volume = np.random.default_rng(11).integers(1, 255, (12, 30, 50)).astype("u1")
    starts = [(0, 0, 0), (0, 0, 20), (0, 10, 0), (2, 10, 20)]
    stacks = [volume[z : z + 10, y : y + 20, x : x + 30] for z, y, x in starts]
    geometry = Geometry(pitch_um=2.0, step_um=3.0, angle_deg=None)
    positions = [(3 * z, 2 * y, 2 * x) for z, y, x in starts]
    tiles = tile_set([s.shape for s in stacks], positions, geometry, "uint8")
    canvas = place_tiles(tiles, positions)
    assert canvas.shape_zyx == volume.shape
    fuser = Fuser(canvas, np.dtype("u1"), is_oblique=False)
    found = fuse_in_blocks(fuser, stacks, side=16)
    covered = np.zeros(volume.shape, bool)
    for z, y, x in starts:
        covered[z : z + 10, y : y + 20, x : x + 30] = True
    assert np.array_equal(found, np.where(covered, volume, 0))


@pytest.mark.parametrize("interpolation", ["cubic", "nearest"])
def test_tiles_at_fractions_of_voxels_leave_no_gap(interpolation):
    stacks = [np.full((30, 20, 16), 7, "u2")] * 3
    positions = [(0, 0, 0), (0.4, 20.3 * ROOT, 0.2), (0.7, 40.3 * ROOT, 0.9)]
    canvas = place_tiles(tile_set([s.shape for s in stacks], positions, EXACT), positions)
    fuser = Fuser(canvas, np.dtype("u2"), interpolation)
    found = fuse_in_blocks(fuser, stacks)
    assert found.shape[1] == 60
    assert set(np.unique(found)) == {0, 7}
    assert (found[5, :, 20] == 7).all()


def test_i19_25_threads_and_blocks_do_not_change_voxels():
    rng = np.random.default_rng(12)
    stacks = [rng.integers(0, 65536, (40, 50, 25)).astype("u2") for _ in range(2)]
    positions = [(0, 0, 0), (0.3, 40.7, 2.2)]
    canvas = place_tiles(tile_set([s.shape for s in stacks], positions, EXACT), positions)
    fuser = Fuser(canvas, np.dtype("u2"))
    with WorkPool(4) as pool:
        many = fuse_in_blocks(fuser, stacks, 48, pool)
    assert np.array_equal(many, fuse_in_blocks(fuser, stacks, 48))


def test_a_smooth_scene_is_shifted_by_fractions_of_voxels():
    """Samples of one function at two offsets are fused to the function, by cubic sums."""

    def value(z, y, x):
        return 1000 + 500 * np.sin(z / 6 + 1) * np.cos(y / 7) * np.sin(x / 8)

    size = (60, 50, 30)
    f, r, c = np.meshgrid(*map(np.arange, size), indexing="ij")
    origins = [(0, 0, 0), (0.43, 30.37, 0.81)]
    stacks = [np.floor(value(z + c, y + r, x + f + c) + 0.5).astype("u2") for z, y, x in origins]
    positions = [(z, y * ROOT, x) for z, y, x in origins]
    canvas = place_tiles(tile_set([s.shape for s in stacks], positions, EXACT), positions)
    found = fuse_in_blocks(Fuser(canvas, np.dtype("u2")), stacks)
    k, j, i = np.meshgrid(*map(np.arange, canvas.shape_zyx), indexing="ij")
    inner = (slice(3, 29), slice(3, 77), slice(33, 58))
    error = (found - value(k, j, i))[inner]
    assert found[inner].all()
    assert math.sqrt(np.mean(error**2)) < 0.5  # rounding twice: 0.41
    assert np.abs(error).max() < 3


class CountedFrames(ArrayFrames):
    """Frames that are decoded as a whole, and count how many were."""

    stored_rows = 4096

    def __init__(self, samples):
        super().__init__(samples)
        self.count = 0

    def read(self, region_frc):
        self.count += region_frc[0].stop - region_frc[0].start
        return super().read(region_frc)


def test_frames_that_two_blocks_share_are_decoded_once():
    """Each block along x decoded all of its frames, of which half were those of the last one."""
    stack = np.random.default_rng(1).integers(1, 4000, (200, 20, 40)).astype("u2")
    tiles = tile_set([stack.shape], [(0, 0, 0)], Geometry(ROOT, 1.0))
    canvas = place_alone(tiles, 0)
    depth, rows, width = canvas.shape_zyx
    boxes = [
        (slice(0, depth), slice(0, rows), slice(x, min(x + 50, width))) for x in range(0, width, 50)
    ]
    slow = CountedFrames(stack)
    fuser = Fuser(canvas, stack.dtype, "linear", keeps_to_frames=True)
    for box in boxes:
        alone = Fuser(canvas, stack.dtype, "linear", keeps_to_frames=True)
        wanted = alone.fuse(box, {0: ArrayFrames(stack)}, None)
        assert np.array_equal(fuser.fuse(box, {0: slow}, None), wanted)
    assert slow.count == len(stack)
    # Back again, as a part that starts elsewhere: what is kept is never too old.
    for box in reversed(boxes):
        alone = Fuser(canvas, stack.dtype, "linear", keeps_to_frames=True)
        wanted = alone.fuse(box, {0: ArrayFrames(stack)}, None)
        assert np.array_equal(fuser.fuse(box, {0: slow}, None), wanted)
        kept = fuser.kept[0].region_frc[0]
        assert kept.stop - kept.start <= 50 + depth


@pytest.mark.parametrize("shear", [0.5, 1.0, 1.73, -1.73])
@pytest.mark.parametrize("off", [-0.4, -0.1, 0.1, 0.4])
def test_i19_s03_blocks_of_any_size_cover_what_the_whole_covers(shear, off):
    """A voxel that lies before the first column lies further along x than all samples.

    Where a block ended there, it did not have the tile.
    """
    shape, count = (9, 33, 7), 2
    sizes = [Placement((0, 0, 20), shape, shear), Placement((10 + off, 0, 20.6), shape, shear)]
    canvas = Canvas((20, 33, 60), (1, 1, 1), (0, 0, 0), tuple(sizes))
    frames = {n: ArrayFrames(np.full((7, 33, 9), 77, "u2")) for n in range(count)}
    fuser = Fuser(canvas, np.dtype("u2"), "cubic")
    whole = fuser.fuse(tuple(slice(0, n) for n in canvas.shape_zyx), frames, None)
    assert set(np.unique(whole)) == {0, 77}
    for x in range(60):
        box = (slice(0, 20), slice(0, 33), slice(x, x + 1))
        near = {n: frames[n] for n in fuser.numbers_in(box)}
        assert np.array_equal(fuser.fuse(box, near, None), whole[box])
