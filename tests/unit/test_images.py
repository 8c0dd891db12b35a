"""Images of any format as a library has them: `probe_image`, `open_image`, `spimpack info`."""

from __future__ import annotations

import gc
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from lsm_sources import Lsm, write_lsm

import spimpack_tasks
from spimpack_tasks.api import convert, open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.images.image import LazyVoxels
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import SourceRefusedError

LSM = {
    "o11-two-channels": Lsm(),
    "o11-one-channel": Lsm(c=1, names=("a",), colours=((1, 2, 3),)),
    "o11-three-channels-compressed": Lsm(c=3, names=(), colours=(), compression="lzw", z=2),
    "o11-times": Lsm(t=3, z=2, interval_s=0.5, scan_type=6),
    "o11-8-bit": Lsm(dtype="uint8"),
    "o06-thumbnails-are-no-scenes": Lsm(with_thumbnails=True, z=4),
    "o06-no-thumbnails": Lsm(with_thumbnails=True, z=1, c=1, names=(), colours=()),
}


@pytest.mark.parametrize("lsm", LSM.values(), ids=LSM)
def test_lsm(tmp_path, lsm):
    path = write_lsm(tmp_path / "a.lsm", lsm)
    info = probe_image(path)
    assert info.shape == (lsm.t, lsm.z, lsm.c, lsm.y, lsm.x)
    assert (info.dtype, info.format) == (lsm.dtype, "LSM")
    assert info.spacing_um_zyx == (2.5, 1.0378, 1.0378)
    assert info.left_out == ()
    wanted = list(lsm.names) or [""] * lsm.c
    assert [channel.name or "" for channel in info.channels] == wanted
    colours = [f"{r:02X}{g:02X}{b:02X}" for r, g, b in lsm.colours] or [""] * lsm.c
    assert [channel.colour or "" for channel in info.channels] == colours
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][...], lsm.voxels())
        assert np.array_equal(np.asarray(image.data), lsm.voxels())


TIMES = {
    "o11-asked": (Lsm(t=3, interval_s=0.5), 0.5),
    "o11-measured": (Lsm(t=3, interval_s=0.5, stamps_s=(7.0, 9.0, 11.0)), 2.0),
    "o11-uneven": (Lsm(t=3, interval_s=0.5, stamps_s=(7.0, 9.0, 21.0)), None),
    "o11-none": (Lsm(t=3), None),
    "o11-one-time": (Lsm(interval_s=0.5), None),
}


@pytest.mark.parametrize(("lsm", "step"), TIMES.values(), ids=TIMES)
def test_lsm_time_step(tmp_path, lsm, step):
    lsm = Lsm(**{**vars_of(lsm), "scan_type": 6 if lsm.t > 1 else 0})
    assert probe_image(write_lsm(tmp_path / "a.lsm", lsm)).time_step_s == step


def vars_of(lsm: Lsm) -> dict[str, object]:
    return {name: getattr(lsm, name) for name in lsm.__dataclass_fields__}


def test_o11_a_placeholder_is_no_size(tmp_path):
    lsm = Lsm(spacing_m_xyz=(1e-6, 2e-6, 1e-19), z=1)
    assert probe_image(write_lsm(tmp_path / "a.lsm", lsm)).spacing_um_zyx == (None, 2.0, 1.0)


def test_o11_a_negative_size_is_doubted(tmp_path):
    info = probe_image(write_lsm(tmp_path / "a.lsm", Lsm(spacing_m_xyz=(-1e-6, 2e-6, 3e-6))))
    assert info.spacing_um_zyx == (3.0, 2.0, None)
    assert len(info.doubts) == 1
    assert "VoxelSizeX" in info.doubts[0]


def lacks_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def says_more_planes(path: Path) -> None:
    lsm = Lsm(z=5)
    content = path.read_bytes()
    path.write_bytes(content.replace(Lsm().info()[:20], lsm.info()[:20]))


def is_plain_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((4, 4), "uint8"))


def is_text(path: Path) -> None:
    path.write_text("no image")


