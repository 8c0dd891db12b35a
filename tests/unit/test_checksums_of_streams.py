"""Streams that end with a checksum are read to their end: a flipped bit is never passed on."""

from __future__ import annotations

import gzip
import os
import random
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from zarr_layouts import LAYOUTS, write_store

from spimpack_tasks.cli.main import main

FLIPS = 25
NOISE = np.random.default_rng(9).integers(0, 2**16, (2, 8, 16, 16), "uint16")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def write_nifti(path: Path, _: str) -> Path:
    nibabel.save(nibabel.Nifti1Image(NOISE[0].T, np.diag([1, 1, 2, 1])), path)
    return path


def write_archive(path: Path, layout: str) -> Path:
    store = write_store(path.with_suffix(".zarr"), layout, NOISE)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(store))
    return path


def voxels_of(path: Path) -> np.ndarray:
    if path.name.endswith(".tif"):
        return tifffile.imread(path).squeeze()
    return zarr.open_array(path / "0", mode="r")[:].squeeze()


SOURCES = {
    "f9-nii.gz-to-zarr": (write_nifti, "in.nii.gz", "", "out.ome.zarr"),
    "f9-nii.gz-to-tiff": (write_nifti, "in.nii.gz", "", "out.ome.tif"),
    "f9-ozx-to-zarr": (write_archive, "in.ozx", "v3-plain", "out.ome.zarr"),
    "f9-ozx-to-tiff": (write_archive, "in.ozx", "v3-plain", "out.ome.tif"),
    "f9-sharded-ozx-to-zarr": (write_archive, "in.ozx", "sharded", "out.ome.zarr"),
    "f9-sharded-ozx-to-tiff": (write_archive, "in.ozx", "sharded", "out.ome.tif"),
}


@pytest.fixture(autouse=True)
def _shards_without_compression(monkeypatch):
    """Let nothing but the checksum of the zip know of a flip inside of a shard."""
    options = {"shards": (1, 8, 16, 16), "compressors": None}
    monkeypatch.setitem(LAYOUTS, "sharded", (options, ""))


@pytest.mark.few(2)
@pytest.mark.parametrize("name", SOURCES)
def test_a_flipped_bit_is_never_passed_on(tmp_path, capsys, name):
    write, source, layout, target = SOURCES[name]
    path = write(tmp_path / source, layout)
    assert run("convert", path, tmp_path / target) == 0
    wanted = voxels_of(tmp_path / target)
    sound = path.read_bytes()
    places = random.Random(name).sample(range(len(sound)), FLIPS)
    refused = 0
    for number, place in enumerate(places):
        harmed = bytearray(sound)
        harmed[place] ^= 1 << number % 8
        (tmp_path / f"{number}{source}").write_bytes(harmed)
        made = tmp_path / f"{number}{target}"
        if run("convert", tmp_path / f"{number}{source}", made) == 0:
            np.testing.assert_array_equal(voxels_of(made), wanted, f"byte {place:,}")
        else:
            refused += 1
            assert not made.exists()
    assert refused > FLIPS // 2
    capsys.readouterr()


@pytest.mark.parametrize(
    "harm", ["cut", "checksum", "length", "more"], ids=lambda name: f"f9-{name}"
)
def test_the_end_of_a_gzip_stream_is_looked_at(tmp_path, capsys, harm):
    path = write_nifti(tmp_path / "in.nii.gz", "")
    whole = path.read_bytes()
    changed = {
        "cut": whole[:-8],
        "checksum": whole[:-8] + b"\0\0\0\0" + whole[-4:],
        "length": whole[:-4] + b"\0\0\0\0",
        "more": whole + b"\x1f\x8b\x08 is begun again",
    }
    path.write_bytes(changed[harm.removeprefix("f9-")])
    for target in ("out.ome.zarr", "out.ome.tif"):
        assert run("convert", path, tmp_path / target) != 0
        assert str(path) in capsys.readouterr().err
        assert not (tmp_path / target).exists()


