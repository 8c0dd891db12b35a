"""Chunks and shards of a level, counted on paper."""

import math

import pytest

from spimpack_tasks.arrays.grid import LevelGrid

BRAIN = LevelGrid((2, 3, 70, 200, 600), (1, 1, 32, 64, 64))
"""3 x 4 x 10 chunks; a shard of 512 voxels a side has 16 x 8 x 8 of them, or all there are."""
SLABS = LevelGrid((2, 3, 70, 200, 600), (1, 1, 32, 64, 64), is_slabs=True)
WIDE = LevelGrid((1, 1, 5, 2048, 1000), (1, 1, 1, 1024, 100), is_slabs=False)
"""A chunk may be wider than a shard, and one voxel high."""
PLANE = LevelGrid((1, 1, 4, 2000, 2500), (1, 1, 2, 100, 100), is_slabs=True)


@pytest.mark.parametrize(
    ("level", "grid", "shard", "shard_grid", "chunk_voxels"),
    [
        (BRAIN, (2, 3, 3, 4, 10), (1, 1, 3, 4, 8), (2, 3, 1, 1, 2), 131_072),
        (SLABS, (2, 3, 3, 4, 10), (1, 1, 1, 4, 8), (2, 3, 3, 1, 2), 131_072),
        (WIDE, (1, 1, 5, 2, 10), (1, 1, 5, 1, 5), (1, 1, 1, 2, 2), 102_400),
        (PLANE, (1, 1, 2, 20, 25), (1, 1, 1, 8, 8), (1, 1, 2, 3, 4), 20_000),
    ],
    ids=["shards", "slabs", "wide chunks", "wide planes"],
)
def test_how_a_level_is_cut(level, grid, shard, shard_grid, chunk_voxels):
    assert level.grid == grid
    assert level.shard == shard
    assert level.shard_grid == shard_grid
    assert level.chunk_voxels == chunk_voxels
    assert len(list(level.shards())) == math.prod(shard_grid)


@pytest.mark.parametrize(
    ("level", "shard", "voxels"),
    [
        (BRAIN, (0, 0, 0, 0, 0), 70 * 200 * 512),
        (BRAIN, (1, 2, 0, 0, 1), 70 * 200 * 88),
        (SLABS, (1, 2, 1, 0, 0), 32 * 200 * 512),
        (SLABS, (0, 0, 2, 0, 1), 6 * 200 * 88),
        (PLANE, (0, 0, 1, 2, 3), 2 * 400 * 100),
    ],
    ids=["first", "last of all axes", "in the middle", "a corner", "a corner of a plane"],
)
def test_only_voxels_inside_the_image_count(level, shard, voxels):
    assert level.count_voxels(shard) == voxels


@pytest.mark.parametrize("level", [BRAIN, SLABS, WIDE, PLANE])
def test_the_shards_hold_every_voxel_and_every_chunk_once(level):
    shards = list(level.shards())
    assert sum(map(level.count_voxels, shards)) == math.prod(level.shape)
    places = [place for shard in shards for place in level.chunks_of(shard) if place]
    assert len(places) == len(set(places)) == math.prod(level.grid)


def test_chunks_are_in_the_order_of_their_places():
    places = list(BRAIN.chunks_of((1, 2, 0, 0, 1)))
    assert len(places) == 3 * 4 * 8
    assert places[:3] == [(1, 2, 0, 0, 8), (1, 2, 0, 0, 9), None]
    assert places[8] == (1, 2, 0, 1, 8)
    assert places[32] == (1, 2, 1, 0, 8)
    assert sum(place is not None for place in places) == 3 * 4 * 2
