"""Flipped bits in what is made here: `verify --pixels` finds each that changes a voxel."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import conversions
import numpy as np
import pytest
import tifffile
import zarr
from conversions import Job
from plane_sources import write_tif
from zarr_readers import READERS

from spimpack_tasks.arrays.codecs import Blosc, DamagedChunkError
from spimpack_tasks.cli.main import main
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.volumes import writer
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.spec import VolumeSpec
from spimpack_tasks.volumes.writer import Layout, create_volume

FLIPS = 25
NOISE = np.random.default_rng(10).integers(0, 2**16, (6, 40, 40), "uint16")
MADE = {
    "f10-0.5-blosc": ("o.ome.zarr", "--codec", "blosc"),
    "f10-0.5-gzip": ("o.ome.zarr", "--codec", "gzip"),
    "f10-0.5-lz4": ("o.ome.zarr", "--codec", "lz4"),
    "f10-0.4-lz4": ("o.ome.zarr", "--ngff", "0.4", "--codec", "lz4"),
    "f10-0.4-blosc": ("o.ome.zarr", "--ngff", "0.4", "--codec", "blosc"),
    "f10-0.4-gzip": ("o.ome.zarr", "--ngff", "0.4", "--codec", "gzip"),
    "f10-tiff-zlib": ("o.ome.tif", "--codec", "zlib"),
    "f10-tiff-zstd": ("o.ome.tif", "--codec", "zstd"),
}


def make(folder: Path, name: str, *options: str) -> tuple[Path, Path]:
    source = folder / "planes"
    source.mkdir()
    for number, plane in enumerate(NOISE):
        write_tif(source / f"p_{number}.tif", plane)
    assert main(["convert", str(source), str(folder / name), *options]) == 0
    return source, folder / name


def files_of(path: Path) -> list[Path]:
    """Return the files of voxels."""
    if path.is_file():
        return [path]
    found = (p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".z"))
    return sorted(p for p in found if p.name != "zarr.json")


def voxels_of(path: Path) -> np.ndarray | None:
    try:
        if path.is_file():
            return tifffile.imread(path).squeeze()
        return zarr.open_array(path / "0", mode="r")[:].squeeze()
    except Exception:  # noqa: BLE001 - whatever a library raises, it is found as well
        return None


@pytest.mark.few(3)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MADE)
def test_each_flip_that_changes_a_voxel_is_found(tmp_path: Path, name: str) -> None:
    source, made = make(tmp_path, *MADE[name])
    chance, changed = random.Random(name), 0
    for number in range(FLIPS):
        file = chance.choice(files_of(made))
        kept = file.read_bytes()
        place = chance.randrange(len(kept))
        file.write_bytes(kept[:place] + bytes([kept[place] ^ 1 << number % 8]) + kept[place + 1 :])
        found = voxels_of(made)
        faults = list(conversions.compare(source, made))
        if found is None or not np.array_equal(found, NOISE):
            assert faults, f"{file.relative_to(tmp_path)} at {place:,}"
            changed += 1
        file.write_bytes(kept)
    assert changed > FLIPS // 2
    assert list(conversions.compare(source, made)) == []


@pytest.mark.parametrize("codec", ["blosc", "lz4"])
@pytest.mark.parametrize("reader", READERS)
def test_f10_readers_know_the_checksum_of_each_chunk(
    tmp_path: Path, reader: str, codec: str
) -> None:
    _, made = make(tmp_path, "o.ome.zarr", "--codec", codec)
    told = json.loads((made / "0/zarr.json").read_text())["codecs"][0]["configuration"]["codecs"]
    assert [each["name"] for each in told] == ["bytes", "blosc", "crc32c"]
    assert np.array_equal(np.squeeze(READERS[reader](made)), NOISE)


@pytest.mark.parametrize("reader", ["zarr", "tensorstore"])
def test_f10_readers_compare_the_checksum(tmp_path: Path, reader: str) -> None:
    """A bit within a block of Zstandard goes unnoticed without it."""
    _, made = make(tmp_path, "o.ome.zarr", "--codec", "blosc")
    shard = files_of(made)[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(Exception, match=r".+"):
        READERS[reader](made)


def test_f10_a_chunk_is_checked_where_it_is_read_back() -> None:
    codec = Blosc(2, has_checksum=True)
    data = NOISE.tobytes()
    chunk = b"".join(codec.encode(data))
    assert codec.decode(chunk, len(data)) == data
    for place in (16, len(chunk) // 2, len(chunk) - 1):
        harmed = bytearray(chunk)
        harmed[place] ^= 4
        with pytest.raises(DamagedChunkError):
            codec.decode(bytes(harmed), len(data))


def job(source: Path, path: Path, made_from: str) -> Job:
    request = Request(codec="blosc", name=made_from)
    return Job(str(source), str(path), request, made_from, 1, voxels_from="the same")


def chain(path: Path) -> list[str]:
    told = json.loads((path / "0/zarr.json").read_text())
    return [codec["name"] for codec in told["codecs"][0]["configuration"]["codecs"]]


def make_as_before(monkeypatch: pytest.MonkeyPatch, source: Path, path: Path) -> None:
    """Make an image as the version before did, without checksums."""
    with monkeypatch.context() as before:
        before.setattr(writer, "has_bare_blosc", lambda _: True)
        conversions.convert(job(source, path, "a"))
    assert chain(path) == ["bytes", "blosc"]


@pytest.mark.parametrize("what", ["f10-taken-over", "f10-gone-on-with"])
def test_images_of_the_version_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Their metadata say what their chunks are, also where others are written."""
    source, new = make(tmp_path, "new.ome.zarr", "--codec", "blosc")
    old, made = tmp_path / "old.ome.zarr", tmp_path / "made.ome.zarr"
    make_as_before(monkeypatch, source, old)
    assert list(conversions.compare(source, old)) == []
    if what == "f10-taken-over":
        assert conversions.reuse(job(source, made, "b"), old)
    else:
        shutil.copytree(old, made)
        for name in made.rglob("zarr.json"):
            name.unlink()
        conversions.convert(job(source, made, "b"))
    assert chain(made) == ["bytes", "blosc"]
    assert np.array_equal(voxels_of(made), NOISE)
    assert chain(new) == ["bytes", "blosc", "crc32c"]
    again = tmp_path / "again.ome.zarr"
    if conversions.reuse(job(source, again, "c"), made):
        assert np.array_equal(voxels_of(again), NOISE)


def test_f10_zarr_v2_has_no_place_for_checksums(tmp_path: Path) -> None:
    spec = VolumeSpec((1, 1, 8, 8, 8), np.dtype("uint16"))
    with create_volume(LocalPlace(str(tmp_path)), spec, Layout("0.4", "blosc")) as writer:
        assert writer.codec == Blosc(2)
    with create_volume(LocalPlace(str(tmp_path)), spec, Layout("0.5", "blosc")) as writer:
        assert writer.codec == Blosc(2, has_checksum=True)