BROKEN = {
    "o19-cut-in-half": (lacks_half, "damaged"),
    "o19-lacks-planes": (says_more_planes, "voxels, but its information tells"),
    "o19-plain-tiff": (is_plain_tiff, "has no information of Zeiss LSM"),
    "o19-text": (is_text, "does not begin as"),
    "o19-empty": (lambda path: path.write_bytes(b""), "is an empty file"),
}


@pytest.mark.parametrize(("harm", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_lsm_is_refused(tmp_path, harm, told, capsys):
    path = write_lsm(tmp_path / "a.lsm", Lsm())
    harm(path)
    with pytest.raises(SourceRefusedError, match=told):
        probe_image(path)
    with pytest.raises(SourceRefusedError, match=told):
        open_image(path)
    assert main(["info", str(path)]) == ExitCode.BAD_INPUT
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1


INTERVALS = {
    "o09-seconds": ({"finterval": 0.25}, 0.25),
    "o09-sec": ({"finterval": 0.25, "tunit": "sec"}, 0.25),
    "o09-minutes": ({"finterval": 2, "tunit": "min"}, 120.0),
    "o09-milliseconds": ({"finterval": 20, "tunit": "msec"}, 0.02),
    "o09-unknown-unit": ({"finterval": 2, "tunit": "fortnight"}, None),
    "o09-zero": ({"finterval": 0}, None),
    "o09-none": ({}, None),
}


@pytest.mark.parametrize(("metadata", "step"), INTERVALS.values(), ids=INTERVALS)
def test_imagej_frame_interval(tmp_path, metadata, step):
    data = np.zeros((3, 2, 4, 5), "uint8")
    whole = {"axes": "TZYX", **metadata}
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata=whole)
    info = probe_image(tmp_path / "a.tif")
    assert info.time_step_s == step
    assert info.shape == (3, 2, 1, 4, 5)


STEPS = {
    "o10-default-unit": ({"TimeIncrement": 0.5}, 0.5),
    "o10-milliseconds": ({"TimeIncrement": 20, "TimeIncrementUnit": "ms"}, 0.02),
    "o10-microseconds": ({"TimeIncrement": 20, "TimeIncrementUnit": "µs"}, 2e-5),
    "o10-minutes": ({"TimeIncrement": 1.5, "TimeIncrementUnit": "min"}, 90.0),
    "o10-none": ({}, None),
}


@pytest.mark.parametrize(("metadata", "step"), STEPS.values(), ids=STEPS)
def test_ome_time_increment(tmp_path, metadata, step):
    data = np.zeros((3, 4, 5), "uint8")
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata={"axes": "TYX", **metadata})
    assert probe_image(tmp_path / "a.ome.tif").time_step_s == step


DTYPES = ("uint8", "int16", "uint16", "uint32", "float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES, ids=[f"o02-{dtype}" for dtype in DTYPES])
@pytest.mark.parametrize("order", ["<", ">"])
def test_voxels_along_tzcyx(tmp_path, dtype, order):
    data = np.arange(2 * 3 * 2 * 4 * 5).reshape(2, 3, 2, 4, 5).astype(dtype)
    options = {"metadata": {"axes": "TZCYX"}, "byteorder": order, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.ome.tif", data, **options)
    with open_image(tmp_path / "a.ome.tif") as image:
        assert image.shape == data.shape
        assert image.dtype == np.dtype(dtype)
        assert np.array_equal(image.levels[0][...], data)
        assert np.array_equal(image.data[1, 2, :, 1:3].compute(), data[1, 2, :, 1:3])


DIMENSION_ORDERS = ("XYCZT", "XYCTZ", "XYZCT", "XYZTC", "XYTCZ", "XYTZC")


@pytest.mark.parametrize("order", DIMENSION_ORDERS, ids=[f"o03-{o}" for o in DIMENSION_ORDERS])
def test_every_order_of_dimensions(tmp_path, order):
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}
    axes = order[::-1]
    data = np.arange(720).reshape([sizes[axis] for axis in axes]).astype("uint16")
    options = {"metadata": {"axes": axes}, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.ome.tif", data, **options)
    with open_image(tmp_path / "a.ome.tif") as image:
        wanted = data.transpose([axes.index(axis) for axis in "TZCYX"])
        assert np.array_equal(image.levels[0][...], wanted)


KEYS = [
    np.s_[...],
    np.s_[0],
    np.s_[1, ..., 2],
    np.s_[:, 1:3, ::2, ::-1, 4:0:-2],
    np.s_[:, :, :, -2:, -1],
    np.s_[0:0],
    np.s_[..., 3:99],
    np.s_[-1, -1, -1, -1, -1],
]


@pytest.mark.parametrize("key", KEYS, ids=[f"key{number}" for number in range(len(KEYS))])
def test_parts_are_those_of_numpy(tmp_path, key):
    data = np.arange(2 * 3 * 2 * 4 * 5).reshape(2, 3, 2, 4, 5).astype("uint16")
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata={"axes": "TZCYX"})
    with open_image(tmp_path / "a.ome.tif") as image:
        part = image.levels[0][key]
        assert part.shape == data[key].shape
        assert np.array_equal(part, data[key])


@pytest.mark.parametrize("key", [np.s_[5], np.s_[0, 0, 0, 0, 0, 0], np.s_[..., ...], np.s_["x"]])
def test_other_keys_are_no_index(tmp_path, key):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((2, 3, 4), "uint8"))
    with open_image(tmp_path / "a.ome.tif") as image, pytest.raises(IndexError):
        image.levels[0][key]


