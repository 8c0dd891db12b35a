"""Every kind of stream, read back by libraries that had no part in it, and validated by others.

zarr and tensorstore read each frame of an OME-Zarr, tifffile those of an OME-TIFF. yaozarrs,
ome-zarr-models and ome-types validate the metadata. Writers may be slow, or stop for a while.
"""

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from stream_models import append_all, images_of, make_frames, make_settings
from test_stream_tiff import validated
from test_stream_zarr import attributes_of

from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.streams import (
    AcquisitionSettings,
    Channel,
    Plate,
    Position,
    create_stream,
    dims_from_standard_axes,
)
from spimpack_tasks.streams.tiff_file import TiffFile

CHANNELS = [Channel("DAPI", 405, 450), Channel("GFP", 488, 509, "EGFP", "00FF00")]
PLACES = [Position("left", x_coord=3.5), Position("right side", y_coord=-2)]
WELLS = [Position("0", "A", "1"), Position("1", "A", "1"), Position("0", "H", "12")]
KINDS = {
    "image": ({"t": 2, "c": CHANNELS, "z": 3}, None, [""]),
    "endless": ({"t": None, "c": CHANNELS}, None, [""]),
    "stack": ({"z": 70}, None, [""]),
    "series": ({"p": PLACES, "t": 2, "z": 3}, None, ["left", "1"]),
    "plate": ({"t": 2, "p": WELLS, "c": CHANNELS}, 96, ["A/1/0", "A/1/1", "H/12/0"]),
}
COUNTS = {"t": 3}
slow = pytest.mark.slow


def codecs(quick, *others):
    """Have a test run with a codec, and with others when there is time."""
    values = [quick, *(pytest.param(each, marks=slow) for each in others)]
    return pytest.mark.parametrize("compression", values)


each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def record(path, sizes, wells, **more):
    """Write frames; return the images along t, c, z, y, x."""
    sizes = sizes | {"y": 70, "x": 52}
    counts = [
        COUNTS[axis] if size is None else size if isinstance(size, int) else len(size)
        for axis, size in sizes.items()
    ]
    frames = make_frames(counts)
    dims = dims_from_standard_axes(sizes)
    plate = Plate.of_wells(wells, "tests") if wells else None
    settings = AcquisitionSettings(path, dims, plate=plate, **more)
    with create_stream(settings) as stream:
        append_all(stream, frames, lambda n: {"delta_t": n / 2, "exposure_time": 0.01})
    return images_of(frames, [*sizes])


@codecs("blosc", "none", "lz4", "gzip")
@pytest.mark.parametrize("form", ["ome-zarr-0.5", "ome-zarr-0.4"])
@each_kind
def test_i18_s12_each_frame_of_an_ome_zarr_is_read_by_others(tmp_path, kind, form, compression):
    tensorstore = pytest.importorskip("tensorstore", reason="an independent reader")
    sizes, wells, folders = kind
    path = tmp_path / "a.ome.zarr"
    images = record(path, sizes, wells, format=form, compression=compression)
    driver = "zarr3" if form.endswith("5") else "zarr"
    for folder, image in zip(folders, images, strict=True):
        inner = path / folder
        axes = [axis["name"] for axis in attributes_of(inner)["multiscales"][0]["axes"]]
        wanted = image[tuple(slice(None) if axis in axes else 0 for axis in "tczyx")]
        by_zarr = zarr.open_array(str(inner / "0"), mode="r")[:]
        np.testing.assert_array_equal(by_zarr, wanted)
        store = {"driver": "file", "path": str(inner / "0")}
        array = tensorstore.open({"driver": driver, "kvstore": store}).result()
        np.testing.assert_array_equal(array.read().result(), wanted)


@pytest.mark.parametrize("form", ["ome-zarr-0.5", "ome-zarr-0.4"])
@each_kind
def test_i18_s12_each_ome_zarr_is_valid(tmp_path, kind, form):
    yaozarrs = pytest.importorskip("yaozarrs", reason="an independent validator")
    models = pytest.importorskip("ome_zarr_models", reason="an independent validator")
    sizes, wells, folders = kind
    path = tmp_path / "a.ome.zarr"
    record(path, sizes, wells, format=form)
    is_series = "p" in sizes and not wells
    if not (is_series and form.endswith("4")):  # yaozarrs finds the version of 0.4 elsewhere
        yaozarrs.validate_zarr_store(str(path))
    if not is_series:
        models.open_ome_zarr(zarr.open_group(str(path), mode="r"))
    for folder in folders:
        image = models.open_ome_zarr(zarr.open_group(str(path / folder), mode="r"))
        assert type(image).__name__ == "Image"


