"""Imaris files that are put together otherwise than Imaris does: read right, or refused plainly."""

from __future__ import annotations

import os
import random
import shutil
import struct
import zlib
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from imaris_variants import Variant, voxels, write_variant
from zarr_readers import read_with_zarr

from spimpack_tasks.arrays.codecs import Gzip
from spimpack_tasks.cli.main import main
from spimpack_tasks.files.outside import VARIABLE
from spimpack_tasks.volumes.errors import HeaderError, UnreadableVoxelsError
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.volume import open_levels

FIRST = "DataSet/ResolutionLevel 0"
TWO_BY_TWO = Variant(times=2, channels=2)
SECRET = 4242


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def image(tmp_path) -> Path:
    """Return an Imaris file of two time points of two channels, two levels."""
    write_variant(tmp_path / "in.ims", TWO_BY_TWO)
    return tmp_path / "in.ims"


def move(old: str, new: str):
    def change(file: h5py.File) -> None:
        file.move(f"DataSet/{old}", f"DataSet/{new}")

    return change


def remove(name: str):
    def change(file: h5py.File) -> None:
        del file[f"DataSet/{name}"]

    return change


def retype(name: str, dtype: str):
    def change(file: h5py.File) -> None:
        data = file[f"DataSet/{name}/Data"]
        values, chunks = data[:].astype(dtype), data.chunks
        del file[f"DataSet/{name}/Data"]
        file[f"DataSet/{name}"].create_dataset("Data", data=values, chunks=chunks)

    return change


def resize(name: str, **sizes: int):
    def change(file: h5py.File) -> None:
        for axis, n in sizes.items():
            file[f"DataSet/{name}"].attrs[f"ImageSize{axis}"] = np.frombuffer(str(n).encode(), "S1")

    return change


def with_stranger(file: h5py.File) -> None:
    """Let the number of members be right, though one is missing."""
    file.move(f"{FIRST}/TimePoint 1", f"{FIRST}/TimePoint 2")
    file.create_group(f"{FIRST}/other")


def swap_levels(file: h5py.File) -> None:
    file.move(f"{FIRST}", "DataSet/aside")
    file.move("DataSet/ResolutionLevel 1", FIRST)
    file.move("DataSet/aside", "DataSet/ResolutionLevel 1")


def strange_type(dtype: object):
    def change(file: h5py.File) -> None:
        del file[f"{FIRST}/TimePoint 0/Channel 0/Data"]
        file[f"{FIRST}/TimePoint 0/Channel 0"].create_dataset("Data", (12, 24, 48), dtype)

    return change


