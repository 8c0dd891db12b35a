"""Sixty TIFFs of the kinds that microscopes and programs write: read right, or refused.

The kinds are OME-TIFF (18), ImageJ (14), plain TIFF (6), pages of unknown meaning (3), axes that no
image of five has (9), a set that lacks a file (1), and broken files (9). Voxels are compared with
those that were written, sizes with micrometres worked out by hand.
"""

# Cases are one row each, so rows are long.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from ome_sets import Xml, binary_only, in_order, piece, stack, write

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.volumes.errors import SourceRefusedError

SIZES = {"T": 2, "Z": 3, "C": 2, "Y": 8, "X": 9}
UNKNOWN = (None, None, None)


def voxels_of(axes: str, dtype: str = "uint16", **sizes: int) -> np.ndarray:
    """Return voxels with the axes of a file, all of different values as far as the type goes."""
    shape = [(SIZES | sizes).get(axis, 2) for axis in axes]
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def as_tzcyx(voxels: np.ndarray, axes: str) -> np.ndarray:
    """Return voxels along t, z, c, y, x."""
    axes = axes.replace("S", "C")
    missing = [axis for axis in "TZCYX" if axis not in axes]
    whole = voxels.reshape([1] * len(missing) + list(voxels.shape))
    named = [*missing, *axes]
    return whole.transpose([named.index(axis) for axis in "TZCYX"])


@dataclass
class Ome:
    """An OME-TIFF that tifffile writes."""

    axes: str = "TZCYX"
    dtype: str = "uint16"
    facts: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    spacing_um_zyx: tuple[float | None, ...] = UNKNOWN
    time_step_s: float | None = None


def sized(x: float, y: float, z: float, *units: str) -> dict[str, Any]:
    """Return sizes along x, y and z, with their units if they are given."""
    facts: dict[str, Any] = {f"PhysicalSize{a}": n for a, n in zip("XYZ", (x, y, z), strict=True)}
    return facts | {f"PhysicalSize{a}Unit": u for a, u in zip("XYZ", units, strict=False)}


OMES = {
    "ome-zyx": Ome("ZYX"),
    "ome-yx": Ome("YX"),
    "ome-tyx": Ome("TYX"),
    "ome-cyx": Ome("CYX"),
    "ome-tzcyx": Ome("TZCYX"),
    "ome-czyx": Ome("CZYX"),
    "ome-8-bit": Ome("ZYX", "uint8"),
    "ome-signed": Ome("ZYX", "int16"),
    "ome-float": Ome("ZYX", "float32"),
    "ome-big-endian": Ome("ZYX", options={"byteorder": ">"}),
    "ome-bigtiff": Ome("ZYX", options={"bigtiff": True}),
    "ome-zlib": Ome("ZYX", options={"compression": "zlib"}),
    "ome-tiles": Ome("ZYX", options={"tile": (16, 16)}),
    "ome-um": Ome("ZYX", facts=sized(0.5, 0.75, 3, "µm", "µm", "µm"), spacing_um_zyx=(3, 0.75, 0.5)),
    "ome-nm": Ome("ZYX", facts=sized(325, 325, 2000, *["nm"] * 3), spacing_um_zyx=(2, 0.325, 0.325)),
    "ome-mm": Ome("ZYX", facts=sized(0.001, 0.002, 0.004, *["mm"] * 3), spacing_um_zyx=(4, 2, 1)),
    "ome-mixed": Ome("ZYX", facts=sized(500, 0.5, 0.002, "nm", "µm", "mm"), spacing_um_zyx=(2, 0.5, 0.5)),
    "ome-times": Ome("TYX", facts={"TimeIncrement": 250, "TimeIncrementUnit": "ms"}, time_step_s=0.25),
}  # fmt: skip


def write_ome(path: Path, one: Ome) -> np.ndarray:
    voxels = voxels_of(one.axes, one.dtype)
    outer = {k: v for k, v in one.options.items() if k in {"bigtiff", "byteorder"}}
    inner = {k: v for k, v in one.options.items() if k not in outer}
    with tifffile.TiffWriter(path, ome=True, **outer) as file:
        metadata = {"axes": one.axes, **one.facts}
        file.write(voxels, photometric="minisblack", metadata=metadata, **inner)
    return voxels


