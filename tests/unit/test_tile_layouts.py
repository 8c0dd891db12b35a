"""Tiles of every layout: places in µm, geometry, channels, and all mistakes at once."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from dcimg_files import Dcimg, write_dcimg
from tile_trees import (
    METADATA,
    STAGE,
    frames,
    write_mesospim,
    write_smartspim,
    write_stage_tree,
    write_table,
    write_terastitcher,
)

from spimpack_tasks.errors import InputError
from spimpack_tasks.stitching.discovery.found import TileChoices
from spimpack_tasks.stitching.discovery.layouts import LAYOUTS, discover_tiles, find_layout
from spimpack_tasks.stitching.frames import OpenTiles
from spimpack_tasks.stitching.tiles import Geometry

TILE_CODES = {"tiles.layout", "tiles.place", "tiles.image", "tiles.geometry"}
"""Codes of problems that are told in this file."""


def told(path: Path, choices: TileChoices | None = None) -> list[str]:
    """Return the problems as lines, without the folder of the test."""
    with pytest.raises(InputError) as refused:
        discover_tiles(str(path), choices)
    base = f"{path if path.is_dir() else path.parent}/"
    return [str(problem).replace(base, "") for problem in refused.value.report.sorted()]


def places(tiles) -> dict[str, tuple[float, ...]]:
    return {tile.name: tile.position_um_zyx for tile in tiles.tiles}


def test_i19_02_s12_a_stage_tree(tmp_path):
    tiles = discover_tiles(str(write_stage_tree(tmp_path)))
    # The stage falls along y while rows rise, by the file of metadata.
    assert places(tiles) == {
        "000000/000000_-12000/000000": (0.0, 1200.0, 0.0),
        "000000/000000_-12000/003500": (350.0, 1200.0, 0.0),
        "000000/000000_000000/000000": (0.0, 0.0, 0.0),
        "020000/020000_000000/000000": (0.0, 0.0, 2000.0),
    }
    assert tiles.geometry == Geometry(3.226, 2.281, 45.0, rotate_90=3, flip_ud=True)
    assert {(t.shape_frc, t.dtype, t.form) for t in tiles.tiles} == {((5, 8, 6), "uint16", "DCIMG")}
    with OpenTiles(tiles) as stacks:
        numbers = [list(STAGE.values()).index(tile.name) for tile in tiles.tiles]
        for n, number in enumerate(numbers):
            stack = stacks.need([n])[n]
            turned = np.rot90(frames(number), 3, axes=(1, 2))[:, ::-1]
            assert np.array_equal(stack.read((slice(0, 5), slice(0, 6), slice(0, 8))), turned)


def test_i19_02_the_folder_of_a_channel(tmp_path):
    write_stage_tree(tmp_path)
    tiles = discover_tiles(f"{tmp_path}/Ex_488_Em_1/")
    assert len(tiles.tiles) == 4
    assert tiles.geometry.flip_ud


@pytest.mark.parametrize(("channel", "flips"), [("Ex_488_Em_1", True), ("Ex_642_Em_2", False)])
def test_i19_02_rows_are_turned_round_by_channel(tmp_path, channel, flips):
    write_stage_tree(tmp_path, "Ex_488_Em_1")
    write_stage_tree(tmp_path, "Ex_642_Em_2")
    [line] = told(tmp_path)
    assert "holds several channels; choose one; there are Ex_488_Em_1, Ex_642_Em_2" in line
    [line] = told(tmp_path, TileChoices(channel="Ex_561"))
    assert "has no channel 'Ex_561'" in line
    tiles = discover_tiles(str(tmp_path), TileChoices(channel=channel))
    assert tiles.geometry.flip_ud is flips


def test_i19_02_what_a_user_says_counts_more(tmp_path):
    write_stage_tree(tmp_path, metadata="no metadata")
    choices = TileChoices(
        pitch_um=1.8, step_um=1.28, flip_ud=False, rotate_90=1, reversed_axes="x", z_pitch_um=99
    )
    tiles = discover_tiles(str(tmp_path), choices)
    assert tiles.geometry == Geometry(1.8, 1.28, 45.0, rotate_90=1)
    assert sorted(places(tiles).values()) == [
        (0.0, -1200.0, 0.0),
        (0.0, 0.0, -2000.0),
        (0.0, 0.0, 0.0),
        (99.0, -1200.0, 0.0),
    ]


def test_i19_02_nothing_is_guessed_without_metadata(tmp_path):
    write_stage_tree(tmp_path)
    (tmp_path / "metadata.txt").unlink()
    lines = told(tmp_path)
    keys = [line.partition("metadata.txt: ")[2].partition(":")[0] for line in lines]
    assert keys == ["flip_ud", "pitch_um", "reversed_axes", "step_um"]
    assert all(line.endswith("[tiles.geometry]") for line in lines)


def test_i19_02_mistakes_in_the_metadata_have_their_lines(tmp_path):
    write_stage_tree(tmp_path, metadata=METADATA.replace("v2.1", "v7").replace("3.226", "x"))
    lines = told(tmp_path)
    assert [line.partition(" ")[0] for line in lines] == ["metadata.txt:1:", "metadata.txt:2:"]
    assert "is of version 'v7'" in lines[0]
    assert "'x' for 'um/pix'" in lines[1]


def test_i19_02_all_sizes_that_differ_are_in_one_report(tmp_path):
    write_stage_tree(tmp_path)
    channel = tmp_path / "Ex_488_Em_1"
    first = channel / f"{STAGE[0, -12000, 0]}.dcimg"
    write_dcimg(first, frames()[:4])
    second = channel / f"{STAGE[20000, 0, 0]}.dcimg"
    second.write_bytes(second.read_bytes()[:-1])
    lines = told(tmp_path)
    assert len(lines) == 2
    assert "has 4 frames of 8 x 6 pixels of uint16, but 2 of 3 tiles have 5 frames" in lines[0]
    size = second.stat().st_size
    assert f"it has {size:,} bytes of {size + 1:,}" in lines[1]
    write_dcimg(second, frames())
    tiles = discover_tiles(str(tmp_path), TileChoices(sizes_may_differ=True))
    assert sorted(tile.shape_frc[0] for tile in tiles.tiles) == [4, 5, 5, 5]


def test_i19_02_types_may_never_differ(tmp_path):
    write_stage_tree(tmp_path)
    other = tmp_path / "Ex_488_Em_1" / f"{STAGE[0, 0, 0]}.dcimg"
    write_dcimg(other, frames().astype("u1"), Dcimg(dtype="uint8"))
    [line] = told(tmp_path, TileChoices(sizes_may_differ=True))
    assert "pixels of uint8, but 3 of 4 tiles have" in line


def test_i19_02_a_tile_in_the_wrong_folder(tmp_path):
    write_stage_tree(tmp_path)
    channel = tmp_path / "Ex_488_Em_1"
    os.rename(channel / "020000/020000_000000", channel / "000000/020000_000000")
    [line] = told(tmp_path)
    assert "lies in the folder 000000, but its own x is 020000" in line


def test_i19_02_two_tiles_at_one_place(tmp_path):
    write_stage_tree(tmp_path)
    column = tmp_path / "Ex_488_Em_1/000000/000000_000000"
    (column / "0.dcimg").write_bytes((column / "000000.dcimg").read_bytes())
    [line] = told(tmp_path)
    assert "000000/000000_000000/000000 lies at the same place as 000000/000000_000000/0" in line


def test_i19_02_planes_of_a_tile_in_a_folder(tmp_path):
    folder = tmp_path / "ch/000000/000000_000000/-00100"
    folder.mkdir(parents=True)
    for n, plane in enumerate(frames()):
        tifffile.imwrite(folder / f"img_{n:05}.tif", plane)
    choices = TileChoices(pitch_um=2, step_um=1, flip_ud=False, reversed_axes="")
    [tile] = discover_tiles(str(tmp_path), choices).tiles
    assert tile.position_um_zyx == (-10.0, 0.0, 0.0)
    assert (tile.shape_frc, tile.form) == ((5, 8, 6), "folder of planes")


def test_smartspim(tmp_path):
    tiles = discover_tiles(str(write_smartspim(tmp_path)))
    assert places(tiles) == {
        "-03600/-03600_000000": (100.0, 0.0, -360.0),
        "000000/000000_000000": (100.0, 0.0, 0.0),
        "000000/000000_005120": (100.0, 512.0, 0.0),
    }
    assert tiles.geometry == Geometry(1.8, 2.0, None)
    (tmp_path / "metadata.txt").unlink()
    assert len(told(tmp_path)) == 2
    chosen = TileChoices(pitch_um=1.8, step_um=4)
    assert discover_tiles(str(tmp_path), chosen).geometry == Geometry(1.8, 4.0, None)


def test_mesospim(tmp_path):
    write_mesospim(tmp_path)
    [line] = told(tmp_path)
    assert "holds several channels; choose one; there are Ch488, Ch561" in line
    tiles = discover_tiles(str(tmp_path), TileChoices(channel="Ch561"))
    # The stage falls along x and y, and along z from plane to plane.
    assert list(places(tiles).values()) == [
        (-100.0, -2000.0, -1000.0),
        (-100.0, -2000.0, 500.0),
        (-100.0, -700.5, -1000.0),
    ]
    assert all("_Ch561_" in tile.path for tile in tiles.tiles)
    assert tiles.geometry == Geometry(6.55, 5.0, None)
    chosen = TileChoices(channel="561", reversed_axes="")
    assert discover_tiles(str(tmp_path), chosen).tiles[1].position_um_zyx == (-100, 2000, -500)


def test_mesospim_tiles_of_other_settings(tmp_path):
    write_mesospim(tmp_path)
    name = "brain_Mag1x_Tile1_Ch488_Sh0_Rot0.tiff_meta.txt"
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text.replace("6.55", "5.26").replace("[z_end] 80", "[z_end] 120"))
    other = "brain_Mag1x_Tile2_Ch488_Sh0_Rot0.tiff_meta.txt"
    (tmp_path / other).write_text(text.replace("[y_pos] 2000", "[y_pos] -"))
    lines = told(tmp_path, TileChoices(channel="488"))
    assert "has pixels of 5.26 µm, steps 5.0 µm towards larger z, but" in lines[0]
    assert "tells no place in µm for y_pos" in lines[1]


def test_terastitcher(tmp_path):
    path = write_terastitcher(tmp_path)
    lines = told(path)
    assert [line.partition(": ")[0] for line in lines] == ["import.xml:11", "import.xml:12"]
    assert all("has 2 channels (0, 1); choose one" in line for line in lines)
    tiles = discover_tiles(str(path), TileChoices(channel="1"))
    assert places(tiles) == {"a_F000": (0.0, 0.0, 0.0), "a_F001": (-5.0, 2.4, 300.0)}
    assert {tile.channel_index for tile in tiles.tiles} == {1}
    assert tiles.geometry == Geometry(0.6, 2.5, None)
    with OpenTiles(tiles) as stacks:
        box = stacks.need([0])[0].read((slice(0, 5), slice(0, 8), slice(0, 6)))
        assert np.array_equal(box, frames(9))


BAD_TERASTITCHER = {
    "negative": ('H="0.6"', 'H="-0.6"', "import.xml:6: voxel_dims: H is -0.6 µm; of a negative"),
    "oblong": ('H="0.6"', 'H="0.7"', "import.xml:6: voxel_dims: pixels are 0.6 x 0.7 µm (V, H)"),
    "text": ('ABS_H="500"', 'ABS_H="far"', "import.xml:12: ABS_H: 'far' of ABS_H is not a number"),
    "no file": ("a_F001.ims", "b.ims", "import.xml:12: there is neither"),
    "no xml": ("</STACKS>", "", "import.xml: is not well-formed XML"),
    "entities": (
        'SYSTEM "TeraStitcher.DTD">', '[<!ENTITY a "b">]>', "import.xml: declares a document type",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "wanted"), BAD_TERASTITCHER.values(), ids=BAD_TERASTITCHER)
def test_terastitcher_mistakes(tmp_path, old, new, wanted):
    path = write_terastitcher(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    lines = told(path, TileChoices(channel="1"))
    assert any(line.startswith(wanted) for line in lines), lines


def test_a_table_of_tiles(tmp_path):
    path = write_table(tmp_path)
    chosen = TileChoices(pitch_um=1.5, step_um=2)
    tiles = discover_tiles(str(path), chosen)
    assert places(tiles) == {"raw/a": (0.0, 0.0, 0.0), "raw/b": (0.25, 1000.0, -4.5)}
    assert [tile.form for tile in tiles.tiles] == ["DCIMG", "NIfTI"]
    assert tiles.geometry == Geometry(1.5, 2.0, None)
    chosen = TileChoices(pitch_um=1.5, step_um=2, angle_deg=45.0, reversed_axes="yz")
    tiles = discover_tiles(str(path), chosen)
    assert tiles.geometry == Geometry(1.5, 2.0, 45.0)
    assert tiles.tiles[1].position_um_zyx == (-0.25, -1000.0, -4.5)


def test_a_table_with_commas_and_all_columns(tmp_path):
    write_table(tmp_path)
    path = tmp_path / "tiles.csv"
    path.write_text(
        "name,path,x,y,z,format,time,channel\n"
        f"left,{tmp_path}/raw/a.dcimg,0,0,0,DCIMG,,\nright,raw/a.dcimg,1,0,0,,0,0\n"
    )
    tiles = discover_tiles(str(path), TileChoices(pitch_um=1, step_um=1))
    assert [tile.name for tile in tiles.tiles] == ["left", "right"]


def test_a_table_with_mistakes_tells_all_of_them(tmp_path):
    text = (
        "path\tx\ty\tz\tformat\ttime\tcolour\n"
        "raw/a.dcimg\tfar\t\tnan\t\t\t\n"
        "\t0\t0\t0\t\t\t\n"
        "raw/a.dcimg\t1\t0\t0\tXYZ\t-1\t\n"
        "raw/none.dcimg\t2\t0\t0\t\t\t\n"
    )
    lines = told(write_table(tmp_path, text))
    starts = [
        "tiles.tsv:1:24: colour: is no column of a table of tiles",
        "tiles.tsv:2:13: x: 'far' is not a place in µm",
        "tiles.tsv:2:17: y: '' is not a place in µm",
        "tiles.tsv:2:18: z: 'nan' is not a place in µm",
        "tiles.tsv:3:1: path: is empty",
        "tiles.tsv:4:19: format: 'XYZ' is no format",
        "tiles.tsv:4:23: time: '-1' is not a number from 0 on",
        "tiles.tsv:5:1: 'raw/none.dcimg'",
    ]
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


def test_a_table_without_places(tmp_path):
    lines = told(write_table(tmp_path, "path\tx\nraw/a.dcimg\t0\n"))
    assert [line.split(": ")[1] for line in lines] == ["y", "z"]


def test_the_layout_is_found_or_chosen(tmp_path):
    write_stage_tree(tmp_path / "tree")
    write_smartspim(tmp_path / "smart")
    write_mesospim(tmp_path / "meso")
    fits = {
        "stage-tree": tmp_path / "tree",
        "smartspim": tmp_path / "smart",
        "mesospim": tmp_path / "meso",
        "terastitcher": write_terastitcher(tmp_path / "tera"),
        "table": write_table(tmp_path / "table"),
    }
    for name, path in fits.items():
        assert find_layout(str(path)).name == name
        assert [layout.name for layout in LAYOUTS if layout.fits(str(path))] == [name]
    (tmp_path / "empty").mkdir()
    [line] = told(tmp_path / "empty")
    assert "holds no tiles in a layout that is known; known are terastitcher, bigstitcher" in line
    [line] = told(tmp_path / "tree", TileChoices(layout="stagetree"))
    assert "'stagetree' is no layout of tiles; did you mean 'stage-tree'?" in line
    assert math.isclose(discover_tiles(str(tmp_path / "tree")).geometry.shear_um, 3.226 / 2**0.5)


def test_sources_are_not_touched(tmp_path):
    write_stage_tree(tmp_path)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}
    discover_tiles(str(tmp_path))
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")} == before
