"""The smaller levels of an image: how many, how large, of which values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from plain_pyramid import halve_plainly

from spimpack_tasks.arrays import pyramid
from spimpack_tasks.arrays.grid import LevelGrid
from spimpack_tasks.arrays.pyramid import halve, level_sizes
from spimpack_tasks.volumes.ome_zarr.metadata import spacings_zyx
from spimpack_tasks.volumes.spec import VolumeSpec

SIZES = {
    # A file that Imaris 9.8 wrote.
    "Imaris": ((51, 635, 673), 2, [(51, 317, 336), (25, 158, 168), (12, 79, 84)]),
    "cube": ((256, 256, 256), 2, [(128, 128, 128), (64, 64, 64)]),
    "one byte": ((256, 256, 256), 1, [(128, 128, 128), (64, 64, 64)]),
    "four bytes": ((128, 128, 128), 4, [(64, 64, 64)]),
    "just small enough": ((32, 128, 128), 2, []),
    "a plane": ((1, 2048, 2048), 2, [(1, 1024, 1024), (1, 512, 512)]),
    "a row": ((1, 1, 2**22 + 1), 2, [(1, 1, 2**21), (1, 1, 2**20), (1, 1, 2**19)]),
    "thin along x": ((600, 600, 3), 2, [(300, 300, 3)]),
    # An axis of n voxels is halved where (10 n)^2 is more than the product of the two others: of
    # 1000 x 1000 where n is more than 100, of 500 x 500 where it is more than 50.
    "100 of 1000": ((100, 1000, 1000), 1, [(100, 500, 500), (50, 250, 250), (25, 125, 125)]),
    "101 of 1000": ((101, 1000, 1000), 1, [(50, 500, 500), (50, 250, 250), (25, 125, 125)]),
    "100 along y": ((1000, 100, 1000), 1, [(500, 100, 500), (250, 50, 250), (125, 25, 125)]),
    "101 along y": ((1000, 101, 1000), 1, [(500, 50, 500), (250, 50, 250), (125, 25, 125)]),
    "100 along x": ((1000, 1000, 100), 1, [(500, 500, 100), (250, 250, 50), (125, 125, 25)]),
    "101 along x": ((1000, 1000, 101), 1, [(500, 500, 50), (250, 250, 50), (125, 125, 25)]),
    "20 rows of 40,000": ((1, 20, 40_000), 2, [(1, 20, 20_000)]),
    "21 rows of 40,000": ((1, 21, 40_000), 2, [(1, 10, 20_000)]),
    "one byte too many": ((1, 1024, 1025), 1, [(1, 512, 512)]),
    "not one byte too many": ((1, 1024, 1024), 1, []),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_sizes_of_levels(name):
    size, itemsize, lower = SIZES[name]
    assert level_sizes(size, itemsize) == [size, *lower]


@given(st.tuples(*[st.integers(1, 3000)] * 3), st.sampled_from([1, 2, 4, 8]))
def test_levels_end_and_scales_are_whole_multiples(size, itemsize):
    sizes = level_sizes(size, itemsize)
    assert math.prod(sizes[-1]) * itemsize <= pyramid.SMALL_ENOUGH
    levels = tuple(LevelGrid((1, 1, *each), (1, 1, 1, 1, 1)) for each in sizes)
    spec = VolumeSpec(levels[0].shape, np.dtype("u2"), spacing_um_zyx=(3.0, None, 0.5))
    steps = np.array([1, 1, 1])
    for before, after, spacing in zip(
        [size, *sizes], sizes, spacings_zyx(spec, levels), strict=False
    ):
        assert all(m in {n, n // 2} and m > 0 for n, m in zip(before, after, strict=True))
        steps *= [2 if m < n else 1 for n, m in zip(before, after, strict=True)]
        assert spacing == tuple(steps * (3.0, 1.0, 0.5))


DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")


@settings(deadline=None)
@given(st.data())
def test_voxels_are_the_floor_of_the_mean(data):
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shape = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    steps = tuple(data.draw(st.sampled_from([1, 2] if n > 1 else [1])) for n in shape)
    limits = np.iinfo(dtype)
    extremes = st.sampled_from([limits.min, limits.max, limits.max - 1, 0])
    values = st.one_of(extremes, st.integers(limits.min, limits.max))
    voxels = data.draw(arrays.arrays(dtype, shape, elements=values))
    found = halve(voxels, steps)
    assert found.dtype == dtype
    assert np.array_equal(found, halve_plainly(voxels, steps))


FLOATS = st.floats(width=32, allow_subnormal=False)


@settings(deadline=None)
@given(
    arrays.arrays("float32", (5, 4, 6), elements=FLOATS), st.tuples(*[st.sampled_from([1, 2])] * 3)
)
def test_of_floating_point_numbers_it_is_the_mean(voxels, steps):
    with np.errstate(all="ignore"):
        expected = halve_plainly(voxels, steps)
    found = halve(voxels, steps)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("steps", [(2, 2, 2), (1, 2, 2), (2, 1, 2), (2, 2, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_what_is_taken_in_strips_is_the_same(steps, dtype, monkeypatch):
    monkeypatch.setattr(pyramid, "_AT_ONCE", 300)
    voxels = np.random.default_rng(1).integers(0, 127, (5, 33, 47)).astype(dtype)
    part = voxels[:, 1:, 3:]  # rows that are not one after the other
    assert np.array_equal(halve(part, steps), halve_plainly(part, steps))
