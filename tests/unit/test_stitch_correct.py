"""Corrections of frames, compared with plain implementations of the published formulas."""

import math

import numpy as np
import pytest
import pywt
from scipy import fftpack, ndimage

from spimpack_tasks.stitching.correct import (
    DESTRIPERS,
    Corrections,
    Magnification,
    correct_frame,
    magnify,
)
from spimpack_tasks.stitching.destripe import (
    PercentileSettings,
    WaveletSettings,
    destripe_by_percentiles,
    destripe_by_wavelets,
    otsu_threshold,
)
from spimpack_tasks.stitching.flat import FlatRefusedError, FlatSettings, estimate_flat
from spimpack_tasks.stitching.names import DESTRIPES


def filter_plainly(image, sigma, wavelet, level=None):
    """Filter horizontal details along x in double precision, by packed real transforms."""
    parts = pywt.wavedec2(np.log(1 + image), wavelet, mode="symmetric", level=level)
    for n in range(1, len(parts)):
        ch, cv, cd = parts[n]
        s = ch.shape[0] * sigma / image.shape[0]
        mask = 1 - np.exp(-(np.arange(ch.shape[1]) ** 2) / (2 * s**2))
        parts[n] = (fftpack.irfft(fftpack.rfft(ch, axis=1) * mask, axis=1), cv, cd)
    return np.exp(pywt.waverec2(parts, wavelet, mode="symmetric")) - 1


def otsu_plainly(frame):
    """Return the count of the largest variance between two classes, by its definition."""
    values = np.arange(frame.min(), frame.max() + 1)
    best, found = -1.0, float(frame.min())
    for value in values[:-1]:
        low, high = frame[frame <= value], frame[frame > value]
        between = low.size * high.size * (low.mean() - high.mean()) ** 2
        if between > best * (1 + 1e-12):
            best, found = between, float(value)
    return found


def destripe_plainly(frame, settings, threshold):
    image = frame.astype(float)
    image = np.pad(image, [(0, n % 2) for n in image.shape], mode="edge")
    fraction = 1 / (1 + np.exp(-(image - threshold) / settings.crossover))
    fraction = ndimage.gaussian_filter(fraction, 1)
    top = filter_plainly(np.clip(image, threshold, None), settings.sigma_bright, settings.wavelet)
    low = filter_plainly(np.clip(image, None, threshold), settings.sigma_dark, settings.wavelet)
    return (top * fraction + low * (1 - fraction))[: frame.shape[0], : frame.shape[1]]


