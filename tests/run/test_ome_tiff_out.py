"""OME-TIFF that `spimpack convert` makes, read by tifffile and ome-types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from ome_types import from_xml
from workspace import SHARED, Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.tiff import layout

VOXELS = np.random.default_rng(1).integers(0, 60, (2, 3, 2, 40, 50)).astype("uint16")
SIZES_NM = {"X": 325.0, "Y": 650.0, "Z": 2000.0}


def write_source(path: Path, voxels: np.ndarray = VOXELS, **said: object) -> Path:
    """Write an OME-TIFF along t, z, c, y, x."""
    names = {"Channel": {"Name": ["Aβ", "<&>"]}} if voxels.shape[2] == 2 else {}
    told = {"axes": "TZCYX", **names, **said}
    tifffile.imwrite(path, voxels, metadata=told, photometric="minisblack", ome=True)
    return path


def in_nm() -> dict[str, object]:
    sizes = {f"PhysicalSize{axis}": size for axis, size in SIZES_NM.items()}
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in SIZES_NM}
    return {**sizes, **units, "TimeIncrement": 2.5, "TimeIncrementUnit": "s"}


def convert(source: Path, target: Path, *options: str) -> int:
    return main(["convert", str(source), str(target), *options])


def test_o39_others_read_what_was_converted(tmp_path):
    source = write_source(tmp_path / "a.ome.tif", **in_nm())
    assert convert(source, tmp_path / "b.ome.tif", "--verify") == ExitCode.OK
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        [series] = file.series
        assert series.axes == "TCZYX"
        assert np.array_equal(series.asarray(), VOXELS.transpose(0, 2, 1, 3, 4))
        pixels = from_xml(file.ome_metadata, validate=True).images[0].pixels
    assert [channel.name for channel in pixels.channels] == ["Aβ", "<&>"]
    assert (pixels.time_increment, pixels.time_increment_unit.value) == (2.5, "s")
    assert pixels.physical_size_z == 2.0


def test_o40_a_length_in_nm_is_the_same_length(tmp_path):
    source = write_source(tmp_path / "a.ome.tif", **in_nm())
    assert convert(source, tmp_path / "b.ome.tif") == ExitCode.OK
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        pixels = from_xml(file.ome_metadata).images[0].pixels
    for axis, size in SIZES_NM.items():
        quantity = getattr(pixels, f"physical_size_{axis.lower()}")
        unit = getattr(pixels, f"physical_size_{axis.lower()}_unit").value
        assert quantity * {"µm": 1000.0, "nm": 1.0}[unit] == pytest.approx(size)


def test_o41_the_resolution_of_x_is_that_of_x(tmp_path):
    source = write_source(tmp_path / "a.ome.tif", **in_nm())
    assert convert(source, tmp_path / "b.ome.tif") == ExitCode.OK
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        for page in file.pages:
            tags = {name: page.tags[name].value for name in ("XResolution", "YResolution")}
            per_cm = {name: value[0] / value[1] for name, value in tags.items()}
            assert page.tags["ResolutionUnit"].value == 3  # centimetre, by TIFF 6.0
            assert per_cm["XResolution"] == pytest.approx(1e7 / 325)
            assert per_cm["YResolution"] == pytest.approx(1e7 / 650)


@pytest.mark.parametrize("fill", [0, 1], ids=["o42-zeros", "o42-noise"])
def test_a_large_image_is_a_bigtiff_whatever_it_holds(tmp_path, monkeypatch, capsys, fill):
    monkeypatch.setattr(layout, "LARGEST_CLASSIC", 10**6)
    source = write_source(tmp_path / "a.ome.tif", VOXELS * fill)
    assert convert(source, tmp_path / "b.ome.tif") == ExitCode.BAD_INPUT
    assert "must end in .ome.btf" in capsys.readouterr().err
    assert convert(source, tmp_path / "b.ome.btf") == ExitCode.OK
    with tifffile.TiffFile(tmp_path / "b.ome.btf") as file:
        assert file.is_bigtiff
    assert {path.name for path in tmp_path.iterdir()} == {"a.ome.tif", "b.ome.btf"}


CODECS = {
    "o43-none": (("--codec", "none"), "NONE"),
    "o43-zlib": (("--codec", "zlib"), "ADOBE_DEFLATE"),
    "o43-zlib-9": (("--codec", "zlib", "--level", "9"), "ADOBE_DEFLATE"),
    "o43-zstd": (("--codec", "zstd"), "ZSTD"),
    "o43-zstd-9": (("--codec", "zstd", "--level", "9"), "ZSTD"),
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("options", "name"), CODECS.values(), ids=CODECS)
def test_the_codec_is_the_one_asked_for(tmp_path, options, name, dtype):
    source = write_source(tmp_path / "a.ome.tif", VOXELS.astype(dtype))
    assert convert(source, tmp_path / "b.ome.tif", *options, "--verify") == ExitCode.OK
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.pages[0].compression.name == name
        found = file.series[0].asarray()
    assert np.array_equal(found, VOXELS.astype(dtype).transpose(0, 2, 1, 3, 4))


@pytest.mark.parametrize("codec", ["zlib", "zstd"], ids=lambda codec: f"o43-{codec}")
def test_a_higher_level_makes_a_smaller_file(tmp_path, codec):
    words = np.random.default_rng(2).integers(0, 999, (40, 12)).astype("uint16")
    order = np.random.default_rng(3).integers(0, 40, 2000)
    text = words[order].reshape(1, 1, 1, 100, 240)  # a few words in any order
    source = write_source(tmp_path / "a.ome.tif", text)
    for level in ("1", "9"):
        options = ("--codec", codec, "--level", level)
        assert convert(source, tmp_path / f"{level}.ome.tif", *options) == ExitCode.OK
    assert (tmp_path / "9.ome.tif").stat().st_size < (tmp_path / "1.ome.tif").stat().st_size


BAD = {
    "o43-level-0": ("b.ome.tif", "--level", "0"),
    "o43-level-10": ("b.ome.tif", "--level", "10"),
    "o43-level-of-none": ("b.ome.tif", "--codec", "none", "--level", "5"),
    "o43-level-of-zarr": ("b.ome.zarr", "--level", "5"),
    "o43-codec": ("b.ome.tif", "--codec", "lz4"),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD)
def test_a_bad_codec_or_level_is_an_error(tmp_path, capsys, words):
    source = write_source(tmp_path / "a.ome.tif")
    try:
        code = convert(source, tmp_path / words[0], *words[1:])
    except SystemExit as end:  # argparse
        code = end.code
    assert code == ExitCode.BAD_INPUT
    assert "level" in (shown := capsys.readouterr().err) or "codec" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tif"]


@pytest.mark.parametrize(
    "setting", ["level=9", "codec=none", "codec=zstd,level=3", "original=drop"]
)
def test_o43_a_backend_takes_them(tmp_path, setting):
    (tmp_path / "raw").mkdir()
    write_source(tmp_path / "raw" / "a.ome.tif", **in_nm())
    workspace = Workspace(tmp_path)
    size = {"PixelSize": "0.325;0.65;2"}
    workspace.rows = [{"spim_path": "raw/a.ome.tif", **SHARED, **size, "subject": "01"}]
    assert workspace.run(backend=f"ome-tiff:convert=all,{setting}").exit_code == 0
    [made] = workspace.out.glob("sub-01/micr/*_SPIM.ome.tif")
    assert np.array_equal(tifffile.imread(made), VOXELS.transpose(0, 2, 1, 3, 4))


def test_o45_names_keep_all_before_the_ending(tmp_path):
    for name in ("sample.v1", "sample.v2"):
        source = write_source(tmp_path / f"{name}.tif", name=name)
        assert convert(source, tmp_path / f"{name}.ome.tif") == ExitCode.OK
        with tifffile.TiffFile(tmp_path / f"{name}.ome.tif") as file:
            assert from_xml(file.ome_metadata).images[0].name == name


def test_o48_an_unknown_size_is_not_written(tmp_path):
    source = write_source(tmp_path / "a.ome.tif")
    assert convert(source, tmp_path / "b.ome.tif", "--drop-original") == ExitCode.OK
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert "PhysicalSize" not in file.ome_metadata
        assert file.pages[0].tags["ResolutionUnit"].value == 1  # none, by TIFF 6.0
