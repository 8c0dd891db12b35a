"""Documents of BigStitcher: read, written, and equal to matrices of BIDS and NGFF."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from dcimg_files import compose_frames, write_dcimg
from plane_sources import write_zarr
from test_tile_layouts import places, told

from spimpack_tasks.stitching.chunk_transforms import tile_matrix
from spimpack_tasks.stitching.discovery.bigstitcher_writing import write_document, write_shifted
from spimpack_tasks.stitching.discovery.found import TileChoices
from spimpack_tasks.stitching.discovery.layouts import discover_tiles
from spimpack_tasks.stitching.placing import place_alone
from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<SpimData version="0.2">
  <BasePath type="relative">.</BasePath>
  <SequenceDescription>
    {loader}
    <ViewSetups>
      {setups}
      <Attributes name="channel">
        <Channel><id>0</id><name>488</name></Channel><Channel><id>1</id><name>561</name></Channel>
      </Attributes>
    </ViewSetups>
    <Timepoints type="pattern"><integerpattern>0</integerpattern></Timepoints>
    <MissingViews><MissingView timepoint="0" setup="9" /></MissingViews>
  </SequenceDescription>
  <ViewRegistrations>
    {views}
  </ViewRegistrations>
</SpimData>
"""
SETUP = (
    "<ViewSetup><id>{n}</id><name>tile</name><size>6 8 5</size><voxelSize><unit>{unit}</unit>"
    "<size>{size}</size></voxelSize><attributes><illumination>0</illumination>"
    "<channel>{channel}</channel><tile>{tile}</tile><angle>0</angle></attributes></ViewSetup>"
)
VIEW = '<ViewRegistration timepoint="0" setup="{n}">{transforms}</ViewRegistration>'
TRANSFORM = (
    '<ViewTransform type="affine"><Name>{name}</Name><affine>{numbers}</affine></ViewTransform>'
)
ZARR = (
    '<ImageLoader format="bdv.multimg.zarr" version="3.0"><zarr type="relative">all.ome.zarr</zarr>'
    "<zgroups>{groups}</zgroups></ImageLoader>"
)
GROUP = '<zgroup setup="{n}" tp="0" path="s{n}-t0.zarr" indicies="[0, 0]" />'
CALIBRATION = "1 0 0 0 0 1 0 0 0 0 4 0"


def shift(x, y, z):
    return f"1 0 0 {x} 0 1 0 {y} 0 0 1 {z}"


def write_views(
    root: Path, shifts, *, unit="um", size="0.5 0.5 2.0", calibration=CALIBRATION, channels=(0,)
) -> Path:
    """Write a document of tiles at shifts in pixels of x, of which each has several channels."""
    setups, views, groups = [], [], []
    for n, (tile, channel) in enumerate((t, c) for c in channels for t in range(len(shifts))):
        write_zarr(root / f"all.ome.zarr/s{n}-t0.zarr", compose_frames(5, 8, 6)[None, None])
        setups.append(SETUP.format(n=n, unit=unit, size=size, channel=channel, tile=tile))
        transforms = [("Stitching", shift(0.5, 0, 0)), ("grid", shift(*shifts[tile]))]
        transforms.append(("calibration", calibration))
        joined = "".join(TRANSFORM.format(name=a, numbers=b) for a, b in transforms)
        views.append(VIEW.format(n=n, transforms=joined))
        groups.append(GROUP.format(n=n))
    texts = {"setups": "\n".join(setups), "views": "\n".join(views)}
    loader = ZARR.format(groups="".join(groups))
    path = root / "dataset.xml"
    path.write_text(DOCUMENT.format(loader=loader, **texts))
    return path


def test_places_are_products_of_the_transformations(tmp_path):
    path = write_views(tmp_path, [(0, 0, 0), (100, -20, 8)])
    tiles = discover_tiles(str(path))
    # One unit is a pixel along x, of 0.5 µm.
    assert places(tiles) == {"setup-0": (0.0, 0.0, 0.25), "setup-1": (4.0, -10.0, 50.25)}
    assert tiles.geometry == Geometry(0.5, 2.0, None)
    assert [tile.form for tile in tiles.tiles] == ["OME-Zarr", "OME-Zarr"]


