"""Pairs of tiles that are measured, and others that are not: smooth tissue, sharp edges, cells."""

import itertools

import numpy as np
import pytest

from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.pairs import Overlap, SearchSettings, measure_pair

SHAPE, OVERLAP = (70, 80, 70), 30
STAGE = (0.0, float(SHAPE[1] - OVERLAP), 0.0)


def smooth(rng, shape, sigma):
    """Return noise that was smoothed by a gaussian, of a standard deviation of 1."""
    spectrum = np.fft.fftn(rng.normal(size=shape), axes=(0, 1, 2))
    for axis, count in enumerate(shape):
        kernel = np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(count)) ** 2)
        spectrum *= np.expand_dims(kernel, [n for n in range(3) if n != axis])
    values = np.fft.ifftn(spectrum, axes=(0, 1, 2)).real
    return values / values.std()


TISSUES = {
    "edges": lambda rng, shape: (
        200 + 2000 * (smooth(rng, shape, 12) > 0) * (1 + 0.2 * smooth(rng, shape, 10))
    ),
    "smooth": lambda rng, shape: 1000 + 300 * smooth(rng, shape, 10),
    "cells": lambda rng, shape: 1000 + 200 * smooth(rng, shape, 2),
    "nothing": lambda _, shape: np.full(shape, 300.0),
    "uneven light": lambda _, shape: 300 + 500 * np.indices(shape).sum(0) / sum(shape),
}


def measure(kind, seed, photon, *, is_same):
    """Return a measured pair of tiles of one tissue or of two, and by how much it is shifted."""
    rng = np.random.default_rng(seed)
    off = rng.integers(-3, 4, 3)
    shape = (96, 150, 96)
    first = TISSUES[kind](rng, shape)
    second = first if is_same else TISSUES[kind](np.random.default_rng(seed + 999), shape)
    starts = (np.zeros(3, int) + 10, np.array(STAGE, int) + off + 10)
    pair = []
    for volume, start in zip((first, second), starts, strict=True):
        box = volume[tuple(slice(a, a + n) for a, n in zip(start, SHAPE, strict=True))]
        values = rng.poisson(np.maximum(box, 0) / photon) * photon
        pair.append(ArrayFrames(np.clip(values, 0, 65535).astype("u2")))
    settings = SearchSettings(search_um=10.0)
    return measure_pair(Overlap(0, 1, STAGE), tuple(pair), (10, 10, 10), settings), off


def check_same(kind, seed, photon):
    found, off = measure(kind, seed, photon, is_same=True)
    assert found.reason == ""
    assert np.abs(np.array(found.shift_frc) - STAGE - off).max() < 0.1


def check_different(kind, seed, photon):
    """Another tissue is not taken for the same one, whatever its correlation."""
    found, _ = measure(kind, seed, photon, is_same=False)
    assert found.shift_frc is None
    assert found.reason


@pytest.mark.parametrize(("kind", "seed"), [("edges", 1), ("smooth", 2), ("cells", 0)])
def test_i19_12_smooth_tissue_is_measured(kind, seed):
    """Smooth things correlate at many shifts; their samples tell which is right."""
    check_same(kind, seed, 1.0)


@pytest.mark.parametrize(
    ("kind", "seed"),
    [("edges", 1), ("edges", 12), ("smooth", 11), ("cells", 0), ("nothing", 0)],
)
def test_i19_13_different_tissue_is_not_measured(kind, seed):
    check_different(kind, seed, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TISSUES)
def test_i19_13_no_false_pair_is_measured(kind):
    for seed, photon in itertools.product(range(10, 22), (1.0, 30.0)):
        check_different(kind, seed, photon)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["edges", "cells"])
def test_i19_12_pairs_of_edges_and_cells_are_measured(kind):
    for seed, photon in itertools.product(range(10, 22), (1.0, 30.0)):
        check_same(kind, seed, photon)
