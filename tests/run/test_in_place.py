"""OME-Zarr without a second copy: the full level is the file itself, with an index behind it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
import tifffile
from imaris_variants import DEFLATE, Variant, write_variant
from imaris_variants import voxels as variant_voxels
from numcodecs import zstd
from plain_pyramid import plain_pyramid
from zarr_readers import read_with_tensorstore, read_with_zarr, read_with_zarrs

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.in_place import writing
from spimpack_tasks.volumes.in_place.zstd_frames import is_one_frame

SHAPE = (12, 300, 260)
READERS = {
    "zarr": read_with_zarr,
    "tensorstore": read_with_tensorstore,
    "zarrs": read_with_zarrs,
}


def voxels(shape: tuple[int, ...] = SHAPE, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(5).integers(0, 60_000, shape).astype(dtype)


def five(values: np.ndarray, axes: str) -> np.ndarray:
    """Return voxels along t, c, z, y, x."""
    order = [axes.index(axis) for axis in "TCZYX" if axis in axes]
    sizes = dict(zip(axes, values.shape, strict=True))
    return values.transpose(order).reshape([sizes.get(axis, 1) for axis in "TCZYX"])


TILES = {"tile": (64, 128)}
SOURCES = {
    "strips": ("ZYX", SHAPE, {}),
    "one strip a plane": ("ZYX", SHAPE, {"rowsperstrip": 300}),
    "short last strip": ("ZYX", SHAPE, {"rowsperstrip": 77}),
    "tiles with ragged edges": ("ZYX", SHAPE, TILES),
    "zstd tiles": ("ZYX", SHAPE, {**TILES, "compression": "zstd"}),
    "zstd strips": ("ZYX", SHAPE, {"compression": "zstd", "rowsperstrip": 100}),
    "big endian": ("ZYX", SHAPE, {"byteorder": ">"}),
    "big endian tiles": ("ZYX", SHAPE, {"byteorder": ">", **TILES}),
    "BigTIFF": ("ZYX", SHAPE, {"bigtiff": True}),
    "channels": ("CZYX", (2, *SHAPE), {}),
    "time": ("TCZYX", (2, 3, 8, 300, 260), {}),
    "channels behind z": ("ZCYX", (8, 2, 300, 260), {}),
    "channels behind z in tiles": ("TZCYX", (2, 8, 2, 300, 260), TILES),
}
"""Axes, sizes, and what tifffile is told."""


def write_source(path: Path, axes: str, values: np.ndarray, options: dict) -> None:
    own = {k: v for k, v in options.items() if k not in {"byteorder", "bigtiff"}}
    how = {k: v for k, v in options.items() if k in {"byteorder", "bigtiff"}}
    tifffile.imwrite(path, values, metadata={"axes": axes}, ome=".ome." in path.name, **how, **own)


def convert(source: Path, target: Path, *options: str, how: str = "in-place") -> int:
    return main(["convert", str(source), str(target), "--level0", how, *options])


def shards(target: Path) -> list[Path]:
    return sorted(path for path in (target / "0/c").rglob("*") if path.is_file())


def is_in_place(target: Path) -> bool:
    told = json.loads((target / "zarr.json").read_text())["attributes"]["spimpack_tasks"]
    return told.get("level0", "").startswith("in-place")


def assert_levels(target: Path, values: np.ndarray, without: str = "") -> None:
    count = len(list(target.glob("[0-9]*")))
    assert count > 1
    read = [read_with_zarr(target, level) for level in range(count)]
    for level, wanted in enumerate(plain_pyramid(values, [each.shape[2:] for each in read])):
        for name, reader in READERS.items():
            if name == without and not level:
                continue
            np.testing.assert_array_equal(reader(target, level), wanted, err_msg=f"{name} {level}")


@pytest.mark.few(9)
@pytest.mark.parametrize(("axes", "shape", "options"), SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("ending", [".ome.tif", ".tif"])
def test_the_file_itself_is_the_full_level(tmp_path, axes, shape, options, ending):
    if ending == ".tif" and axes not in {"ZYX", "TZCYX"}:
        pytest.skip("a plain TIFF does not tell them")
    values = voxels(shape)
    source, target = tmp_path / f"a{ending}", tmp_path / "a.ome.zarr"
    how = {**options, "imagej": True} if ending == ".tif" else options
    if {"tile", "compression", "bigtiff"} & options.keys():
        how = options
    write_source(source, axes, values, how)
    before = source.read_bytes(), source.stat().st_mtime_ns
    more = ["--source-axes", axes] if ending == ".tif" and "imagej" not in how else []
    assert convert(source, target, "--verify", *more) == ExitCode.OK
    assert is_in_place(target)
    (shard,) = shards(target)
    assert shard.read_bytes().startswith(before[0])
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before
    np.testing.assert_array_equal(tifffile.imread(shard, is_ome=False).reshape(shape), values)
    assert_levels(target, five(values, axes))


AXES = {"ZYX": True, "CYX": True, "TYX": True, "YXZ": False, "ZXY": False}


@pytest.mark.parametrize("axes", AXES)
def test_axes_that_the_user_gives_are_those_of_the_planes(tmp_path, axes):
    values = voxels((4, 1100, 1100))
    source, target = tmp_path / "a.tif", tmp_path / "a.ome.zarr"
    with tifffile.TiffWriter(source) as file:
        for plane in values:
            file.write(plane, contiguous=False, metadata=None)
    assert convert(source, target, "--verify", "--source-axes", axes) == ExitCode.OK
    assert is_in_place(target) == AXES[axes]
    np.testing.assert_array_equal(read_with_tensorstore(target), five(values, axes))


def test_planes_in_files_are_a_shard_each(tmp_path):
    values = voxels()
    folder, target = tmp_path / "planes", tmp_path / "a.ome.zarr"
    folder.mkdir()
    for number, plane in enumerate(values):
        tifffile.imwrite(folder / f"z{number:03}.tif", plane, rowsperstrip=50)
    assert convert(folder, target, "--verify") == ExitCode.OK
    assert is_in_place(target)
    files = sorted(folder.iterdir())
    assert len(shards(target)) == len(files)
    for z, file in enumerate(files):
        (shard,) = (target / f"0/c/{z}").rglob("0/0")
        assert shard.read_bytes().startswith(file.read_bytes())
    assert_levels(target, values[None, None])


OTHERS = {
    "LZW": ({"compression": "lzw"}, "LZW"),
    "deflate": ({"compression": "zlib", **TILES}, "unverified codec"),
    "zstd strips": ({"compression": "zstd", "rowsperstrip": 77}, "strips are compressed"),
    "predictor": ({"compression": "zstd", "predictor": 2, **TILES}, "predictor"),
}


@pytest.mark.parametrize(("options", "expected"), OTHERS.values(), ids=OTHERS)
def test_other_files_go_the_usual_way_and_are_told_why(tmp_path, caplog, options, expected):
    values = voxels()
    write_source(tmp_path / "a.ome.tif", "ZYX", values, options)
    target = tmp_path / "a.ome.zarr"
    assert convert(tmp_path / "a.ome.tif", target, "--verify") == ExitCode.OK
    assert not is_in_place(target)
    assert expected in caplog.text
    np.testing.assert_array_equal(read_with_tensorstore(target), values[None, None])


CHUNKS = (4, 64, 128), (4, 64, 64)
RAW = {"shape": SHAPE, "chunks": CHUNKS, "filters": {}}
IMARIS = {
    "raw chunks": Variant(**RAW),
    "not padded": Variant(**RAW, padded=False),
    "big endian": Variant(**RAW, dtype=">u2"),
    "numbers with a point": Variant(**RAW, dtype="<f4"),
    "in one piece": Variant(shape=SHAPE, chunks=(None, None), filters={}, padded=False),
    "channels and time": Variant(
        shape=(12, 300, 260), chunks=CHUNKS, filters={}, times=2, channels=3
    ),
    "a chunk that was never written": Variant(**RAW, missing=(4, 64, 128)),
    "chunks deeper than the image": Variant(
        shape=SHAPE, chunks=((32, 64, 128), CHUNKS[1]), filters={}
    ),
    "chunks wider than the image": Variant(
        shape=SHAPE, chunks=((4, 512, 512), CHUNKS[1]), filters={}
    ),
    "zstd": Variant(shape=SHAPE, chunks=CHUNKS, filters=dict(hdf5plugin.Zstd())),
}


def imaris_voxels(variant: Variant) -> np.ndarray:
    times, channels = range(variant.times), range(variant.channels)
    return np.array([[variant_voxels(variant, 0, t, c) for c in channels] for t in times])


def assert_is_still_imaris(target: Path, source: Path, variant: Variant) -> None:
    """The one shard is the file with an index behind it, and HDF5 opens it as it was."""
    (shard,) = shards(target)
    assert shard.read_bytes().startswith(source.read_bytes())
    with h5py.File(shard) as file:
        data = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"]
        inside = tuple(slice(n) for n in variant.shape)
        np.testing.assert_array_equal(data[inside], variant_voxels(variant, 0, 0, 0))


@pytest.mark.few(4)
@pytest.mark.parametrize("variant", IMARIS.values(), ids=IMARIS)
def test_an_imaris_file_is_the_full_level(tmp_path, variant):
    source, target = tmp_path / "a.ims", tmp_path / "a.ome.zarr"
    write_variant(source, variant)
    before = source.read_bytes(), source.stat().st_mtime_ns
    assert convert(source, target, "--verify") == ExitCode.OK
    assert is_in_place(target)
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before
    assert_is_still_imaris(target, source, variant)
    assert_levels(target, imaris_voxels(variant))


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_a_program_of_its_own_finds_the_filters_of_imaris_files(tmp_path, ending):
    """Here hdf5plugin is imported by the tests."""
    source, target = tmp_path / "a.ims", tmp_path / f"a{ending}"
    write_variant(source, IMARIS["zstd"])
    how = ["--level0", "in-place"] if ending == ".ome.zarr" else []
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "convert", source, target, *how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ending == ".ome.tif" or is_in_place(target)


OTHER_IMARIS = {
    "deflate": (Variant(shape=SHAPE, chunks=CHUNKS), "unverified codec"),
    "shuffled": (
        Variant(shape=SHAPE, chunks=CHUNKS, filters={**DEFLATE, "shuffle": True}),
        "shuffle and deflate",
    ),
    "LZF": (Variant(shape=SHAPE, chunks=CHUNKS, filters={"compression": "lzf"}), "LZF"),
    "checksums": (Variant(shape=SHAPE, chunks=CHUNKS, filters={"fletcher32": True}), "fletcher32"),
    "filled": (Variant(**RAW, missing=(4, 64, 128), fill=7), "7 where none are stored"),
    "behind a user block": (Variant(**RAW, userblock=512), "behind a block of the user's"),
    "other chunks": (Variant(**RAW, channels=2, other_chunks=(2, 16, 8)), "different ways"),
    "not all deflated": (
        Variant(shape=SHAPE, chunks=CHUNKS, mask_of=(4, 64, 0)),
        "some of its chunks are not compressed",
    ),
}


@pytest.mark.parametrize(("variant", "expected"), OTHER_IMARIS.values(), ids=OTHER_IMARIS)
def test_other_imaris_files_go_the_usual_way_and_are_told_why(tmp_path, caplog, variant, expected):
    source, target = tmp_path / "a.ims", tmp_path / "a.ome.zarr"
    write_variant(source, variant)
    assert convert(source, target, "--verify") == ExitCode.OK
    assert not is_in_place(target)
    assert expected in caplog.text
    np.testing.assert_array_equal(read_with_tensorstore(target), imaris_voxels(variant))


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize("ending", [".ims", ".ome.tif", "strips.ome.tif"])
def test_deflated_blocks_are_taken_where_the_user_accepts_their_codec(tmp_path, ending):
    source, target = tmp_path / f"a{ending}", tmp_path / "a.ome.zarr"
    if ending == ".ims":
        variant = Variant(shape=SHAPE, chunks=CHUNKS)
        write_variant(source, variant)
        values = imaris_voxels(variant)
    else:
        values = voxels()[None, None]
        how = {"rowsperstrip": 100} if ending.startswith("strips") else TILES
        write_source(source, "ZYX", values[0, 0], {"compression": "zlib", **how})
    assert convert(source, target, "--verify", how="in-place-unverified") == ExitCode.OK
    assert is_in_place(target)
    (shard,) = shards(target)
    assert shard.read_bytes().startswith(source.read_bytes())
    assert_levels(target, values, without="tensorstore")
    with pytest.raises(ValueError, match=r"numcodecs\.zlib"):  # so the documentation says
        read_with_tensorstore(target)


def test_choices_that_forbid_it_are_told(tmp_path, caplog):
    write_source(tmp_path / "a.ome.tif", "ZYX", voxels(), {})
    for number, (options, expected) in enumerate(
        (
            (["--ngff", "0.4"], "has no shards"),
            (["--drop-original"], "metadata are to be left out, and a copy"),
            (["--chunk", "4,64,64"], "chunks are chosen, and those of the file"),
        )
    ):
        caplog.clear()
        target = tmp_path / f"{number}.ome.zarr"
        assert convert(tmp_path / "a.ome.tif", target, *options) == ExitCode.OK
        assert expected in caplog.text
        np.testing.assert_array_equal(read_with_zarr(target), voxels()[None, None])
    write_source(tmp_path / "small.ome.tif", "ZYX", voxels((2, 30, 30)), {})
    assert convert(tmp_path / "small.ome.tif", tmp_path / "small.ome.zarr") == ExitCode.OK
    assert "one level only" in caplog.text


SPARSE = {
    "raw tiles": {},
    "zstd tiles": {"compression": "zstd"},
}


@pytest.mark.parametrize("options", SPARSE.values(), ids=SPARSE)
@pytest.mark.parametrize("nodata", ["", "7"])
def test_tiles_that_were_never_written_are_missing_chunks(tmp_path, caplog, options, nodata):
    values, empty = voxels(), (2, 64, 128)
    source, target = tmp_path / "a.ome.tif", tmp_path / "a.ome.zarr"
    write_sparse(source, values, empty, {**options, **({"nodata": nodata} if nodata else {})})
    values[2, 64:128, 128:256] = int(nodata or 0)
    assert convert(source, target) == ExitCode.OK
    assert is_in_place(target) == (not nodata)
    assert not nodata or "7 where none are stored" in caplog.text
    assert_levels(target, values[None, None])


OME_XML = """\
<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeT="1" SizeC="1"
SizeZ="12" SizeY="300" SizeX="260"><TiffData/></Pixels></Image></OME>
"""


def write_sparse(path: Path, values: np.ndarray, empty: tuple[int, ...], options: dict) -> None:
    """Write tiles but one, which begins at z, y, x."""
    nodata = options.pop("nodata", "")
    extra = [(42113, "s", 0, nodata, True)] if nodata else []  # GDAL_NODATA

    def tiles(z: int):
        for y, x in np.ndindex(5, 3):
            tile = np.zeros((64, 128), values.dtype)
            part = values[z, y * 64 : (y + 1) * 64, x * 128 : (x + 1) * 128]
            tile[: part.shape[0], : part.shape[1]] = part
            yield None if (z, y * 64, x * 128) == empty else tile

    with tifffile.TiffWriter(path) as file:
        for z, plane in enumerate(values):
            how = {"shape": plane.shape, "dtype": plane.dtype, "extratags": extra, **options}
            how |= {"description": "" if z else OME_XML, "metadata": None, "contiguous": False}
            file.write(tiles(z), tile=(64, 128), **how)


def test_a_block_that_is_too_long_is_refused_as_ever(tmp_path, caplog, capsys):
    values = voxels()
    source, target = tmp_path / "a.ome.tif", tmp_path / "a.ome.zarr"
    write_source(source, "ZYX", values, {"compression": "zstd", **TILES})
    with tifffile.TiffFile(source, mode="r+b") as file:
        page = file.pages[3]
        counts = list(page.databytecounts)
        page.tags["TileByteCounts"].overwrite([2 * 64 * 128 * 2 + 2000, *counts[1:]])
    assert convert(source, target) == ExitCode.BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err
    assert "does not lie whole" in caplog.text
    assert not target.exists()


def packed(data: bytes) -> bytes:
    return zstd.compress(data, 1)


def in_pieces(data: bytes) -> bytes:
    """Return a frame of zstd that does not tell its size, as a stream is written (RFC 8878)."""
    frame = b"\x28\xb5\x2f\xfd" + b"\0" + bytes([10 << 3])  # a window of 2**20 bytes
    for start in range(0, len(data), 2**16):
        piece = data[start : start + 2**16]
        is_last = start + 2**16 >= len(data)
        frame += (len(piece) << 3 | is_last).to_bytes(3, "little") + piece
    assert zstd.decompress(frame) == data
    return frame


FRAMES = {
    "one": (packed, True),
    "without its size": (in_pieces, True),
    "with a checksum": (lambda data: zstd.compress(data, 1, checksum=True), True),
    "two": (lambda data: packed(data[:100]) + packed(data[100:]), False),
    "two without their sizes": (lambda d: in_pieces(d[:100]) + in_pieces(d[100:]), False),
    "one to be skipped, first": (lambda data: b"\x50\x2a\x4d\x18\1\0\0\0x" + packed(data), False),
    "one to be skipped, last": (lambda data: packed(data) + b"\x50\x2a\x4d\x18\1\0\0\0x", False),
    "more behind it": (lambda data: packed(data) + b"\0\0", False),
    "a shorter one": (lambda data: packed(data[:-2]), False),
    "cut off": (lambda data: packed(data)[:-9], False),
    "no zstd": (lambda _: b"\1" * 500, False),
    "a byte": (lambda _: b"\x28", False),
}


@pytest.mark.parametrize(("pack", "is_taken"), FRAMES.values(), ids=FRAMES)
def test_a_chunk_of_zstd_is_one_frame(tmp_path, pack, is_taken):
    """Others are read by zarr and zarrs, and not by tensorstore."""
    data = np.random.default_rng(0).integers(0, 40, 300_000).astype("u2").tobytes()
    block = pack(data)
    path = tmp_path / "file"
    path.write_bytes(b"before" + block + b"behind")
    with path.open("rb") as file:
        assert is_one_frame(file.fileno(), 6, len(block), len(data)) == is_taken


def test_tiles_of_two_frames_go_the_usual_way(tmp_path, caplog):
    values = voxels()
    source, target = tmp_path / "a.ome.tif", tmp_path / "a.ome.zarr"
    write_source(source, "ZYX", values, {"compression": "zstd", **TILES})
    tile = values[3, :64, :128].tobytes()
    two = packed(tile[:5000]) + packed(tile[5000:])
    with source.open("r+b") as file:
        start = file.seek(0, 2)
        file.write(two)
    with tifffile.TiffFile(source, mode="r+b") as file:
        page = file.pages[3]
        offsets, counts = [*page.dataoffsets], [*page.databytecounts]
        page.tags["TileOffsets"].overwrite([start, *offsets[1:]])
        page.tags["TileByteCounts"].overwrite([len(two), *counts[1:]])
    assert convert(source, target, "--verify") == ExitCode.OK
    assert "is not one frame of zstd" in caplog.text
    assert not is_in_place(target)
    np.testing.assert_array_equal(read_with_tensorstore(target), values[None, None])


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ims"])
def test_other_metadata_never_meet_voxels_of_the_other_kind(tmp_path, name):
    source = tmp_path / name
    if name == "a.ims":
        write_variant(source, Variant(**RAW))
        values = imaris_voxels(Variant(**RAW))
    else:
        values = voxels()[None, None]
        write_source(source, "ZYX", voxels(), {})
    size = "1.5;2.5;3.5" if name == "a.ims" else "1;1;1"
    (tmp_path / "manifest.yml").write_text(MANIFEST)
    (tmp_path / "scans.tsv").write_text(f"{HEAD}\na\tbrain\t{name}\tRPI\tDAPI\t{size}\tum\n")
    command = ["package", str(tmp_path / "manifest.yml"), str(tmp_path / "bids"), "--backend"]
    for settings, in_place in (
        ("level0=in-place", True),
        ("level0=in-place,original=drop", False),
        ("level0=in-place", True),
        ("level0=encoded", False),
        ("level0=in-place-unverified", True),
    ):
        assert main([*command, f"ome-zarr:convert=all,{settings}"]) == ExitCode.OK
        (image,) = (tmp_path / "bids").rglob("*.ome.zarr")
        assert is_in_place(image) == in_place
        for reader in READERS.values():
            np.testing.assert_array_equal(reader(image), values)
        assert main(["verify", str(tmp_path / "bids"), "--pixels"]) == ExitCode.OK


def test_colours_go_the_usual_way(tmp_path, caplog):
    values = voxels((3, 300, 260, 3), "uint8")
    tifffile.imwrite(
        tmp_path / "a.ome.tif", values, photometric="rgb", metadata={"axes": "ZYXS"}, ome=True
    )
    assert convert(tmp_path / "a.ome.tif", tmp_path / "a.ome.zarr", "--verify") == ExitCode.OK
    assert not is_in_place(tmp_path / "a.ome.zarr")
    assert "encoded as usual" in caplog.text


def test_a_damaged_file_is_refused_as_ever(tmp_path, capsys):
    source = tmp_path / "a.ome.tif"
    write_source(source, "ZYX", voxels(), TILES)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    assert convert(source, tmp_path / "a.ome.zarr") != ExitCode.OK
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert not (tmp_path / "a.ome.zarr").exists()


@pytest.mark.parametrize("moment", ["copied", "index", "renamed", "levels"])
@pytest.mark.parametrize("name", ["a.ome.tif", "a.ims"])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch, moment, name):
    source = tmp_path / name
    if name == "a.ims":
        write_variant(source, Variant(**RAW, channels=2))
    else:
        write_source(source, "CZYX", voxels((2, *SHAPE)), {})
    whole, broken = tmp_path / "whole.ome.zarr", tmp_path / "broken.ome.zarr"
    assert convert(source, whole) == ExitCode.OK

    class Killed(BaseException):
        pass

    def die(*_args, **_named):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "copied":
            original = writing.copy_file

            def copy(one, other, advance):
                original(one, other, advance)
                with open(other, "r+b") as file:
                    file.truncate(1000)
                die()

            patch.setattr(writing, "copy_file", copy)
        elif moment == "index":
            patch.setattr(writing.os, "fdatasync", die)
        elif moment == "renamed":
            patch.setattr(writing, "sync_disk", die)
        else:
            patch.setattr(writing, "put_json", die)
        with pytest.raises(Killed):
            convert(source, broken)
    assert not broken.exists()
    assert convert(source, broken) == ExitCode.OK
    names = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(broken) for p in broken.rglob("*") if p.is_file())
    for path in names:
        if path.name != "zarr.json":
            assert (whole / path).read_bytes() == (broken / path).read_bytes(), path


MANIFEST = """\
dataset_description: {Name: Small, BIDSVersion: "1.10.0", DatasetType: raw, License: CC0}
scans_tsv: scans.tsv
"""
HEAD = (
    "subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\tPixelSize\tPixelSizeUnits"
)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_dataset_is_packaged_verified_and_certified(tmp_path, capsys, workers):
    for name in ("a", "b"):
        write_source(tmp_path / f"{name}.ome.tif", "ZYX", voxels(), {})
    rows = [f"{n}\tbrain\t{n}.ome.tif\tRPI\tDAPI\t1;1;1\tum" for n in "ab"]
    (tmp_path / "manifest.yml").write_text(MANIFEST)
    (tmp_path / "scans.tsv").write_text("\n".join([HEAD, *rows, ""]))
    command = ["package", str(tmp_path / "manifest.yml"), str(tmp_path / "bids")]
    command += ["--backend", "ome-zarr:convert=all,level0=in-place", "--workers", workers]
    assert main(command) == ExitCode.OK
    images = sorted((tmp_path / "bids").rglob("*.ome.zarr"))
    assert len(images) == 2
    assert all(map(is_in_place, images))
    assert main(["verify", str(tmp_path / "bids"), "--pixels"]) == ExitCode.OK
    assert main(["certify", str(tmp_path / "bids")]) == ExitCode.OK
    capsys.readouterr()
    assert main(command) == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out
    # Other metadata: the voxels are used again, and the image can still be read.
    inodes = {image.name: shards(image)[0].stat().st_ino for image in images}
    table = tmp_path / "scans.tsv"
    table.write_text(table.read_text().replace("DAPI", "GFP"))
    assert main(command) == ExitCode.OK
    for image in sorted((tmp_path / "bids").rglob("*.ome.zarr")):
        assert shards(image)[0].stat().st_ino == inodes[image.name]
        assert_levels(image, voxels()[None, None])
        told = json.loads((image / "zarr.json").read_text())["attributes"]["ome"]
        assert told["omero"]["channels"][0]["label"] == "GFP"
    assert main(["verify", str(tmp_path / "bids"), "--pixels"]) == ExitCode.OK


def test_a_flipped_bit_is_found(tmp_path):
    write_source(tmp_path / "a.ome.tif", "ZYX", voxels(), {})
    target = tmp_path / "a.ome.zarr"
    assert convert(tmp_path / "a.ome.tif", target) == ExitCode.OK
    (shard,) = shards(target)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes(data)
    shutil.copy(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif")
    assert convert(tmp_path / "a.ome.tif", target, "--verify") == ExitCode.CONFLICT


@pytest.mark.parametrize("name", ["planes", "a.ome.tif"])
def test_given_axes_of_equal_sizes_are_not_mixed_up(tmp_path, name):
    cube = voxels((140, 140, 140))
    if name == "planes":
        (tmp_path / name).mkdir()
        for number, plane in enumerate(cube):
            tifffile.imwrite(tmp_path / name / f"z{number:03}.tif", plane)
    else:
        write_source(tmp_path / name, "ZYX", cube, {})
    target = tmp_path / "b.ome.zarr"
    if convert(tmp_path / name, target, "--source-axes", "ZXY") == ExitCode.OK:
        np.testing.assert_array_equal(read_with_zarr(target)[0, 0], cube.swapaxes(1, 2))
    else:
        assert not target.exists()