@pytest.mark.parametrize(
    ("unit", "size"), [("mm", "0.0005 0.0005 0.002"), ("nm", "500 500 2000"), ("µm", "0.5 0.5 2")]
)
def test_units_of_voxels(tmp_path, unit, size):
    path = write_views(tmp_path, [(0, 0, 0), (100, -20, 8)], unit=unit, size=size)
    assert places(discover_tiles(str(path)))["setup-1"] == pytest.approx((4.0, -10.0, 50.25))


def test_a_calibration_in_micrometres(tmp_path):
    calibration = "0.5 0 0 0 0 0.5 0 0 0 0 2 0"
    path = write_views(tmp_path, [(0, 0, 0), (100, -20, 8)], calibration=calibration)
    assert places(discover_tiles(str(path)))["setup-1"] == (8.0, -20.0, 100.5)


def test_channels(tmp_path):
    path = write_views(tmp_path, [(0, 0, 0), (9, 0, 0)], channels=(0, 1))
    [line] = told(path)
    assert "holds several channels; choose one; there are 488, 561" in line
    assert list(places(discover_tiles(str(path), TileChoices(channel="561")))) == [
        "setup-2", "setup-3",
    ]  # fmt: skip


BAD = {
    "turned": (shift(9, 0, 0), "0.9 0.1 0 0 -0.1 0.9 0 0 0 0 1 0", "does more than to shift"),
    "eleven": (shift(9, 0, 0), "1 0 0 0 0 1 0 0 0 0 1", "is not 12 numbers"),
    "text": (shift(9, 0, 0), "1 0 0 far 0 1 0 0 0 0 1 0", "could not convert"),
    "not affine": ('type="affine"', 'type="spline"', "is of type 'spline'; affine ones are read"),
    "unit": ("<unit>um</unit>", "<unit>pixel</unit>", "the unit of voxels is no length"),
    "strange unit": ("<unit>um</unit>", "<unit>furlong</unit>", "not a known unit of length"),
    "voxels": ("0.5 0.5 2.0", "0.5 0.5 9.0", "voxels of 0.5 x 0.5 x 9 µm contradict"),
    "loader": ("bdv.multimg.zarr", "bdv.hdf5", "stored by 'bdv.hdf5', which is not read"),
    "indices": ('indicies="[0, 0]"', 'indicies="[0]"', "is not 2 numbers"),
    "no image": ("s1-t0.zarr", "s7-t0.zarr", "does not exist"),
}


@pytest.mark.parametrize(("old", "new", "wanted"), BAD.values(), ids=BAD)
def test_mistakes_have_their_lines(tmp_path, old, new, wanted):
    path = write_views(tmp_path, [(0, 0, 0), (9, 0, 0)])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    lines = told(path)
    assert any(wanted in line and line.startswith("dataset.xml:") for line in lines), lines
    assert not any(line.startswith("dataset.xml: ") for line in lines), "a line is missing"


