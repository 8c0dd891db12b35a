"""Files that bioio reads, where a user asks for it: voxels, sizes, scenes, and what is refused."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import MissingExtraError
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import SourceRefusedError, UnreadableVoxelsError
from spimpack_tasks.volumes.formats import FORMATS, READERS, format_of

PLUGINS = ("bioio", "bioio_tifffile", "bioio_imageio")
with_bioio = pytest.mark.skipif(
    not all(map(find_spec, PLUGINS)), reason="the extra bioio is not installed"
)

STACK = np.arange(3 * 2 * 4 * 5, dtype="uint16").reshape(3, 2, 4, 5)
"""Along z, c, y and x."""
PLANE = np.arange(20, dtype="uint8").reshape(4, 5)
COLOURS = np.arange(60, dtype="uint8").reshape(4, 5, 3)
SIZES = {"PhysicalSizeX": 500.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5}


def write_imagej(path: Path) -> None:
    told = {"axes": "ZCYX", "unit": "um", "spacing": 3.0}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(2, 2), metadata=told)


def write_ome(path: Path) -> None:
    tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "ZCYX", **SIZES})


def write_two(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as file:
        for number in range(2):
            file.write(STACK[: number + 2, 0] + 100 * number, metadata={"axes": "ZYX"})


FILES = {
    "a.ome.tif": (write_ome, STACK[None]),
    "a.tif": (write_imagej, STACK[None]),
    "one.tif": (lambda path: tifffile.imwrite(path, PLANE), PLANE[None, None, None]),
    "rgb.tif": (
        lambda path: tifffile.imwrite(path, COLOURS, photometric="rgb"),
        COLOURS.transpose(2, 0, 1)[None, None],
    ),
    "a.png": (lambda path: imageio.imwrite(path, PLANE), PLANE[None, None, None]),
    "rgb.png": (
        lambda path: imageio.imwrite(path, COLOURS),
        COLOURS.transpose(2, 0, 1)[None, None],
    ),
}
"""How each file is written, and its voxels along t, z, c, y and x."""


@with_bioio
@pytest.mark.parametrize("name", FILES, ids=[f"i16-1-bioio-{name}" for name in FILES])
def test_voxels_are_those_that_were_written(tmp_path, name):
    write, voxels = FILES[name]
    write(tmp_path / name)
    info = probe_image(tmp_path / name, reader="bioio")
    plugin = "bioio-imageio" if name.endswith(".png") else "bioio-tifffile"
    assert (info.format, info.shape, info.dtype) == ("bioio", voxels.shape, voxels.dtype.name)
    assert info.spacing_um_zyx == (None, None, None)  # no plug-in here tells a unit
    assert {channel.name for channel in info.channels} == {None}  # bioio's own are invented
    [decision] = [each for each in info.decisions if each.field == "reader"]
    assert (decision.value, decision.origin) == ("bioio", "user")
    assert plugin in decision.rule
    with open_image(tmp_path / name, reader="bioio") as image:
        assert np.array_equal(image.levels[0][...], voxels)
        part = np.s_[:, -1:, :, 1:3, 2:]
        assert np.array_equal(image.levels[0][part], voxels[part])
    if format_of(name):
        with open_image(tmp_path / name, axes="YX" if name == "one.tif" else "") as ours:
            assert np.array_equal(ours.levels[0][...], voxels)


@with_bioio
def test_a_plane_is_read_by_itself(tmp_path, monkeypatch):
    from bioio_tifffile.reader import Reader

    write_imagej(tmp_path / "a.tif")
    read, read_sizes = Reader._get_image_data, []

    def watch(*arguments, **named):
        found = read(*arguments, **named)
        read_sizes.append(found.size)
        return found

    monkeypatch.setattr(Reader, "_get_image_data", staticmethod(watch))
    with open_image(tmp_path / "a.tif", reader="bioio") as image:
        assert read_sizes == []
        assert np.array_equal(image.levels[0][0, 1, 1], STACK[1, 1])
    assert read_sizes == [4 * 5]


@with_bioio
def test_i16_1_scenes_are_chosen(tmp_path):
    path = tmp_path / "a.ome.tif"
    write_two(path)
    listed = "0 'Image:0' of 2 z x 4 y x 5 x; 1 'Image:1' of 3 z x 4 y x 5 x"
    for opened in (probe_image, open_image):
        with pytest.raises(SourceRefusedError, match=f"has 2 scenes: {listed}"):
            opened(path, reader="bioio")
    for scene in (1, "Image:1"):
        with open_image(path, reader="bioio", scene=scene) as image:
            assert np.array_equal(image.levels[0][0, :, 0], STACK[:, 0] + 100)
            assert [each.field for each in image.decisions] == ["reader", "scene"]


def ome(attributes: str) -> str:
    namespace = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return f'<OME xmlns="{namespace}"><Image><Pixels {attributes}/></Image></OME>'


OME = 'PhysicalSizeX="500" PhysicalSizeXUnit="nm" TimeIncrement="250" TimeIncrementUnit="ms"'
# Sizes along z, y and x by bioio, its metadata, and the size along x and time step that are known.
TOLD = {
    "o10-unit-of-ome-xml": ((None, None, 500.0), ome(OME), 0.5, 0.25),
    "o10-size-of-ome-xml-alone": ((None, None, None), ome(OME), 0.5, 0.25),
    "o10-default-unit-of-ome-xml": ((None, None, 2.0), ome('PhysicalSizeX="2"'), 2.0, None),
    "o10-bare-number": ((None, None, 500.0), "size 500 nm", None, None),
    "o10-two-numbers": ((None, None, 1.0), ome(OME), None, 0.25),
    "o10-nothing": ((None, None, None), "", None, None),
    "o10-broken-xml": ((None, None, 500.0), ome(OME)[:-9], None, None),
    "o10-zero": ((None, None, 0.0), ome('PhysicalSizeX="0"'), None, None),
}


def take_plugin(monkeypatch: pytest.MonkeyPatch, voxels: np.ndarray, dims: str, **facts) -> None:
    """Let bioio choose a plug-in that returns these voxels and facts of any file."""
    import bioio
    from bioio.array_like_reader import ArrayLikeReader
    from bioio_base.types import PhysicalPixelSizes

    class Reader(ArrayLikeReader):
        def __init__(self, _: str) -> None:
            names = facts.get("channel_names")
            super().__init__(voxels, dim_order=dims, channel_names=names)

        metadata = property(lambda _: facts.get("metadata"))
        physical_pixel_sizes = property(
            lambda _: PhysicalPixelSizes(*facts.get("sizes", (None, None, None)))
        )
        if "units" in facts:
            dimension_properties = property(lambda _: facts["units"])

    entry = SimpleNamespace(metadata=SimpleNamespace(get_reader=lambda: Reader))
    monkeypatch.setattr(bioio.BioImage, "determine_plugin", lambda *_, **__: entry)


@with_bioio
@pytest.mark.parametrize("name", TOLD)
def test_a_size_is_known_with_its_unit(tmp_path, monkeypatch, name):
    sizes, metadata, x_um, step_s = TOLD[name]
    (tmp_path / "a.odd").write_bytes(b"x")
    take_plugin(monkeypatch, STACK, "TZYX", sizes=sizes, metadata=metadata)
    info = probe_image(tmp_path / "a.odd", reader="bioio")
    assert info.spacing_um_zyx == (None, None, x_um)
    assert info.time_step_s == step_s
    is_doubtful = x_um is None and sizes[2] is not None
    assert any("size along X" in each for each in info.doubts) is is_doubtful


@with_bioio
def test_a_unit_of_the_plug_in_counts(tmp_path, monkeypatch):
    unit = SimpleNamespace(unit="nanometer")
    units = SimpleNamespace(Z=SimpleNamespace(unit=None), Y=unit, X=unit)
    (tmp_path / "a.odd").write_bytes(b"x")
    sizes = (2000.0, 250.0, 500.0)
    take_plugin(monkeypatch, STACK, "TZYX", sizes=sizes, units=units)
    assert probe_image(tmp_path / "a.odd", reader="bioio").spacing_um_zyx == (None, 0.25, 0.5)


@with_bioio
def test_names_of_channels_are_taken(tmp_path, monkeypatch):
    (tmp_path / "a.odd").write_bytes(b"x")
    take_plugin(monkeypatch, STACK, "ZCYX", channel_names=["YoPro", "Abeta"])
    info = probe_image(tmp_path / "a.odd", reader="bioio")
    assert [channel.name for channel in info.channels] == ["YoPro", "Abeta"]


@with_bioio
def test_o07_another_axis_is_refused_until_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.odd").write_bytes(b"x")
    take_plugin(monkeypatch, STACK, "MZYX")
    with pytest.raises(SourceRefusedError, match="has an axis 'm'"):
        open_image(tmp_path / "a.odd", reader="bioio")
    with open_image(tmp_path / "a.odd", reader="bioio", axes="TZYX") as image:
        assert np.array_equal(image.levels[0][:, :, 0], STACK)


@with_bioio
def test_a_library_that_a_plug_in_lacks_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.odd").write_bytes(b"x")

    def lack(*_: object) -> None:
        raise ModuleNotFoundError(name="xmlschema")

    entry = SimpleNamespace(metadata=SimpleNamespace(get_reader=lambda: lack))
    monkeypatch.setattr("bioio.BioImage.determine_plugin", lambda *_, **__: entry)
    with pytest.raises(SourceRefusedError, match="a plug-in that needs xmlschema, which is not"):
        probe_image(tmp_path / "a.odd", reader="bioio")


def read_voxels(path: Path) -> np.ndarray:
    with open_image(path, reader="bioio") as image:
        return image.levels[0][...]


def cut_pixels(path: Path) -> None:
    tifffile.imwrite(path, np.ones((64, 64), "uint16"))
    path.write_bytes(path.read_bytes()[:-50])


def cut_head(path: Path) -> None:
    write_ome(path)
    path.write_bytes(path.read_bytes()[:400])


BROKEN = {
    "text.tif": (
        lambda path: path.write_text("no image"),
        "is read by none of the plug-ins of bioio",
    ),
    "text.odd": (
        lambda path: path.write_text("no image"),
        "is read by none of the plug-ins of bioio",
    ),
    "text.png": (
        lambda path: path.write_text("no image"),
        "is read by none of the plug-ins of bioio",
    ),
    "cut.ome.tif": (cut_head, "is damaged"),
    "cut.tif": (cut_pixels, "cannot be read|is damaged"),
    "empty.tif": (Path.touch, "is an empty file"),
    "folder.tif": (Path.mkdir, "is a directory, but bioio reads files"),
    "none.tif": (lambda _: None, "does not exist"),
}


@with_bioio
@pytest.mark.parametrize("name", BROKEN, ids=[f"o19-bioio-{name}" for name in BROKEN])
def test_what_bioio_cannot_read_is_told_in_one_line(tmp_path, capsys, name):
    write, says = BROKEN[name]
    write(tmp_path / name)
    with pytest.raises((SourceRefusedError, UnreadableVoxelsError), match=says) as refused:
        read_voxels(tmp_path / name)
    assert "\n" not in str(refused.value)
    assert main(["convert", "--reader", "bioio", str(tmp_path / name), f"{tmp_path}/o.ome.zarr"])
    shown = capsys.readouterr()
    [line] = (shown.out + shown.err).strip().splitlines()
    assert name in line
    assert not (tmp_path / "o.ome.zarr").exists()


@pytest.mark.parametrize("opened", [open_image, probe_image])
def test_o23_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch, opened):
    (tmp_path / "a.png").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(MissingExtraError) as missing:
        opened(tmp_path / "a.png", reader="bioio")
    assert "pip install 'spimpack_tasks[bioio]'" in str(missing.value)


def test_bioio_is_never_used_unasked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioio", None)
    write_imagej(tmp_path / "a.tif")
    with open_image(tmp_path / "a.tif") as image:
        assert np.array_equal(image.levels[0][...], STACK[None])
    imageio.imwrite(tmp_path / "a.png", PLANE)
    with pytest.raises(SourceRefusedError, match="of no known format"):
        open_image(tmp_path / "a.png")
    assert not set(READERS.values()) & set(FORMATS)


def test_another_reader_is_refused(tmp_path):
    write_imagej(tmp_path / "a.tif")
    with pytest.raises(SourceRefusedError, match="'aicsimageio' is not the name of a reader"):
        open_image(tmp_path / "a.tif", reader="aicsimageio")


def test_a_reader_makes_another_request():
    plain, chosen = Request(), Request(reader="bioio")
    assert "reader" not in plain.as_text()
    assert Request.from_text(chosen.as_text()) == chosen
    assert plain.identify_voxels("a", "1 2") != chosen.identify_voxels("a", "1 2")