@codecs("zlib", "none", "zstd")
@pytest.mark.parametrize("tiff_files", ["single", "position", "companion"])
@each_kind
def test_i18_s12_each_frame_of_an_ome_tiff_is_read_by_tifffile_and_its_metadata_are_valid(
    tmp_path, kind, tiff_files, compression
):
    sizes, wells, folders = kind
    more = {"format": "ome-tiff", "tiff_files": tiff_files, "compression": compression}
    is_folder = tiff_files == "companion" or (tiff_files == "position" and "p" in sizes)
    path = tmp_path / ("a" if is_folder else "a.ome.tif")
    images = record(path, sizes, wells, **more)
    files = [path]
    if is_folder:
        files = [path / f"{each.replace('/', '_') or 'image'}.ome.tif" for each in folders]
    planes = []
    for file in files:
        with tifffile.TiffFile(file) as opened:
            ome = validated(opened.ome_metadata)
            assert (ome.binary_only is not None) == (tiff_files == "companion")
            planes += [page.asarray() for page in opened.pages]
    wanted = np.stack([plane for image in images for plane in image.reshape(-1, 70, 52)])
    np.testing.assert_array_equal(planes, wanted)
    if tiff_files == "companion":
        ome = validated(Path(path, "a.companion.ome").read_bytes())
        assert len(ome.images) == len(images)
        assert [image.pixels.planes[-1].exposure_time for image in ome.images] == [0.01] * len(
            images
        )


class SlowPlace(LocalPlace):
    """A disk that takes a while for each file."""

    def put(self, key, pieces, durability):
        time.sleep(0.004)
        return super().put(key, pieces, durability)


SLOW = {
    "chunks": {"compression": "lz4"},
    "old": {"compression": "gzip", "format": "ome-zarr-0.4"},
    "frames": {"compression": "none"},
    "tiff": {"format": "ome-tiff", "compression": "zlib"},
}


@pytest.mark.parametrize("more", SLOW.values(), ids=SLOW)
def test_i18_s03_a_throttled_disk_costs_time_and_no_frame_and_memory_stays_bounded(
    tmp_path, monkeypatch, more
):
    append = TiffFile.append

    def append_slowly(self, parts):
        time.sleep(0.004)
        return append(self, parts)

    monkeypatch.setattr("spimpack_tasks.streams.zarr_output.LocalPlace", SlowPlace)
    monkeypatch.setattr(TiffFile, "append", append_slowly)
    frames = make_frames((60, 256, 512))
    dims = dims_from_standard_axes(
        {"t": 60, "y": 256, "x": 512}, {"t": 1} if len(more) == 1 else {}
    )
    path = tmp_path / ("a.ome.tif" if "format" in more and "tiff" in more["format"] else "a")
    most = 2**20
    behind, taken = [], []
    with create_stream(AcquisitionSettings(path, dims, memory_bytes=most, **more)) as stream:
        for frame in frames:
            stream.append(frame)
            behind.append(stream.bytes_behind)
            taken.append(stream._work.full._taken + stream._work.smaller._taken)
    assert max(taken) <= most
    if more["compression"] != "none":
        assert max(behind) > 0
    if path.suffix == ".tif":
        np.testing.assert_array_equal(tifffile.imread(path), frames)
    else:
        found = zarr.open_array(str(path / "0"), mode="r")[:]
        np.testing.assert_array_equal(found[:, 0], frames)


UNNAMED = {
    "two": {"c": 2, "z": 2},
    "open": {"c": None},
    "one": {"z": 2},
    "named": {"c": ["A", "B"]},
}


@pytest.mark.parametrize("form", ["ome-zarr-0.4", "ome-zarr-0.5"])
@pytest.mark.parametrize("sizes", UNNAMED.values(), ids=UNNAMED)
def test_i18_s02_validators_accept_channels_that_nobody_has_named(tmp_path, sizes, form):
    yaozarrs = pytest.importorskip("yaozarrs", reason="an independent validator")
    models = pytest.importorskip("ome_zarr_models", reason="an independent validator")
    frames = make_frames([2 if n is None else len(n) if isinstance(n, list) else n
                          for n in sizes.values()] + [16, 16])  # fmt: skip
    path = tmp_path / "a.zarr"
    with create_stream(make_settings(path, sizes | {"y": 16, "x": 16}, format=form)) as stream:
        append_all(stream, frames)
    yaozarrs.validate_zarr_store(str(path))
    models.open_ome_zarr(zarr.open_group(str(path), mode="r"))
    channels = attributes_of(path)["omero"]["channels"]
    assert len(channels) == (2 if "c" in sizes else 1)
    assert len({each["color"] for each in channels}) == len(channels)
    windows = [each["window"] for each in channels]
    assert all(0 < each["start"] < each["end"] <= 255 for each in windows)
