"""Alignment of tiles whose true places are known, in frames of an oblique microscope."""

import math

import numpy as np
import pytest
from oblique_scenes import ROOT, make_scene, sample_tile, tile_set

from spimpack_tasks.stitching import kept_frames
from spimpack_tasks.stitching.align import align, estimate_pitch, keep_stage
from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.pairs import SearchSettings
from spimpack_tasks.stitching.tiles import Geometry

STEP = 1.28


class Stacks:
    """Frames in memory, as `OpenTiles` has them."""

    def __init__(self, stacks):
        self.stacks = stacks

    def need(self, numbers):
        return {number: StrictFrames(self.stacks[number]) for number in numbers}


class StrictFrames(ArrayFrames):
    """Frames that refuse regions beyond them, as files do."""

    def read(self, region_frc):
        for part, count in zip(region_frc, self.shape_frc, strict=True):
            assert 0 <= part.start < part.stop <= count
        return super().read(region_frc)


def make_grid(
    *, counts_xyz, shape_frc, overlap, v_true=1.8, jitter_um_xyz=(0, 0, 0), seed=1, scene=None
):
    """Return tiles at places of a stage that may be wrong, their frames, and their true places.

    The stage moves by the nominal distance of pixels, 1.8 µm, as if that were right.
    """
    frames, rows, columns = shape_frc
    v = 1.8
    step_um = (
        (1 - overlap) * frames * STEP,
        (1 - overlap) * rows * v,
        (1 - overlap) * columns * v / ROOT,
    )
    rng = np.random.default_rng(seed)
    stage, true = [], []
    for z in range(counts_xyz[2]):
        for x in range(counts_xyz[0]):
            for y in range(counts_xyz[1]):
                at = np.array([z * step_um[2], y * step_um[1], x * step_um[0]])
                off = rng.uniform(-1, 1, 3) * np.array(jitter_um_xyz)[::-1]
                stage.append(np.round(at, 1))
                true.append(stage[-1] + off)
    size = np.array(
        [columns * v_true / ROOT, rows * v_true, frames * STEP + columns * v_true / ROOT]
    )
    if scene is None:
        low, high = np.min(true, axis=0) - 10, np.max(true, axis=0) + size + 10
        scene = make_scene(low, high, seed=seed)
    stacks = [
        sample_tile(scene, at, shape_frc, v_um=v_true, step_um=STEP,
                    noise_seed=100 + n)
        for n, at in enumerate(true)
    ]  # fmt: skip
    tiles = tile_set([shape_frc] * len(stage), stage, Geometry(1.8, STEP))
    return tiles, stacks, np.array(true)


def places_frc(places_um, v):
    """Return places in frames, rows and columns from the first one, by the definition."""
    z, y, x = (places_um - places_um[0]).T
    return np.stack([(x - z) / STEP, y / v, z * ROOT / v], axis=1)


GRIDS = {
    "along y": {
        "counts_xyz": (1, 3, 1),
        "shape_frc": (80, 160, 64),
        "overlap": 0.25,
        "v_true": 1.83,
    },
    "x and y": {
        "counts_xyz": (2, 2, 1),
        "shape_frc": (110, 120, 80),
        "overlap": 0.45,
        "v_true": 1.83,
        "jitter_um_xyz": (5, 2, 4),
        "seed": 7,
    },
    "x, y and z": {
        "counts_xyz": (2, 2, 2),
        "shape_frc": (110, 110, 110),
        "overlap": 0.4,
        "v_true": 1.815,
        "jitter_um_xyz": (4, 3, 4),
        "seed": 11,
    },
}
LARGE = {
    "small": GRIDS["x, y and z"],
    "ds1": GRIDS["along y"] | {"shape_frc": (240, 256, 128)},
    "ds3": GRIDS["x and y"] | {"shape_frc": (320, 200, 128)},
    "ds4": GRIDS["x, y and z"]
    | {"counts_xyz": (2, 3, 2), "shape_frc": (320, 200, 160), "overlap": 0.35},
}


def check_places(grid):
    tiles, stacks, true = make_grid(**grid)
    found = align(tiles, Stacks(stacks))
    wanted = places_frc(true, grid["v_true"])
    got = np.array([tile.place_frc for tile in found.tiles])
    nominal = places_frc(np.array([t.position_um_zyx for t in tiles.tiles]), 1.8)
    assert np.abs(got - wanted).max() <= 0.1
    assert np.abs(got - wanted).max() <= np.abs(nominal - wanted).max()
    assert all(not pair.reason for pair in found.pairs)
    sigma = np.array([tile.sigma_frc for tile in found.tiles])
    assert sigma.max() < 0.2
    return found


