"""Mistakes in tiles and working folders: refused at once, and nothing of the user's is lost."""

import json
import math

import numpy as np
import pytest
import tifffile
import zarr
from oblique_scenes import ROOT, make_scene, sample_tile, tile_set

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.stitching.tile_files import write_tiles
from spimpack_tasks.stitching.tiles import Geometry

V = 1.8
STEP = V / ROOT
SHAPE = (24, 48, 16)
STAGE = [(0, 0, 0), (0, 32 * V, 0), (0, 0, 16 * STEP), (0, 32 * V, 16 * STEP)]


@pytest.fixture
def tiles(tmp_path):
    """Return a file of four tiles."""
    scene = make_scene((-20, -20, -20), (40, 170, 90), per_um3=1 / 4000, seed=3)
    paths = []
    for number, place in enumerate(STAGE):
        paths.append(tmp_path / f"tile{number}.tif")
        frames = sample_tile(scene, place, SHAPE, v_um=V, step_um=STEP, noise_seed=number)
        tifffile.imwrite(paths[-1], frames, metadata={"axes": "ZYX"}, imagej=True)
    path = tmp_path / "tiles.json"
    write_tiles(str(path), tile_set([SHAPE] * 4, STAGE, Geometry(V, STEP), paths=paths))
    return path


def edited(tiles, edit):
    data = json.loads(tiles.read_text())
    edit(data)
    tiles.write_text(json.dumps(data))
    return tiles


def run(tiles, *more):
    return main(["stitch", "volume", str(tiles), str(tiles.parent / "v.ome.zarr"), *map(str, more)])


def to_nanometres(data):
    for tile in data["tiles"]:
        tile["position_um_zyx"] = [1000 * um for um in tile["position_um_zyx"]]


def far_away(data):
    data["tiles"][1]["position_um_zyx"][0] = 1e14


def tiny_steps(data):
    data["geometry"]["step_um"] = 1e-9


@pytest.mark.parametrize("edit", [to_nanometres, far_away, tiny_steps])
def test_a_volume_of_next_to_nothing_is_refused(tiles, capsys, edit):
    """It would have millions of blocks, which were listed in memory."""
    assert run(edited(tiles, edit)) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "tiles fill less than 1 of 10000 voxels of the volume that holds them" in said
    assert "are places, pitch and step in micrometres?" in said
    assert sorted(path.name for path in tiles.parent.iterdir()) == [
        "tile0.tif", "tile1.tif", "tile2.tif", "tile3.tif", "tiles.json",
    ]  # fmt: skip


def test_wrong_values_of_tiles_are_refused_in_one_pass(tiles, capsys):
    def edit(data):
        first, second, third, fourth = data["tiles"]
        first["form"] = "JPEG"
        second |= {"path": "", "dtype": "complex64"}
        fourth["path"] = third["path"]
        data["geometry"]["rotate_90"] = True

    assert run(edited(tiles, edit)) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "geometry.rotate_90: True is not 0, 1, 2 or 3" in said
    assert "tiles[0].form: 'JPEG' is no format; those are " in said
    assert "tiles[1].path: is empty" in said
    assert "tiles[1].dtype: 'complex64' is no type of voxels" in said
    assert f"tiles[3].path: {str(tiles.parent / 'tile2.tif')!r} is tiles[2] already" in said


def test_tiles_that_do_not_overlap_are_told(tiles, capsys):
    def edit(data):
        for number, tile in enumerate(data["tiles"]):
            tile["position_um_zyx"] = [0, 120 * number, 0]

    assert run(edited(tiles, edit)) == ExitCode.OK
    said = capsys.readouterr().out
    assert "warning: no two tiles overlap; are their places in micrometres?" in said


@pytest.mark.parametrize("action", ["deskew", "deconvolve"])
def test_a_target_that_is_taken_is_refused_before_any_work(tiles, capsys, action):
    assert run(tiles, "--align", "stage") == ExitCode.OK
    target = tiles.parent / "taken.ome.zarr"
    target.mkdir()
    (target / "mine").write_text("mine")
    source = tiles if action == "deskew" else tiles.parent / "v.ome.zarr"
    more = ["--tile", "tile0"] if action == "deskew" else []
    assert main(["stitch", action, str(source), str(target), *more]) == ExitCode.CONFLICT
    assert "is there already, and is no stitched volume" in capsys.readouterr().err
    assert [path.name for path in target.iterdir()] == ["mine"]


def test_two_tiles_at_one_place_are_stitched(tiles, capsys):
    def edit(data):
        data["tiles"][1]["position_um_zyx"] = data["tiles"][0]["position_um_zyx"]

    assert run(edited(tiles, edit)) == ExitCode.OK
    assert "made " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), ("align.json", "align-spimstitch.json", "align.html")),
        (("--flat", "estimate"), ("flat.tif", "flat.json")),
    ],
    ids=["align", "flat"],
)
def test_files_of_the_user_in_a_working_folder_stay(tiles, capsys, arguments, names):
    work = tiles.parent / "work"
    work.mkdir()
    for name in names:
        (work / name).write_text("mine")
    assert run(tiles, "--work-dir", work, *arguments) == ExitCode.CONFLICT
    said = capsys.readouterr().err
    assert f"{work} holds {', '.join(names)}, which was not made here" in said
    assert {path.name: path.read_text() for path in work.iterdir()} == dict.fromkeys(names, "mine")


