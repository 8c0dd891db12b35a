"""Each demo format, opened with a reader that had no part in writing it."""

import io
import json
import struct
import sys
import zipfile
from functools import partial
from xml.etree import ElementTree as ET

import h5py
import ngff_zarr
import numpy as np
import pytest
import tensorstore
import tifffile
import zarr

from spimpack_tasks.demo.images import (
    DemoImage,
    compose_pyramid,
    compose_voxels,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import MissingExtraError

IMAGE = DemoImage(("autof", "β & <b>"), (13, 50, 70), (4.0, 2.6, 0.3467), levels=3)
FACTORS = [(1, 1, 1), (2, 2, 2), (4, 4, 4)]
WRITERS = {
    "v04.ome.zarr": partial(write_ome_zarr, ngff="0.4"),
    "v05.ome.zarr": partial(write_ome_zarr, ngff="0.5"),
    "zipped.ozx": write_ozx,
    "imaris.ims": write_imaris,
    "classic.ome.tif": write_ome_tiff,
    "big.ome.btf": partial(write_ome_tiff, bigtiff=True),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """One file of each format."""
    folder = tmp_path_factory.mktemp("images") / "to" / "be" / "made"
    for name, write in WRITERS.items():
        write(folder / name, IMAGE)
    return folder


@pytest.fixture(scope="module")
def pyramid():
    return [level.voxels for level in compose_pyramid(IMAGE)]


def read_tree(path):
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


@pytest.mark.parametrize("name", WRITERS)
def test_a_second_writing_over_the_first_gives_equal_bytes(images, tmp_path, name):
    other = DemoImage(("a", "b", "c"), (40, 80, 80), (1.0, 1.0, 1.0), levels=4)
    WRITERS[name](tmp_path / name, other)
    assert read_tree(tmp_path / name) != read_tree(images / name)
    WRITERS[name](tmp_path / name, IMAGE)
    assert read_tree(tmp_path / name) == read_tree(images / name)


def test_voxels_show_tissue_that_differs_by_channel():
    voxels = compose_voxels(IMAGE)
    assert voxels.shape == (2, 13, 50, 70)
    assert voxels.dtype == np.uint16
    assert (voxels[:, 0, 0, 0] == 100).all()
    assert (voxels[:, 6, 25, 35] > 300).all()
    assert voxels.max() > 2000
    assert np.corrcoef(voxels[0].ravel(), voxels[1].ravel())[0, 1] < 0.9


def test_pyramid_is_the_floor_of_the_mean(pyramid):
    assert [level.factors_zyx for level in compose_pyramid(IMAGE)] == FACTORS
    assert [v.shape for v in pyramid] == [(2, 13, 50, 70), (2, 6, 25, 35), (2, 3, 12, 17)]
    for coarse, fine in ((pyramid[1], pyramid[0]), (pyramid[2], pyramid[1])):
        block = fine[1, 2:4, 8:10, 10:12].astype(int)
        assert coarse[1, 1, 4, 5] == block.sum() // 8


def test_short_axis_is_not_halved():
    flat = DemoImage(("a",), (2, 64, 128), (5.0, 1.0, 1.0), levels=3)
    assert [level.factors_zyx for level in compose_pyramid(flat)] == [
        (1, 1, 1),
        (1, 2, 2),
        (1, 4, 4),
    ]


@pytest.mark.parametrize(
    ("name", "zarr_format"), [("v04.ome.zarr", 2), ("v05.ome.zarr", 3), ("zipped.ozx", 3)]
)
def test_ome_zarr_metadata_and_arrays(images, pyramid, name, zarr_format):
    zipped = name.endswith(".ozx")
    store = zarr.storage.ZipStore(images / name, mode="r") if zipped else images / name
    group = zarr.open_group(store, mode="r")
    assert group.metadata.zarr_format == zarr_format
    ome = group.attrs.asdict() if zarr_format == 2 else group.attrs["ome"]
    (multiscale,) = ome["multiscales"]
    assert (multiscale if zarr_format == 2 else ome)["version"] == (
        "0.4" if "04" in name else "0.5"
    )
    assert [a["name"] for a in multiscale["axes"]] == ["c", "z", "y", "x"]
    assert [a.get("unit") for a in multiscale["axes"]] == [None] + 3 * ["micrometer"]
    assert [c["label"] for c in ome["omero"]["channels"]] == ["autof", "β & <b>"]
    assert [d["coordinateTransformations"] for d in multiscale["datasets"]] == [
        [
            {"type": "scale", "scale": [1.0, 4.0 * k, 2.6 * k, 0.3467 * k]},
            {"type": "translation", "translation": [0.0, *(s * (k - 1) / 2 for s in spacing)]},
        ]
        for k, spacing in zip((1, 2, 4), 3 * [IMAGE.spacing_um_zyx], strict=True)
    ]
    for dataset, voxels in zip(multiscale["datasets"], pyramid, strict=True):
        np.testing.assert_array_equal(group[dataset["path"]][:], voxels)
    if zipped:
        store.close()


@pytest.mark.parametrize("name", ["v04.ome.zarr", "v05.ome.zarr", "zipped.ozx"])
def test_ome_zarr_follows_the_schemas_of_ngff(images, name):
    multiscales = ngff_zarr.from_ngff_zarr(str(images / name), validate=True)
    for opened, factors in zip(multiscales.images, FACTORS, strict=True):
        assert opened.scale["x"] == 0.3467 * factors[2]
        assert opened.axes_units["z"] == "micrometer"


@pytest.mark.parametrize(
    ("name", "driver"),
    [("v04.ome.zarr", "zarr"), ("v05.ome.zarr", "zarr3"), ("zipped.ozx", "zarr3")],
)
def test_ome_zarr_opens_in_tensorstore(images, pyramid, name, driver):
    # tensorstore shares no code with zarr, which wrote the files.
    files = {"driver": "file", "path": f"{images / name}"}
    for number, level in enumerate(pyramid):
        if name.endswith(".ozx"):
            store = {"driver": "zip", "base": files, "path": f"{number}/"}
        else:
            store = files | {"path": f"{images / name}/{number}/"}
        opened = tensorstore.open({"driver": driver, "kvstore": store}).result()
        np.testing.assert_array_equal(opened.read().result(), level)


def test_ome_zarr_04_nests_its_chunks(images):
    root = images / "v04.ome.zarr"
    assert json.loads((root / "0" / ".zarray").read_text())["dimension_separator"] == "/"
    assert (root / "0" / "1" / "0" / "0" / "1").is_file()


def test_ozx_is_stored_with_metadata_first(images):
    with zipfile.ZipFile(images / "zipped.ozx") as archive:
        entries = archive.infolist()
        comment = json.loads(archive.comment)
    names = [entry.filename for entry in entries]
    assert names[:5] == ["zarr.json", "0/zarr.json", "1/zarr.json", "2/zarr.json", "0/c/0/0/0/0"]
    assert names[4:] == sorted(names[4:])
    assert len(names) == 4 + 3 * len(IMAGE.channels)
    assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
    assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert sorted(entries, key=lambda e: e.header_offset) == entries
    assert comment["ome"] == {
        "version": "0.5",
        "zipFile": {"centralDirectory": {"jsonFirst": True}},
    }


@pytest.mark.parametrize(("name", "magic"), [("classic.ome.tif", 42), ("big.ome.btf", 43)])
def test_ome_tiff_header(images, pyramid, name, magic):
    content = (images / name).read_bytes()
    assert struct.unpack("<2sH", content[:4]) == (b"II", magic)
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        assert tiff.series[0].axes == "CZYX"
        np.testing.assert_array_equal(tiff.series[0].asarray(), pyramid[0])
        assert "DateTime" not in tiff.pages[0].tags
        root = ET.fromstring(tiff.ome_metadata)
    pixels = root.find("{*}Image/{*}Pixels")
    assert [float(pixels.get(f"PhysicalSize{a}")) for a in "ZYX"] == [4.0, 2.6, 0.3467]
    assert [pixels.get(f"PhysicalSize{a}Unit") for a in "ZYX"] == 3 * ["µm"]
    assert [c.get("Name") for c in pixels.findall("{*}Channel")] == ["autof", "β & <b>"]


def text_of(group, name):
    value = group.attrs[name]
    assert (value.ndim, value.dtype) == (1, "S1")
    assert group.attrs.get_id(name).get_type().get_strpad() == h5py.h5t.STR_NULLTERM
    return b"".join(value.tolist()).decode()


def test_imaris_layout(images):
    with h5py.File(images / "imaris.ims") as file:
        assert text_of(file, "ImarisVersion") == "5.5.0"
        assert text_of(file, "DataSetDirectoryName") == "DataSet"
        assert file.attrs["NumberOfDataSets"].tolist() == [1]
        info = file["DataSetInfo"]
        assert [text_of(info["Image"], a) for a in "XYZ"] == ["70", "50", "13"]
        maxima = [float(text_of(info["Image"], f"ExtMax{axis}")) for axis in range(3)]
        assert maxima == pytest.approx([70 * 0.3467, 50 * 2.6, 13 * 4.0])
        assert text_of(info["Image"], "Unit") == "um"
        assert [text_of(info[f"Channel {c}"], "Name") for c in (0, 1)] == ["autof", "β & <b>"]
        assert text_of(info["TimeInfo"], "TimePoint1") == "2024-01-01 00:00:00.000"
        assert file["Thumbnail/Data"].shape == (50, 70 * 4)
        assert len(file["DataSet"]) == 3


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("channel", range(2))
def test_imaris_data_is_padded_to_chunks(images, pyramid, level, channel):
    voxels = pyramid[level][channel]
    with h5py.File(images / "imaris.ims") as file:
        group = file[f"DataSet/ResolutionLevel {level}/TimePoint 0/Channel {channel}"]
        data = group["Data"]
        sizes = tuple(int(text_of(group, f"ImageSize{a}")) for a in "ZYX")
        assert sizes == voxels.shape
        np.testing.assert_array_equal(data[: sizes[0], : sizes[1], : sizes[2]], voxels)
        assert np.count_nonzero(data) == np.count_nonzero(voxels)
        assert data.chunks == ((32, 128, 128) if level == 0 else (128, 64, 64))
        assert all(n % c == 0 for n, c in zip(data.shape, data.chunks, strict=True))
        assert (data.compression, data.compression_opts, data.shuffle) == ("gzip", 2, False)
        assert h5py.h5g.get_objinfo(data.id).mtime == 0
        assert group["Histogram"][:].sum() == voxels.size
        assert float(text_of(group, "HistogramMax")) == voxels.max()


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("v05.ome.zarr", "zarr"),
        ("zipped.ozx", "zarr"),
        ("imaris.ims", "h5py"),
        ("classic.ome.tif", "tifffile"),
    ],
)
def test_missing_library_says_what_to_install(tmp_path, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library} .*spimpack_tasks\[images\]"):
        WRITERS[name](tmp_path / name, IMAGE)
