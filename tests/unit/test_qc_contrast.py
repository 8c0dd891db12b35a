"""Contrast by the percentiles of a volume, whatever its numbers are."""

import warnings

import numpy as np
import pytest

from spimpack_tasks.arrays.contrast import find_window
from spimpack_tasks.qc import preview as contrast
from spimpack_tasks.qc.preview import COLOURS, GREY, Preview, compose_preview, find_contrast
from spimpack_tasks.qc.slices import VIEWS, add_colours, cut_slice, to_canonical
from spimpack_tasks.qc.volume import SmallVolume
from spimpack_tasks.volumes.header import Header

RAMP = np.linspace(0, 1, 1000).reshape(1, 10, 10, 10)


def preview_of(voxels, **options) -> Preview:
    header = Header(("c", "z", "y", "x"), (voxels.shape,), str(voxels.dtype))
    given = {"is_spacing_known": True, "level": 0, "level_count": 1, "bytes_read": 0}
    given["steps_zyx"] = (1, 1, 1)
    volume = SmallVolume("a", voxels, (1.0, 1.0, 2.0), header=header, **given)
    return compose_preview(volume, **options)


def with_value(value):
    voxels = RAMP.copy()
    voxels[0, 0, 0, 500 % 10] = value
    return voxels


DTYPES = {
    "uint8": (RAMP * 255).astype("uint8"),
    "uint16": (RAMP * 65535).astype("uint16"),
    "uint64": (RAMP * 2**63).astype("uint64"),
    "int16": (RAMP * 2000 - 1000).astype("int16"),
    "int64": (RAMP * 2e12 - 1e12).astype("int64"),
    "float32": (RAMP * 1e-6).astype("float32"),
    "float16": RAMP.astype("float16"),
    "float64": RAMP * 1e300,
    "big-endian": (RAMP * 65535).astype(">u2"),
    "complex64": (RAMP * (3 + 4j)).astype("complex64"),
    "with NaN": with_value(np.nan),
    "with infinity": with_value(np.inf),
    "with minus infinity": with_value(-np.inf),
}


@pytest.mark.parametrize("name", DTYPES)
def test_a_ramp_is_a_ramp_in_any_numbers(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preview = preview_of(DTYPES[name])
    values = preview.voxels[0].ravel().astype(int)
    (channel,) = preview.channels
    assert values.dtype == int
    steps = np.delete(values, 0)
    assert steps[0] == 0
    assert (np.diff(np.delete(values, [0, 500 % 10])) >= 0).all()
    assert abs(values[-1] - channel.white) <= 2
    assert channel.low < channel.bright < channel.high


FLAT = {
    "zeros": np.zeros((1, 4, 4, 4), "uint16"),
    "sevens": np.full((1, 4, 4, 4), 7, "uint16"),
    "negative": np.full((1, 4, 4, 4), -7.5, "float32"),
    "NaN": np.full((1, 4, 4, 4), np.nan),
    "false": np.zeros((1, 4, 4, 4), bool),
}


@pytest.mark.parametrize("name", FLAT)
def test_an_image_of_one_value_is_black(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preview = preview_of(FLAT[name])
        picture = add_colours(preview.voxels[:, 0], preview.channels)
    assert not preview.voxels.any()
    assert not picture.any()


def test_true_and_false_are_told_apart():
    voxels = np.zeros((1, 4, 4, 4), bool)
    voxels[0, 0] = True
    preview = preview_of(voxels)
    assert add_colours(preview.voxels[:, 0], preview.channels).min() == 255


def test_a_few_bright_voxels_are_seen_in_an_empty_image():
    voxels = np.zeros((1, 20, 20, 20), "uint16")
    voxels[0, 3, 4, 5] = 900
    preview = preview_of(voxels)
    assert add_colours(preview.voxels[:, 3], preview.channels)[4, 5].tolist() == [255, 255, 255]


def test_the_contrast_is_that_of_the_volume_and_not_of_a_slice():
    voxels = np.zeros((1, 10, 20, 20), "uint16")
    voxels[0, 5:] = 1000
    voxels[0, :5] = np.arange(20)
    preview = preview_of(voxels)
    canonical = to_canonical(preview.voxels, "RAS")
    dim, bright = (cut_slice(canonical, VIEWS[0], at) for at in (0, 9))
    assert dim.max() <= 4
    assert add_colours(bright, preview.channels).min() == 255


def test_percentiles_are_those_of_each_channel():
    voxels = np.stack([RAMP[0] * 1000, RAMP[0] * 50 + 10]).astype("float32")
    preview = preview_of(voxels)
    for channel, values in zip(preview.channels, voxels, strict=True):
        expected = np.percentile(values, (1, 99.5))
        assert (channel.low, channel.bright) == pytest.approx(expected, rel=1e-4)
        assert find_contrast(values) == pytest.approx(expected, rel=1e-6)


NUMBERS = np.random.default_rng(1).permutation(201).reshape(1, 1, 3, 67).astype("uint8")
"""The numbers 0 to 200, of which 1 % is at 2 and 99.5 % at 199."""


def test_black_and_white_on_paper():
    (channel,) = preview_of(NUMBERS).channels
    assert (channel.low, channel.bright) == pytest.approx((2, 199))
    # Half of what lies between the two is kept above: 255 stands for 199 + 197 / 2.
    assert (channel.high, channel.white) == (297.5, 170)


def test_a_large_volume_is_sampled(monkeypatch):
    """On paper: of 0, 3, 6 ... 198, 1 % is at 0.01 * 198, and 99.5 % at 0.995 * 198."""
    monkeypatch.setattr(contrast, "_MOST_COUNTED", 67)
    assert find_contrast(np.arange(201.0)) == pytest.approx((1.98, 197.01))
    monkeypatch.setattr(contrast, "_MOST_COUNTED", 201)
    assert find_contrast(np.arange(201.0)) == pytest.approx((2, 199))


def test_colours_add_up():
    voxels = np.stack([RAMP[0], RAMP[0]])
    preview = preview_of(voxels)
    assert [channel.colour for channel in preview.channels] == list(COLOURS[:2])
    picture = add_colours(np.array([[[255, 0, 255, 0]], [[0, 255, 255, 0]]]), preview.channels)
    assert picture[0].tolist() == [[0, 255, 0], [255, 0, 255], [255, 255, 255], [0, 0, 0]]
    assert [channel.colour for channel in preview_of(RAMP).channels] == [GREY]


def test_a_preview_is_as_small_as_asked_and_keeps_its_extent():
    voxels = np.zeros((2, 16, 64, 64), "uint8")
    preview = preview_of(voxels, most_values=20_000)
    assert preview.voxels.size <= 20_000
    sizes = preview.voxels.shape[:0:-1]
    extent = [n * s for n, s in zip(sizes, preview.spacing_um_xyz, strict=True)]
    assert extent == [64, 64, 32]


@pytest.mark.parametrize(
    ("voxels", "window"),
    [
        (np.arange(1001, dtype="uint16"), (10, 998)),  # 1 % and 99.8 % of 1000
        (np.array([np.nan, np.inf, -np.inf, *range(1001)]), (10, 998)),
        (np.full((2, 3, 4), 7, "uint8"), (7, 8)),
        (np.array([np.nan]), (0, 1)),
        (np.array([], "int16"), (0, 1)),
    ],
    ids=["numbers", "not finite", "all equal", "none finite", "none"],
)
def test_the_window_of_a_channel_has_two_ends(voxels, window):
    assert find_window(voxels) == window
