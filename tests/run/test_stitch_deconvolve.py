"""Deconvolution: equal to the formula, written out, and closer to what was there."""

import numpy as np
import pytest
import zarr

from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.cli.main import main
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.stitching import deconvolve
from spimpack_tasks.stitching.deconvolve import (
    Deconvolution,
    DeconvolutionRefusedError,
    sharpen,
    write_sharpened,
)
from spimpack_tasks.stitching.identity import Pace
from spimpack_tasks.volumes.spec import VolumeSpec, compose_channels
from spimpack_tasks.volumes.writer import Layout, create_volume


def kernel(power, size):
    weights = np.exp(-power * np.arange(size))
    return weights / weights.sum()


def blur(values, weights):
    """Add each trail voxel by voxel: down z, back along x."""
    result = np.zeros(values.shape)
    depth, _, width = values.shape
    for a, weight in enumerate(weights):
        if a < min(depth, width):
            result[a:, :, : width - a] += weight * values[: depth - a, :, a:]
    return result


def turned(values):
    return values[::-1, :, ::-1]


def plain(recorded, power, size, iterations):
    """Return the estimate by Richardson and Lucy, with doubles and sums of shifted copies."""
    weights = kernel(power, size)

    def back(values):
        return turned(blur(turned(values), weights))

    estimate = recorded.astype(float)
    for _ in range(iterations):
        blurred = blur(estimate, weights)
        ratio = np.where(blurred > 0, recorded / np.where(blurred > 0, blurred, 1), 0)
        estimate = estimate * back(ratio) / back(np.ones(recorded.shape))
    return estimate


def scene(shape, seed=1):
    random = np.random.default_rng(seed)
    points = np.where(random.random(shape) < 0.01, random.integers(2000, 30000, shape), 50)
    return points.astype(float)


@pytest.mark.parametrize(
    ("shape", "power", "size", "iterations"),
    [
        ((40, 3, 50), 0.09, 53, 10),
        ((60, 2, 70), 0.3, 7, 10),
        ((30, 4, 20), 0.5, 11, 3),
        ((1, 1, 1), 0.09, 53, 10),
        ((5, 1, 90), 2.0, 1, 2),
    ],
)
def test_i19_deconvolution_is_the_plain_formula(shape, power, size, iterations):
    recorded = np.round(blur(scene(shape), kernel(power, size)))
    found = sharpen(recorded.astype("u2"), Deconvolution(power, size, iterations))
    wanted = plain(recorded, power, size, iterations)
    assert np.abs(found - wanted).max() <= 1e-3 * max(wanted.max(), 1)


@pytest.mark.parametrize(("power", "size"), [(0.09, 53), (0.5, 11), (1.0, 5), (5.0, 1)])
def test_the_size_of_the_kernel_is_odd_and_ends_below_one_percent(power, size):
    """The first odd x with exp(-power x) < 0.01, so that x > 4.605 / power."""
    assert Deconvolution(power).size == size


def test_i19_deconvolution_brings_a_volume_closer_to_the_truth():
    truth = scene((80, 2, 80))
    recorded = blur(truth, kernel(0.09, 53))
    found = sharpen(recorded.astype("f4"), Deconvolution())
    before, after = (np.abs(each - truth).mean() for each in (recorded, found))
    assert after < before / 2


@pytest.mark.parametrize(
    "values", [{"power": 0}, {"kernel_size": -1}, {"iterations": 0}, {"power": 1e-5}]
)
def test_impossible_choices_are_refused(values):
    with pytest.raises(DeconvolutionRefusedError, match=next(iter(values))):
        Deconvolution(**values)


def write_volume(path, voxels, spacing=(1.3, 1.8, 1.3)):
    spec = VolumeSpec(
        shape_tczyx=(1, 1, *voxels.shape),
        dtype=voxels.dtype,
        axes="zyx",
        spacing_um_zyx=spacing,
        origin_um_zyx=(1.0, 2.0, 3.0),
        channels=compose_channels(1, ["NeuN"], ()),
    )
    with WorkPool(1) as pool, create_volume(LocalPlace(str(path)), spec, Layout(), pool) as writer:
        for block in writer.missing():
            writer.write(block, voxels[None, None][block.region])
        writer.finish()