@pytest.mark.parametrize("name", OMES)
def test_ome_tiff(tmp_path: Path, name: str) -> None:
    one = OMES[name]
    voxels = write_ome(tmp_path / "a.ome.tif", one)
    with open_image(tmp_path / "a.ome.tif") as image:
        assert np.array_equal(image.levels[0][...], as_tzcyx(voxels, one.axes))
        assert image.info.dtype == one.dtype
        assert image.info.spacing_um_zyx == pytest.approx(one.spacing_um_zyx)
        assert image.info.time_step_s == one.time_step_s


@dataclass
class ImageJ:
    """An ImageJ hyperstack: 2 pixels for each unit along x, 4 along y, 3 units along z."""

    axes: str = "ZYX"
    unit: str = "um"
    spacing_um_zyx: tuple[float | None, ...] = (3, 0.25, 0.5)
    facts: dict[str, Any] = field(default_factory=dict)
    time_step_s: float | None = None
    dtype: str = "uint16"
    byteorder: str | None = None


IMAGEJS = {
    "imagej-zyx": ImageJ(),
    "imagej-tzcyx": ImageJ("TZCYX"),
    "imagej-zcyx": ImageJ("ZCYX"),
    "imagej-cyx": ImageJ("CYX", spacing_um_zyx=(None, 0.25, 0.5)),
    "imagej-times": ImageJ("TYX", facts={"finterval": 0.5}, time_step_s=0.5, spacing_um_zyx=(None, 0.25, 0.5)),
    "imagej-8-bit": ImageJ(dtype="uint8"),
    "imagej-float": ImageJ(dtype="float32"),
    "imagej-micron": ImageJ(unit="micron"),
    "imagej-nm": ImageJ(unit="nm", spacing_um_zyx=(0.003, 0.00025, 0.0005)),
    "imagej-mm": ImageJ(unit="mm", spacing_um_zyx=(3000, 250, 500)),
    "imagej-cm": ImageJ(unit="cm", spacing_um_zyx=(30_000, 2500, 5000)),
    "imagej-inch": ImageJ(unit="inch", spacing_um_zyx=(76_200, 6350, 12_700)),
    "imagej-pixel": ImageJ(unit="pixel", spacing_um_zyx=UNKNOWN),
    "imagej-big-endian": ImageJ(byteorder=">"),
}  # fmt: skip
RESOLUTION_UNITS = {"cm": "CENTIMETER", "inch": "INCH"}


@pytest.mark.parametrize("name", IMAGEJS)
def test_imagej(tmp_path: Path, name: str) -> None:
    one = IMAGEJS[name]
    voxels = voxels_of(one.axes, one.dtype)
    metadata = {"axes": one.axes, "unit": one.unit, "spacing": 3.0, **one.facts}
    tifffile.imwrite(
        tmp_path / "a.tif",
        voxels,
        imagej=True,
        byteorder=one.byteorder,
        resolution=(2, 4),
        resolutionunit=RESOLUTION_UNITS.get(one.unit, "NONE"),
        metadata=metadata,
    )
    with open_image(tmp_path / "a.tif") as image:
        assert np.array_equal(image.levels[0][...], as_tzcyx(voxels, one.axes))
        z, y, x = image.info.spacing_um_zyx
        has_depth = "Z" in one.axes
        assert (z if has_depth else None, y, x) == pytest.approx(one.spacing_um_zyx)
        assert image.info.time_step_s == one.time_step_s