LEVEL, TIME = "ResolutionLevel 0", "ResolutionLevel 0/TimePoint 1"
REFUSED = {
    "b3-time-gap": (move(TIME, f"{LEVEL}/TimePoint 2"), "no 'TimePoint 1'"),
    "b3-time-gap-hidden": (with_stranger, "no 'TimePoint 1'"),
    "b3-time-padded-number": (move(TIME, f"{LEVEL}/TimePoint 01"), "no 'TimePoint 1'"),
    "b3-channel-gap": (move(f"{TIME}/Channel 1", f"{TIME}/Channel 5"), "no 'Channel 1'"),
    "b3-first-channel-later": (remove(f"{LEVEL}/TimePoint 0/Channel 1"), "2 channels in"),
    "b3-channel-ends-earlier": (remove(f"{TIME}/Channel 1"), "1 channels in"),
    "b3-level-gap": (move("ResolutionLevel 1", "ResolutionLevel 2"), "no 'ResolutionLevel 1'"),
    "b3-level-without-time": (remove("ResolutionLevel 1/TimePoint 1"), "1 time points in"),
    "b3-level-without-channel": (
        remove("ResolutionLevel 1/TimePoint 1/Channel 1"),
        "1 channels in 'DataSet/ResolutionLevel 1/TimePoint 1'",
    ),
    "b3-channel-narrower-type": (retype(f"{TIME}/Channel 1", "u1"), "of uint8 in"),
    "b3-channel-other-sign": (retype(f"{TIME}/Channel 1", "i2"), "of int16 in"),
    "b3-level-other-type": (
        lambda file: [
            retype(f"ResolutionLevel 1/TimePoint {t}/Channel {c}", "u1")(file)
            for t in range(2)
            for c in range(2)
        ],
        "levels of different types: uint16, uint8",
    ),
    "b3-channel-smaller": (resize(f"{TIME}/Channel 1", X=30), "11 x 21 x 30 voxels"),
    "b3-channel-larger": (resize(f"{TIME}/Channel 0", Y=23), "11 x 23 x 37 voxels"),
    "b3-larger-than-stored": (resize(f"{TIME}/Channel 0", Y=25), "ImageSizeY of '25'"),
    "f11-level-larger": (swap_levels, "level 1 larger than the one before"),
    "f11-level-larger-along-z": (
        lambda file: [
            resize(f"{LEVEL}/TimePoint {t}/Channel {c}", Z=4)(file)
            for t in range(2)
            for c in range(2)
        ],
        "level 1 larger than the one before",
    ),
    "b7-compound": (strange_type([("a", "u1"), ("b", "u2")]), "is no number"),
    "b7-fixed-string": (strange_type("S4"), "is no number"),
    "b7-vlen-string": (strange_type(h5py.string_dtype()), "is no number"),
    "b7-vlen-numbers": (strange_type(h5py.vlen_dtype("u2")), "is no number"),
    "b7-bool": (strange_type("?"), "is no number"),
    "b7-complex": (strange_type("c8"), "is no number"),
    "b7-opaque": (strange_type("V3"), "is no number"),
    "b7-reference": (strange_type(h5py.ref_dtype), "is no number"),
    "b7-region-reference": (strange_type(h5py.regionref_dtype), "is no number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_of_one_kind_is_refused(image, capsys, name):
    change, says = REFUSED[name]
    with h5py.File(image, "r+") as file:
        change(file)
    with pytest.raises(HeaderError) as raised:
        read_header(str(image), "Imaris")
    assert says.replace("is no number", "which is no number") in str(raised.value)
    with pytest.raises((HeaderError, UnreadableVoxelsError)), open_levels(str(image), "Imaris"):
        pass
    for target in ("out.ome.zarr", "out.ome.tif"):
        assert run("convert", image, image.parent / target) != 0
        assert str(image) in capsys.readouterr().err
        assert not (image.parent / target).exists()


def external_link(file: h5py.File, there: Path, name: str) -> None:
    file[name] = h5py.ExternalLink(str(there), f"/{name}")


def soft_to_external(file: h5py.File, there: Path, name: str) -> None:
    file["elsewhere"] = h5py.ExternalLink(str(there), "/DataSet")
    file[name] = h5py.SoftLink("/elsewhere" + name.removeprefix("DataSet"))


DATA = f"{FIRST}/TimePoint 0/Channel 1/Data"
LINKED = {
    "b6-link-to-data": (external_link, DATA),
    "b6-link-to-channel": (external_link, f"{FIRST}/TimePoint 0/Channel 1"),
    "b6-link-to-time": (external_link, f"{FIRST}/TimePoint 1"),
    "b6-link-to-level": (external_link, "DataSet/ResolutionLevel 1"),
    "b6-link-to-all": (external_link, "DataSet"),
    "b6-link-to-info": (external_link, "DataSetInfo"),
    "b6-soft-link-to-link": (soft_to_external, DATA),
}


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("exists", [True, False], ids=["there", "absent"])
def test_links_out_of_the_file_are_not_followed(image, tmp_path, capsys, name, exists):
    link, member = LINKED[name]
    there = tmp_path / "elsewhere" / "other.ims"
    there.parent.mkdir()
    if exists:
        write_variant(there, TWO_BY_TWO)
    with h5py.File(image, "r+") as file:
        del file[member]
        link(file, there, member)
    with pytest.raises(HeaderError, match="out of the file, which is not followed"):
        read_header(str(image), "Imaris")
    assert run("convert", image, tmp_path / "out.ome.zarr") != 0
    assert "not followed" in capsys.readouterr().err


@pytest.mark.few(3)
@pytest.mark.parametrize("name", LINKED)
def test_links_to_where_the_user_allows_it_are_followed(image, tmp_path, monkeypatch, name):
    link, member = LINKED[name]
    there = tmp_path / "elsewhere" / "other.ims"
    there.parent.mkdir()
    shutil.copy(image, there)
    with h5py.File(image, "r+") as file:
        del file[member]
        link(file, there, member)
    monkeypatch.setenv(VARIABLE, str(there.parent))
    assert run("convert", image, tmp_path / "out.ome.zarr", "--verify") == 0
    made = read_with_zarr(tmp_path / "out.ome.zarr")
    for time in range(2):
        for channel in range(2):
            wanted = voxels(TWO_BY_TWO, 0, time, channel)
            np.testing.assert_array_equal(made[time, channel], wanted)


def test_b6_what_is_allowed_leads_on_by_the_same_rule(image, tmp_path, monkeypatch, capsys):
    for name, target in (("allowed", tmp_path / "secret/in.ims"), ("secret", None)):
        (tmp_path / name).mkdir()
        shutil.copy(image, tmp_path / name / "in.ims")
        if target:
            with h5py.File(tmp_path / name / "in.ims", "r+") as file:
                del file[DATA]
                file[DATA] = h5py.ExternalLink(str(target), f"/{DATA}")
    with h5py.File(image, "r+") as file:
        del file[DATA]
        file[DATA] = h5py.ExternalLink(str(tmp_path / "allowed/in.ims"), f"/{DATA}")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "allowed"))
    assert run("convert", image, tmp_path / "out.ome.zarr") != 0
    assert "allowed/in.ims' has a link 'Data' out of the file" in capsys.readouterr().err


