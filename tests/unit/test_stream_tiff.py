"""Streams to OME-TIFF: every order, smaller versions, missing planes, metadata of planes."""

import itertools
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given
from hypothesis import settings as configure
from hypothesis import strategies as st
from stream_models import append_all, halve_plainly, images_of, make_frames, make_settings

from spimpack_tasks.streams import (
    AcquisitionSettings,
    Channel,
    Dimension,
    IncompleteStreamError,
    Plate,
    Position,
    create_stream,
    resume_stream,
)

CODECS = ("none", "zlib", "zstd")


def series_of(path):
    """Return the levels of each image of a file along t, c, z, y, x, by another library."""
    with tifffile.TiffFile(path) as file:
        found = []
        for series in file.series:
            levels = []
            for level in series.levels:
                axes, array = level.axes, level.asarray()
                for axis in set("TCZ") - set(axes):
                    axes, array = axis + axes, array[None]
                levels.append(np.transpose(array, [axes.index(axis) for axis in "TCZYX"]))
            found.append(levels)
        return found, file.ome_metadata


def check_levels(levels, image):
    wanted = image
    for number, found in enumerate(levels):
        wanted = halve_plainly(wanted, found.shape) if number else wanted
        np.testing.assert_array_equal(found, wanted)
    return len(levels)


@st.composite
def acquisitions(draw):
    axes = draw(st.permutations("tczp"))[: draw(st.integers(1, 4))]
    sizes = {axis: draw(st.integers(1, 4)) for axis in axes}
    sizes |= {"y": draw(st.integers(3, 9)), "x": draw(st.integers(3, 9))}
    more = {
        "compression": draw(st.sampled_from(CODECS)),
        "dtype": draw(st.sampled_from(("uint8", "uint16", "int16", "float32"))),
        "storage_order": draw(st.sampled_from(("ome", "acquisition"))),
        "tiff_files": draw(st.sampled_from(("single", "position"))),
    }
    return sizes, axes[0] if axes[0] != "p" and draw(st.booleans()) else "", more


@configure(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acquisitions())
def test_i18_s01_any_order_is_equal_to_a_plain_model(acquisition):
    sizes, open_axis, more = acquisition
    frames = make_frames(tuple(sizes.values()), more["dtype"])
    is_single = more["tiff_files"] == "single" or "p" not in sizes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.ome.tif" if is_single else "a")
        told = sizes | ({open_axis: None} if open_axis else {})
        with create_stream(make_settings(path, told, format="ome-tiff", **more)) as stream:
            append_all(stream, frames)
            np.testing.assert_array_equal(np.asarray(stream.view()), frames)
        images = images_of(frames, [*sizes])
        if is_single:
            found, _ = series_of(path)
        else:
            found = [series_of(path / f"{n}.ome.tif")[0][0] for n in range(len(images))]
        assert len(found) == len(images)
        for levels, image in zip(found, images, strict=True):
            check_levels(levels, image)


@pytest.mark.parametrize("compression", CODECS)
def test_i18_s02_smaller_versions_are_floor_means(tmp_path, compression):
    sizes = {"t": 2, "c": 2, "z": 3, "y": 700, "x": 1100}
    frames = make_frames(tuple(sizes.values()))
    path = tmp_path / "a.ome.tif"
    with create_stream(
        make_settings(path, sizes, format="ome-tiff", compression=compression)
    ) as stream:
        append_all(stream, frames)
    (levels,), _ = series_of(path)
    assert check_levels(levels, images_of(frames, "tczyx")[0]) == 4


