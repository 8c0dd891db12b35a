"""An Imaris file becomes an OME-Zarr of the very same voxels, whatever HDF5 did with them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import conversions
import h5py
import numpy as np
import pytest
from conversions import Job
from imaris_variants import VARIANTS, Variant, voxels, with_lz4, write_variant
from markdown_blocks import ROOT
from plane_sources import read_metadata
from zarr_readers import read_with_zarr

from spimpack_tasks.arrays.codecs import Gzip
from spimpack_tasks.files import places
from spimpack_tasks.files.atomic import Durability
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.convert import count_bytes
from spimpack_tasks.volumes.formats import IMARIS, NGFF
from spimpack_tasks.volumes.imaris.chunks import ImarisChunks
from spimpack_tasks.volumes.ome_zarr import stores
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.ome_zarr.shards import read_shard, shard_pieces

CODECS = ("gzip", "blosc", "lz4")


def ignore(_: int) -> None:
    """Let the progress pass."""


def convert(source, path, advance=ignore, threads=2, **request) -> None:
    job = Job(str(source), str(path), Request(**request), "from-this", threads)
    conversions.convert(job, advance)


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def assert_same_voxels(path, variant: Variant) -> None:
    for level in range(len(variant.chunks)):
        array = read_with_zarr(path, level)
        assert array.dtype == np.dtype(variant.dtype).newbyteorder("=")
        for time in range(variant.times):
            for channel in range(variant.channels):
                np.testing.assert_array_equal(
                    array[time, channel], voxels(variant, level, time, channel)
                )


@pytest.mark.parametrize("name", ["LZ4", "shuffled LZ4"])
def test_voxels_behind_filters_of_others(tmp_path, name):
    variant = with_lz4()[name]
    source, path = tmp_path / "a.ims", tmp_path / "a.ome.zarr"
    write_variant(source, variant)
    # In a process that does not know the filter yet.
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "convert", source, path]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    assert_same_voxels(path, variant)


def test_a_filter_that_is_not_there_is_told_of(tmp_path, monkeypatch):
    write_variant(tmp_path / "a.ims", Variant())
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda _: False)
    with pytest.raises(OSError, match="by the filter 1 of HDF5, which is not installed"):
        convert(tmp_path / "a.ims", tmp_path / "a.ome.zarr")


def test_a_chunk_that_the_disk_takes_piece_by_piece_is_whole(tmp_path, monkeypatch):
    chunks = [(b"head", b"a long body", b"tail"), None, (b"another",)]
    place = LocalPlace(str(tmp_path))
    assert place.put("at once", shard_pieces(chunks), Durability.SAFE)
    writev, write = os.writev, os.write
    monkeypatch.setattr(os, "writev", lambda file, parts: writev(file, [parts[0][:3]]))
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    assert place.put("in pieces", shard_pieces(chunks), Durability.SAFE)
    monkeypatch.undo()
    assert (tmp_path / "in pieces").read_bytes() == (tmp_path / "at once").read_bytes()
    found = [c and bytes(c) for c in read_shard(place, "at once", 3)]
    assert found == [b"heada long bodytail", None, b"another"]


@pytest.mark.parametrize("name", ["two channels, three times", "one chunk", "not compressed"])
def test_progress_ends_where_it_was_said_to(tmp_path, name):
    source = tmp_path / "a.ims"
    write_variant(source, VARIANTS[name])
    told: list[int] = []
    convert(source, tmp_path / "a.ome.zarr", told.append)
    assert sum(told) == count_bytes(str(source), IMARIS)


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("name", ["as ImarisWriter has it", "shuffled", "a missing chunk"])
def test_bytes_do_not_depend_on_threads(tmp_path, name, ngff):
    write_variant(tmp_path / "a.ims", VARIANTS[name])
    for threads in (1, 2, 5):
        convert(tmp_path / "a.ims", tmp_path / f"{threads}", threads=threads, ngff=ngff)
    assert digests(tmp_path / "1") == digests(tmp_path / "2") == digests(tmp_path / "5")


@pytest.mark.slow
def test_the_chunks_of_a_large_file_are_found(tmp_path, monkeypatch):
    """100,000 of them, which lie in the file in no order; each is full of its number."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from imaris_file import write_many_chunks

    grid = (40, 50, 50)
    write_many_chunks(tmp_path / "a.ims", grid)
    codec = Gzip()
    with ImarisChunks(str(tmp_path / "a.ims")) as chunks:
        (level,) = chunks.levels
        assert level.grid == (1, 1, *grid)
        for number in [0, 99_999, *np.random.default_rng(2).integers(0, 100_000, 1000)]:
            parts = chunks.encoded(0, (0, 0, *np.unravel_index(number, grid)), codec)
            data = np.frombuffer(codec.decode(b"".join(parts), 4 * level.chunk_voxels), "uint32")
            assert (data == number).all()