def raw_storage(group: h5py.Group, there: Path) -> None:
    there.write_bytes(np.full((12, 24, 48), SECRET, "<u2").tobytes())
    external = [(str(there), 0, there.stat().st_size)]
    group.create_dataset("Data", (12, 24, 48), "<u2", external=external)


def virtual(group: h5py.Group, there: Path) -> None:
    with h5py.File(there, "w") as other:
        other["v"] = np.full((12, 24, 48), SECRET, "<u2")
    layout = h5py.VirtualLayout((12, 24, 48), "<u2")
    layout[:] = h5py.VirtualSource(str(there), "v", (12, 24, 48))
    group.create_virtual_dataset("Data", layout)


@pytest.mark.parametrize("make", [raw_storage, virtual], ids=["b6-raw-storage", "b6-virtual"])
def test_values_in_other_files_are_not_read(image, tmp_path, capsys, make):
    with h5py.File(image, "r+") as file:
        del file[DATA]
        make(file[f"{FIRST}/TimePoint 0/Channel 1"], tmp_path / "other")
        assert (file[DATA][:] == SECRET).all()  # HDF5 follows it
    with pytest.raises(HeaderError, match="which is not followed"):
        read_header(str(image), "Imaris")
    assert run("convert", image, tmp_path / "out.ome.zarr") != 0
    assert "not followed" in capsys.readouterr().err


def test_b6_soft_links_inside_the_file_are_followed(image, tmp_path):
    with h5py.File(image, "r+") as file:
        file.move("DataSet", "kept")
        file["DataSet"] = h5py.SoftLink("/kept")
        file.move(f"kept/{TIME}/Channel 1", "channel")
        file[f"kept/{TIME}/Channel 1"] = h5py.SoftLink("/channel")
    assert run("convert", image, tmp_path / "out.ome.zarr", "--verify") == 0
    made = read_with_zarr(tmp_path / "out.ome.zarr")
    for time in range(2):
        for channel in range(2):
            wanted = voxels(TWO_BY_TWO, 0, time, channel)
            np.testing.assert_array_equal(made[time, channel], wanted)


@pytest.mark.parametrize("target", ["/DataSet", "/no/such"], ids=["b6-circle", "b6-nowhere"])
def test_soft_links_without_an_end_are_refused(image, target):
    with h5py.File(image, "r+") as file:
        del file["DataSet"]
        file["DataSet"] = h5py.SoftLink(target)
    with pytest.raises(HeaderError, match=r"leads back to itself|has no group"):
        read_header(str(image), "Imaris")


BEHIND = {
    "b7-one-byte": lambda stream: stream + b"\0",
    "b7-four-bytes": lambda stream: stream + b"abcd",
    "b7-much": lambda stream: stream + os.urandom(9999),
    "b7-the-same-again": lambda stream: stream + stream,
    "b7-its-checksum-again": lambda stream: stream + b"x" + stream[-4:],
}