def test_without_dask_parts_are_read_by_slicing(tmp_path, monkeypatch):
    options = {"metadata": {"axes": "ZYX"}, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.ones((2, 3, 4), "uint8"), **options)
    monkeypatch.setattr("spimpack_tasks.images.image.find_spec", lambda _: None)
    with open_image(tmp_path / "a.ome.tif") as image:
        assert isinstance(image.data, LazyVoxels)
        assert image.data[0, 1, 0].sum() == 12


@pytest.fixture
def pages(tmp_path) -> Path:
    """Five pages of which nobody says what they are."""
    data = np.arange(5 * 4 * 6).reshape(5, 4, 6).astype("uint8")
    tifffile.imwrite(tmp_path / "a.tif", data, metadata=None)
    return tmp_path / "a.tif"


def test_o07_axes_that_are_not_told_are_asked_for(pages, capsys):
    assert probe_image(pages).shape is None
    with pytest.raises(SourceRefusedError, match="5 x 4 x 6"):
        open_image(pages)
    assert main(["info", str(pages)]) == ExitCode.OK
    unclear = "the file does not say what its pages are: 5 x 4 x 6 along page, y, x"
    remedy = "say what they are, the slowest first, such as {}"
    assert f"{unclear}; {remedy.format('--axes ZYX')}" in capsys.readouterr().out
    assert main(["info", str(pages), "--format", "json"]) == ExitCode.OK
    [told] = json.loads(capsys.readouterr().out)
    assert told["unclear"] == {"message": unclear, "hint": remedy.format("--axes ZYX")}, "n24"
    told = probe_image(pages).as_dict()["unclear"]
    assert told == {"message": unclear, "hint": remedy.format('axes="ZYX"')}
    assert probe_image(pages, axes="ZYX").as_dict()["unclear"] is None


def test_n10_a_program_that_converts_is_no_microscope_software(tmp_path, capsys):
    voxels = np.zeros((4, 5), "uint8")
    for name, software in (("a.tif", "tifffile.py"), ("b.tif", "LaVision ImSpector 7.1")):
        tifffile.imwrite(tmp_path / name, voxels, metadata=None, software=software)
    assert probe_image(tmp_path / "a.tif").instrument == {}
    assert probe_image(tmp_path / "b.tif").instrument == {
        "SoftwareVersions": "LaVision ImSpector 7.1"
    }
    assert main(["info", str(tmp_path / "a.tif")]) == ExitCode.OK
    assert "microscope" not in capsys.readouterr().out


def test_n32_samples_of_a_pixel_are_red_green_and_blue(tmp_path, capsys):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((4, 5, 3), "uint8"), photometric="rgb", metadata=None)
    channels = probe_image(path).channels
    assert [(each.name, each.colour) for each in channels] == [
        *((None, "FF0000"), (None, "00FF00"), (None, "0000FF")),
    ]
    as_json = probe_image(path).as_dict()["channels"]
    assert as_json == [{"name": each.name, "colour": each.colour} for each in channels]
    assert main(["info", str(path)]) == ExitCode.OK
    assert "1 without a name #FF0000" in capsys.readouterr().out


