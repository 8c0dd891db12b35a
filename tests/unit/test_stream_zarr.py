"""Streams to OME-Zarr: every order, positions and plates, pyramids, memory, unfinished ones."""

import itertools
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given
from hypothesis import settings as configure
from hypothesis import strategies as st
from stream_models import append_all, halve_plainly, images_of, make_frames, make_settings

from spimpack_tasks.errors import OccupiedError
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.streams import (
    Dimension,
    FrameError,
    IncompleteStreamError,
    Plate,
    Position,
    StreamBehindError,
    StreamClosedError,
    TooManyFramesError,
    create_stream,
    dims_from_standard_axes,
    finish_stream,
)
from spimpack_tasks.streams.settings import AcquisitionSettings

FORMATS = ("ome-zarr-0.5", "ome-zarr-0.4")
each_format = pytest.mark.parametrize("form", FORMATS)
FORTY_WELLS = [Position("0", "ABCDEFGH"[i % 8], str(i % 12 + 1)) for i in range(0, 96, 7)]


def attributes_of(path):
    attributes = dict(zarr.open_group(str(path), mode="r").attrs)
    return attributes.get("ome", attributes)


def check_image(path, wanted):
    """Compare all levels of an image with a plain model along t, c, z, y, x."""
    (multiscale,) = attributes_of(path)["multiscales"]
    axes = [axis["name"] for axis in multiscale["axes"]]
    absent = tuple(n for n, axis in enumerate("tczyx") if axis not in axes)
    for number, _ in enumerate(multiscale["datasets"]):
        found = np.expand_dims(zarr.open_array(f"{path}/{number}", mode="r")[:], absent)
        if number:
            wanted = halve_plainly(wanted, found.shape)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    return len(multiscale["datasets"])


SIZES = {"t": 3, "c": 2, "z": 4, "p": 2, "y": 6, "x": 5}
ORDERS = list(itertools.permutations("tczp"))


@each_format
@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_i18_s01_all_24_orders_are_equal_to_a_plain_model(tmp_path, form, order):
    sizes = {axis: SIZES[axis] for axis in (*order, "y", "x")}
    frames = make_frames(tuple(sizes.values()))
    chunks = {"t": 2, "z": 3, "y": 4, "x": 4}
    settings = make_settings(tmp_path / "a.zarr", sizes, chunks=chunks, format=form)
    with create_stream(settings) as stream:
        append_all(stream, frames)
    for number, image in enumerate(images_of(frames, [*sizes])):
        check_image(tmp_path / "a.zarr" / str(number), image)


@st.composite
def acquisitions(draw):
    axes = draw(st.permutations("tczp"))[: draw(st.integers(0, 4))]
    sizes = {axis: draw(st.integers(1, 4)) for axis in axes}
    sizes |= {"y": draw(st.integers(1, 9)), "x": draw(st.integers(1, 9))}
    cut = st.dictionaries(st.sampled_from("tczyx"), st.integers(1, 5))
    is_open = bool(axes) and axes[0] != "p" and draw(st.booleans())
    more = {
        "format": draw(st.sampled_from(FORMATS)),
        "compression": draw(st.sampled_from(("none", "gzip", "blosc", "lz4"))),
        "dtype": draw(st.sampled_from(("uint8", "uint16", "int16", "float32"))),
    }
    cuts = [{a: n for a, n in draw(cut).items() if a in sizes} for _ in range(2)]
    return sizes, axes[0] if is_open else "", cuts, more