@pytest.mark.parametrize("codec", ["gzip", "blosc", "lz4"])
@pytest.mark.parametrize("name", BEHIND)
def test_bytes_behind_a_stream_do_no_harm(tmp_path, name, codec):
    variant = Variant()
    source, target = tmp_path / "in.ims", tmp_path / "out.ome.zarr"
    write_variant(source, variant)
    with h5py.File(source, "r+") as file:
        data = file[f"{FIRST}/TimePoint 0/Channel 0/Data"]
        _, stream = data.id.read_direct_chunk((4, 8, 16))
        data.id.write_direct_chunk((4, 8, 16), BEHIND[name](stream))
    with h5py.File(source) as file:  # HDF5 does not mind
        data = file[f"{FIRST}/TimePoint 0/Channel 0/Data"]
        np.testing.assert_array_equal(data[:11, :21, :37], voxels(variant, 0, 0, 0))
    assert run("convert", source, target, "--codec", codec, "--ngff", "0.4") == 0
    made = read_with_zarr(target)
    np.testing.assert_array_equal(made[0, 0], voxels(variant, 0, 0, 0))


def data_that_begin_with_their_checksum() -> bytes:
    """Return data that hold their own Adler-32 (RFC 1950), found by trying."""
    for size, high, low in product(range(5, 40), range(255), range(256)):
        data = bytes([high, 254 - high, 1, low]) + bytes(size)
        if zlib.adler32(data) == int.from_bytes(data[:4], "big"):
            return data
    raise AssertionError


def test_b7_a_checksum_inside_of_a_stream_is_not_its_end():
    data = data_that_begin_with_their_checksum()
    stream = zlib.compress(data, 0)  # stored, so the data stand in the stream
    assert stream.count(data[:4]) == 2
    chunk = b"".join(Gzip().rewrap(stream, len(data)))
    assert zlib.decompress(chunk, wbits=31) == data
    assert chunk[10:-8] == stream[2:-4]  # taken as it is
    chunk = b"".join(Gzip().rewrap(stream + b"more", len(data)))
    assert zlib.decompress(chunk, wbits=31) == data


def test_b7_numbers_of_fewer_bits_are_converted_by_hdf5(tmp_path):
    """A type of 12 bits, shifted by 4, is not what numpy makes of its bytes."""
    source, target = tmp_path / "in.ims", tmp_path / "out.ome.zarr"
    variant = Variant(channels=1)
    write_variant(source, variant)
    kind = h5py.h5t.STD_U16LE.copy()
    kind.set_precision(12)
    kind.set_offset(4)
    wanted = voxels(variant, 0, 0, 0)
    with h5py.File(source, "r+") as file:
        group = file[f"{FIRST}/TimePoint 0/Channel 0"]
        del group["Data"]
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((4, 8, 16))
        creation.set_deflate(2)
        space = h5py.h5s.create_simple((12, 24, 48))
        made = h5py.h5d.create(group.id, b"Data", kind, space, creation)
        padded = np.zeros((12, 24, 48), "<u2")
        padded[:11, :21, :37] = wanted
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, padded)
    assert run("convert", source, target, "--verify") == 0
    np.testing.assert_array_equal(read_with_zarr(target)[0, 0], wanted)


def as_vlen(text: str) -> object:
    return text


def as_bytes(text: str) -> object:
    return np.bytes_(text)


def as_words(text: str) -> object:
    return np.array(text.split(), h5py.string_dtype())


def as_fixed_words(text: str) -> object:
    return np.array(text.split(), "S9")


def as_numbers(text: str) -> object:
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        return text
    return numbers[0] if len(numbers) == 1 else np.array(numbers, "f8")


def as_single_precision(text: str) -> object:
    found = as_numbers(text)
    return found if isinstance(found, str) else np.asarray(found, "f4")


def as_signed_characters(text: str) -> object:
    return np.frombuffer(text.encode() + b"\0", "i1")


FORMS = {
    "c6-texts": as_vlen,
    "c6-fixed-texts": as_bytes,
    "c6-words": as_words,
    "c6-fixed-words": as_fixed_words,
    "c6-numbers": as_numbers,
    "c6-single-precision": as_single_precision,
    "c6-signed-characters": as_signed_characters,
}


def rewrite_attributes(path: Path, form) -> None:
    """Write each attribute of a file in another form."""

    def visit(_: str, member: object) -> None:
        for name, value in list(member.attrs.items()):
            text = value.tobytes().decode()
            member.attrs[name] = form(text)

    with h5py.File(path, "r+") as file:
        file.visititems(visit)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", FORMS)