GEOMETRIES = [
    Geometry(1.8, 1.28, 45.0, rotate_90=turns, flip_ud=flips)
    for turns in range(4)
    for flips in (False, True)
] + [Geometry(0.65, 2.0, None), Geometry(0.65, 2.0, None, rotate_90=1), Geometry(1.1, 1.0, 120.0)]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_i19_22_tiles_are_written_and_read_without_loss(tmp_path, geometry):
    rng = np.random.default_rng(3)
    found = []
    for n in range(3):
        path = write_dcimg(tmp_path / f"raw {n}.dcimg", compose_frames(5, 8, 6))
        place = tuple(float(v) for v in rng.uniform(-1e4, 1e4, 3))
        found.append(Tile(f"t{n}", str(path), place, (5, 8, 6), "uint16", "DCIMG"))
    tiles = TileSet(geometry, tuple(found))
    positions = [tuple(p + 0.123 for p in tile.position_um_zyx) for tile in found]
    target = tmp_path / "out.xml"
    write_document(str(target), tiles, positions)
    again = discover_tiles(str(target))
    assert [tile.path for tile in again.tiles] == [tile.path for tile in found]
    for tile, position in zip(again.tiles, positions, strict=True):
        assert tile.position_um_zyx == pytest.approx(position, abs=1e-6)
    same = again.geometry
    assert (same.pitch_um, same.step_um) == pytest.approx((geometry.pitch_um, geometry.step_um))
    assert (same.angle_deg or 0) == pytest.approx(geometry.angle_deg or 0)
    assert (same.rotate_90, same.flip_ud) == (geometry.rotate_90, geometry.flip_ud)
    with pytest.raises(FileExistsError):
        write_document(str(target), tiles, positions)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_i19_22_the_matrix_of_each_view_is_that_of_its_pixels(tmp_path, geometry):
    """A pixel of the file, turned by numpy, lies where the formula of the sheet says."""
    path = write_dcimg(tmp_path / "a.dcimg", compose_frames(5, 8, 6))
    place = (7.0, -5.0, 3.0)
    tile = Tile("a", str(path), place, (5, 8, 6), "uint16")
    target = tmp_path / "out.xml"
    write_document(str(target), TileSet(geometry, (tile,)), [place])
    root = ET.parse(target).getroot()
    whole = np.eye(4)
    for element in root.iterfind(".//ViewTransform/affine"):
        whole = whole @ np.array([*map(float, element.text.split()), 0, 0, 0, 1]).reshape(4, 4)
    labels = np.arange(48).reshape(8, 6)
    turned = np.rot90(labels, geometry.rotate_90)
    turned = turned[::-1] if geometry.flip_ud else turned
    for frame, row, column in ((0, 0, 0), (4, 2, 5), (3, 5, 1)):
        [[y, x]] = np.argwhere(labels == turned[row, column])
        angle = math.radians(geometry.angle_deg or 0)
        pitch, step = geometry.pitch_um, geometry.step_um
        wanted = (column * pitch, row * pitch, frame * step)
        if geometry.angle_deg is not None:
            along, down = column * pitch * math.cos(angle), column * pitch * math.sin(angle)
            wanted = (frame * step + along, row * pitch, down)
        wanted = np.add(wanted, (3.0, -5.0, 7.0))
        found = whole @ (x, y, frame, 1) * pitch  # one unit is a pixel
        assert found[:3] == pytest.approx(wanted, abs=1e-9)


def test_i19_22_a_document_is_shifted_and_keeps_the_rest(tmp_path):
    path = write_views(tmp_path, [(0, 0, 0), (100, -20, 8)], channels=(0, 1))
    before = path.read_bytes()
    tiles = discover_tiles(str(path), TileChoices(channel="488"))
    positions = [(0.0, 0.0, 0.25), (4.125, -10.3, 51.0)]
    target = tmp_path / "stitched.xml"
    write_shifted(str(target), str(path), tiles, positions)
    assert path.read_bytes() == before
    for channel in ("488", "561"):
        again = discover_tiles(str(target), TileChoices(channel=channel))
        for tile, position in zip(again.tiles, positions, strict=True):
            assert tile.position_um_zyx == pytest.approx(position, abs=1e-6)
    assert target.read_text().count("<Name>grid</Name>") == 4
    with pytest.raises(FileExistsError):
        write_shifted(str(target), str(path), tiles, positions)


def test_i19_22_matrix_ngff_and_document_agree(tmp_path):
    path = write_views(tmp_path, [(0, 0, 0), (100.3, -20, 8)])
    tiles = discover_tiles(str(path))
    for number, tile in enumerate(tiles.tiles):
        matrix = np.array(tile_matrix(tiles, number))
        canvas = place_alone(tiles, number)
        assert matrix[:3, 3] == pytest.approx(tile.position_um_zyx, abs=1e-6)
        assert matrix[:3, 3] == pytest.approx(canvas.origin_um_zyx, abs=1e-6)
        assert np.diag(matrix)[:3] == pytest.approx((2.0, 0.5, 0.5))
    moved = replace(tiles.tiles[0], position_um_zyx=(1.0, 2.0, 3.0))
    assert np.array(tile_matrix(replace(tiles, tiles=(moved,)), 0))[:3, 3].tolist() == [1, 2, 3]