@pytest.mark.slow
@configure(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acquisitions())
def test_i18_s01_any_order_chunks_shards_codec_and_type(acquisition):
    sizes, open_axis, (chunks, shards), more = acquisition
    frames = make_frames(tuple(sizes.values()), more["dtype"])
    told = sizes | ({open_axis: None} if open_axis else {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zarr")
        settings = make_settings(path, told, chunks=chunks, shards=shards, **more)
        with create_stream(settings) as stream:
            append_all(stream, frames)
            view = np.asarray(stream.view())
        np.testing.assert_array_equal(view, frames)
        for number, image in enumerate(images_of(frames, [*sizes])):
            check_image(path / str(number) if "p" in sizes else path, image)
        assert os.listdir(folder) == ["a.zarr"]


LARGE = {
    "stack": ({"c": 2, "z": 21, "y": 210, "x": 260}, {}),
    "deep": ({"z": 130, "y": 101, "x": 67}, {"z": 7}),
    "frames": ({"z": 20, "t": 2, "y": 400, "x": 333}, {"z": 1, "y": 400, "x": 333}),
    "open": ({"z": None, "y": 300, "x": 300}, {"z": 4}),
    "late": ({"z": 20, "c": 2, "t": 3, "y": 256, "x": 256}, {"z": 8, "y": 64}),
}
LENGTHS = {"z": 23}


@pytest.mark.few(8)
@each_format
@pytest.mark.parametrize(("sizes", "chunks"), LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("compression", ["none", "blosc"])
def test_i18_s02_pyramids_are_floor_means_of_exact_place(
    tmp_path, form, sizes, chunks, compression
):
    counts = [size or LENGTHS[axis] for axis, size in sizes.items()]
    frames = make_frames(counts)
    path = tmp_path / "a.zarr"
    settings = make_settings(path, sizes, chunks=chunks, format=form, compression=compression)
    with create_stream(settings) as stream:
        append_all(stream, frames)
    (image,) = images_of(frames, [*sizes])
    assert check_image(path, image) > 1


def test_i18_s02_scale_and_translation_of_stage_and_levels_are_exact(tmp_path):
    dims = (
        Dimension("t", 2, scale=500, unit="millisecond"),
        Dimension(
            "p", coords=[Position("a b", x_coord=10, y_coord=-3.5, z_coord=7), Position("B")]
        ),
        Dimension("z", 20, scale=2.0),
        Dimension("y", 256, scale=0.5),
        Dimension("x", 256, scale=500, unit="nanometer", translation=1000),
    )
    with create_stream(AcquisitionSettings(tmp_path / "a", dims)) as stream:
        append_all(stream, make_frames((2, 2, 20, 256, 256)))
    found = attributes_of(tmp_path / "a" / "0")["multiscales"][0]["datasets"]
    changes = [each[each["type"]] for each in found[0]["coordinateTransformations"]]
    assert changes == [[0.5, 2.0, 0.5, 0.5], [0.0, 7.0, -3.5, 11.0]]
    changes = [each[each["type"]] for each in found[1]["coordinateTransformations"]]
    assert changes == [[0.5, 2.0, 1.0, 1.0], [0.0, 7.0, -3.25, 11.25]]
    assert attributes_of(tmp_path / "a" / "OME")["series"] == ["0", "B"]


def valid_by_all(path):
    """Have other libraries validate an OME-Zarr."""
    yaozarrs = pytest.importorskip("yaozarrs", reason="an independent validator")
    yaozarrs.validate_zarr_store(str(path))
    models = pytest.importorskip("ome_zarr_models", reason="an independent validator")
    return models.open_ome_zarr(zarr.open_group(str(path), mode="r"))


@each_format
def test_i18_s02_a_single_image_is_valid(tmp_path, form):
    sizes = {"t": 2, "c": ["DAPI", "GFP"], "z": 3, "y": 16, "x": 16}
    with create_stream(make_settings(tmp_path / "a.zarr", sizes, format=form)) as stream:
        append_all(stream, make_frames((2, 2, 3, 16, 16)), lambda n: {"delta_t": n / 2})
    assert type(valid_by_all(tmp_path / "a.zarr")).__name__ == "Image"


@each_format
def test_i18_s02_positions_are_a_valid_series(tmp_path, form):
    sizes = {"p": ["left", "right side"], "z": 3, "y": 16, "x": 16}
    with create_stream(make_settings(tmp_path / "a.zarr", sizes, format=form)) as stream:
        append_all(stream, make_frames((2, 3, 16, 16)))
    assert attributes_of(tmp_path / "a.zarr")["bioformats2raw.layout"] == 3
    name = f"ome_zarr_models.v{form[-3:].replace('.', '')}.bioformats2raw"
    models = pytest.importorskip(name, reason="an independent validator")
    models.BioFormats2Raw.from_zarr(zarr.open_group(str(tmp_path / "a.zarr"), mode="r"))
    if form.endswith("0.5"):  # yaozarrs finds the version of 0.4 in other groups only
        yaozarrs = pytest.importorskip("yaozarrs", reason="an independent validator")
        yaozarrs.validate_zarr_store(str(tmp_path / "a.zarr"))
    valid_by_all(tmp_path / "a.zarr" / "left")


@each_format
def test_i18_s01_a_sparse_plate_of_96_wells_is_valid(tmp_path, form):
    dims = dims_from_standard_axes({"t": 2, "p": FORTY_WELLS, "y": 8, "x": 8})
    path = tmp_path / "a.zarr"
    settings = AcquisitionSettings(path, dims, format=form, plate=Plate.of_wells(96, "tests"))
    frames = make_frames((2, len(FORTY_WELLS), 8, 8))
    with create_stream(settings) as stream:
        append_all(stream, frames)
    for position, image in zip(FORTY_WELLS, images_of(frames, "tpyx"), strict=True):
        check_image(path / position.plate_row / position.plate_column / "0", image)
    plate = attributes_of(path)["plate"]
    assert (len(plate["rows"]), len(plate["columns"]), len(plate["wells"])) == (8, 12, 14)
    valid_by_all(path)


def test_i18_s01_tensorstore_reads_the_same(tmp_path):
    tensorstore = pytest.importorskip("tensorstore", reason="an independent reader")
    frames = make_frames((5, 40, 30))
    for form, driver in zip(FORMATS, ("zarr3", "zarr"), strict=True):
        path = tmp_path / form
        settings = make_settings(path, {"z": 5, "y": 40, "x": 30}, format=form, compression="blosc")
        with create_stream(settings) as stream:
            append_all(stream, frames)
        store = {"driver": "file", "path": f"{path}/0"}
        array = tensorstore.open({"driver": driver, "kvstore": store}).result()
        np.testing.assert_array_equal(array.read().result(), frames)


def test_i18_s03_memory_stays_within_the_bound_in_the_worst_order(tmp_path):
    """With z outside of t, no slab is whole before the last z: frames wait on the disk."""
    sizes = {"z": 16, "t": 12, "y": 256, "x": 256}
    frames = make_frames((16, 12, 256, 256))
    settings = make_settings(tmp_path / "a", sizes, chunks={"z": 16}, memory_bytes=2**21)
    with create_stream(settings) as stream:
        append_all(stream, frames[:8])
        assert stream._work.full._taken <= 2**21
        assert len(os.listdir(tmp_path / "a.part" / "spool")) >= 10
        append_all(stream, frames[8:])
    check_image(tmp_path / "a", images_of(frames, "ztyx")[0])


class SlowDisk(LocalPlace):
    """A place that writes nothing before it may."""

    may_write = threading.Event()

    def put(self, key, pieces, durability):
        self.may_write.wait(20)
        return super().put(key, pieces, durability)


@pytest.fixture
def slow_disk(monkeypatch):
    SlowDisk.may_write = threading.Event()
    monkeypatch.setattr("spimpack_tasks.streams.zarr_output.LocalPlace", SlowDisk)
    return SlowDisk.may_write


def test_i18_s03_w2_append_blocks_while_the_disk_is_slow(tmp_path, slow_disk):
    frames = make_frames((40, 256, 512))
    settings = make_settings(
        tmp_path / "a", {"t": 40, "y": 256, "x": 512}, memory_bytes=2**20, compression="lz4"
    )
    with create_stream(settings) as stream:
        writing = threading.Thread(target=append_all, args=(stream, frames))
        writing.start()
        writing.join(0.5)
        assert writing.is_alive()
        assert 0 < stream.bytes_behind <= 2**20
        assert stream.next_frame < 10
        slow_disk.set()
        writing.join()
    check_image(tmp_path / "a", images_of(frames, "tyx")[0])


def test_i18_s03_append_raises_instead_and_the_frame_can_be_appended_again(tmp_path, slow_disk):
    frames = make_frames((9, 256, 512))
    settings = make_settings(
        tmp_path / "a",
        {"t": 9, "y": 256, "x": 512},
        memory_bytes=2**20,
        compression="lz4",
        when_behind="raise",
    )
    with create_stream(settings) as stream:
        with pytest.raises(StreamBehindError, match="bytes behind"):
            append_all(stream, frames)
        number = stream.next_frame
        assert 0 < number < 9
        slow_disk.set()
        while stream.bytes_behind:
            pass
        for frame in frames[number:]:
            while True:
                try:
                    stream.append(frame)
                    break
                except StreamBehindError:
                    pass
    check_image(tmp_path / "a", images_of(frames, "tyx")[0])


def test_i18_s03_a_full_disk_is_an_error_of_append_and_the_frames_stay(tmp_path, monkeypatch):
    class FullDisk(LocalPlace):
        def put(self, key, pieces, durability):
            if "/3/" in key:
                raise OSError(28, "No space left on device")
            return super().put(key, pieces, durability)

    monkeypatch.setattr("spimpack_tasks.streams.zarr_output.LocalPlace", FullDisk)
    sizes = {"t": 50, "y": 32, "x": 32}
    settings = make_settings(tmp_path / "a", sizes, chunks={"t": 1}, compression="lz4")
    with pytest.raises(OSError, match="No space"), create_stream(settings) as stream:  # noqa: PT012
        for frame in make_frames((50, 32, 32)):
            stream.append(frame)
            stream._work.pool._writer.submit(int).result()
    assert stream.next_frame == 4
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "a.part").exists()


@pytest.mark.parametrize("more", [{"compression": "lz4"}, {"format": "ome-tiff"}], ids=str)
@pytest.mark.parametrize("when_behind", ["block", "raise"])
def test_i18_s03_append_ends_with_the_error_of_a_full_disk(
    tmp_path, monkeypatch, more, when_behind
):
    def fail(*_):
        time.sleep(0.2)
        raise OSError(28, "No space left on device")

    if "format" in more:
        more = more | {"compression": "zlib"}
        monkeypatch.setattr("spimpack_tasks.streams.tiff_file.TiffFile.append", fail)
    else:
        monkeypatch.setattr("spimpack_tasks.streams.zarr_output.LocalPlace.put", fail)
    sizes = {"t": 50, "y": 256, "x": 256}
    settings = make_settings(
        tmp_path / "a", sizes, memory_bytes=2**20, when_behind=when_behind, **more
    )
    stream = create_stream(settings)
    errors = []

    def append():
        for frame in make_frames((50, 256, 256)):
            while True:
                try:
                    stream.append(frame)
                    break
                except StreamBehindError:
                    time.sleep(0.01)
                except OSError as error:
                    errors.append(error)
                    return

    writing = threading.Thread(target=append, daemon=True)
    writing.start()
    writing.join(20)
    assert not writing.is_alive()
    assert [error.errno for error in errors] == [28]
    assert stream.bytes_behind == 0
    with pytest.raises(OSError, match="No space"):
        stream.close()
    stream.abandon()
    assert not (tmp_path / "a").exists()


def small(tmp_path, **more):
    sizes = {"t": 3, "c": 2, "y": 4, "x": 5}
    return create_stream(make_settings(tmp_path / "a.zarr", sizes, **more))


@pytest.mark.parametrize(
    "frame",
    [np.ones((5, 4), "uint16"), np.ones((1, 4, 5), "uint16"), np.ones((4, 5), "int16")],
    ids=["turned", "deep", "signed"],
)
def test_i18_s04_w4_a_wrong_frame_is_an_error_at_once(tmp_path, frame):
    frames = make_frames((3, 2, 4, 5))
    with small(tmp_path) as stream:
        append_all(stream, frames[:1])
        with pytest.raises(FrameError, match=r"\(4, 5\) pixels \(y, x\) of type uint16"):
            stream.append(frame)
        append_all(stream, frames[1:])
    check_image(tmp_path / "a.zarr", images_of(frames, "tcyx")[0])


def test_i18_s04_too_many_frames_and_a_closed_stream_are_errors(tmp_path):
    frames = make_frames((3, 2, 4, 5))
    with small(tmp_path) as stream:
        append_all(stream, frames)
        with pytest.raises(TooManyFramesError, match="all 6"):
            stream.append(frames[0, 0])
    with pytest.raises(StreamClosedError, match="closed"):
        stream.append(frames[0, 0])
    with pytest.raises(IndexError):
        raise TooManyFramesError
    check_image(tmp_path / "a.zarr", images_of(frames, "tcyx")[0])


@each_format
def test_i18_s05_w5_an_incomplete_acquisition_is_finished_and_an_error(tmp_path, form):
    frames = make_frames((3, 2, 4, 5))
    stream = small(tmp_path, format=form)
    append_all(stream, frames[:1])
    stream.skip()
    stream.append(frames[1, 1])
    with pytest.raises(IncompleteStreamError, match=r"3 frames missing \(2, 4-5\)") as caught:
        stream.close()
    assert caught.value.result.frames == 3
    frames[1, 0] = frames[2] = 0
    check_image(tmp_path / "a.zarr", images_of(frames, "tcyx")[0])
    told = zarr.open_group(str(tmp_path / "a.zarr"), mode="r").attrs["spimpack_tasks"]
    assert told["missing_frames"] == [[2, 2], [4, 5]]
    assert stream.close(allow_incomplete=True).count_missing == 3


def test_i18_s05_an_axis_without_end_ends_where_the_frames_do(tmp_path):
    frames = make_frames((3, 2, 4, 5))
    settings = make_settings(tmp_path / "a", {"t": None, "c": 2, "y": 4, "x": 5})
    with create_stream(settings) as stream:
        append_all(stream, frames)
        assert stream.view().shape == (3, 2, 4, 5)
    assert stream.close().is_complete
    assert zarr.open_array(f"{tmp_path}/a/0", mode="r").shape == (3, 2, 1, 4, 5)


def test_i18_s05_nothing_is_written_without_a_frame(tmp_path):
    stream = small(tmp_path)
    with pytest.raises(StreamClosedError, match="no frame"):
        stream.close()
    assert os.listdir(tmp_path) == []


def test_i18_s05_an_exception_leaves_nothing_at_the_final_path(tmp_path):
    with pytest.raises(ZeroDivisionError), small(tmp_path) as stream:  # noqa: PT012
        append_all(stream, make_frames((2, 2, 4, 5)))
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["a.zarr.part"]


def test_i18_s05_what_is_there_is_replaced_only_if_asked(tmp_path):
    frames = make_frames((3, 2, 4, 5))
    with small(tmp_path) as stream:
        append_all(stream, frames)
    with pytest.raises(OccupiedError, match="exists"):
        small(tmp_path)
    with small(tmp_path, overwrite=True) as stream:
        append_all(stream, frames[::-1])
    check_image(tmp_path / "a.zarr", images_of(frames[::-1], "tcyx")[0])
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_i18_s08_metadata_of_frames_lie_beside_the_pixels_and_in_the_attributes(tmp_path):
    with small(tmp_path) as stream:
        append_all(stream, make_frames((3, 2, 4, 5)), lambda n: {"delta_t": n, "note": "é"})
        stream.set_global_metadata("lab", {"operator": "N. N."})
        stream.update_metadata({"lab": {"laser": 3}})
        lines = (tmp_path / "a.zarr.part" / "frames.jsonl").read_text("utf-8").splitlines()
        assert json.loads(lines[3]) == {
            "frame": 3, "position": 0, "t": 1, "c": 1, "z": 0,
            "metadata": {"delta_t": 3, "note": "é"},
        }  # fmt: skip
    told = zarr.open_group(str(tmp_path / "a.zarr"), mode="r").attrs["spimpack_tasks"]
    assert [each["metadata"]["delta_t"] for each in told["frame_metadata"]] == [*range(6)]
    assert told["metadata"] == {"lab": {"operator": "N. N.", "laser": 3}}
    kept = (tmp_path / "a.zarr" / "0" / "frames.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in kept] == [json.loads(line) for line in lines]


def test_i18_s07_a_view_shows_written_frames_and_zeros_for_the_rest(tmp_path):
    frames = make_frames((3, 2, 4, 5))
    with small(tmp_path, compression="blosc") as stream:
        view = stream.view(dynamic_shape=False)
        assert (view.shape, view.ndim, view.dtype) == ((3, 2, 4, 5), 4, np.uint16)
        assert not np.asarray(view).any()
        append_all(stream, frames[:2])
        np.testing.assert_array_equal(view[1], frames[1])
        np.testing.assert_array_equal(view[-2, :, 1:3, 2], frames[1, :, 1:3, 2])
        np.testing.assert_array_equal(
            view[..., ::2], frames[..., ::2] * ([[[[1]]], [[[1]]], [[[0]]]])
        )
        assert stream.view().shape == (2, 2, 4, 5)
        with pytest.raises(IndexError, match="no frame"):
            stream.view(strict=True, dynamic_shape=False)[2, 0]
        append_all(stream, frames[2:])
        np.testing.assert_array_equal(view, frames)


def test_i18_s07_callbacks_learn_how_far_the_axes_are(tmp_path):
    grown, changed = [], []
    with small(tmp_path) as stream:
        stream.on("coords_expanded", grown.append)
        stream.on("coords_changed", changed.append)
        append_all(stream, make_frames((3, 2, 4, 5)))
        with pytest.raises(ValueError, match="coords_expanded"):
            stream.on("closed", print)
    assert [tuple(each.values()) for each in grown] == [(0, 0), (0, 1), (1, 1), (2, 1)]
    assert [tuple(each.values()) for each in changed] == [*itertools.product(range(3), range(2))]


FORMATS_AT = {"zarr": ("a.zarr", {}), "tiff": ("a.ome.tif", {"format": "ome-tiff"})}


def make_file(path):
    path.write_text("of another program")


def make_folder(path):
    path.mkdir()
    (path / "notes.txt").write_text("of another program")


@pytest.mark.parametrize("make", [make_file, make_folder])
@pytest.mark.parametrize(("name", "more"), FORMATS_AT.values(), ids=FORMATS_AT)
@pytest.mark.parametrize("overwrite", [False, True])
def test_i18_s05_close_replaces_nothing_that_came_meanwhile(tmp_path, make, name, more, overwrite):
    path = tmp_path / name
    frames = make_frames((3, 40, 30))
    sizes = {"t": 3, "y": 40, "x": 30}
    stream = create_stream(make_settings(path, sizes, overwrite=overwrite, **more))
    append_all(stream, frames)
    make(path)
    with pytest.raises(OccupiedError):
        stream.close()
    told = path / "notes.txt" if path.is_dir() else path
    assert told.read_text() == "of another program"
    path.rename(tmp_path / "away")
    assert finish_stream(path).frames == 3
    if not more:
        check_image(path, images_of(frames, "tyx")[0])


def test_i18_s05_close_replaces_nothing_that_comes_in_the_last_moment(tmp_path, monkeypatch):
    stream = create_stream(make_settings(tmp_path / "a", {"t": 3, "y": 40, "x": 30}))
    append_all(stream, make_frames((3, 40, 30)))
    monkeypatch.setattr("spimpack_tasks.streams.part.Part.require_free", lambda *_, **__: None)
    make_file(tmp_path / "a")
    with pytest.raises(OccupiedError, match="made by another program"):
        stream.close()
    assert (tmp_path / "a").read_text() == "of another program"


def test_i18_s05_metadata_beside_a_tiff_replace_no_other_file(tmp_path):
    path, beside = tmp_path / "a.ome.tif", tmp_path / "a.frames.jsonl"
    stream = create_stream(
        make_settings(path, {"t": 3, "y": 40, "x": 30}, format="ome-tiff", pyramid=False)
    )
    append_all(stream, make_frames((3, 40, 30)), lambda number: {"number": number})
    beside.write_text("other")
    with pytest.raises(OccupiedError, match=r"frames\.jsonl was made by another"):
        stream.close()
    assert beside.read_text() == "other"
    beside.unlink()
    finish_stream(path)
    assert len(beside.read_text().splitlines()) == 3


def foreign_folder(path):
    make_folder(path)


def foreign_store(path):
    path.mkdir()
    (path / "zarr.json").write_text('{"attributes": {}}')


def images_and_notes(path):
    make_folder(path)
    (path / "a.ome.tif").write_bytes(b"II+\0")


def dead_link(path):
    path.symlink_to(path.parent / "nothing")


@pytest.mark.parametrize(
    "make", [make_file, foreign_folder, foreign_store, images_and_notes, dead_link]
)
def test_i18_s05_overwrite_deletes_nothing_but_images(tmp_path, make):
    make(tmp_path / "a")
    before = sorted(tmp_path.rglob("*"))
    settings = make_settings(tmp_path / "a", {"t": 3, "y": 40, "x": 30}, overwrite=True)
    with pytest.raises(OccupiedError, match="is not overwritten"):
        create_stream(settings)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("below", [".", "sub"])
def test_i18_s05_overwrite_never_deletes_the_working_folder(tmp_path, monkeypatch, below):
    path = tmp_path / "a"
    settings = make_settings(path, {"t": 1, "y": 40, "x": 30}, overwrite=True)
    with create_stream(settings) as stream:
        append_all(stream, make_frames((1, 40, 30)))
    (path / below).mkdir(exist_ok=True)
    monkeypatch.chdir(path / below)
    with pytest.raises(OccupiedError, match="working folder"):
        create_stream(settings)
    assert (path / "zarr.json").exists()


@pytest.mark.parametrize("more", [{}, {"format": "ome-tiff"}], ids=str)
def test_i18_s05_overwrite_deletes_no_frames_of_an_unfinished_stream(tmp_path, more):
    sizes = {"t": 3, "y": 40, "x": 30}
    settings = make_settings(tmp_path / "a", sizes, overwrite=True, **more)
    stream = create_stream(settings)
    with pytest.raises(OccupiedError, match="unfinished stream with frames"):
        create_stream(settings)
    append_all(stream, make_frames((2, 40, 30)))
    stream.abandon()
    with pytest.raises(OccupiedError, match="stream finish"):
        create_stream(settings)
    assert finish_stream(tmp_path / "a").frames == 2
    with create_stream(settings) as stream:  # what we made ourselves is replaced
        append_all(stream, make_frames((3, 40, 30)))


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ({"good": 1, "bad": object()}, "'bad'"),
        ({"nan": float("nan")}, "'nan'"),
        ({"deep": [np.float32("inf")]}, "'deep'"),
        ({3: 1}, "3"),
        ({"half": "\ud800"}, "'half'"),
        (["exposure"], "mapping"),
        ([], "mapping"),
        ({"deep": {1: 2}}, "'deep'.*key 1 is no text"),
        ({"deep": [{"a": ({None: 1},)}]}, "'deep'.*key None"),
        ({"deep": np.array({2: 1})}, "'deep'.*key 2"),
    ],
    ids=[
        *("object", "nan", "numpy", "number", "surrogate", "list", "nothing"),
        *("nested", "deeper", "in-an-array"),
    ],
)
def test_i18_s08_wrong_metadata_are_an_error_before_the_frame_is_taken(tmp_path, metadata, key):
    with small(tmp_path) as stream:
        with pytest.raises(FrameError, match=key):
            stream.append(np.ones((4, 5), "uint16"), metadata)
        with pytest.raises(FrameError, match=key):
            stream.set_global_metadata("lab", metadata)
        assert (stream.next_frame, stream.get_metadata()) == (0, {})
        stream.set_global_metadata("lab", MappingProxyType({"gain": np.float32(0.5)}))
        append_all(stream, make_frames((3, 2, 4, 5)), lambda number: {"n": np.int64(number)})
    told = zarr.open_group(str(tmp_path / "a.zarr"), mode="r").attrs["spimpack_tasks"]
    assert told["metadata"] == {"lab": {"gain": 0.5}}
    assert [each["metadata"]["n"] for each in told["frame_metadata"]] == [*range(6)]
