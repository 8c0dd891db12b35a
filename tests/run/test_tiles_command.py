"""`spimpack tiles`: from a recording to the file of tiles, by options, variables and layouts."""

from __future__ import annotations

import json

import pytest
from tile_trees import write_stage_tree, write_table

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.stitching.tile_files import read_tiles


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("X_STEP_SIZE", "Y_VOXEL_SIZE", "NEGATIVE_Y", "FLIP_Y_SWITCH", "Z_OFFSET"):
        monkeypatch.delenv(name, raising=False)


def test_i19_02_tiles_are_written_and_printed(tmp_path, capsys):
    write_stage_tree(tmp_path / "rec")
    assert main(["tiles", "rec", "tiles.json"]) == ExitCode.OK
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        "sheet at 45°: pixels of 3.226 µm, steps of 2.281 µm, turned by 270°, rows reversed"
    )
    assert len(printed) == 6
    assert printed[-1] == "Wrote tiles.json with 4 tiles"
    tiles = read_tiles("tiles.json")
    assert sorted(tile.position_um_zyx for tile in tiles.tiles) == [
        (0.0, 0.0, 0.0), (0.0, 0.0, 2000.0), (0.0, 1200.0, 0.0), (350.0, 1200.0, 0.0),
    ]  # fmt: skip
    assert tiles.geometry.rotate_90 == 3
    assert all(tile.path.startswith(str(tmp_path)) for tile in tiles.tiles)


def test_a_file_that_is_there_stays(tmp_path, capsys):
    write_stage_tree(tmp_path / "rec")
    (tmp_path / "tiles.json").write_text("mine")
    assert main(["tiles", "rec", "tiles.json"]) == ExitCode.CONFLICT
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "tiles.json").read_text() == "mine"


def test_all_mistakes_are_printed_and_nothing_is_written(tmp_path, capsys):
    write_table(tmp_path / "t", "path\tx\ty\tz\nraw/a.dcimg\t?\t0\t0\nnone.tif\t0\t0\t0\n")
    assert main(["tiles", "t/tiles.tsv", "tiles.json"]) == ExitCode.BAD_INPUT
    text = capsys.readouterr().err
    assert "tiles.tsv:2:13: x: '?' is not a place in µm" in text
    assert "tiles.tsv:3:1: " in text
    assert not (tmp_path / "tiles.json").exists()
    assert main(["tiles", "t/tiles.tsv", "tiles.txt"]) == ExitCode.BAD_INPUT
    assert main(["tiles", "nothing", "tiles.json"]) == ExitCode.BAD_INPUT


def test_options_count_more_than_files(tmp_path):
    write_stage_tree(tmp_path / "rec")
    options = ["--pitch", "1.8", "--step", "1.28", "--angle", "40", "--rotate-90", "0"]
    options += ["--flip-ud", "no", "--reversed", "none", "--z-pitch", "100"]
    assert main(["tiles", "rec", "tiles.json", *options]) == ExitCode.OK
    told = json.loads((tmp_path / "tiles.json").read_text())
    assert told["geometry"] == {
        "pitch_um": 1.8, "step_um": 1.28, "angle_deg": 40.0, "rotate_90": 0, "flip_ud": False,
    }  # fmt: skip
    assert sorted({tile["position_um_zyx"][0] for tile in told["tiles"]}) == [0, 100]


def test_planes_across_z(tmp_path):
    write_table(tmp_path / "t")
    options = ["--pitch", "1", "--step", "2", "--angle", "none"]
    assert main(["tiles", "t/tiles.tsv", "tiles.json", *options]) == ExitCode.OK
    assert read_tiles("tiles.json").geometry.angle_deg is None


def test_variables_of_spimstitch(tmp_path, monkeypatch, capsys):
    write_stage_tree(tmp_path / "rec")
    (tmp_path / "rec/metadata.txt").unlink()
    variables = {"X_STEP_SIZE": "1.28", "Y_VOXEL_SIZE": "1.8", "Z_OFFSET": "2000"}
    variables |= {"NEGATIVE_Y": "positive-y", "FLIP_Y_SWITCH": "--flip-ud"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["tiles", "rec", "tiles.json"]) == ExitCode.BAD_INPUT, "nobody has asked for them"
    assert main(["tiles", "rec", "a.json", "--spimstitch-env"]) == ExitCode.OK
    tiles = read_tiles("a.json")
    assert (tiles.geometry.pitch_um, tiles.geometry.step_um) == (1.8, 1.28)
    assert tiles.geometry.flip_ud
    assert sorted({tile.position_um_zyx[0] for tile in tiles.tiles}) == [0, 2560]
    assert min(tile.position_um_zyx[1] for tile in tiles.tiles) == -1200
    assert main(["tiles", "rec", "b.json", "--spimstitch-env", "--pitch", "3"]) == ExitCode.OK
    assert read_tiles("b.json").geometry.pitch_um == 3
    monkeypatch.setenv("X_STEP_SIZE", "fast")
    capsys.readouterr()
    assert main(["tiles", "rec", "c.json", "--spimstitch-env"]) == ExitCode.BAD_INPUT
    assert "X_STEP_SIZE is 'fast', but must be" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--pitch", "0"], ["--angle", "180"], ["--reversed", "w"]])
def test_options_that_are_none(option):
    with pytest.raises(SystemExit) as ended:
        main(["tiles", "rec", "tiles.json", *option])
    assert ended.value.code == 2
