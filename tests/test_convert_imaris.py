"""An Imaris file becomes an OME-Zarr of the very same voxels, whatever HDF5 did with them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from imaris_variants import VARIANTS, Variant, voxels, with_lz4, write_variant

from spimpack_tasks.transcoding import write
from spimpack_tasks.transcoding.convert import load_converter, read_provenance
from spimpack_tasks.transcoding.request import Job, Request

CODECS = ("gzip", "blosc")


def ignore(_: int) -> None:
    """Let the progress pass."""


def convert(source, path, advance=ignore, threads=2, **request) -> None:
    job = Job(str(source), str(path), Request(**request), "from-this", threads)
    load_converter("Imaris")(job, advance)


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def assert_same_voxels(path, variant: Variant) -> None:
    root = zarr.open_group(str(path), mode="r")
    for level in range(len(variant.chunks)):
        array = root[str(level)][:]
        assert array.dtype == np.dtype(variant.dtype).newbyteorder("=")
        for time in range(variant.times):
            for channel in range(variant.channels):
                np.testing.assert_array_equal(
                    array[time, channel], voxels(variant, level, time, channel)
                )


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", VARIANTS)
def test_voxels_are_the_same(tmp_path, name, codec):
    source, path = tmp_path / "a.ims", tmp_path / "a.ome.zarr"
    write_variant(source, VARIANTS[name])
    before = source.read_bytes()
    convert(source, path, codec=codec)
    assert_same_voxels(path, VARIANTS[name])
    assert source.read_bytes() == before
    assert not [name for name in digests(path) if name.endswith(".part")]


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


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4"])
def test_tensorstore_reads_the_same(tmp_path, dtype, codec):
    tensorstore = pytest.importorskip("tensorstore")
    variant = Variant(dtype=dtype, channels=2, missing=(4, 8, 16))
    write_variant(tmp_path / "a.ims", variant)
    convert(tmp_path / "a.ims", tmp_path / "a.ome.zarr", codec=codec)
    store = {"driver": "file", "path": str(tmp_path / "a.ome.zarr" / "0")}
    array = tensorstore.open({"driver": "zarr3", "kvstore": store}).result().read().result()
    np.testing.assert_array_equal(array[0, 1], voxels(variant, 0, 0, 1))


@pytest.mark.parametrize("name", ["as ImarisWriter has it", "shuffled", "a missing chunk"])
def test_bytes_do_not_depend_on_threads(tmp_path, name):
    write_variant(tmp_path / "a.ims", VARIANTS[name])
    for threads in (1, 2, 5):
        convert(tmp_path / "a.ims", tmp_path / f"{threads}", threads=threads)
    assert digests(tmp_path / "1") == digests(tmp_path / "2") == digests(tmp_path / "5")


# --- metadata


def test_metadata_say_what_the_file_and_the_row_say(tmp_path):
    variant = Variant(channels=2)
    write_variant(tmp_path / "a.ims", variant)
    request = {"orientation_xyz": "RPI", "channel_names": ("YoPro", "Abeta"), "name": "sub-01"}
    convert(tmp_path / "a.ims", tmp_path / "a.ome.zarr", **request)
    attributes = json.loads((tmp_path / "a.ome.zarr/zarr.json").read_text())["attributes"]
    (multiscale,) = attributes["ome"]["multiscales"]
    assert multiscale["name"] == "sub-01"
    assert [axis["name"] for axis in multiscale["axes"]] == list("tczyx")
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, None, *["micrometer"] * 3]
    scales = [dataset["coordinateTransformations"] for dataset in multiscale["datasets"]]
    assert scales[0][0]["scale"] == [1, 1, 3.5, 2.5, 1.5]
    assert scales[1][0]["scale"] == [1, 1, 7, 5, 3]
    assert scales[1][1]["translation"] == [0, 0, 1.75, 1.25, 0.75]
    assert attributes["xyz_orientation"] == "RPI"
    towards = [axis["orientation"]["value"] for axis in multiscale["axes"][2:]]
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
    attributes = json.loads((tmp_path / "a.ome.zarr/zarr.json").read_text())["attributes"]
    axes = attributes["ome"]["multiscales"][0]["axes"]
    assert not any("unit" in axis or "orientation" in axis for axis in axes)
    assert "xyz_orientation" not in attributes
    assert attributes["ome"]["omero"]["channels"][0]["label"] == ""


@pytest.mark.parametrize("codec", CODECS)
def test_referees_accept_it(tmp_path, codec):
    yaozarrs = pytest.importorskip("yaozarrs")
    models = pytest.importorskip("ome_zarr_models.v05.image")
    write_variant(tmp_path / "a.ims", Variant(channels=2))
    path = tmp_path / "a.ome.zarr"
    convert(tmp_path / "a.ims", path, codec=codec, orientation_xyz="LAS")
    yaozarrs.validate_zarr_store(str(path))
    models.Image.from_zarr(zarr.open_group(str(path), mode="r"))


def test_a_conversion_is_known_again(tmp_path):
    write_variant(tmp_path / "a.ims", Variant())
    path = tmp_path / "a.ome.zarr"
    assert read_provenance(str(path)) == {}
    convert(tmp_path / "a.ims", path)
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


@pytest.mark.parametrize("codec", CODECS)
def test_a_damaged_chunk_is_named_and_nothing_is_finished(tmp_path, codec):
    source, path = tmp_path / "a.ims", tmp_path / "a.ome.zarr"
    write_variant(source, Variant(channels=2))
    spoil_chunk(source, (4, 8, 16))
    with pytest.raises(OSError, match="level 0, time point 0, channel 0, chunk 1/1/1 "):
        convert(source, path, codec=codec)
    assert not (path / "zarr.json").exists()


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


def test_it_goes_on_with_the_shards_that_are_there(tmp_path, monkeypatch):
    variant = Variant(times=4, channels=2)
    write_variant(tmp_path / "a.ims", variant)
    whole, part = tmp_path / "whole", tmp_path / "part"
    convert(tmp_path / "a.ims", whole)
    total = len(digests(whole))

    def stop(after):
        count = iter(range(after))

        def advance(_):
            if next(count, None) is None:
                raise StopError

        return advance

    real = write.write_shard
    for after in (0, 1, 3, 7):
        shutil.rmtree(part, ignore_errors=True)
        with pytest.raises(StopError):
            convert(tmp_path / "a.ims", part, stop(after), threads=1)
        there = {name: os.stat(part / name).st_ino for name in digests(part)}
        assert after <= len(there) < total
        made: list[str] = []

        def note(path, chunks, made=made):
            made.append(path)
            return real(path, chunks)

        monkeypatch.setattr(write, "write_shard", note)
        convert(tmp_path / "a.ims", part)
        monkeypatch.setattr(write, "write_shard", real)
        assert digests(part) == digests(whole)
        assert {name: os.stat(part / name).st_ino for name in there} == there
        assert len(made) == 16 - len(there)
