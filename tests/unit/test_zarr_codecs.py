"""Codecs of Zarr: those of an allow-list decode chunks, and no other, whatever zarr would take."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr_layouts import LAYOUTS, VOXELS, write_store
from zarr_readers import read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.read_header import read_header

PICKLE, STRANGE = {"id": "pickle", "protocol": 2}, {"name": "from.some.package"}
SHARDED = ("codecs", 0, "configuration")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def put(*place, value):
    """Return what sets a value in metadata."""

    def change(data) -> None:
        for step in place[:-1]:
            data = data[step]
        data[place[-1]] = value

    return change


ARRAYS = {
    "f16-compressor": ("v2", put("compressor", value=PICKLE)),
    "f16-filter": ("v2", put("filters", value=[{"id": "delta", "dtype": "<u2"}, PICKLE])),
    "f16-filter-of-objects": ("v2", put("filters", value=[{"id": "json2"}])),
    "f16-no-codec-at-all": ("v2", put("compressor", value="pickle")),
    "f16-codec": ("v3", put("codecs", value=[{"name": "bytes"}, STRANGE])),
    "f16-numcodecs-pickle": ("v3", put("codecs", value=[{"name": "numcodecs.pickle"}])),
    "f16-codec-of-shards": ("v3-sharded", put(*SHARDED, "codecs", value=[STRANGE])),
    "f16-codec-of-the-index": ("v3-sharded", put(*SHARDED, "index_codecs", value=[STRANGE])),
    "f16-codec-as-text": ("v3", put("codecs", value=["pickle"])),
}


def change(path: Path, alter) -> None:
    data = json.loads(path.read_text())
    alter(data)
    path.write_text(json.dumps(data))


def pack(source: Path) -> Path:
    path = source.with_suffix(".ozx")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(source))
    return path


def told_metadata(source: Path) -> str:
    return next(name for name in ("zarr.json", ".zarray") if (source / "0" / name).exists())


@pytest.mark.parametrize("name", ARRAYS)
def test_other_codecs_are_refused(tmp_path, capsys, name):
    layout, alter = ARRAYS[name]
    source = write_store(tmp_path / "in.ome.zarr", layout)
    change(source / "0" / told_metadata(source), alter)
    for image in (source, pack(source)):
        with pytest.raises(HeaderError, match="which is not among those that are read"):
            read_header(str(image), image.name)
        for target in ("out.ome.zarr", "out.ome.tif"):
            assert run("convert", image, tmp_path / target) != 0
            assert "not among those that are read" in capsys.readouterr().err
            assert not (tmp_path / target).exists()
        assert run("qc", image, "--output", tmp_path / "page.html") != 0


def hidden_array(source: Path) -> None:
    array = source / "labels" / "cells" / "0" / ".zarray"
    array.parent.mkdir(parents=True)
    array.write_text((source / "0" / ".zarray").read_text())
    change(array, put("filters", value=[PICKLE]))


def consolidated_v2(source: Path) -> None:
    array = json.loads((source / "0" / ".zarray").read_text()) | {"compressor": PICKLE}
    whole = {"zarr_consolidated_format": 1, "metadata": {"0/.zarray": array}}
    (source / ".zmetadata").write_text(json.dumps(whole))


def consolidated_v3(source: Path) -> None:
    array = json.loads((source / "0" / "zarr.json").read_text()) | {"codecs": [STRANGE]}
    consolidated = {"kind": "inline", "must_understand": False, "metadata": {"0": array}}
    change(source / "zarr.json", put("consolidated_metadata", value=consolidated))


@pytest.mark.parametrize(
    ("layout", "hide"),
    [("v2", hidden_array), ("v2", consolidated_v2), ("v3", consolidated_v3)],
    ids=["f16-array-of-labels", "f16-zmetadata", "f16-consolidated"],
)
def test_what_is_unpacked_is_looked_through(tmp_path, capsys, layout, hide):
    source = write_store(tmp_path / "in.ome.zarr", layout)
    hide(source)
    assert run("convert", pack(source), tmp_path / "out.ome.zarr") != 0
    assert "not among those that are read" in capsys.readouterr().err
    assert not (tmp_path / "out.ome.zarr").exists()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda name: f"f16-{name}")
def test_an_archive_with_other_codecs_is_unpacked(tmp_path, layout):
    source = pack(write_store(tmp_path / "in.ome.zarr", layout))
    assert run("convert", source, tmp_path / "out.ome.zarr", "--verify") == 0
    made = zarr.open_array(tmp_path / "out.ome.zarr" / "0", mode="r")
    np.testing.assert_array_equal(made[:], VOXELS)


CODECS = {
    "f16-blosc": lambda: {"compressors": zarr.codecs.numcodecs.Blosc(cname="lz4")},
    "f16-lz4": lambda: {"compressors": zarr.codecs.numcodecs.LZ4()},
    "f16-zlib": lambda: {"compressors": zarr.codecs.numcodecs.Zlib()},
    "f16-bz2": lambda: {"compressors": zarr.codecs.numcodecs.BZ2()},
    "f16-delta": lambda: {"filters": [zarr.codecs.numcodecs.Delta(dtype="<u2")]},
    "f16-crc32c": lambda: {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "f16-transposed": lambda: {"filters": [zarr.codecs.TransposeCodec(order=(0, 3, 2, 1))]},
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_codecs_of_numbers_are_read(tmp_path, monkeypatch, name):
    monkeypatch.setitem(LAYOUTS, "other", (CODECS[name](), ""))
    source = write_store(tmp_path / "in.ome.zarr", "other")
    assert run("convert", source, tmp_path / "out.ome.zarr", "--verify") == 0
    made = read_with_zarr(tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(made[0], VOXELS)