CM = {"resolution": (5000, 2500), "resolutionunit": "CENTIMETER"}
PLAIN: dict[str, tuple[dict[str, Any], tuple[float | None, ...]]] = {
    "plain-nothing": ({}, UNKNOWN),
    "plain-72-dpi": ({"resolution": (72, 72), "resolutionunit": "INCH"}, UNKNOWN),
    "plain-no-unit": ({"resolution": (2, 2), "resolutionunit": "NONE"}, UNKNOWN),
    "plain-cm": (CM, (None, 4.0, 2.0)),
    "plain-cm-zlib": (CM | {"compression": "zlib"}, (None, 4.0, 2.0)),
    "plain-cm-tiles": (CM | {"tile": (16, 16)}, (None, 4.0, 2.0)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_tiff(tmp_path: Path, name: str) -> None:
    options, spacing = PLAIN[name]
    voxels = voxels_of("YX")
    tifffile.imwrite(tmp_path / "a.tif", voxels, metadata=None, **options)
    with open_image(tmp_path / "a.tif") as image:
        assert np.array_equal(image.levels[0][0, 0, 0], voxels)
        assert image.info.spacing_um_zyx == spacing


@pytest.mark.parametrize("axes", ["QYX", "IYX", "PYX"])
def test_o07_pages_of_unknown_meaning_are_refused_until_they_are_named(
    tmp_path: Path, axes: str
) -> None:
    voxels = voxels_of(axes)
    tifffile.imwrite(tmp_path / "a.tif", voxels, photometric="minisblack", metadata=None)
    with pytest.raises(SourceRefusedError, match="what its pages are"):
        open_image(tmp_path / "a.tif")
    with open_image(tmp_path / "a.tif", axes="ZYX") as image:
        assert np.array_equal(image.levels[0][0, :, 0], voxels)
        assert [(d.field, d.origin) for d in image.info.decisions] == [("axes", "user")]


@pytest.mark.parametrize("axis", list("AHRQMLPIE"))
def test_o07_an_axis_that_no_image_has_is_refused(tmp_path: Path, axis: str) -> None:
    voxels = voxels_of(f"{axis}ZYX")
    metadata = {"axes": f"{axis}ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", voxels, photometric="minisblack", metadata=metadata)
    with pytest.raises(SourceRefusedError):
        open_image(tmp_path / "a.tif")
    with open_image(tmp_path / "a.tif", axes="TZYX") as image:
        assert np.array_equal(image.levels[0][:, :, 0], voxels)


def test_o05_a_set_that_lacks_a_file_is_refused_by_its_name(tmp_path: Path) -> None:
    voxels = stack(2, 1, 3)
    pieces = "".join(piece(f"t{t}.ome.tif", FirstT=t, PlaneCount=3) for t in range(2))
    xml = Xml(voxels, tiff_data=pieces).text("t0.ome.tif")
    write(tmp_path / "t0.ome.tif", voxels[0, 0], xml)
    with pytest.raises(SourceRefusedError, match=r"t1\.ome\.tif"):
        open_image(tmp_path / "t0.ome.tif")


def cut(path: Path, part: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])


def write_cut_ome(path: Path, part: float, **options: Any) -> None:
    big = np.random.default_rng(0).integers(0, 4096, (8, 64, 64), "uint16")
    tifffile.imwrite(path, big, ome=True, metadata={"axes": "ZYX"}, **options)
    cut(path, part)


def write_cut_imagej(path: Path) -> None:
    big = np.random.default_rng(0).integers(0, 4096, (8, 64, 64), "uint16")
    tifffile.imwrite(path, big, imagej=True, metadata={"axes": "ZYX"})
    cut(path, 0.6)


BROKEN: dict[str, Callable[[Path], Any]] = {
    "cut-in-half.ome.tif": lambda path: write_cut_ome(path, 0.5),
    "cut-at-its-end.ome.tif": lambda path: write_cut_ome(path, 0.98),
    "cut-compressed.ome.tif": lambda path: write_cut_ome(path, 0.5, compression="zlib"),
    "cut-imagej.tif": write_cut_imagej,
    "empty.tif": lambda path: path.write_bytes(b""),
    "text.tif": lambda path: path.write_text("no image"),
    "no-ome-xml.ome.tif": lambda path: write(path, [voxels_of("YX")], ""),
    "bad-xml.ome.tif": lambda path: write(path, [voxels_of("YX")], "<OME><Image></OME>"),
    "no-companion.ome.tif": lambda path: write(
        path, [voxels_of("YX")], binary_only("lost.companion.ome", path.name)
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_o19_a_broken_file_is_refused(tmp_path: Path, name: str) -> None:
    BROKEN[name](tmp_path / name)
    with pytest.raises((SourceRefusedError, OSError)), open_image(tmp_path / name) as image:
        np.asarray(image.levels[0][...])


def test_the_corpus_has_sixty_files() -> None:
    counts = len(OMES), len(IMAGEJS), len(PLAIN), 3, 9, 1, len(BROKEN)
    assert counts == (18, 14, 6, 3, 9, 1, 9)


ORDERS = ["XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC"]


@pytest.mark.parametrize("order", ORDERS)
def test_o03_planes_in_any_order(tmp_path: Path, order: str) -> None:
    voxels = stack(2, 2, 3)
    xml = Xml(voxels, order=order, tiff_data=piece()).text("a.ome.tif")
    write(tmp_path / "a.ome.tif", in_order(voxels, order), xml)
    assert probe_image(tmp_path / "a.ome.tif").shape == (2, 3, 2, *voxels.shape[3:])
    with open_image(tmp_path / "a.ome.tif") as image:
        assert np.array_equal(image.levels[0][...], voxels.transpose(0, 2, 1, 3, 4))