def test_i18_s02_ome_xml_is_valid_and_has_the_facts_of_planes(tmp_path):
    ome_types = pytest.importorskip("ome_types", reason="an independent validator")
    green = Channel("GFP", 488, 509, "EGFP", "00FF00")
    dims = (
        Dimension("t", 2, scale=2.5, unit="second"),
        Dimension("p", coords=[Position("A", x_coord=1.5), Position("B", z_coord=-2)]),
        Dimension("c", coords=["DAPI", green]),
        Dimension("y", 8, scale=0.5),
        Dimension("x", 8, scale=0.25),
    )
    settings = AcquisitionSettings(
        tmp_path / "a.ome.tif", dims, format="ome-tiff", tiff_files="single"
    )
    with create_stream(settings) as stream:
        append_all(stream, make_frames((2, 2, 2, 8, 8)), lambda n: {"delta_t": n, "other": "<&>"})
    _, xml = series_of(tmp_path / "a.ome.tif")
    ome = ome_types.from_xml(xml, validate=True)
    assert [image.name for image in ome.images] == ["A", "B"]
    pixels = ome.images[1].pixels
    assert (pixels.physical_size_x, pixels.time_increment) == (0.25, 2.5)
    channel = pixels.channels[1]
    assert (channel.excitation_wavelength, channel.emission_wavelength) == (488, 509)
    planes = [(p.the_t, p.the_c, p.delta_t, p.position_z) for p in pixels.planes]
    assert planes == [(0, 0, 2, -2), (0, 1, 3, -2), (1, 0, 6, -2), (1, 1, 7, -2)]
    lines = (tmp_path / "a.frames.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [*range(8)]


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("picks_up", [False, True], ids=["close", "resume"])
def test_i18_s05_w1_missing_planes_are_zeros_and_named(tmp_path, compression, picks_up):
    frames = make_frames((7, 300, 280))
    path = tmp_path / "a.ome.tif"
    sizes = {"z": 7, "y": 300, "x": 280}
    stream = create_stream(make_settings(path, sizes, format="ome-tiff", compression=compression))
    append_all(stream, frames[:2])
    stream.skip()
    append_all(stream, frames[3:4])
    if picks_up:
        stream.abandon(is_quiet=True)
        assert os.listdir(tmp_path) == ["a.ome.tif.part"]
        stream = resume_stream(path)
        assert (stream.next_frame, stream.lost) == (4, (2,))
        np.testing.assert_array_equal(stream.view()[1], frames[1])
    append_all(stream, frames[4:6])
    with pytest.raises(IncompleteStreamError, match=r"2 frames missing \(2, 6\)"):
        stream.close()
    frames[[2, 6]] = 0
    (levels,), xml = series_of(path)
    check_levels(levels, images_of(frames, "zyx")[0])
    assert "missing_frames" in xml
    assert os.listdir(tmp_path) == ["a.ome.tif"]


def test_i18_s03_w3_a_ring_buffer_gives_all_planes(tmp_path):
    frames = make_frames((40, 128, 128))
    ring = np.zeros((2, 128, 128), "uint16")
    path = tmp_path / "a.ome.tif"
    settings = make_settings(
        path, {"t": 40, "y": 128, "x": 128}, format="ome-tiff", memory_bytes=2**20
    )
    with create_stream(settings) as stream:
        for frame, buffer in zip(frames, itertools.cycle(ring)):
            buffer[:] = frame
            stream.append(buffer)
    (levels,), _ = series_of(path)
    check_levels(levels, images_of(frames, "tyx")[0])


WELLS = [
    Position("0", "A", "1", x_coord=1.5, y_coord=2),
    Position("1", "A", "1"),
    Position("0", "C", "12"),
]


def make_plate(path, tiff_files, **more):
    dims = (
        Dimension("t", 2),
        Dimension("p", coords=WELLS),
        Dimension("c", coords=["DAPI", "GFP"]),
        Dimension("y", 20, scale=0.5),
        Dimension("x", 16, scale=0.5),
    )
    plate = Plate.of_wells(96, "tests")
    return AcquisitionSettings(
        path, dims, format="ome-tiff", tiff_files=tiff_files, plate=plate, **more
    )


def validated(xml):
    ome_types = pytest.importorskip("ome_types", reason="an independent validator")
    return ome_types.from_xml(xml, validate=True)


def planes_by(ome, image, folder):
    """Read the planes of an image as OME-XML says, by tifffile, along t, c, z, y, x."""
    pixels = ome.images[image].pixels
    assert pixels.dimension_order.value == "XYZCT"
    (block,) = pixels.tiff_data_blocks
    with tifffile.TiffFile(folder / block.uuid.file_name) as file:
        own = validated(file.ome_metadata)
        assert own.uuid == block.uuid.value
        assert own.binary_only.uuid == ome.uuid
        assert (folder / own.binary_only.metadata_file).is_file()
        pages = file.pages[block.ifd : block.ifd + block.plane_count]
        planes = np.stack([page.asarray() for page in pages])
    sizes = pixels.size_t, pixels.size_c, pixels.size_z, pixels.size_y, pixels.size_x
    return planes.reshape(sizes)


@pytest.mark.parametrize("tiff_files", ["single", "position", "companion"])
def test_i18_s02_a_plate_is_valid_and_each_frame_is_read_back(tmp_path, tiff_files):
    frames = make_frames((2, 3, 2, 20, 16))
    path = tmp_path / ("plate.ome.tif" if tiff_files == "single" else "plate")
    with create_stream(make_plate(path, tiff_files)) as stream:
        append_all(stream, frames, lambda n: {"delta_t": n})
        np.testing.assert_array_equal(stream.view(), frames)
    images = images_of(frames, "tpcyx")
    if tiff_files == "companion":
        assert sorted(os.listdir(path)) == [
            "A_1_0.ome.tif", "A_1_1.ome.tif", "C_12_0.ome.tif", "frames.jsonl",
            "plate.companion.ome",
        ]  # fmt: skip
        ome = validated((path / "plate.companion.ome").read_bytes())
        found = [planes_by(ome, number, path) for number in range(3)]
    elif tiff_files == "single":
        levels, xml = series_of(path)
        found, ome = [each[0] for each in levels], validated(xml)
    else:
        alone = [series_of(path / f"{name}.ome.tif") for name in ("A_1_0", "A_1_1", "C_12_0")]
        found = [levels[0][0] for levels, _ in alone]
        ones = [validated(xml) for _, xml in alone]
        assert [(w.row, w.column) for one in ones for w in one.plates[0].wells] == [
            (0, 0), (0, 0), (2, 11),
        ]  # fmt: skip
        ome = None
    for one, image in zip(found, images, strict=True):
        np.testing.assert_array_equal(one, image)
    if ome:
        (plate,) = ome.plates
        assert (plate.name, plate.rows, plate.columns) == ("tests", 8, 12)
        assert (plate.row_naming_convention.value, plate.column_naming_convention.value) == (
            "letter", "number",
        )  # fmt: skip
        wells = {(w.row, w.column): [s.image_ref.id for s in w.well_samples] for w in plate.wells}
        assert wells == {(0, 0): ["Image:0", "Image:1"], (2, 11): ["Image:2"]}
        assert plate.wells[0].well_samples[0].position_x == 1.5
        assert [p.delta_t for p in ome.images[1].pixels.planes] == [2, 3, 8, 9]


def test_i18_s02_a_companion_is_written_for_a_single_image_too(tmp_path):
    frames = make_frames((3, 20, 16))
    sizes = {"z": 3, "y": 20, "x": 16}
    for name in ("a", "b"):
        settings = make_settings(
            tmp_path / name, sizes, format="ome-tiff", tiff_files="companion", compression="zstd"
        )
        with create_stream(settings) as stream:
            append_all(stream, frames)
    ome = validated((tmp_path / "a" / "a.companion.ome").read_bytes())
    np.testing.assert_array_equal(planes_by(ome, 0, tmp_path / "a")[0, 0], frames)
    assert validated((tmp_path / "b" / "b.companion.ome").read_bytes()).uuid != ome.uuid


def test_i18_s02_a_write_that_a_full_disk_cuts_does_not_spoil_later_planes(tmp_path, monkeypatch):
    """The disk takes half of a plane, then nothing, and then there is room again."""
    frames = make_frames((4, 40, 30))
    settings = make_settings(
        tmp_path / "a.ome.tif", {"z": 4, "y": 40, "x": 30}, format="ome-tiff", pyramid=False
    )
    write, writev, pwritev = os.write, os.writev, os.pwritev

    def fail(*_):
        raise OSError(28, "No space left on device")

    with create_stream(settings) as stream:
        append_all(stream, frames[:2])
        with monkeypatch.context() as full:
            full.setattr(os, "writev", lambda file, parts: write(file, bytes(parts[0])[:999]))
            full.setattr(
                os, "pwritev", lambda file, parts, at: os.pwrite(file, bytes(parts[0])[:999], at)
            )
            full.setattr(os, "write", fail)
            pwrite = os.pwrite
            full.setattr(
                os,
                "pwrite",
                lambda file, data, at: pwrite(file, data, at) if len(data) == 999 else fail(),
            )
            with pytest.raises(OSError, match="No space"):
                stream.append(frames[2])
        assert (os.writev, os.pwritev) == (writev, pwritev)
        append_all(stream, frames[2:])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.ome.tif"), frames)


def test_i18_s02_smaller_versions_that_fail_are_an_error_of_close(tmp_path, monkeypatch):
    settings = make_settings(
        tmp_path / "a.ome.tif", {"z": 2, "y": 900, "x": 900}, format="ome-tiff"
    )
    stream = create_stream(settings)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("spimpack_tasks.streams.tiff_image.TiffImage._note", fail)
        stream.append(make_frames((900, 900)))
        with pytest.raises(OSError, match="No space"):
            stream.flush()
    with pytest.raises(OSError, match="No space"):
        stream.close()
    stream.abandon()
    assert not (tmp_path / "a.ome.tif").exists()