SHAPES = {
    "ZYX": (1, 5, 1, 4, 6),
    "TYX": (5, 1, 1, 4, 6),
    "CYX": (1, 1, 5, 4, 6),
    "zyx": (1, 5, 1, 4, 6),
}


@pytest.mark.parametrize(("axes", "shape"), SHAPES.items(), ids=[f"o07-{a}" for a in SHAPES])
def test_the_user_says_what_axes_are(pages, axes, shape):
    data = tifffile.imread(pages)
    with open_image(pages, axes=axes) as image:
        assert image.shape == shape
        assert np.array_equal(np.squeeze(image.levels[0][...]), data)
        [decision] = image.decisions
        assert (decision.field, decision.value, decision.origin) == ("axes", axes.upper(), "user")
    assert probe_image(pages, axes=axes).shape == shape


@pytest.mark.parametrize("axes", ["YX", "ZZYX", "AYX", "YXZT", "TZC"], ids=lambda a: f"o07-{a}")
def test_axes_that_do_not_fit_are_refused(pages, axes):
    with pytest.raises(SourceRefusedError, match="5 page x 4 y x 6 x"):
        open_image(pages, axes=axes)
    with pytest.raises(SourceRefusedError, match="5 page x 4 y x 6 x"):
        probe_image(pages, axes=axes)


def test_o08_samples_of_a_pixel_are_channels(tmp_path):
    data = np.arange(4 * 5 * 3).reshape(4, 5, 3).astype("uint8")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", metadata=None)
    with open_image(tmp_path / "a.tif") as image:
        assert np.array_equal(image.levels[0][0, 0], data.transpose(2, 0, 1))
        assert [decision.field for decision in image.decisions] == ["channels"]


def test_o06_a_file_of_several_images_is_not_opened_silently(tmp_path):
    path = tmp_path / "a.ome.tif"
    images = [np.arange(20, dtype="uint8").reshape(4, 5), np.arange(36.0).reshape(2, 3, 6)]
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, data in zip(("first", "second"), images, strict=True):
            said = {"axes": "ZYX"[-data.ndim :], "Name": name, "PhysicalSizeX": data.ndim}
            file.write(data, metadata=said | {"PhysicalSizeXUnit": "mm"}, photometric="minisblack")
    listed = "0 'first' of 1 t x 1 z x 1 c x 4 y x 5 x; 1 'second' of 1 t x 2 z x 1 c x 3 y x 6 x"
    for opened in (open_image, probe_image):
        with pytest.raises(SourceRefusedError, match=f"has 2 scenes: {listed}"):
            opened(path)
        with pytest.raises(SourceRefusedError, match="has 2 scenes, and none that is '2'"):
            opened(path, scene=2)
    for scene, number in ((0, 0), ("first", 0), (1, 1), ("second", 1)):
        info = probe_image(path, scene=scene)
        with open_image(path, scene=scene) as image:
            data = images[number]
            assert np.array_equal(np.squeeze(image.levels[0][...]), data)
            assert image.dtype == info.dtype == data.dtype
            assert image.shape == info.shape == (1, (1, 2)[number], 1, *data.shape[-2:])
        assert info.spacing_um_zyx[2] == data.ndim * 1000
        value = f"{number} {('first', 'second')[number]}"
        assert [(d.value, d.origin) for d in info.decisions] == [(value, "user")]
    write_lsm(tmp_path / "a.lsm", Lsm())
    with pytest.raises(SourceRefusedError, match="has one image, which is scene 0"):
        open_image(tmp_path / "a.lsm", scene=1)