def test_a_flat_of_the_user_in_a_working_folder_of_ours_stays(tiles, capsys):
    work, flat = tiles.parent / "work", np.ones(SHAPE[1:], "f4")
    assert run(tiles, "--work-dir", work) == ExitCode.OK
    tifffile.imwrite(work / "flat.tif", flat)
    assert run(tiles, "--work-dir", work, "--flat", work / "flat.tif") == ExitCode.OK
    assert run(tiles, "--work-dir", work, "--flat", "estimate") == ExitCode.CONFLICT
    assert "holds flat.tif, which was not made here" in capsys.readouterr().err
    assert np.array_equal(tifffile.imread(work / "flat.tif"), flat)


def test_a_working_folder_in_a_tile_is_refused(tiles, capsys):
    planes = tiles.parent / "planes"
    planes.mkdir()
    for number, plane in enumerate(tifffile.imread(tiles.parent / "tile0.tif")):
        tifffile.imwrite(planes / f"{number:03}.tif", plane)
    before = sorted(planes.iterdir())
    edited(tiles, lambda data: data["tiles"][0].update(path="planes"))
    assert run(tiles, "--work-dir", planes) == ExitCode.BAD_INPUT
    assert "lies in the tile" in capsys.readouterr().err
    assert sorted(planes.iterdir()) == before
    assert run(tiles, "--work-dir", tiles) == ExitCode.BAD_INPUT
    assert f"{tiles} is no folder; choose another work_dir" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dtype", "change", "said"),
    [
        ("int16", lambda frames: frames.astype("i2") - 300, "pixels down to -"),
        ("float32", lambda frames: np.where(frames > 900, np.nan, frames), "that are no numbers"),
    ],
    ids=["negative", "not finite"],
)
def test_frames_out_of_which_no_stripes_can_be_taken_are_refused(
    tiles, caplog, dtype, change, said
):
    """Logarithms of negative counts made an empty volume of them."""
    for number in range(4):
        path = tiles.parent / f"tile{number}.tif"
        frames = change(tifffile.imread(path)).astype(dtype)
        tifffile.imwrite(path, frames, metadata={"axes": "ZYX"}, photometric="minisblack")
    edited(tiles, lambda data: [tile.update(dtype=dtype) for tile in data["tiles"]])
    assert run(tiles, "--destripe", "wavelet") == ExitCode.FAILED
    output = caplog.text
    assert f"{tiles.parent}/tile0.tif: frame " in output
    assert said in output
    assert "Traceback" not in output
    assert not (tiles.parent / "v.ome.zarr").exists()


def test_counts_below_zero_are_aligned(tiles, capsys):
    """A background that was subtracted leaves them."""
    for number in range(4):
        path = tiles.parent / f"tile{number}.tif"
        frames = tifffile.imread(path).astype("i2") - 1500
        tifffile.imwrite(path, frames, metadata={"axes": "ZYX"}, photometric="minisblack")
    edited(tiles, lambda data: [tile.update(dtype="int16") for tile in data["tiles"]])
    assert run(tiles) == ExitCode.OK
    assert "4 of 4 pairs measured" in capsys.readouterr().out
    voxels = zarr.open_group(tiles.parent / "v.ome.zarr", mode="r")["0"][:]
    assert voxels.min() == pytest.approx(-1300, abs=5 * math.sqrt(200))


def test_i19_23_corrected_frames_that_are_made_again_give_equal_bytes(tiles):
    """The volume told the times of the files in between, which no two runs share."""
    image, found = tiles.parent / "v.ome.zarr", []
    for folder in ("one", "two"):
        assert run(tiles, "--dark", 3, "--work-dir", tiles.parent / folder) == ExitCode.OK
        paths = sorted(path for path in image.rglob("*") if path.is_file())
        found.append([path.read_bytes() for path in paths])
        image.rename(tiles.parent / f"{folder}.ome.zarr")
    assert found[0] == found[1]


@pytest.mark.parametrize("rows", [30, 1])
@pytest.mark.parametrize("flat", ["estimate", "flat.tif"])
def test_a_flat_for_frames_of_two_sizes_is_refused(tiles, capsys, flat, rows):
    """A flat of one row would be taken for all rows of the others by numpy."""
    small = tiles.parent / "tile2.tif"
    frames = tifffile.imread(small)[:, :rows]
    tifffile.imwrite(small, frames, metadata={"axes": "ZYX"}, imagej=True)
    edited(tiles, lambda data: data["tiles"][2].update(shape_frc=[SHAPE[0], rows, SHAPE[2]]))
    tifffile.imwrite(tiles.parent / "flat.tif", np.ones(SHAPE[1:], "f4"))
    given = flat if flat == "estimate" else tiles.parent / flat
    assert run(tiles, "--flat", given) == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert "a flat needs frames of one size" in told
    assert f"tile2.tif has ({rows}, {SHAPE[2]})" in told
    assert not (tiles.parent / "v.ome.zarr").exists()
    assert not list(tiles.parent.glob("*.work"))