def test_f9_several_streams_and_zeros_behind_are_read(tmp_path):
    """RFC 1952 has members one behind the other; tapes fill up with zeros."""
    path = write_nifti(tmp_path / "in.nii.gz", "")
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data[:3000]) + gzip.compress(data[3000:]) + bytes(512))
    assert run("convert", path, tmp_path / "out.ome.zarr", "--verify") == 0
    np.testing.assert_array_equal(voxels_of(tmp_path / "out.ome.zarr"), NOISE[0])


def test_f9_verify_reads_to_the_end(tmp_path, capsys):
    path = write_nifti(tmp_path / "in.nii.gz", "")
    assert run("convert", path, tmp_path / "out.ome.zarr") == 0
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("convert", path, tmp_path / "out.ome.zarr", "--verify") != 0
    assert "cannot be compared" in capsys.readouterr().err


def nifti(path: Path, *, affine=(2, 3, 4), pixdim=(2, 3, 4), code: int = 1, **fields) -> Path:
    image = nibabel.Nifti1Image(NOISE[0].T, np.diag([2, 3, 4, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    data = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(data[:348]), check=False)
    header["pixdim"][1:4] = pixdim
    for number, length in enumerate(affine):
        header[f"srow_{'xyz'[number]}"][number] = length
    header["sform_code"], header["qform_code"] = code, 0
    for key, value in fields.items():
        header[key] = value
    data[:348] = header.binaryblock
    path.write_bytes(data)
    return path


REFUSED = {
    "c5-other-size": ({"pixdim": (2, 3, 5)}, "by its affine"),
    "c5-other-unit": ({"pixdim": (0.002, 0.003, 0.004)}, "by its affine"),
    "c5-affine-of-nan": ({"affine": (2, np.nan, 4)}, "damaged header"),
    "c5-affine-of-zero": ({"affine": (2, 0, 4)}, "by its affine"),
    "c5-intercept-nan": ({"scl_slope": 1, "scl_inter": np.nan}, "damaged header"),
    "c5-intercept-infinite": ({"scl_slope": 2, "scl_inter": np.inf}, "damaged header"),
    "c5-voxels-in-the-header": ({"vox_offset": 0}, "in the midst of its header"),
    "c5-voxels-before-the-file": ({"vox_offset": -352}, "in the midst of its header"),
    "c5-voxels-nowhere": ({"vox_offset": np.nan}, "damaged header"),
    "c5-voxels-at-infinity": ({"vox_offset": np.inf}, "damaged header"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_contradicts_itself_is_refused(tmp_path, capsys, name, ending):
    fields, says = REFUSED[name]
    path = nifti(tmp_path / "in.nii", **fields)
    if ending == ".nii.gz":
        path = tmp_path / "in.nii.gz"
        path.write_bytes(gzip.compress((tmp_path / "in.nii").read_bytes()))
    assert run("convert", path, tmp_path / "out.ome.zarr") != 0
    assert says in capsys.readouterr().err
    assert run("qc", path, "--output", tmp_path / "page.html") == 2
    assert says in capsys.readouterr().err


SOUND = {
    "c5-rounded": {"pixdim": (2.0001, 2.9999, 4)},
    "c5-affine-that-does-not-count": {"pixdim": (2, 3, 5), "code": 0},
    "c5-slope-nan": {"scl_slope": np.nan, "scl_inter": np.nan},
    "c5-slope-zero": {"scl_slope": 0, "scl_inter": np.nan},
}


@pytest.mark.parametrize("name", SOUND)
def test_what_does_not_matter_is_no_contradiction(tmp_path, name):
    path = nifti(tmp_path / "in.nii", **SOUND[name])
    assert run("convert", path, tmp_path / "out.ome.zarr", "--verify") == 0
    np.testing.assert_array_equal(voxels_of(tmp_path / "out.ome.zarr"), NOISE[0])