def test_o25_json_has_fixed_keys(tmp_path, capsys):
    write_lsm(tmp_path / "a.lsm", Lsm())
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((4, 5), "uint8"), metadata=None)
    paths = [str(tmp_path / name) for name in ("a.lsm", "b.tif", "none.tif")]
    assert main(["info", *paths, "--format", "json"]) == ExitCode.BAD_INPUT
    first, second, third = json.loads(capsys.readouterr().out)
    assert first.keys() == second.keys()
    assert first["shape_tzcyx"] == [1, 3, 2, 6, 8]
    assert first["spacing_um_zyx"] == [2.5, 1.0378, 1.0378]
    assert first["size_bytes"] == 3 * 2 * 6 * 8 * 2
    assert second["spacing_um_zyx"] == [None, None, None]
    assert second["channels"] == [{"name": None, "colour": None}]
    assert second["time_step_s"] is None
    assert third == {"path": paths[2], "error": f"'{paths[2]}' does not exist; check the path"}


def test_info_is_a_picture_of_an_image(tmp_path, capsys):
    write_lsm(tmp_path / "a.lsm", Lsm(t=2, scan_type=6, interval_s=0.5))
    assert main(["info", str(tmp_path / "a.lsm")]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / "a.lsm"),
        "  format      LSM",
        "  voxels      2 t x 3 z x 2 c x 6 y x 8 x, uint16, 1.1 KiB",
        "  voxel size  x 1.0378 um, y 1.0378 um, z 2.5 um",
        "  time step   0.5 s",
        "  channels    1 Ch1-T1 #00FF00",
        "              2 Ch2-T2 #FF0000",
        "  metadata    CZ_LSMINFO: 1,688 characters",
    ]


def test_the_functions_stand_in_the_package():
    assert spimpack_tasks.open_image is open_image
    assert spimpack_tasks.probe_image is probe_image


def test_sources_are_as_they_were(tmp_path):
    path = write_lsm(tmp_path / "a.lsm", Lsm())
    before = path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())
    path.chmod(0o444)
    probe_image(path)
    with open_image(path) as image:
        image.levels[0][...]
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


MADE = {"o39-ome-zarr": "a.ome.zarr", "o39-ome-tiff": "made.ome.tif"}