@pytest.mark.parametrize("name", ["along y", "x and y"])
def test_i19_12_places_are_found_to_a_tenth_of_a_sample(name):
    check_places(GRIDS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_i19_12_s02_places_in_large_sets(name):
    check_places(LARGE[name])


@pytest.mark.parametrize("counts", [(1, 1, 1), (2, 1, 1), (1, 1, 2)], ids=str)
def test_i19_13_small_grids(counts):
    tiles, stacks, true = make_grid(
        counts_xyz=counts, shape_frc=(80, 90, 80), overlap=0.45, jitter_um_xyz=(3, 2, 2)
    )
    found = align(tiles, Stacks(stacks))
    got = np.array([tile.place_frc for tile in found.tiles])
    assert np.abs(got - places_frc(true, 1.8)).max() <= 0.1
    assert len(found.pairs) == math.prod(counts) - 1
    assert found.pitch is None


def test_i19_13_a_set_with_one_tile_missing():
    tiles, stacks, true = make_grid(**GRIDS["x and y"])
    few = [0, 1, 3]
    less = tile_set(
        [tiles.tiles[n].shape_frc for n in few],
        [tiles.tiles[n].position_um_zyx for n in few],
        tiles.geometry,
    )
    found = align(less, Stacks([stacks[n] for n in few]))
    got = np.array([tile.place_frc for tile in found.tiles])
    assert np.abs(got - places_frc(true[few], 1.83)).max() <= 0.1


@pytest.mark.parametrize("is_reversed", [False, True], ids=["as recorded", "reversed"])
def test_i19_12_few_large_things_are_enough_in_any_order(is_reversed):
    """The correlation of other shifts scatters as widely as things are large."""
    shape = (60, 90, 40)
    stage = np.array([(0, y, x) for y in (0, 58.5 * 1.8) for x in (0, 39 * STEP)])
    true = stage + np.array([(0, 0, 0), (0.5, -2.4, -0.4), (-0.1, -2, 1.4), (-2.3, -0.6, 0.1)])
    scene = make_scene((-10, -10, -10), (70, 290, 200), per_um3=1 / 4000, seed=3)
    stacks = [
        sample_tile(scene, at, shape, v_um=1.8, step_um=STEP, noise_seed=n)
        for n, at in enumerate(true)
    ]
    order = slice(None, None, -1 if is_reversed else 1)
    tiles = tile_set([shape] * 4, stage[order], Geometry(1.8, STEP))
    found = align(tiles, Stacks(stacks[order]))
    assert [pair.reason for pair in found.pairs] == [""] * 4
    got = np.array([tile.place_frc for tile in found.tiles])
    assert np.abs(got - places_frc(true[order], 1.8)).max() <= 0.1


@pytest.mark.parametrize("error", range(-6, 7))
def test_a_shift_at_the_end_of_the_range_is_measured_or_too_far(error):
    """No more of the first tile was read than the range; then it is searched twice as far."""
    shape = (40, 60, 40)
    whole = np.random.default_rng(1).normal(1000, 100, (40, 160, 40))
    for axis in range(3):
        whole = sum(np.roll(whole, n, axis) for n in (-1, 0, 1)) / 3
    stacks = [whole[:, 40:100].astype("u2"), whole[:, 70 + error : 130 + error].astype("u2")]
    tiles = tile_set([shape] * 2, [(0, 0, 0), (0, 30, 0)], Geometry(1, 1, None))
    found = align(tiles, Stacks(stacks), SearchSettings(search_um=3))
    if abs(error) < 6:
        assert found.tiles[1].correction_frc == pytest.approx((0, error, 0), abs=0.1)
    else:
        assert found.pairs[0].reason


def test_i19_13_a_pair_without_structure_stays_on_the_stage_and_says_so():
    tiles, stacks, true = make_grid(
        counts_xyz=(1, 3, 1), shape_frc=(80, 160, 64), overlap=0.25, jitter_um_xyz=(2, 2, 2)
    )
    stacks[2][:] = np.random.default_rng(3).poisson(200, stacks[2].shape)
    found = align(tiles, Stacks(stacks))
    got = np.array([tile.place_frc for tile in found.tiles])
    wanted = places_frc(true, 1.8)
    stage = np.array([tile.place_frc for tile in keep_stage(tiles).tiles])
    assert np.abs(got - wanted)[:2].max() <= 0.1
    assert np.abs(got - stage)[2].max() < 1e-6
    assert found.tiles[1].sigma_um_zyx[1] < 0.1
    assert found.tiles[2].sigma_um_zyx == pytest.approx((5, 5, 5), rel=0.01)
    assert [bool(pair.reason) for pair in found.pairs] == [False, True]
    assert any(warning.startswith("tile1 and tile2: ") for warning in found.warnings)
    assert any(warning.startswith("tile2: not aligned") for warning in found.warnings)


def test_i19_13_a_pattern_that_repeats_is_not_locked_on():
    """Stripes along y repeat each 8 samples; the stage is wrong by 5 of them."""
    shape = (40, 120, 40)
    rows = np.arange(300)
    pattern = 1000 + 500 * np.sin(2 * np.pi * rows / 8)
    stacks = []
    for start in (0, 85):
        box = pattern[None, start : start + 120, None]
        noise = np.random.default_rng(start).normal(0, 20, shape)
        stacks.append((box + noise).astype("u2"))
    tiles = tile_set([shape] * 2, [(0, 0, 0), (0, 80 * 1.8, 0)], Geometry(1.8, STEP))
    found = align(tiles, Stacks(stacks))
    assert "a pattern repeats" in found.pairs[0].reason
    assert found.tiles[1].correction_frc == pytest.approx((0, 0, 0), abs=1e-6)


def test_i19_14_the_pitch_is_measured_with_an_exact_stage():
    found = check_places(GRIDS["along y"])
    assert found.pitch.pitch_um == pytest.approx(1.83, rel=1e-3)
    assert found.pitch.is_used
    assert found.geometry.pitch_um == found.pitch.pitch_um
    assert abs(found.pitch.pitch_um - 1.83) < 2 * found.pitch.error_um + 0.0005
    positions = np.array(found.positions_um_zyx)
    stage = [n * 0.75 * 160 * 1.8 for n in range(3)]
    assert positions[:, 1] == pytest.approx(stage, abs=0.15)


def test_i19_14_a_stage_that_jitters_gives_an_uncertain_pitch():
    tiles, stacks, _ = make_grid(**GRIDS["x and y"] | {"jitter_um_xyz": (2, 2, 2)})
    pitch = align(tiles, Stacks(stacks)).pitch
    assert abs(pitch.pitch_um - 1.83) < 2 * pitch.error_um
    assert not pitch.is_used


@pytest.mark.parametrize("counts", [(2, 2), (1, 3), (3, 4)], ids=str)
def test_i19_14_the_error_of_the_pitch_covers_the_truth(counts):
    """19 of 20 times the truth lies within two standard errors, also with few tiles."""
    geometry = Geometry(1.8, STEP)
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        grid = [(0, y * 200.0, x * 150.0) for x in range(counts[0]) for y in range(counts[1])]
        true = np.array(grid) + rng.uniform(-2, 2, (len(grid), 3))
        tiles = tile_set([(9, 9, 9)] * len(grid), grid, geometry)
        pitch = estimate_pitch(tiles, places_frc(true, 1.83), [[*range(len(grid))]])
        covered += abs(pitch.pitch_um - 1.83) < 2 * pitch.error_um
    assert covered >= 180


def test_i19_s01_the_correction_has_the_sign_of_the_error():
    """A tile that lies 4 samples further along each axis than the stage says is moved there."""
    scene = make_scene((-50, -50, -50), (250, 400, 400), seed=5)
    v = 1.8
    off = np.array([3, 2 * ROOT, 4 + 3]) * v / ROOT  # z, y, x of 4 frames, 2 rows, 3 columns
    stage = np.array([(0, 0, 0), (0, 70 * v, 0)])
    stacks = [
        sample_tile(scene, at, (70, 110, 60), v_um=v, step_um=v / ROOT, noise_seed=n)
        for n, at in enumerate([stage[0], stage[1] + off])
    ]
    tiles = tile_set([(70, 110, 60)] * 2, stage, Geometry(v, v / ROOT))
    found = align(tiles, Stacks(stacks))
    assert found.tiles[1].correction_frc == pytest.approx((4, 2, 3), abs=0.1)


def test_pairs_of_planes_across_z():
    rng = np.random.default_rng(6)
    volume = rng.normal(1000, 100, (40, 120, 160))
    for axis in range(3):
        volume = (volume + np.roll(volume, 1, axis) + np.roll(volume, -1, axis)) / 3
    volume = np.floor(volume).astype("u2")
    stacks = [volume[2:32, 10:110, 5:95], volume[5:35, 8:108, 62:152]]
    geometry = Geometry(pitch_um=2.0, step_um=4.0, angle_deg=None)
    tiles = tile_set([(30, 100, 90)] * 2, [(0, 0, 0), (0, 0, 2 * 60)], geometry)
    found = align(tiles, Stacks(stacks))
    assert found.tiles[1].correction_frc == pytest.approx((3, -2, -3), abs=0.02)
    position = found.tiles[1].position_um_zyx
    assert position == pytest.approx((12, -4, 114), abs=0.1)


def test_frames_that_are_stored_as_a_whole_are_decoded_few_times(monkeypatch):
    """Each window of a compressed TIFF decoded all of its frames, 4,000 of them for this pair."""
    random = np.random.default_rng(1)
    whole = random.normal(1000, 100, (63, 260, 60))
    for axis in range(3):
        whole = sum(np.roll(whole, n, axis) for n in (-1, 0, 1)) / 3
    stacks = [whole[:60, :160].astype("u2"), whole[3:, 102:].astype("u2")]
    shapes = [stack.shape for stack in stacks]
    tiles = tile_set(shapes, [(0, 0, 0), (0, 100, 0)], Geometry(1, 1, None))
    read = []

    class Slow(StrictFrames):
        stored_rows = 160

        def read(self, region_frc):
            read.append(region_frc[0].stop - region_frc[0].start)
            return super().read(region_frc)

    class SlowStacks(Stacks):
        def need(self, numbers):
            return {number: Slow(self.stacks[number]) for number in numbers}

    wanted = align(tiles, Stacks(stacks))
    assert wanted.tiles[1].correction_frc == pytest.approx((3, 2, 0), abs=0.1)
    assert align(tiles, SlowStacks(stacks)) == wanted
    assert sum(read) <= 2 * 60
    read.clear()
    # With room for a few frames the windows still share those of their neighbours.
    monkeypatch.setattr(kept_frames, "KEPT_BYTES", 30 * 160 * 60 * 2)
    assert align(tiles, SlowStacks(stacks)) == wanted
    assert 2 * 60 < sum(read) < 1000


def test_no_pair_tells_no_pitch():
    tiles = tile_set([(4, 5, 6)], [(0, 0, 0)], Geometry(1.8, STEP))
    assert estimate_pitch(tiles, np.zeros((1, 3)), [[0]]) is None


def smooth_noise(shape):
    """Return values from 0 to 1 that neighbours have in common."""
    values = np.random.default_rng(1).normal(0, 1, shape)
    for axis in range(3):
        values = sum(np.roll(values, n, axis) for n in (-1, 0, 1)) / 3
    return (values - values.min()) / np.ptp(values)


RANGES = {
    "uint8": ("u1", 255, 0),
    "uint8, few counts": ("u1", 10, 0),
    "int16, below zero": ("i2", 4000, -3000),
    "uint32": ("u4", 4e9, 0),
    "float32, from 0 to 1": ("f4", 1, 0),
    "float32, small": ("f4", 1e-6, 0),
    "float32, large": ("f4", 1e30, 0),
    "float64, small on a background": ("f8", 1e-6, 1e-3),
    "saturated": ("u2", 120_000, 0),
}


@pytest.mark.parametrize(("dtype", "factor", "offset"), RANGES.values(), ids=RANGES)
def test_i19_12_tiles_of_any_type_and_range_are_aligned(dtype, factor, offset):
    """Small floating-point numbers counted as rounding errors, so that no pair was measured."""
    values = smooth_noise((50, 120, 50)) * factor + offset
    if dtype == "u2":
        values = np.minimum(values, 65_535)  # half of the samples
    stacks = [values[:, :70].astype(dtype), values[:, 42:].astype(dtype)]
    tiles = tile_set([s.shape for s in stacks], [(0, 0, 0), (2, 40, -3)], Geometry(1, 1, None))
    found = align(tiles, Stacks(stacks))
    assert found.tiles[1].place_frc == pytest.approx((0, 42, 0), abs=0.01)


NOTHING = {
    "all are saturated": lambda whole: np.full_like(whole, 65_535),
    "all are zero": np.zeros_like,
    "not a number": lambda whole: whole.astype("f4") * np.nan,
}


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_i19_13_tiles_without_a_sign_of_their_shift_stay_on_the_stage(change):
    whole = (smooth_noise((50, 120, 50)) * 4000).astype("u2")
    stacks = [change(whole[:, :70]), change(whole[:, 42:])]
    tiles = tile_set([s.shape for s in stacks], [(0, 0, 0), (2, 40, -3)], Geometry(1, 1, None))
    found = align(tiles, Stacks(stacks))
    assert found.tiles[1].correction_frc == (0, 0, 0)
    assert min(found.tiles[1].sigma_frc) > 1
    assert found.pairs[0].reason


@pytest.mark.parametrize("overlap", range(10))
def test_i19_13_an_overlap_of_few_samples_is_measured_rightly_or_not_at_all(overlap):
    whole = (smooth_noise((50, 140, 50)) * 4000).astype("u2")
    stacks = [whole[:, :70], whole[:, 70 - overlap :]]
    stage = (0, 70 - overlap, 0)
    tiles = tile_set([s.shape for s in stacks], [(0, 0, 0), stage], Geometry(1, 1, None))
    found = align(tiles, Stacks(stacks)).tiles[1]
    assert np.abs(found.correction_frc).max() <= 0.1
    assert found.pairs == 0 or overlap >= 6
