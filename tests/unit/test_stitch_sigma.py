"""Stated uncertainties of pairs against their errors, in small overlaps of tilted frames."""

import itertools

import numpy as np
import pytest
from oblique_scenes import make_scene, sample_tile

from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.pairs import Overlap, SearchSettings, measure_pair, reach_frc
from spimpack_tasks.stitching.refine import cover, refine
from spimpack_tasks.stitching.tiles import Geometry, um_of_sample

V, STEP = 1.8, 1.28
GEOMETRY = Geometry(V, STEP)
SHAPE = (70, 70, 60)
SETTINGS = SearchSettings(search_um=8.0)
PHOTONS = {"none": 0.0, "weak": 1.0, "strong": 20.0, "very strong": 100.0}
"""Counts of one photon."""


def measure(axis, size, noise, per_um3, seed):
    """Return a pair that overlaps by `size` samples along an axis, and its true shift."""
    rng = np.random.default_rng(seed)
    stage = np.zeros(3)
    stage[axis] = SHAPE[axis] - size
    true = stage + rng.uniform(-2, 2, 3)
    at = np.array(um_of_sample(GEOMETRY, tuple(true)))
    end = np.array(um_of_sample(GEOMETRY, SHAPE))
    scene = make_scene(np.minimum(0, at) - 15, end + np.maximum(0, at) + 15, per_um3, seed)
    stacks = []
    for place in ((0, 0, 0), at):
        values = sample_tile(scene, place, SHAPE, v_um=V, step_um=STEP)
        if PHOTONS[noise]:
            values = rng.poisson(values / PHOTONS[noise]) * PHOTONS[noise]
        stacks.append(ArrayFrames(np.clip(values, 0, 65535).astype("u2")))
    overlap = Overlap(0, 1, tuple(stage))
    found = measure_pair(overlap, tuple(stacks), reach_frc(GEOMETRY, SETTINGS), SETTINGS)
    return found, true


def check_coverage(cases):
    """The truth lies within two stated standard deviations in 19 of 20 cases at least."""
    scores = []
    for case in cases:
        found, true = measure(*case)
        if found.shift_frc is not None:
            sigma = np.sqrt(np.diag(np.linalg.inv(found.information)))
            scores.append(np.abs(found.shift_frc - true) / sigma)
    scores = np.concatenate(scores)
    assert scores.size >= 2 * len(cases)
    assert np.mean(scores < 2) >= 0.95
    assert np.mean(scores < 3) >= 0.99


def test_i19_12_the_stated_error_covers_the_truth_in_small_overlaps():
    check_coverage([*itertools.product((0, 1, 2), (12,), ("weak", "strong"), (1 / 3000,), (1,))])


@pytest.mark.slow
@pytest.mark.parametrize("noise", PHOTONS)
@pytest.mark.parametrize("per_um3", [1 / 20_000, 1 / 3000], ids=["sparse", "dense"])
def test_i19_12_the_stated_error_covers_the_truth(noise, per_um3):
    check_coverage([*itertools.product((0, 1, 2), (12, 18, 30), (noise,), (per_um3,), range(4))])


@pytest.mark.parametrize(("axis", "seed"), [(0, 0), (1, 0), (2, 1)])
def test_i19_12_without_noise_a_small_overlap_is_right_to_a_hundredth(axis, seed):
    """The quadratic function through the peak was wrong by up to 0.25 samples here."""
    found, true = measure(axis, 18, "none", 1 / 3000, seed)
    assert np.abs(found.shift_frc - true).max() < 0.01


def test_noise_does_not_draw_a_shift_to_halves_of_samples():
    """Noise is less between samples, so plain least squares would choose them."""
    errors = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        scene = make_scene((-10, -10, -10), (80, 110, 130), per_um3=1 / 3000, seed=seed)
        at = um_of_sample(GEOMETRY, (0.25, 0.25, 0.25))
        pair = [
            ArrayFrames(
                rng.poisson(
                    sample_tile(scene, place, (40, 40, 40), v_um=V, step_um=STEP) / 100
                ).astype("u2")
            )
            for place in ((0, 0, 0), at)
        ]
        windows = cover((slice(0, 40),) * 3, 20)
        found = refine(pair, [0, 0, 0], [0.0, 0.0, 0.0], windows)
        errors.append(found.shift - 0.25)
    assert np.abs(np.mean(errors, axis=0)).max() < 0.03


@pytest.mark.parametrize("axis", range(3))
def test_windows_cover_a_box_once(axis):
    box = [slice(3, 10), slice(0, 24), slice(5, 6)]
    box[axis] = slice(2, 75)
    counts = np.zeros((80, 80, 80), int)
    for window in cover(tuple(box), 24):
        counts[window] += 1
    assert counts[tuple(box)].min() == counts.max() == 1
    assert counts.sum() == np.prod([part.stop - part.start for part in box])


def test_a_pair_that_does_not_settle_is_stated_as_uncertain():
    rng = np.random.default_rng(3)
    pair = [ArrayFrames(rng.poisson(300, (40, 40, 40)).astype("u2")) for _ in range(2)]
    found = refine(pair, [0, 0, 0], [0.9, 0.9, 0.9], cover((slice(0, 40),) * 3, 20))
    assert found is None or np.sqrt(np.diag(found.covariance)).max() > 0.3
    flat = [ArrayFrames(np.full((40, 40, 40), 7, "u2"))] * 2
    assert refine(flat, [0, 0, 0], [0, 0, 0], cover((slice(0, 40),) * 3, 20)) is None
