"""Chunks and shards of a dataset's OME-Zarr images, chosen by settings of the backend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imaris_variants import Variant, write_variant
from zarr_readers import read_with_tensorstore

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.ome_zarr import chunk_sizes

SHAPE = (20, 150, 170)
HEAD = (
    "subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\tPixelSize\tPixelSizeUnits"
)
MANIFEST = """\
dataset_description: {Name: Small, BIDSVersion: "1.10.0", DatasetType: raw, License: CC0}
scans_tsv: scans.tsv
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a folder of planes, which is converted, and a file, which is linked."""
    voxels = np.random.default_rng(3).integers(0, 4000, SHAPE).astype("uint16")
    (tmp_path / "planes").mkdir()
    for number, plane in enumerate(voxels):
        tifffile.imwrite(tmp_path / f"planes/z{number:03}.tif", plane)
    tifffile.imwrite(tmp_path / "b.ome.tif", voxels, metadata={"axes": "ZYX"})
    rows = [f"{name}\tbrain\t{path}\tRPI\tDAPI\t1;1;1\tum" for name, path in PATHS.items()]
    (tmp_path / "scans.tsv").write_text("\n".join([HEAD, *rows, ""]))
    (tmp_path / "manifest.yml").write_text(MANIFEST)
    return tmp_path


CHUNK_WARNINGS = {"backend.chunks"}
PATHS = {"a": "planes", "b": "b.ome.tif"}


def package(folder: Path, *settings: str) -> int:
    backend = ["--backend", "ome-zarr:" + ",".join(settings)] if settings else []
    return main(["package", str(folder / "manifest.yml"), str(folder / "bids"), *backend])


def image_of(folder: Path) -> Path:
    (found,) = (folder / "bids").rglob("*.ome.zarr")
    return found


def layout_of(image: Path) -> tuple[list[int], list[int]]:
    """Return the sizes of chunk and shard of the full level along z, y and x."""
    array = json.loads((image / "0/zarr.json").read_text())
    inner = array["codecs"][0]["configuration"]["chunk_shape"]
    return inner[-3:], array["chunk_grid"]["configuration"]["chunk_shape"][-3:]


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = [p for p in (folder / "bids").rglob("*") if p.is_file() and "sub-" in str(p)]
    return {str(p): (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in found}


def test_a21_chunks_and_shards_are_those_of_the_settings(folder, capsys):
    sizes = "chunk=8,32,64", "shard=16,64,128"
    assert package(folder, *sizes) == ExitCode.OK
    assert layout_of(image_of(folder)) == ([8, 32, 64], [16, 64, 128])
    wanted = tifffile.imread(folder / "b.ome.tif")
    np.testing.assert_array_equal(read_with_tensorstore(image_of(folder))[0, 0], wanted)
    (sidecar,) = (folder / "bids/sub-a").rglob("*_SPIM.json")
    told = json.dumps(json.loads(sidecar.read_text()))
    assert '"chunk": "8,32,64"' in told
    assert '"shard": "16,64,128"' in told
    assert main(["verify", str(folder / "bids"), "--pixels"]) == ExitCode.OK
    capsys.readouterr()
    assert package(folder, *sizes) == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out


def test_a21_another_size_makes_converted_images_again_and_no_other(folder):
    assert package(folder, "chunk=8,32,64") == ExitCode.OK
    before = stamps(folder)
    assert package(folder, "chunk=16,32,32") == ExitCode.OK
    assert layout_of(image_of(folder))[0] == [16, 32, 32]
    after = stamps(folder)
    same = {path for path, stamp in before.items() if after.get(path) == stamp}
    assert {path for path in before if "sub-b" in path} <= same
    assert not [path for path in same if ".ome.zarr/0/c" in path]


def test_a21_the_manifest_may_have_them(folder):
    text = f'{MANIFEST}backend: ome-zarr\nsettings: {{chunk: "8,32,64", codec: lz4}}\n'
    (folder / "manifest.yml").write_text(text)
    assert package(folder) == ExitCode.OK
    assert layout_of(image_of(folder))[0] == [8, 32, 64]


def test_a21_nonsense_is_told_in_one_pass(folder, capsys):
    text = f"{MANIFEST}backend: ome-zarr\nsettings:\n  chunk: 8,9\n  shard: 1;2;3\n  codec: zip\n"
    (folder / "manifest.yml").write_text(text)
    assert package(folder) == ExitCode.BAD_INPUT
    told = "".join(capsys.readouterr())
    for value in ("'8,9' is not three sizes", "'1;2;3' is not three sizes", "'zip' is not a value"):
        assert value in told
    assert "Traceback" not in told
    assert not (folder / "bids").exists()


MISFITS = {
    "chunk=0,64,64": "of 1 at the least",
    "chunk=-1,64,64": "is not three sizes",
    "chunk=64": "is not three sizes",
    "shard=64,64,64": "give these as well",
    "chunk=64,64,64,shard=100,64,64": "128,64,64 can",
    "chunk=7,64,64,shard=7,64,64": "14,64,64 does not",
    "ngff=0.4,chunk=64,64,64,shard=64,64,64": "has no shards",
    "chunk=4096,4096,4096": "at most",
    "place=s3://bucket/x,split_above=1": "one worker writes the whole",
    "place=s3://bucket/x,level0=in-place": "encoded on their way",
}


@pytest.mark.parametrize("settings", MISFITS)
def test_a21_settings_that_cannot_be_together_are_refused_before_anything_is_made(
    folder, capsys, settings
):
    assert package(folder, settings) == ExitCode.BAD_INPUT
    told = "".join(capsys.readouterr())
    assert MISFITS[settings] in told
    assert "[option.setting]" in told
    assert not (folder / "bids").exists()


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_an_image_that_would_have_too_many_small_chunks_is_not_made(
    folder, monkeypatch, capsys, caplog, ngff
):
    settings = f"ngff={ngff}", "chunk=2,8,8"
    monkeypatch.setattr(chunk_sizes, "_MOST_SMALL", 100)
    assert package(folder, *settings) == ExitCode.FAILED
    told = "".join(capsys.readouterr()) + caplog.text
    assert "planes' cannot be stored like that: chunks of 2,8,8 are so small" in told
    assert not [*(folder / "bids").rglob("*.ome.zarr")]
    monkeypatch.setattr(chunk_sizes, "_MOST_SMALL", 10**6)
    assert package(folder, *settings) == ExitCode.OK
    assert image_of(folder).is_dir()


def test_a21_an_imaris_file_keeps_its_chunks_and_that_is_told(folder, capsys):
    write_variant(folder / "c.ims", Variant())
    with open(folder / "scans.tsv", "a") as table:
        table.write("c\tbrain\tc.ims\tRPI\tDAPI\t1.5;2.5;3.5\tum\n")
    assert package(folder, "chunk=8,32,64") == ExitCode.OK
    assert "[backend.chunks]" in "".join(capsys.readouterr())
    (image,) = (folder / "bids/sub-c").rglob("*.ome.zarr")
    assert layout_of(image)[0] == [4, 8, 16]
