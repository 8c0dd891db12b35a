"""`spimpack rechunk`: the same voxels in other chunks, shards, codecs and versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from plain_pyramid import plain_pyramid
from zarr_readers import read_with_tensorstore, read_with_zarr

from spimpack_tasks import api
from spimpack_tasks.cli.main import main
from spimpack_tasks.conversion.convert_file import convert_file
from spimpack_tasks.conversion.rechunk import compose_request
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes import copy as copy_module
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.ome_zarr import chunk_reader

SHAPE = (2, 70, 150, 130)
"""Along c, z, y, x; no multiple of any chunk below."""


def voxels(dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(3).integers(0, 250, SHAPE).astype(dtype)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """An image that was converted from OME-TIFF, in shards."""
    folder = tmp_path_factory.mktemp("source")
    path = folder / "a.ome.tif"
    about = {"axes": "CZYX", "PhysicalSizeX": 1.8, "PhysicalSizeY": 1.8, "PhysicalSizeZ": 4.0}
    about["Channel"] = {"Name": ["DAPI", "GFP"]}
    tifffile.imwrite(path, voxels(), metadata=about)
    target = folder / "a.ome.zarr"
    command = ["convert", str(path), str(target), "--orientation", "RPI", "--codec", "gzip"]
    assert main(command) == ExitCode.OK
    return target


def run(*arguments: object) -> int:
    return main(["rechunk", *map(str, arguments)])


CASES = {
    "chunk": (["--chunk", "16,32,64"], ("0.5", "gzip", (16, 32, 64), None)),
    "chunk of one plane": (["--chunk", "1,150,130"], ("0.5", "gzip", (1, 150, 130), None)),
    "chunk beyond the image": (["--chunk", "128,256,256"], ("0.5", "gzip", (128, 256, 256), None)),
    "shard": (
        ["--chunk", "16,32,32", "--shard", "32,64,96"],
        ("0.5", "gzip", (16, 32, 32), (32, 64, 96)),
    ),
    "odd chunk": (["--chunk", "7,33,65"], ("0.5", "gzip", (7, 33, 65), None)),
    "odd chunk of 0.4": (
        ["--ngff", "0.4", "--chunk", "5,31,65"],
        ("0.4", "gzip", (5, 31, 65), None),
    ),
    "odd shard that covers the image": (
        ["--chunk", "71,151,131", "--shard", "71,151,131"],
        ("0.5", "gzip", (71, 151, 131), (71, 151, 131)),
    ),
    "shard beyond the image": (
        ["--chunk", "32,32,32", "--shard", "256,256,256"],
        ("0.5", "gzip", (32, 32, 32), (256, 256, 256)),
    ),
    "codec": (["--codec", "lz4"], ("0.5", "lz4", None, None)),
    "no codec": (["--codec", "none", "--chunk", "8,64,64"], ("0.5", "none", (8, 64, 64), None)),
    "version": (["--ngff", "0.4"], ("0.4", "gzip", None, None)),
    "version and chunk": (
        ["--ngff", "0.4", "--chunk", "64,64,64", "--codec", "blosc"],
        ("0.4", "blosc", (64, 64, 64), None),
    ),
}


def stored(path: Path) -> tuple[str, str, tuple, tuple | None]:
    """Return version, codec, and sizes of chunk and shard, as zarr tells them."""
    array = zarr.open_array(path / "0", mode="r")
    version = "0.4" if array.metadata.zarr_format == 2 else "0.5"
    packing = [c for c in array.compressors if type(c).__name__ != "Crc32cCodec"]
    if not packing:
        name = "none"
    else:
        told = json.dumps(packing[0].to_dict() if version == "0.5" else packing[0].get_config())
        name = "gzip" if "gzip" in told else "lz4" if '"lz4"' in told else "blosc"
    return version, name, array.chunks[1:], array.shards[1:] if array.shards else None


@pytest.mark.few(4)
@pytest.mark.parametrize(("options", "expected"), CASES.values(), ids=CASES)
def test_voxels_are_the_same_and_stored_as_wanted(source, tmp_path, options, expected):
    target = tmp_path / "b.ome.zarr"
    assert run(source, target, *options, "--verify") == ExitCode.OK
    version, codec, chunk, shard = stored(target)
    was = stored(source)
    wanted_version, wanted_codec, wanted_chunk, wanted_shard = expected
    assert (version, codec, chunk) == (wanted_version, wanted_codec, wanted_chunk or was[2])
    if wanted_shard:
        assert shard == wanted_shard
    elif version == "0.5":
        assert all(n % side == 0 for n, side in zip(shard, chunk, strict=True))
    count = len(list(target.glob("[0-9]*")))
    read = [read_with_zarr(target, level) for level in range(count)]
    five = voxels()[None]
    for level, wanted in enumerate(plain_pyramid(five, [each.shape[2:] for each in read])):
        np.testing.assert_array_equal(read[level], wanted)
        np.testing.assert_array_equal(read_with_tensorstore(target, level), wanted)


def test_the_help_explains_every_codec_of_an_ome_zarr(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    of_zarr = words.partition("of OME-Zarr: gzip,")[2].partition("of OME-TIFF:")[0]
    assert "blosc," in of_zarr
    assert "lz4," in of_zarr
    assert "or none, of which nothing is compressed" in of_zarr


def test_messages_have_the_paths_as_they_were_given(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(source, "b.ome.zarr", "--codec", "lz4", "--verify") == ExitCode.OK
    made, equal = capsys.readouterr().out.splitlines()
    assert made.startswith("Made b.ome.zarr in ")
    assert equal == "b.ome.zarr is equal to its source"


def test_what_is_known_of_the_image_stays(source, tmp_path):
    first, second = tmp_path / "b.ome.zarr", tmp_path / "c.ome.zarr"
    assert run(source, first, "--ngff", "0.4", "--chunk", "16,64,64") == ExitCode.OK
    assert run(first, second, "--ngff", "0.5", "--codec", "lz4") == ExitCode.OK
    before, after = (json.loads((p / "zarr.json").read_text()) for p in (source, second))
    old, new = before["attributes"], after["attributes"]
    for multiscale in (old["ome"]["multiscales"][0], new["ome"]["multiscales"][0]):
        del multiscale["name"]
    assert new["ome"] == old["ome"]
    assert new["xyz_orientation"] == "RPI"
    told, first_told = new["spimpack_tasks"], old["spimpack_tasks"]
    assert told["original"] == first_told["original"]
    earlier = json.loads(told["earlier"])
    assert earlier["converted_from"] == "OME-Zarr"
    assert json.loads(earlier["earlier"])["converted_from"] == "OME-TIFF"
    assert json.loads(earlier["earlier"])["made_from"] == first_told["made_from"]


def test_it_is_made_once_and_the_source_is_only_read(source, tmp_path, capsys):
    before = {p: p.stat().st_mtime_ns for p in source.rglob("*")}
    target = tmp_path / "b.ome.zarr"
    assert run(source, target, "--chunk", "16,64,64") == ExitCode.OK
    made = {p: p.stat().st_mtime_ns for p in target.rglob("*")}
    capsys.readouterr()
    assert run(source, target, "--chunk", "16,64,64") == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in target.rglob("*")} == made
    assert run(source, target, "--chunk", "32,64,64") == ExitCode.CONFLICT
    assert {p: p.stat().st_mtime_ns for p in source.rglob("*")} == before


def write_foreign(path: Path, values: np.ndarray, form: int, **options: object) -> None:
    """Write an OME-Zarr as another program may."""
    axes = [{"name": n, "type": "channel" if n == "c" else "space"} for n in "czyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0, 1.0]}]
    told = {
        "version": "0.4",
        "axes": axes,
        "datasets": [{"path": "s0", "coordinateTransformations": scale}],
    }
    attributes = {"multiscales": [told]}
    if form == 3:
        attributes = {"ome": {"version": "0.5", **attributes}}
    group = zarr.create_group(path, zarr_format=form, attributes=attributes)
    array = group.create_array("s0", shape=values.shape, dtype=values.dtype, **options)
    filled = np.flatnonzero(values[0, :, 0, 0] != options.get("fill_value", 0))
    assert filled.size
    array[:] = values


FOREIGN = {
    "big endian": (2, ">u2", {"chunks": (1, 32, 50, 50)}),
    "fill value": (2, "u2", {"chunks": (1, 35, 75, 65), "fill_value": 7}),
    "order F": (2, "u2", {"chunks": (1, 32, 50, 50), "order": "F"}),
    "two channels in a chunk": (3, "u2", {"chunks": (2, 32, 50, 50)}),
    "unsharded zstd": (3, "f4", {"chunks": (1, 32, 50, 50)}),
    "signed": (3, "i2", {"chunks": (1, 70, 150, 130), "fill_value": -3}),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_images_of_other_programs(tmp_path, case):
    form, dtype, options = FOREIGN[case]
    values = voxels(dtype)
    values[:, :35, :75] = options.get("fill_value", 0)  # chunks that are not stored
    write_foreign(tmp_path / "a.ome.zarr", values, form, **options)
    target = tmp_path / "b.ome.zarr"
    assert run(tmp_path / "a.ome.zarr", target, "--chunk", "16,64,64", "--verify") == ExitCode.OK
    np.testing.assert_array_equal(read_with_tensorstore(target), values[None])
    assert stored(target)[0] == {2: "0.4", 3: "0.5"}[form]


def test_a_comparison_is_not_by_the_reader_of_the_conversion(source, tmp_path, monkeypatch, capsys):
    put = chunk_reader._put

    def put_wrong(out, index, start, chunk):
        put(out, index, start, chunk if any(start) else chunk + 1)

    monkeypatch.setattr(chunk_reader, "_put", put_wrong)
    target = tmp_path / "b.ome.zarr"
    assert run(source, target, "--codec", "lz4", "--verify") == ExitCode.CONFLICT
    told = capsys.readouterr()
    assert "level 0, time point 0, channel 0, chunk 0/0/0" in told.out + told.err
    assert (read_with_zarr(target) != voxels()[None]).any()


def test_a_damaged_shard_is_named_and_nothing_is_made(source, tmp_path, capsys):
    copy = tmp_path / "a.ome.zarr"
    shutil.copytree(source, copy)
    shard = next(p for p in sorted((copy / "0" / "c").rglob("*")) if p.is_file())
    data = bytearray(shard.read_bytes())
    data[len(data) // 4] ^= 1
    shard.write_bytes(data)
    target = tmp_path / "b.ome.zarr"
    assert run(copy, target, "--chunk", "16,64,64") == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert f"in '{shard.relative_to(copy)}' is damaged" in error
    assert str(copy) in error
    assert "Traceback" not in error
    assert not target.exists()


def test_boxes_and_slabs_are_read_by_any_number_of_threads(tmp_path, monkeypatch):
    """No block of the target is a multiple of a chunk of the source."""
    monkeypatch.setattr(copy_module, "_PIECE", 2**12)
    values = voxels()[:1]
    write_foreign(tmp_path / "a.ome.zarr", values, 3, chunks=(1, 9, 37, 50))
    for largest in (2**10, 2**30):  # boxes, and slabs
        monkeypatch.setattr(copy_module, "LARGEST_SLAB", largest)
        for threads in (1, 4):
            target = tmp_path / f"{largest}-{threads}.ome.zarr"
            sizes = ["--chunk", "16,64,64", "--shard", "16,64,64", "--threads", threads]
            assert run(tmp_path / "a.ome.zarr", target, *sizes) == ExitCode.OK
            np.testing.assert_array_equal(read_with_zarr(target), values[None])


REFUSED = {
    "no multiple": (["--chunk", "16,32,32", "--shard", "32,64,80"], "32,64,64 can"),
    "odd shard": (["--chunk", "1,32,32", "--shard", "3,32,32"], "6,32,32 does not"),
    "shard of 0.4": (["--ngff", "0.4", "--chunk", "16,32,32", "--shard", "16,32,32"], "no shards"),
    "nothing": ([], "is stored like that"),
    "the same": (["--codec", "gzip", "--ngff", "0.5"], "is stored like that"),
    "huge chunk": (["--chunk", "4096,4096,4096"], "at most"),
    "single voxels": (["--chunk", "1,1,1"], "1,365,000, each an entry of an index"),
    "single voxels of 0.4": (["--chunk", "1,1,1", "--ngff", "0.4"], "1,365,000, each a file"),
    "zero": (["--chunk", "0,1,1"], "of 1 at the least"),
}


@pytest.mark.parametrize(("options", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(source, tmp_path, capsys, options, expected):
    assert run(source, tmp_path / "b.ome.zarr", *options) == ExitCode.BAD_INPUT
    assert expected in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["64,64", "a,b,c", "1,2,-3", "1,2,3,4", "1.5,2,3", ""])
def test_sizes_are_three_numbers(source, tmp_path, capsys, text):
    with pytest.raises(SystemExit) as ended:
        run(source, tmp_path / "b.ome.zarr", "--chunk", text)
    assert ended.value.code == 2
    assert "64,128,128" in capsys.readouterr().err


def test_other_sources_and_targets_are_refused(source, tmp_path, capsys):
    tiff = source.with_name("a.ome.tif")
    for paths, expected in (
        ((tiff, tmp_path / "b.ome.zarr"), "spimpack convert"),
        ((source, tmp_path / "b.ome.tif"), "does not end in .ome.zarr"),
        ((source, source / "inner.ome.zarr"), "lie in one another"),
        ((tmp_path / "none.ome.zarr", tmp_path / "b.ome.zarr"), "none.ome.zarr"),
        (("s3://bucket/a.ome.zarr", tmp_path / "b.ome.zarr"), "is an address"),
    ):
        assert run(*paths, "--chunk", "16,64,64") != ExitCode.OK
        error = capsys.readouterr().err
        assert expected in error
        assert "Traceback" not in error


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(source, tmp_path):
    sizes = {"chunk_zyx": (16, 32, 32), "shard_zyx": (16, 64, 64)}
    whole, broken = tmp_path / "whole.ome.zarr", tmp_path / "broken.ome.zarr"
    wanted = Request(codec="", ngff="", name="x", **sizes)
    request = compose_request(str(source), str(whole), wanted)
    convert_file(str(source), str(whole), request, 2, lambda _: None)
    for number in (1, 2):
        count = 0

        def stop(_size, number=number):
            nonlocal count
            count += 1
            if count == number:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            convert_file(str(source), str(broken), request, 2, stop)
        assert not broken.exists()
    convert_file(str(source), str(broken), request, 1, lambda _: None)
    names = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(broken) for p in broken.rglob("*") if p.is_file())
    for name in names:
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name


def test_labels_get_the_same_sizes(tmp_path):
    copy = tmp_path / "a.ome.zarr"
    write_foreign(copy, voxels(), 3, chunks=(1, 32, 50, 50))
    labels = zarr.create_group(copy / "labels", attributes={"ome": {"labels": ["cells"]}})
    assert labels is not None
    values = (voxels() % 5).astype("u2")
    write_foreign(copy / "labels" / "cells", values, 3, chunks=(1, 70, 150, 130))
    target = tmp_path / "b.ome.zarr"
    assert run(copy, target, "--chunk", "16,32,32", "--shard", "32,64,64") == ExitCode.OK
    np.testing.assert_array_equal(read_with_zarr(target / "labels" / "cells"), values[None])
    array = zarr.open_array(target / "labels" / "cells" / "0", mode="r")
    assert (array.chunks[1:], array.shards[1:]) == ((16, 32, 32), (32, 64, 64))


@pytest.mark.parametrize("command", ["rechunk", "convert"])
def test_a_label_image_is_no_image_with_means(tmp_path, capsys, command):
    path = tmp_path / "cells.ome.zarr"
    write_foreign(path, (voxels() % 5).astype("u2"), 3, chunks=(1, 32, 50, 50))
    told = json.loads((path / "zarr.json").read_text())
    told["attributes"]["ome"]["image-label"] = {"source": {"image": "../../"}}
    (path / "zarr.json").write_text(json.dumps(told))
    options = ["--codec", "lz4"]
    target = tmp_path / "b.ome.zarr"
    assert main([command, str(path), str(target), *options]) == ExitCode.BAD_INPUT
    assert "is a label image, whose numbers have no mean" in capsys.readouterr().err
    assert not target.exists()


def put(told: dict, *keys: object, value: object) -> None:
    """Put a value where keys lead in JSON, or delete what is there if it is `...`."""
    *owners, last = keys
    for key in owners:
        told = told[key]
    if value is ...:
        del told[last]
    else:
        told[last] = value


GRID, SIZES = ("chunk_grid",), ("chunk_grid", "configuration", "chunk_shape")
RECTILINEAR = {"kind": "inline", "chunk_shapes": [2, [[32, 3]], 150, [65, 65]]}
SHARDING = ("codecs", 0, "configuration")
ODD = {
    "no grid": (3, GRID, ...),
    "grid as a text": (3, GRID, "regular"),
    "grid without a name": (3, (*GRID, "name"), ...),
    "rectilinear": (3, GRID, {"name": "rectilinear", "configuration": RECTILINEAR}),
    "another grid with sizes": (3, (*GRID, "name"), "rectilinear"),
    "too few sizes": (3, SIZES, [32, 50, 50]),
    "sizes of texts": (3, SIZES, ["1", "32", "50", "50"]),
    "a size of zero": (3, SIZES, [1, 0, 50, 50]),
    "sizes as a number": (3, SIZES, 32),
    "no codecs": (3, ("codecs",), ...),
    "codecs null": (3, ("codecs",), None),
    "codecs as a text": (3, ("codecs",), "gzip"),
    "codecs empty": (3, ("codecs",), []),
    "settings of blosc as a text": (3, ("codecs", 1), {"name": "blosc", "configuration": "lz4"}),
    "shards without settings": ("shards", SHARDING, ...),
    "shards with null": ("shards", SHARDING, None),
    "shards as a text": ("shards", ("codecs", 0), "sharding_indexed"),
    "shards without codecs": ("shards", (*SHARDING, "codecs"), ...),
    "shards with too few sizes": ("shards", (*SHARDING, "chunk_shape"), [1, 32]),
    "no chunks": (2, ("chunks",), ...),
    "too few chunks": (2, ("chunks",), [32, 50, 50]),
    "chunks of texts": (2, ("chunks",), ["1", "32", "50", "50"]),
    "compressor as a text": (2, ("compressor",), "blosc"),
}


@pytest.mark.parametrize(("form", "keys", "value"), ODD.values(), ids=ODD)
def test_odd_metadata_are_one_error_that_names_the_file(tmp_path, capsys, form, keys, value):
    path = tmp_path / "a.ome.zarr"
    shards = {"shards": (1, 64, 50, 50)} if form == "shards" else {}
    write_foreign(path, voxels(), 2 if form == 2 else 3, chunks=(1, 32, 50, 50), **shards)
    name = "s0/.zarray" if form == 2 else "s0/zarr.json"
    told = json.loads((path / name).read_text())
    put(told, *keys, value=value)
    (path / name).write_text(json.dumps(told))
    assert run(path, tmp_path / "b.ome.zarr", "--codec", "lz4") == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert f"{name!r} whose chunks and codecs cannot be read" in err
    assert "Traceback" not in err
    assert not (tmp_path / "b.ome.zarr").exists()


def test_a_codec_may_be_a_name_alone(tmp_path):
    """So it is written in the specification of Zarr v3."""
    path, target = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    write_foreign(
        path, voxels(), 3, chunks=(1, 32, 50, 50), compressors=[zarr.codecs.Crc32cCodec()]
    )
    told = json.loads((path / "s0/zarr.json").read_text())
    told["codecs"][1] = "crc32c"
    (path / "s0/zarr.json").write_text(json.dumps(told))
    assert run(path, target, "--chunk", "16,64,64") == ExitCode.OK
    np.testing.assert_array_equal(read_with_tensorstore(target), voxels()[None])
    assert stored(target)[:2] == ("0.5", "none")


def test_an_axis_that_nobody_knows_is_named_with_a_remedy(tmp_path, capsys):
    path = tmp_path / "a.ome.zarr"
    write_foreign(path, voxels(), 3, chunks=(1, 32, 50, 50))
    (path / "zarr.json").write_text((path / "zarr.json").read_text().replace('"c"', '"q"'))
    assert run(path, tmp_path / "b.ome.zarr", "--codec", "lz4") == ExitCode.BAD_INPUT
    assert "such as spimpack convert --source-axes ZYX" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layout", "chunk", "shard"),
    [
        ({"chunk_zyx": (8, 16, 16)}, (8, 16, 16), None),
        ({"chunk_zyx": (8, 16, 16), "shard_zyx": (16, 32, 32)}, (8, 16, 16), (16, 32, 32)),
        ({"chunk_zyx": (8, 16, 16), "codec": "none"}, (8, 16, 16), None),
    ],
)
def test_volumes_of_scripts_have_them_too(tmp_path, layout, chunk, shard):
    values = voxels()[None]
    spec = api.VolumeSpec(values.shape, values.dtype, axes="czyx")
    with api.create_volume(tmp_path / "v.ome.zarr", spec, api.Layout(**layout)) as writer:
        for block in writer.missing():
            writer.write(block, values[block.region])
        writer.finish()
    array = zarr.open_array(tmp_path / "v.ome.zarr" / "0", mode="r")
    assert array.chunks[1:] == chunk
    assert shard is None or array.shards[1:] == shard
    np.testing.assert_array_equal(read_with_zarr(tmp_path / "v.ome.zarr"), values)
    with (
        pytest.raises(ValueError, match="cannot be cut"),
        api.create_volume(
            tmp_path / "w.ome.zarr",
            spec,
            api.Layout(chunk_zyx=(8, 16, 16), shard_zyx=(8, 24, 16)),
        ),
    ):
        pass
    assert not (tmp_path / "w.ome.zarr").exists()


def _write_into(chunk: Path) -> None:
    data = bytearray(chunk.read_bytes())
    chunk.write_bytes(bytes(data))


def _come_later(chunk: Path) -> None:
    chunk.with_name("9").write_bytes(chunk.read_bytes())


@pytest.mark.parametrize("happen", [_write_into, _come_later])
def test_chunks_that_change_between_runs_are_another_source(source, tmp_path, capsys, happen):
    copy, target = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    shutil.copytree(source, copy)
    assert run(copy, target, "--codec", "lz4") == ExitCode.OK
    assert run(copy, target, "--codec", "lz4") == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out
    happen(next(path for path in sorted((copy / "0" / "c").rglob("*")) if path.is_file()))
    assert run(copy, target, "--codec", "lz4") == ExitCode.CONFLICT
    assert "was made from something else" in capsys.readouterr().err


def test_an_interrupted_copy_of_other_chunks_is_not_resumed(source, tmp_path):
    copy, target = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    shutil.copytree(source, copy)
    request = Request(codec="lz4", ngff="0.5")
    steps = []

    def interrupt(size: int) -> None:
        steps.append(size)
        if sum(steps) > 2_000_000:  # the full level has some of its shards
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_file(str(copy), str(target), request, 1, interrupt)
    assert not target.exists()
    array = zarr.open_array(copy / "0", mode="r+")
    array[0, :8] = 7
    convert_file(str(copy), str(target), request, 1, steps.append)
    assert np.array_equal(zarr.open_array(target / "0", mode="r")[:], array[:])
