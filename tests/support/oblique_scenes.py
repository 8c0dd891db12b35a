"""Stacks of an oblique microscope, made from a scene that is known at each point, for tests.

Written from the geometry alone: a sample at frame f, row r and column c of a tile shows the place
x = f * step + c * v / sqrt(2), y = r * v, z = c * v / sqrt(2), counted from the tile's position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet

ROOT = math.sqrt(2)


@dataclass(frozen=True)
class Scene:
    """A background with gaussian blobs, and a value at each point."""

    places_um_zyx: np.ndarray
    sigmas_um: np.ndarray
    heights: np.ndarray
    background: float = 200.0

    def along(self, z, y, x):
        """Return the values at places in µm, arrays of one shape; only near blobs are added."""
        values = np.full(z.shape, self.background)
        low = np.array([z.min(), y.min(), x.min()])
        high = np.array([z.max(), y.max(), x.max()])
        reach = 6 * self.sigmas_um[:, None]
        near = ((self.places_um_zyx > low - reach) & (self.places_um_zyx < high + reach)).all(1)
        for place, sigma, height in zip(
            self.places_um_zyx[near], self.sigmas_um[near], self.heights[near], strict=True
        ):
            away = (z - place[0]) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2
            values += height * np.exp(-away / (2 * sigma**2))
        return values


def make_scene(low_um_zyx, high_um_zyx, per_um3=1 / 20_000, seed=1, sigma_um=(2.5, 5.0)):
    """Return a scene with blobs in a box."""
    rng = np.random.default_rng(seed)
    low, high = np.asarray(low_um_zyx, float), np.asarray(high_um_zyx, float)
    count = max(int(np.prod(high - low) * per_um3), 8)
    places = rng.uniform(low, high, (count, 3))
    return Scene(places, rng.uniform(*sigma_um, count), rng.uniform(500, 4000, count))


def sample_tile(scene, position_um_zyx, shape_frc, *, v_um, step_um, noise_seed=None):
    """Return frames of a tile, frame by frame, rounded; with the noise of photons if wanted."""
    frames, rows, columns = shape_frc
    out = np.empty(shape_frc, "u2")
    values = np.full(shape_frc, scene.background)
    z0, y0, x0 = position_um_zyx
    down = v_um / ROOT
    for place, sigma, height in zip(
        scene.places_um_zyx, scene.sigmas_um, scene.heights, strict=True
    ):
        reach = 6 * sigma
        c = _range((place[0] - z0 - reach) / down, (place[0] - z0 + reach) / down, columns)
        r = _range((place[1] - y0 - reach) / v_um, (place[1] - y0 + reach) / v_um, rows)
        if not (c.size and r.size):
            continue
        x_low = (place[2] - x0 - reach - c[-1] * down) / step_um
        x_high = (place[2] - x0 + reach - c[0] * down) / step_um
        f = _range(x_low, x_high, frames)
        if not f.size:
            continue
        dx = x0 + f[:, None, None] * step_um + c * down - place[2]
        dy = (y0 + r * v_um - place[1])[None, :, None]
        dz = (z0 + c * down - place[0])[None, None, :]
        blob = height * np.exp(-(dx**2 + dy**2 + dz**2) / (2 * sigma**2))
        values[f[0] : f[-1] + 1, r[0] : r[-1] + 1, c[0] : c[-1] + 1] += blob
    if noise_seed is not None:
        values = np.random.default_rng(noise_seed).poisson(values)
    out[:] = np.clip(np.floor(values + 0.5), 0, 65535)
    return out


def _range(low, high, count):
    return np.arange(max(math.ceil(low), 0), min(math.floor(high) + 1, count))


def tile_set(shapes_frc, positions_um_zyx, geometry: Geometry, dtype="uint16", paths=None):
    """Return a set of tiles that have no file, or those of paths."""
    tiles = [
        Tile(
            name=f"tile{n}",
            path=str(paths[n]) if paths else f"/nowhere/tile{n}",
            position_um_zyx=tuple(map(float, position)),
            shape_frc=tuple(shape),
            dtype=dtype,
        )
        for n, (shape, position) in enumerate(zip(shapes_frc, positions_um_zyx, strict=True))
    ]
    return TileSet(geometry, tuple(tiles))


def deskew_truth(frames, shear):
    """Return out[k, j, i] = frames[i - k * shear, j, k], linear between frames, in plain loops."""
    count, rows, columns = frames.shape
    width = count + math.ceil((columns - 1) * shear - 1e-9)
    out = np.zeros((columns, rows, width), frames.dtype)
    for k in range(columns):
        for i in range(width):
            f = i - k * shear
            near = math.floor(f + 1e-9)
            rest = max(f - near, 0.0)
            if near < 0 or near + (rest > 1e-9) > count - 1:
                continue
            value = frames[near, :, k].astype(float)
            if rest > 1e-9:
                value = value * (1 - rest) + frames[near + 1, :, k] * rest
            out[k, :, i] = np.floor(value + 0.5)
    return out


def cut_tiles(volume_zyx, starts_zyx, sizes_crf):
    """Return frames that an oblique microscope of shear 1 records of a volume, cut at whole voxels.

    Sample f, r, c of the tile at z, y, x shows voxel z + c, y + r, x + f + c.
    """
    stacks = []
    for (z, y, x), (depth, rows, frames) in zip(starts_zyx, sizes_crf, strict=True):
        c = np.arange(depth)[None, None, :]
        r = np.arange(rows)[None, :, None]
        f = np.arange(frames)[:, None, None]
        stacks.append(volume_zyx[z + c, y + r, x + f + c])
    return stacks


def covered_by(shape_zyx, starts_zyx, sizes_crf):
    """Return which voxels of a volume the tiles of `cut_tiles` show."""
    covered = np.zeros(shape_zyx, bool)
    for (z, y, x), (depth, rows, frames) in zip(starts_zyx, sizes_crf, strict=True):
        for c in range(depth):
            covered[z + c, y : y + rows, x + c : x + c + frames] = True
    return covered
