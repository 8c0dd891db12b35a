"""Fused tiles of a scene that is known at each point: how far voxels are from the truth."""

import math

import numpy as np
import pytest
from oblique_scenes import ROOT, make_scene, sample_tile, tile_set

from spimpack_tasks.stitching.align import align
from spimpack_tasks.stitching.frames import ArrayFrames
from spimpack_tasks.stitching.fuse import Fuser
from spimpack_tasks.stitching.placing import place_alone, place_tiles
from spimpack_tasks.stitching.tiles import Geometry

STEP, NOMINAL, TRUE = 1.28, 1.8, 1.83


class Stacks:
    """Frames in memory, as `OpenTiles` has them."""

    def __init__(self, stacks):
        self.stacks = stacks

    def need(self, numbers):
        return {number: ArrayFrames(self.stacks[number]) for number in numbers}


def truth_of(scene, canvas):
    """Return the values of a scene at the voxels of a canvas, blob by blob."""
    axes = [
        first + np.arange(count) * step
        for first, count, step in zip(
            canvas.origin_um_zyx, canvas.shape_zyx, canvas.spacing_um_zyx, strict=True
        )
    ]
    values = np.full(canvas.shape_zyx, scene.background)
    for place, sigma, height in zip(
        scene.places_um_zyx, scene.sigmas_um, scene.heights, strict=True
    ):
        near = [np.flatnonzero(abs(a - p) < 6 * sigma) for a, p in zip(axes, place, strict=True)]
        if all(part.size for part in near):
            parts = [
                np.exp(-((axis[n] - p) ** 2) / (2 * sigma**2))
                for axis, n, p in zip(axes, near, place, strict=True)
            ]
            values[np.ix_(*near)] += height * np.einsum("i,j,k->ijk", *parts)
    return values


def inside(canvas):
    """Return the voxels between the first and the last frame and row, where truth can be asked."""
    depth, rows, width = canvas.shape_zyx
    frames = canvas.placements[0].shape_crf[2]
    shear = canvas.placements[0].shear
    place = np.arange(width)[None, :] - shear * np.arange(depth)[:, None]
    covered = ((place >= 0) & (place <= frames - 1))[:, None, :] & np.ones((1, rows, 1), bool)
    covered[:, rows - 1 :] = False
    return covered


def fused(canvas, stacks, interpolation):
    frames = {number: ArrayFrames(stack) for number, stack in enumerate(stacks)}
    whole = tuple(slice(0, n) for n in canvas.shape_zyx)
    return Fuser(canvas, np.dtype("u2"), interpolation).fuse(whole, frames, None)


def test_i19_06_a_scene_of_shear_one_is_right_to_half_a_count():
    step = NOMINAL / ROOT
    shape = (40, 30, 24)
    scene = make_scene((-10, -10, -10), (60, 70, 100), per_um3=1 / 5000)
    stack = sample_tile(scene, (0, 0, 0), shape, v_um=NOMINAL, step_um=step)
    canvas = place_alone(tile_set([shape], [(0, 0, 0)], Geometry(NOMINAL, step)), 0)
    found, truth = fused(canvas, [stack], "linear"), truth_of(scene, canvas)
    assert np.abs(found - truth)[inside(canvas)].max() <= 0.5 + 1e-6


def rms_of(shape, interpolation, *, noise):
    """Align and fuse three tiles along y; return the error, and that of the light's noise."""
    pitch = 0.75 * shape[1] * NOMINAL
    stage = [(0, n * pitch, 0) for n in range(3)]
    depth = shape[2] * TRUE / ROOT
    high = (depth + 10, 2 * pitch + shape[1] * TRUE + 10, shape[0] * STEP + depth + 10)
    scene = make_scene((-10, -10, -10), high, seed=3)
    stacks = [
        sample_tile(scene, place, shape, v_um=TRUE, step_um=STEP, noise_seed=n if noise else None)
        for n, place in enumerate(stage)
    ]
    tiles = tile_set([shape] * 3, stage, Geometry(NOMINAL, STEP))
    found = align(tiles, Stacks(stacks))
    canvas = place_tiles(tiles, found.positions_um_zyx, found.geometry)
    volume, truth, covered = fused(canvas, stacks, interpolation), truth_of(scene, canvas), None
    covered = inside(canvas)
    assert volume[covered].all()
    error = (volume - truth)[covered]
    return math.sqrt(np.mean(error**2)), math.sqrt(truth[covered].mean())


@pytest.mark.parametrize(
    ("interpolation", "most"), [("cubic", 5.0), ("linear", 9.0), ("nearest", 38.5)]
)
def test_i19_17_tiles_without_noise_are_fused_to_the_scene(interpolation, most):
    assert rms_of((90, 130, 64), interpolation, noise=False)[0] <= most


@pytest.mark.slow
def test_i19_17_large_tiles_with_and_without_noise():
    shape = (240, 256, 128)
    error, light = rms_of(shape, "cubic", noise=True)
    assert error <= light
    assert rms_of(shape, "cubic", noise=False)[0] <= 5
    assert rms_of(shape, "nearest", noise=True)[0] <= 38.5