def test_attributes_have_any_form(image, tmp_path, name):
    before = read_header(str(image), "Imaris")
    rewrite_attributes(image, FORMS[name])
    assert read_header(str(image), "Imaris") == before
    target = tmp_path / "out.ome.zarr"
    assert run("convert", image, target, "--verify") == 0
    shown = zarr.open_group(target, mode="r").attrs["ome"]["omero"]["channels"][1]
    assert shown["label"] == "stain 1"
    assert shown["color"] == "FF8000"
    assert (shown["window"]["start"], shown["window"]["end"]) == (5.0, 100.0)


NO_TEXTS = {
    "c6-empty": h5py.Empty("f4"),
    "c6-empty-text": h5py.Empty("S1"),
    "c6-compound": np.zeros(2, [("a", "i4"), ("b", "f4")]),
    "c6-vlen-numbers": None,
    "c6-bool": True,
    "c6-no-items": np.zeros(0, "S1"),
    "c6-huge": np.zeros(60000, "S1"),
    "c6-not-finite": np.array([np.nan, np.inf, 1.0]),
    "c6-reference": h5py.Reference,
    "c6-bytes-of-no-encoding": np.frombuffer(b"\xff\xfe\x80", "S1"),
}


@pytest.mark.parametrize("name", NO_TEXTS)
def test_attributes_that_say_nothing_are_passed_over(image, tmp_path, name):
    value = NO_TEXTS[name]
    with h5py.File(image, "r+") as file:
        section = file["DataSetInfo/Channel 0"]
        for key in ("Color", "ColorRange"):
            del section.attrs[key]
            if value is h5py.Reference:
                section.attrs.create(key, file["DataSet"].ref, dtype=h5py.ref_dtype)
            elif name == "c6-vlen-numbers":
                made = h5py.h5t.py_create(h5py.vlen_dtype("i4"), logical=True)
                space = h5py.h5s.create_simple((3,))
                h5py.h5a.create(section.id, key.encode(), made, space)
            else:
                section.attrs[key] = value
    target = tmp_path / "out.ome.zarr"
    assert run("convert", image, target) == 0
    shown = zarr.open_group(target, mode="r").attrs["ome"]["omero"]["channels"][0]
    assert shown["label"] == "stain 0"
    assert (shown["window"]["start"], shown["window"]["end"]) == (0.0, 65535.0)


def test_b7_a_flipped_bit_changes_no_voxel_and_ends_no_run(tmp_path, capsys):
    variant = Variant(channels=2)
    write_variant(tmp_path / "in.ims", variant)
    whole = (tmp_path / "in.ims").read_bytes()
    chance = random.Random(7)
    for number in range(40):
        harmed = bytearray(whole)
        harmed[chance.randrange(len(whole))] ^= 1 << number % 8
        (tmp_path / "harmed.ims").write_bytes(harmed)
        target = tmp_path / f"{number}.ome.zarr"
        if run("convert", tmp_path / "harmed.ims", target) == 0:
            made = read_with_zarr(target)
            for channel in range(2):
                np.testing.assert_array_equal(made[0, channel], voxels(variant, 0, 0, channel))
    capsys.readouterr()


def test_b7_two_chunks_of_one_place_are_refused(tmp_path, capsys):
    """An index that names one place twice leaves another one out, which would become zeros."""
    source = tmp_path / "in.ims"
    write_variant(source, Variant())
    with h5py.File(source) as file:
        data = file[f"{FIRST}/TimePoint 0/Channel 0/Data"]
        chunks = [data.id.get_chunk_info(n) for n in range(data.id.get_num_chunks())]
    whole = source.read_bytes()
    # A key of the index (HDF5 format, version 1 B-trees): length, mask, and four offsets.
    keys = [struct.pack("<2I4Q", chunk.size, 0, *chunk.chunk_offset, 0) for chunk in chunks[:2]]
    assert [whole.count(key) for key in keys] == [1, 1]
    moved = keys[1][:8] + keys[0][8:]
    source.write_bytes(whole.replace(keys[1], moved))
    for target in ("out.ome.zarr", "out.ome.tif"):
        assert run("convert", source, tmp_path / target) != 0
        assert "index of chunks" in capsys.readouterr().err