def test_i19_a_sharpened_volume_is_written_block_by_block(tmp_path, monkeypatch):
    """Blocks with their halo make the same voxels as the whole, up to rounding."""
    chosen = Deconvolution(power=0.6, iterations=5)
    recorded = np.round(blur(scene((90, 20, 150)), kernel(0.6, chosen.size))).astype("u2")
    write_volume(tmp_path / "a.ome.zarr", recorded)
    regions = []
    sharpen_block = deconvolve._sharpen_block

    def note(level, block, how):
        regions.append(block.region)
        return sharpen_block(level, block, how)

    monkeypatch.setattr(deconvolve, "_sharpen_block", note)
    source, target = str(tmp_path / "a.ome.zarr"), str(tmp_path / "b.ome.zarr")
    done = []
    assert write_sharpened(source, target, chosen, Pace(2, done.append))
    found = zarr.open_group(target, mode="r")
    wanted = np.round(plain(recorded, 0.6, chosen.size, 5))
    assert found["0"].dtype == "u2"
    assert np.abs(found["0"][:].astype(int) - wanted).max() <= 1 + 1e-3 * wanted.max()
    assert sum(done) == recorded.nbytes
    assert len(regions) >= 1
    scales = found.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert scales[0]["scale"] == [1.3, 1.8, 1.3]
    assert scales[1]["translation"] == [1, 2, 3]
    assert not write_sharpened(source, target, chosen, Pace(2, done.append))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ome.zarr", "b.ome.zarr"]


def test_a_halo_of_blocks_suffices():
    """The middle of a long volume is the same whether the ends are known or not."""
    chosen = Deconvolution()
    recorded = np.round(blur(scene((300, 1, 300)), kernel(0.09, 53)))
    halo = 2 * chosen.size
    whole = sharpen(recorded, chosen)[halo:-halo, :, halo:-halo]
    part = slice(130 - halo, 170 + halo)
    block = sharpen(recorded[part, :, part], chosen)[halo:-halo, :, halo:-halo]
    away = np.abs(block - whole[24:64, :, 24:64])
    assert away.max() <= 0.002 * whole.max()


@pytest.mark.parametrize("spacing", [(1.3, 1.3, 1.8), (5.0, 1.0, 1.0)])
def test_voxels_that_are_no_cubes_are_refused(tmp_path, spacing):
    write_volume(tmp_path / "a.ome.zarr", np.ones((4, 5, 6), "u2"), spacing)
    with pytest.raises(DeconvolutionRefusedError, match="µm apart along z"):
        write_sharpened(
            str(tmp_path / "a.ome.zarr"),
            str(tmp_path / "b.ome.zarr"),
            Deconvolution(),
            Pace(1, print),
        )
    assert not (tmp_path / "b.ome.zarr").exists()


def test_a_source_that_is_no_volume_is_refused(tmp_path):
    with pytest.raises(DeconvolutionRefusedError, match="is no OME-Zarr"):
        write_sharpened(
            str(tmp_path / "a"), str(tmp_path / "b.ome.zarr"), Deconvolution(), Pace(1, print)
        )


def test_i19_deconvolution_on_the_command_line(tmp_path, capsys):
    recorded = np.round(blur(scene((30, 2, 40)), kernel(0.6, 9))).astype("u2")
    source, target = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    write_volume(source, recorded)
    words = ["stitch", "deconvolve", str(source), str(target), "--power", "0.6"]
    assert main([*words, "--kernel-size", "9", "--iterations", "4"]) == 0
    assert capsys.readouterr().out == f"made {target}\n"
    wanted = np.round(plain(recorded, 0.6, 9, 4))
    found = zarr.open_group(target, mode="r")["0"][:]
    assert np.abs(found.astype(int) - wanted).max() <= 1 + 1e-3 * wanted.max()
    assert main([*words, "--iterations", "0"]) == 2
    assert "iterations is 0" in capsys.readouterr().err
    assert main(["stitch", "deconvolve", str(tmp_path / "no"), str(target)]) == 2
    assert "is no OME-Zarr" in capsys.readouterr().err