@pytest.mark.parametrize("name", MADE.values(), ids=MADE)
@pytest.mark.parametrize("step", [0.25, None], ids=["known", "unknown"])
def test_a_conversion_keeps_the_time_step(tmp_path, name, step):
    data = np.arange(3 * 2 * 4 * 5).reshape(3, 2, 4, 5).astype("uint16")
    metadata = {"axes": "TZYX"} | ({"TimeIncrement": step} if step else {})
    options = {"metadata": metadata, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.ome.tif", data, **options)
    convert(tmp_path / "a.ome.tif", tmp_path / name)
    if name.endswith(".zarr"):
        told = json.loads((tmp_path / name / "zarr.json").read_text())["attributes"]["ome"]
        [multiscale] = told["multiscales"]
        assert multiscale["axes"][0].get("unit") == ("second" if step else None)
        for dataset in multiscale["datasets"]:
            assert dataset["coordinateTransformations"][0]["scale"][0] == (step or 1.0)
    else:
        told = tifffile.tiffcomment(tmp_path / name)
        assert ('TimeIncrement="0.25"' in told) is bool(step)
    assert probe_image(tmp_path / name).time_step_s == step
    with open_image(tmp_path / name) as image:
        assert np.array_equal(image.levels[0][:, :, 0], data)


HELD = {
    "imagej": lambda folder: write_stack(folder / "a.tif", imagej=True, metadata={"axes": "ZYX"}),
    "ome-tiff": lambda folder: write_stack(
        folder / "a.ome.tif", metadata={"axes": "ZYX"}, compression="zlib"
    ),
    "lsm": lambda folder: write_lsm(folder / "a.lsm", Lsm()),
}


def write_stack(path: Path, **options: object) -> Path:
    data = np.ones((3, 4, 5), "uint16")
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    return path


@pytest.mark.parametrize("write", HELD.values(), ids=HELD)
def test_voxels_can_be_read_after_the_image_was_let_go(tmp_path, write):
    path = write(tmp_path)
    data, level = open_image(path).data, open_image(path).levels[0]
    gc.collect()
    assert np.asarray(data).shape == level[...].shape


@pytest.mark.parametrize("write", HELD.values(), ids=HELD)
def test_a_closed_image_says_so(tmp_path, write):
    with open_image(write(tmp_path)) as image:
        level = image.levels[0]
    with pytest.raises(ValueError, match="is closed"):
        level[0]


def test_o21_facts_go_with_the_axes_that_are_given(tmp_path, pages):
    assert len(probe_image(pages, axes="CYX").channels) == 5
    path = tmp_path / "b.tif"
    metadata = {"axes": "ZYX", "spacing": 4.0, "unit": "um"}
    data = np.ones((3, 4, 5), "uint16")
    tifffile.imwrite(path, data, imagej=True, resolution=(1 / 2, 1 / 4), metadata=metadata)
    assert probe_image(path).spacing_um_zyx == (4.0, 4.0, 2.0)
    assert probe_image(path, axes="ZYX").spacing_um_zyx == (4.0, 4.0, 2.0)
    assert probe_image(path, axes="TYX").spacing_um_zyx == (None, 4.0, 2.0)
    assert probe_image(path, axes="YXZ").spacing_um_zyx == (None, None, None)


def test_o08_true_colours_stay_true(tmp_path):
    data = np.ones((16, 16, 3), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", metadata=None)
    request = Request(codec="", ngff="", spacing_um_xyz=(1.0, 1.0, 1.0))
    convert(tmp_path / "a.tif", tmp_path / "a.ome.zarr", request)
    colours = [channel.colour for channel in probe_image(tmp_path / "a.ome.zarr").channels]
    assert colours == ["FF0000", "00FF00", "0000FF"]


@pytest.mark.parametrize(
    ("shape", "axes", "tczyx"),
    [
        ((3, 40, 50), "ZYX", (1, 1, 3, 40, 50)),
        ((4, 40, 50), "TYX", (4, 1, 1, 40, 50)),
        ((3, 40, 50), "CYX", (1, 3, 1, 40, 50)),
        ((2, 3, 40, 50), "TZYX", (2, 1, 3, 40, 50)),
        ((40, 50, 3), "YXS", (1, 3, 1, 40, 50)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_axes_that_tifffile_tells_count_where_planes_are_samples(tmp_path, shape, axes, tczyx):
    """It stores three or four planes as the samples of one page."""
    voxels = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    path = tmp_path / "stack.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tifffile.imwrite(path, voxels, metadata={"axes": axes})
    wanted = voxels.transpose(2, 0, 1) if axes == "YXS" else voxels
    with open_image(path) as image:
        # Axes are along t, c, z, y, x here, and t, z, c in `shape`.
        found = np.moveaxis(np.asarray(image.data), 2, 1)
        assert found.shape == tczyx
        assert np.array_equal(found, wanted.reshape(tczyx))


STEPS = [
    np.s_[::2],
    np.s_[::-1],
    np.s_[1:7:3, ::-2],
    np.s_[..., ::7, 30:2:-3],
    np.s_[:, 1, :, ::5, 4],
    np.s_[5:5, ::2],
    np.s_[::2, ::2, ::2, ::16, ::16],
    np.s_[-1:0:-4],
]


@pytest.mark.parametrize("key", STEPS, ids=str)
def test_a_part_with_steps_is_that_of_numpy_and_reads_no_more_than_it_needs(tmp_path, key):
    voxels = np.random.default_rng(1).integers(0, 999, (7, 6, 2, 40, 50), "u2")
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, voxels, metadata={"axes": "TZCYX"}, photometric="minisblack")
    with open_image(path) as image:
        data, read = image.levels[0], []
        inner = data._level.read
        object.__setattr__(data._level, "read", lambda region: read.append(region) or inner(region))
        assert np.array_equal(data[key], voxels[key])
    planes = [
        (t, c, z)
        for region in read
        for t in range(region[0].start, region[0].stop)
        for c in range(region[1].start, region[1].stop)
        for z in range(region[2].start, region[2].stop)
    ]
    assert len(planes) == len(set(planes))
    whole = np.broadcast_to(np.zeros((40, 50)), voxels.shape)
    numbers = np.arange(voxels[..., 0, 0].size).reshape(7, 6, 2)[..., None, None]
    wanted = np.unique(np.broadcast_to(numbers, whole.shape)[key])
    assert len(planes) == len(wanted)