# --- metadata


@pytest.mark.parametrize("ngff", NGFF)
def test_metadata_say_what_the_file_and_the_row_say(tmp_path, ngff):
    variant = Variant(channels=2)
    write_variant(tmp_path / "a.ims", variant)
    request = {"orientation_xyz": "RPI", "channel_names": ("YoPro", "Abeta"), "name": "sub-01"}
    convert(tmp_path / "a.ims", tmp_path / "a.ome.zarr", ngff=ngff, **request)
    attributes = read_metadata(tmp_path / "a.ome.zarr")
    (multiscale,) = attributes["ome"]["multiscales"]
    assert multiscale["name"] == "sub-01"
    assert [axis["name"] for axis in multiscale["axes"]] == list("czyx")
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, *["micrometer"] * 3]
    scales = [dataset["coordinateTransformations"] for dataset in multiscale["datasets"]]
    assert scales[0][0]["scale"] == [1, 3.5, 2.5, 1.5]
    assert scales[1][0]["scale"] == [1, 7, 5, 3]
    assert scales[1][1]["translation"] == [0, 1.75, 1.25, 0.75]
    assert attributes["xyz_orientation"] == "RPI"
    towards = [axis["orientation"]["value"] for axis in multiscale["axes"][1:]]
    assert towards == ["superior-to-inferior", "anterior-to-posterior", "left-to-right"]
    channels = attributes["ome"]["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["YoPro", "Abeta"]
    assert channels[0]["color"] == "FF8000"
    assert channels[0]["window"] == {"min": 0, "max": 65535, "start": 5, "end": 100}
    assert attributes["spimpack_tasks"]["converted_from"] == "Imaris"
    assert str(tmp_path) not in json.dumps(attributes)


def test_what_is_not_known_is_not_made_up(tmp_path):
    write_variant(tmp_path / "a.ims", Variant())
    with h5py.File(tmp_path / "a.ims", "a") as file:
        del file["DataSetInfo/Image"].attrs["Unit"]
        del file["DataSetInfo/Channel 0"]
    convert(tmp_path / "a.ims", tmp_path / "a.ome.zarr")
    attributes = read_metadata(tmp_path / "a.ome.zarr")
    axes = attributes["ome"]["multiscales"][0]["axes"]
    assert not any("unit" in axis or "orientation" in axis for axis in axes)
    assert "xyz_orientation" not in attributes
    assert attributes["ome"]["omero"]["channels"][0]["label"] == ""


@pytest.mark.parametrize("ngff", NGFF)
def test_a_conversion_is_known_again(tmp_path, ngff):
    write_variant(tmp_path / "a.ims", Variant())
    path = tmp_path / "a.ome.zarr"
    assert read_provenance(str(path)) == {}
    convert(tmp_path / "a.ims", path, ngff=ngff)
    assert read_provenance(str(path))["made_from"] == "from-this"


# --- damage, and going on


def spoil_chunk(source, place) -> None:
    with h5py.File(source, "r") as file:
        found = []
        data = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"]
        data.id.chunk_iter(found.append)
        (chunk,) = [c for c in found if c.chunk_offset == place]
    with open(source, "r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        file.write(b"\xff" * 16)


@pytest.mark.parametrize("ngff", NGFF)
@pytest.mark.parametrize("codec", CODECS)
def test_a_damaged_chunk_is_named_and_nothing_is_finished(tmp_path, codec, ngff):
    source, path = tmp_path / "a.ims", tmp_path / "a.ome.zarr"
    write_variant(source, Variant(channels=2))
    spoil_chunk(source, (4, 8, 16))
    with pytest.raises(OSError, match="level 0, time point 0, channel 0, chunk 1/1/1 "):
        convert(source, path, codec=codec, ngff=ngff)
    assert not any((path / name).exists() for name in ("zarr.json", ".zattrs", ".zgroup"))


def test_a_file_that_ends_early_is_damaged(tmp_path):
    source = tmp_path / "a.ims"
    write_variant(source, Variant())
    with h5py.File(source, "r") as file:
        found = []
        data = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"]
        data.id.chunk_iter(found.append)
    os.truncate(source, max(c.byte_offset for c in found) + 1)
    with pytest.raises(OSError, match=r"not a sound Imaris file|ends before"):
        convert(source, tmp_path / "a.ome.zarr")


class StopError(Exception):
    """Stands for whatever ends a run."""


def stop(after):
    """Return a way to be told of progress that ends the run after some shards."""
    count = iter(range(after))

    def advance(_):
        if next(count, None) is None:
            raise StopError

    return advance


def identities(root: Path) -> dict[str, tuple[int, int]]:
    found = {name: os.stat(root / name) for name in digests(root)}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


@pytest.fixture
def shards_made(monkeypatch) -> list[tuple]:
    """Return what shards are written from now on."""
    made = []

    def watch(form):
        real = form.write

        def write(self, level, shard, chunks):
            made.append((level, *shard))
            real(self, level, shard, chunks)

        monkeypatch.setattr(form, "write", write)

    watch(stores._ShardFiles)
    watch(stores._ChunkFiles)
    return made


@pytest.mark.parametrize("after", [0, 1, 3, 7])
@pytest.mark.parametrize("ngff", NGFF)
def test_it_goes_on_with_the_shards_that_are_there(tmp_path, shards_made, ngff, after):
    write_variant(tmp_path / "a.ims", Variant(times=4, channels=2))
    whole, part = tmp_path / "whole", tmp_path / "part"
    convert(tmp_path / "a.ims", whole, ngff=ngff)
    shards = set(shards_made)
    assert len(shards_made) == len(shards) == 16
    shards_made.clear()
    with pytest.raises(StopError):
        convert(tmp_path / "a.ims", part, stop(after), threads=1, ngff=ngff)
    done = set(shards_made)
    assert after <= len(done) < 16
    there = {n: found for n, found in identities(part).items() if not n.startswith(".")}
    assert there
    shards_made.clear()
    convert(tmp_path / "a.ims", part, ngff=ngff)
    assert sorted(shards_made) == sorted(shards - done)
    assert digests(part) == digests(whole)
    assert there.items() <= identities(part).items()


def test_chunks_count_when_they_are_on_the_disk(tmp_path, monkeypatch, shards_made):
    """A power cut may leave chunks that were not synced, of any length."""
    write_variant(tmp_path / "a.ims", Variant(channels=2, missing=(4, 8, 16)))
    whole, part = tmp_path / "whole", tmp_path / "part"
    convert(tmp_path / "a.ims", whole, ngff="0.4")
    shards_made.clear()

    def fail(_):
        raise OSError(errno.EIO, "no disk")

    with monkeypatch.context() as patches:
        patches.setattr(places, "sync_disk", fail)
        with pytest.raises(OSError, match="no disk"):
            convert(tmp_path / "a.ims", part, threads=1, ngff="0.4")
    chunks = [path for path in part.rglob("*") if path.is_file()]
    assert len(chunks) >= 26
    for chunk in chunks[::2]:
        os.truncate(chunk, 0)
    (part / "0/0/1/1/1").write_bytes(b"what is all zero")
    shards_made.clear()
    convert(tmp_path / "a.ims", part, ngff="0.4")
    assert len(shards_made) == 4
    assert digests(part) == digests(whole)


@pytest.mark.parametrize("ngff", NGFF)
def test_the_metadata_of_the_whole_come_last(tmp_path, monkeypatch, ngff):
    write_variant(tmp_path / "a.ims", Variant())
    last = {"0.5": "zarr.json", "0.4": ".zattrs"}[ngff]
    out = tmp_path / "out"
    seen = []
    real = os.rename

    def watch(old, new):
        seen.append(os.path.relpath(new, out))
        if seen[-1] == last:
            seen.append(digests(out).keys() - {f"{last}.part"})
        real(old, new)

    monkeypatch.setattr(os, "rename", watch)
    convert(tmp_path / "a.ims", out, ngff=ngff)
    there = {name for name in seen[-1] if not name.startswith(stores._NOTES)}
    assert there == digests(out).keys() - {last}


def test_an_image_that_is_whole_is_not_made_again(tmp_path, shards_made):
    """Whoever is killed while the notes are taken away has written all else."""
    write_variant(tmp_path / "a.ims", Variant())
    convert(tmp_path / "a.ims", tmp_path / "out", ngff="0.4")
    before = digests(tmp_path / "out")
    (tmp_path / "out" / stores._NOTES / "0").mkdir(parents=True)
    shards_made.clear()
    convert(tmp_path / "a.ims", tmp_path / "out", ngff="0.4")
    assert shards_made == []
    assert digests(tmp_path / "out") == before
    assert not (tmp_path / "out" / stores._NOTES).exists()
