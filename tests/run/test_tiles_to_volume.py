"""From the files of an oblique microscope to a volume: the commands, one after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dcimg_files import write_dcimg
from oblique_scenes import make_scene, sample_tile

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

PITCH = 2.0
STEP = PITCH / math.sqrt(2)
SHAPE = (40, 48, 24)
"""Frames, rows and columns of turned frames."""


@pytest.mark.parametrize("flips", [True, False], ids=["488", "642"])
def test_i19_a_recording_becomes_a_volume(tmp_path, monkeypatch, flips):
    """Places, turns, step and direction are those of the names and of metadata.txt alone."""
    monkeypatch.chdir(tmp_path)
    channel = "Ex_488_Em_1" if flips else "Ex_642_Em_2"
    scene = make_scene((-10, -10, -10), (60, 190, 120), seed=4, sigma_um=(4, 8))
    # The stage falls along y: rows of the second tile lie 80 µm further.
    for y, name in ((0.0, "000000_000000"), (80.0, "000000_-00800")):
        frames = sample_tile(scene, (0.0, y, 0.0), SHAPE, v_um=PITCH, step_um=STEP)
        stored = frames[:, ::-1] if flips else frames
        stored = np.ascontiguousarray(np.rot90(stored, 1, axes=(1, 2)))
        path = tmp_path / f"rec/{channel}/000000/{name}/000000.dcimg"
        path.parent.mkdir(parents=True)
        write_dcimg(path, stored)
    names = "Obj\tRes\tµm/pix\tX/Z Step (µm)\toSPIM3\tv2.1\n"
    values = f"A\t2048\t{PITCH!r}\t{STEP!r}\t\tNoOffset1\n"
    (tmp_path / "rec/metadata.txt").write_text(names + values, encoding="latin-1")
    assert main(["tiles", "rec", "tiles.json"]) == ExitCode.OK
    stitch = ["stitch", "volume", "tiles.json", "v.ome.zarr", "--align", "stage"]
    assert main(stitch) == ExitCode.OK
    z_um, y_um, x_um = probe_image("v.ome.zarr").spacing_um_zyx
    assert (z_um, y_um, x_um) == pytest.approx((STEP, PITCH, STEP))
    with open_image("v.ome.zarr") as image:
        voxels = image.levels[0][0, :, 0]
    assert voxels.shape == (24, 88, 63)
    z, y, x = np.meshgrid(*map(np.arange, voxels.shape), indexing="ij")
    is_covered = (x >= z) & (x < z + SHAPE[0])
    truth = scene.along(z * z_um, y * y_um, x * x_um)
    assert np.abs(voxels - truth)[is_covered].max() <= 1
    assert not voxels[~is_covered].any()