def make_striped(shape, seed=1):
    """Return a frame with blobs, noise, and rows of differing brightness."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    image = np.full(shape, 300.0)
    for _ in range(30):
        r, c = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        away = (rows - r) ** 2 + (columns - c) ** 2
        image += rng.uniform(200, 3000) * np.exp(-away / (2 * rng.uniform(3, 12) ** 2))
    stripes = 1 + 0.15 * rng.normal(size=shape[0])
    return np.clip(rng.poisson(image * stripes[:, None]), 0, 65535).astype("u2")


FRAMES = {
    "even": make_striped((256, 320)),
    "odd": make_striped((255, 161)),
    "zeros": np.zeros((64, 96), "u2"),
    "saturated": np.full((64, 96), 65535, "u2"),
    "half saturated": np.where(np.arange(96) < 48, 65535, 0).astype("u2") * np.ones((64, 1), "u2"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_i19_18_wavelets_agree_with_the_plain_formula(name):
    frame, settings = FRAMES[name], WaveletSettings(16, 64)
    found = np.clip(np.floor(destripe_by_wavelets(frame, settings) + 0.5), 0, 65535)
    wanted = np.clip(destripe_plainly(frame, settings, otsu_threshold(frame)), 0, 65535)
    away = np.abs(found - wanted)
    assert np.mean(away <= 1) >= 0.9999
    assert found.shape == frame.shape


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2048, 2048), (2047, 1023)], ids=str)
def test_i19_18_large_frames(shape):
    frame, settings = make_striped(shape), WaveletSettings()
    found = np.floor(destripe_by_wavelets(frame, settings) + 0.5)
    wanted = destripe_plainly(frame, settings, otsu_threshold(frame))
    assert np.mean(np.abs(found - wanted) <= 1) >= 0.9999


def stripes_in(frame):
    """Return the relative scatter of rows, from one to the next."""
    rows = np.median(frame, axis=1)
    return float(np.std(np.diff(rows)) / np.mean(rows))


@pytest.mark.parametrize("method", ["wavelet", "lightsheet"])
def test_i19_19_s07_stripes_go_without_a_flat(method):
    frame = make_striped((256, 320), seed=4)
    if method == "wavelet":
        chosen = Corrections(method, WaveletSettings(32, 128))
        found = correct_frame(frame, chosen, None)
        assert stripes_in(frame) > 5 * stripes_in(found)
    else:
        found = correct_frame(frame, Corrections(method), None)
        before, after = (np.std(np.diff(np.median(each, axis=1))) for each in (frame, found))
        assert after < before / 5


@pytest.mark.parametrize("method", ["none", "wavelet", "lightsheet"])
def test_i19_19_s07_the_flat_divides_once(method):
    """S7: the right half is lit 1.909 times as brightly as the left one."""
    light = np.where(np.arange(256) < 128, 1.0, 1.909)[None, :] * np.ones((256, 1))
    frame = np.random.default_rng(5).poisson(2000 * light).astype("u2")
    chosen = Corrections(method, WaveletSettings(4, 4))
    without = correct_frame(frame, chosen, None).astype(float)
    with_flat = correct_frame(frame, chosen, (light / light.mean()).astype("f4")).astype(float)
    halves = [slice(30, 98), slice(158, 226)]
    left, right = (without[:, half].mean() / with_flat[:, half].mean() for half in halves)
    assert right / left == pytest.approx(1.909, rel=0.01)


@pytest.mark.parametrize("method", ["none", "wavelet", "lightsheet"])
def test_i19_19_s07_dark_counts_are_subtracted_before_the_flat(method):
    frame = make_striped((128, 128)) + np.uint16(1000)
    flat = np.full((128, 128), 0.5, "f4")
    found = [
        correct_frame(frame, Corrections(method, WaveletSettings(8, 8), dark=dark), flat)
        for dark in (0, 100)
    ]
    inner = found[1] > 0
    away = (found[0].astype(float) - found[1])[inner & (found[0] < 65535)]
    assert inner.any()
    assert np.abs(away - 200).max() <= 1


def test_otsu_by_its_definition():
    rng = np.random.default_rng(6)
    frame = np.concatenate([rng.poisson(100, 500), rng.poisson(180, 300)]).astype("u2")[None]
    assert otsu_threshold(frame) == otsu_plainly(frame)
    assert otsu_threshold(np.full((3, 3), 7, "u2")) == 7


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-6, "f4"), (1, "f4"), (60_000, "f4"), (1, "u4"), (60_000, "u4")]
)
def test_otsu_has_no_bin_for_each_count_of_other_types(scale, dtype):
    """Counts of 32 bits would have taken 100 GB."""
    values = np.repeat([100.0, 110.0, 60_000.0, 61_000.0], 50).reshape(10, 20)
    found = otsu_threshold((values * scale).astype(dtype))
    assert 109 * scale < found < 60_000 * scale


def test_a_stripe_is_taken_out_and_a_spot_stays():
    frame = np.full((300, 300), 100, "u2")
    frame[150] += 60
    frame[80:84, 80:84] += 1000
    found = destripe_by_percentiles(frame, PercentileSettings())
    assert np.abs(found[150] - found[140]).max() < 1
    assert found[81, 81] - found[90, 90] == pytest.approx(1000)


def test_frames_smaller_than_the_windows():
    frame = make_striped((20, 30))
    assert destripe_by_percentiles(frame, PercentileSettings()).shape == (20, 30)
    assert destripe_by_wavelets(frame, WaveletSettings()).shape == (20, 30)


def make_lit(shape, count=64, dark=100):
    """Return frames of a test image under uneven light, and the light, 1 on average."""
    rng = np.random.default_rng(5)
    rows, columns = shape
    x, y = np.linspace(0, 1, columns)[None, :], np.linspace(0, 1, rows)[:, None]
    light = 0.5 + 1.4 * x - 1.1 * x**2 + 0.25 * y
    frames = []
    for _ in range(count):
        texture = ndimage.gaussian_filter(rng.normal(size=shape), 4) * 20
        tissue = 800 * np.exp(0.3 * np.clip(texture, -2, 2))
        tissue[:, : columns // 8] *= rng.uniform() > 0.3
        frames.append(rng.poisson(np.clip(tissue * light, 0, None) + dark))
    return np.array(frames, "u2"), light / light.mean()


@pytest.mark.parametrize("shape", [(256, 192), (192, 256)], ids=str)
def test_i19_20_the_flat_of_a_test_image(shape):
    frames, light = make_lit(shape)
    flat = estimate_flat(frames, FlatSettings())
    error = flat / light - 1
    assert flat.shape == shape
    assert math.sqrt(np.mean(error**2)) <= 0.025
    assert np.abs(error).max() <= 0.06


def test_i19_s08_the_flat_of_turned_frames_is_the_turned_flat():
    frames, _ = make_lit((128, 96))
    flat = estimate_flat(frames, FlatSettings())
    turned = estimate_flat(np.rot90(frames, axes=(1, 2)), FlatSettings())
    assert np.allclose(turned, np.rot90(flat), atol=2e-3)


def test_a_flat_of_dark_frames_is_refused():
    with pytest.raises(FlatRefusedError, match="brighter than 150 counts"):
        estimate_flat(np.full((4, 64, 64), 100, "u2"), FlatSettings())


def test_a_frame_is_magnified_about_a_pixel():
    rows, columns = np.indices((60, 80))
    frame = (100 + 2 * rows + 3 * columns).astype("f4")
    found = magnify(frame, Magnification(2.0, (20.0, 30.0)))
    assert found.shape == frame.shape
    assert found[20, 30] == frame[20, 30]
    assert np.allclose(found, 100 + 2 * ((rows - 20) / 2 + 20) + 3 * ((columns - 30) / 2 + 30))
    smaller = magnify(frame, Magnification(0.5, (20.0, 30.0)))
    assert smaller[25, 35] == frame[30, 40]
    assert smaller[0, 0] == 0
    assert magnify(frame, Magnification()) is frame


def test_nothing_to_do_is_known():
    assert not Corrections().changes(has_flat=False)
    assert Corrections().changes(has_flat=True)
    assert Corrections("wavelet").changes(has_flat=False)
    assert Corrections(dark=3.0).changes(has_flat=False)
    assert Corrections(magnification=Magnification(1.01)).changes(has_flat=False)


def test_each_way_to_take_out_stripes_has_a_name():
    assert tuple(DESTRIPERS) == DESTRIPES
