"""`spimpack convert`: one image, whole at its target or not there; it goes on after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from imaris_variants import Variant, write_variant
from test_convert_imaris import assert_same_voxels, digests, ignore, spoil_chunk
from tiny_images import write_tiny_image

from spimpack_tasks.cli.main import main
from spimpack_tasks.conversion.convert_file import convert_file
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.volume import open_volume

MANY = Variant(shape=(8, 300, 300), chunks=((4, 16, 16), (4, 16, 16)), times=40)
FILES = Variant(shape=(8, 150, 150), chunks=((4, 16, 16), (4, 16, 16)), times=40)
"""Thousands of chunks, which become files in OME-Zarr 0.4."""
PATIENCE_S = 60


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_variant(tmp_path / "a.ims", Variant(channels=2))
    return tmp_path / "a.ims"


def run(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_an_image_is_converted_once(source, tmp_path, capsys):
    target = tmp_path / "a.ome.zarr"
    assert run(source, target, "--stains", "a; b", "--orientation", "lps") == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"Made {target}")
    assert_same_voxels(target, Variant(channels=2))
    stamps = {name: os.stat(target / name).st_mtime_ns for name in digests(target)}
    assert run(source, f"{target}/", "--stains", "a;b", "--orientation", "LPS") == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out
    assert {name: os.stat(target / name).st_mtime_ns for name in digests(target)} == stamps
    assert sorted(os.listdir(tmp_path)) == ["a.ims", "a.ome.zarr"]


def test_an_ome_tiff_is_made_once(source, tmp_path, capsys):
    target = tmp_path / "a.ome.tif"
    assert run(source, target) == ExitCode.OK
    stamp = os.stat(target).st_ino, os.stat(target).st_mtime_ns
    capsys.readouterr()
    assert run(source, target) == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out
    assert (os.stat(target).st_ino, os.stat(target).st_mtime_ns) == stamp
    assert run(source, target, "--codec", "zstd") == ExitCode.CONFLICT
    assert (os.stat(target).st_ino, os.stat(target).st_mtime_ns) == stamp


BAD = ExitCode.BAD_INPUT
REFUSED = {
    "another request": (
        ["{source}", "{made}", "--codec", "blosc"],
        ExitCode.CONFLICT,
        "there already",
    ),
    "a file in the way": (
        ["{source}", "{folder}/file.ome.zarr"],
        ExitCode.CONFLICT,
        "there already",
    ),
    "another ending": (["{source}", "{folder}/x.zarr"], BAD, "does not end in"),
    "a codec of another format": (
        ["{source}", "{folder}/x.ome.zarr", "--codec", "zstd"],
        BAD,
        "choose gzip or blosc or lz4",
    ),
    "the name of a larger file": (["{source}", "{folder}/x.ome.btf"], BAD, "must end in .ome.tif"),
    "a size by hand": (["{zip}", "{folder}/x.ome.zarr", "--stains", "a"], BAD, "unpacked as it is"),
    "another codec of a zip": (
        ["{zip}", "{folder}/x.ome.zarr", "--codec", "blosc"],
        BAD,
        "unpacked as it is",
    ),
    "another version of a zip": (
        ["{zip}", "{folder}/x.ome.zarr", "--ngff", "0.4"],
        BAD,
        "convert the folder that is made of it",
    ),
    "a version of an OME-TIFF": (
        ["{source}", "{folder}/x.ome.tif", "--ngff", "0.5"],
        BAD,
        "leave out --ngff",
    ),
    "the full level of an OME-TIFF": (
        ["{source}", "{folder}/x.ome.tif", "--level0", "in-place"],
        BAD,
        "leave out --level0",
    ),
    "no folder": (["{source}", "{folder}/none/x.ome.zarr"], BAD, "is not a folder"),
    "inside itself": (["{made}", "{made}/x.ome.zarr"], BAD, ""),
    "no source": (
        ["{folder}/none.ims", "{folder}/x.ome.zarr"],
        ExitCode.BAD_INPUT,
        "does not exist",
    ),
    "no image": (["{folder}/file.txt", "{folder}/x.ome.zarr"], BAD, ""),
    "an orientation": (
        ["{source}", "{folder}/x.ome.zarr", "--orientation", "RRS"],
        BAD,
        "write it like RPI",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(source, tmp_path, capsys, name):
    (tmp_path / "file.ome.zarr").write_text("mine")
    (tmp_path / "file.txt").write_text("mine")
    archive = write_tiny_image(tmp_path / "a.ozx")
    made = tmp_path / "made.ome.zarr"
    assert run(source, made) == ExitCode.OK
    before = digests(tmp_path)
    arguments, code, message = REFUSED[name]
    places = {"source": source, "made": made, "folder": tmp_path, "zip": archive}
    capsys.readouterr()
    assert run(*(text.format(**places) for text in arguments)) == code
    assert message in capsys.readouterr().err
    assert digests(tmp_path) == before
    assert not [each for each in os.listdir(tmp_path) if each.startswith(".")]


SOURCES = {
    "a.ome.zarr": (".ome.zarr", []),
    "a.ome.tif": (".ome.zarr", ["--codec", "gzip"]),
    "a.nii.gz": (".ome.zarr", ["--stains", "YoPro"]),
    "a.ozx": (".ome.zarr", []),
    "a.ims": (".ome.zarr", ["--ngff", "0.4"]),
    "c.ome.zarr": (".ome.zarr", ["--ngff", "0.4", "--codec", "gzip"]),
    "b.ome.zarr": (".ome.tif", ["--codec", "zlib"]),
    "b.ims": (".ome.tif", []),
}


@pytest.mark.parametrize("name", SOURCES)
def test_other_formats_are_converted(tmp_path, name):
    extension, extra = SOURCES[name]
    source = tmp_path / name
    if ".nii" in name:
        image = nibabel.Nifti1Image(np.arange(60, dtype="int16").reshape(3, 4, 5), np.eye(4))
        image.header.set_xyzt_units("mm")
        image.to_filename(source)
    else:
        write_tiny_image(source)
    target = tmp_path / f"made{extension}"
    before = digests(tmp_path)
    assert run(source, target, *extra) == ExitCode.OK
    with open_volume(str(source)) as old, open_volume(str(target)) as new:
        shape = old.levels[0].shape
        assert new.levels[0].shape == shape
        assert new.spec.spacing_um_zyx == old.spec.spacing_um_zyx
        everywhere = tuple(slice(0, n) for n in shape)
        assert (new.levels[0].read(everywhere) == old.levels[0].read(everywhere)).all()
    after = {path: digest for path, digest in digests(tmp_path).items() if path in before}
    assert after == before


def test_a_damaged_image_leaves_no_target(source, tmp_path, capsys):
    spoil_chunk(source, (4, 8, 16))
    assert run(source, tmp_path / "x.ome.zarr") != ExitCode.OK
    error = capsys.readouterr().err
    assert "chunk 1/1/1" in error
    assert "Traceback" not in error
    assert not (tmp_path / "x.ome.zarr").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ngff", "files"),
    [
        ("0.5", 17),
        pytest.param("0.5", 1, marks=pytest.mark.slow),
        pytest.param("0.5", 60, marks=pytest.mark.slow),
        pytest.param("0.4", 2000, marks=pytest.mark.slow),
    ],
)
def test_a_killed_conversion_goes_on(tmp_path, ngff, files):
    source, target = tmp_path / "a.ims", tmp_path / "x.ome.zarr"
    write_variant(source, MANY if ngff == "0.5" else FILES)
    request = Request(name="x", ngff=ngff)
    assert convert_file(str(source), str(tmp_path / "whole.ome.zarr"), request, 2, ignore)
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "convert", source, target]
    command += ["--ngff", ngff, "--threads", "1"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    place = tmp_path / ".x.ome.zarr.unfinished"
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if sum(p.is_file() and p.suffix != ".part" for p in place.rglob("*")) >= files:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    assert digests(place)
    assert convert_file(str(source), str(target), request, 2, ignore)
    assert digests(target) == digests(tmp_path / "whole.ome.zarr")
    assert not place.exists()


def test_what_was_begun_from_something_else_is_not_gone_on_with(source, tmp_path):
    place = tmp_path / ".x.ome.zarr.unfinished" / "0123456789abcdef"
    place.mkdir(parents=True)
    (place / "strange").write_text("x")
    assert convert_file(str(source), str(tmp_path / "x.ome.zarr"), Request(), 1, ignore)
    assert "strange" not in digests(tmp_path / "x.ome.zarr")
    assert sorted(os.listdir(tmp_path)) == ["a.ims", "x.ome.zarr"]


def planes(folder: Path) -> None:
    folder.mkdir()
    for z in range(3):
        tifffile.imwrite(folder / f"Z{z}.tif", np.ones((8, 8), "u2"))


UNSIZED = {
    "planes": planes,
    "a stack": lambda path: tifffile.imwrite(
        path, np.ones((4, 8, 8), "u2"), metadata={"axes": "ZYX"}, photometric="minisblack"
    ),
    "x and y alone": lambda path: tifffile.imwrite(
        path,
        np.ones((3, 8, 8), "u2"),
        ome=True,
        metadata={
            "axes": "ZYX",
            **{f"PhysicalSize{axis}": 2.0 for axis in "XY"},
            **{f"PhysicalSize{axis}Unit": "µm" for axis in "XY"},
        },
    ),
}


@pytest.mark.parametrize("name", UNSIZED)
def test_an_unknown_size_of_voxels_is_told(name, tmp_path, capsys):
    source = tmp_path / ("planes" if name == "planes" else "a.ome.tif" if "x" in name else "a.tif")
    UNSIZED[name](source)
    assert run(source, tmp_path / "a.ome.zarr") == ExitCode.OK
    told = f"warning: {source} does not tell the size of its voxels, which stays unknown"
    assert f"{told}; give it with --pixel-size\n" in capsys.readouterr().err
    assert run(source, tmp_path / "b.ome.zarr", "--pixel-size", "2;2;4") == ExitCode.OK
    assert capsys.readouterr().err == ""


def test_one_plane_needs_no_distance_to_a_next_one(tmp_path, capsys):
    sizes = {f"PhysicalSize{axis}": 2.0 for axis in "XY"}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    metadata = {"axes": "YX", **sizes, **units}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.ones((8, 8), "u2"), ome=True, metadata=metadata)
    assert run(tmp_path / "a.ome.tif", tmp_path / "a.ome.zarr") == ExitCode.OK
    assert capsys.readouterr().err == ""
