"""The tasks of stitching under Luigi: repeated and skipped steps, and how a run ends."""

import base64
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from oblique_scenes import ROOT, make_scene, sample_tile, tile_set
from PIL import Image

from spimpack_tasks import StitchChannel
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.stitching.align import keep_stage
from spimpack_tasks.stitching.chain import Chain, Choices
from spimpack_tasks.stitching.choice_rules import ChoiceRefusedError
from spimpack_tasks.stitching.options import OPTIONS
from spimpack_tasks.stitching.page import compose_page
from spimpack_tasks.stitching.pairs import SearchSettings
from spimpack_tasks.stitching.steps import stitching_of
from spimpack_tasks.stitching.tile_files import (
    TilesRefusedError,
    read_alignment,
    read_tiles,
    write_tiles,
)
from spimpack_tasks.stitching.tiles import Geometry
from spimpack_tasks.stitching.written import WrittenVolume

V = 1.8
STEP = V / ROOT
SHAPE = (50, 90, 40)
LUIGI = """
import sys
from luigi.cmdline import luigi_run
from spimpack_tasks.stitching import tiles
tiles.SAMPLES_OF_A_PART = 2**14
luigi_run(sys.argv[1:])
"""
"""The `luigi` command, for which small tiles are made in several parts, as large ones are."""


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Return a file of two tiles, the second of which lies elsewhere than the stage says."""
    folder = tmp_path_factory.mktemp("tiles")
    scene = make_scene((-20, -20, -20), (100, 320, 160), seed=3)
    stage = [(0, 0, 0), (0, 60 * V, 0)]
    true = [(0, 0, 0), (0, 62 * V, 3 * STEP)]
    paths = []
    for number, place in enumerate(true):
        frames = sample_tile(scene, place, SHAPE, v_um=V, step_um=STEP, noise_seed=number)
        paths.append(folder / f"tile{number}.tif")
        tifffile.imwrite(paths[-1], frames, metadata={"axes": "ZYX"}, imagej=True)
    path = folder / "tiles.json"
    write_tiles(str(path), tile_set([SHAPE] * 2, stage, Geometry(V, STEP), paths=paths))
    return path


def run_luigi(task, *arguments, workers=1):
    """Run a task by the `luigi` command; return exit code and what it prints."""
    command = [sys.executable, "-c", LUIGI, "--module", "spimpack_tasks", task]
    command += ["--local-scheduler", "--workers", str(workers), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def stitch(tiles, image, *arguments, workers=1):
    return run_luigi(
        "StitchChannel", "--tiles", tiles, "--image", image, *arguments, workers=workers
    )


def content(folder):
    """Return bytes of all files below a folder by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def stamps(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in Path(folder).rglob("*")}


@pytest.fixture(scope="module")
def made(tiles, tmp_path_factory):
    """Return a folder with a volume that one worker has made."""
    folder = tmp_path_factory.mktemp("made")
    code, said = stitch(tiles, folder / "whole.ome.zarr")
    assert code == 0, said
    return folder


def test_i19_12_a_volume_is_aligned_and_stitched(made):
    found = read_alignment(str(made / "whole.ome.zarr.work" / "align.json"))
    assert found.tiles[1].correction_frc == pytest.approx((3, 2, 0), abs=0.1)
    volume = zarr.open_group(made / "whole.ome.zarr", mode="r")["0"]
    assert volume.shape == (40, 62 + 90, 50 + 3 + 39)


def test_the_page_of_an_alignment_shows_tiles_pairs_and_overlaps(made):
    text = (made / "whole.ome.zarr.work" / "align.html").read_text(encoding="utf-8")
    assert text.count("<rect ") == 2
    assert "1 of 1 pairs measured" in text
    assert "tile0 and tile1" in text
    assert "<script" not in text
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
    assert image.shape == (90 - 62, 40, 3)
    red, green = image[..., 0].astype(float).ravel(), image[..., 1].astype(float).ravel()
    assert np.corrcoef(red, green)[0, 1] > 0.5
    assert not image[..., 2].any()


def test_an_alignment_that_another_run_has_replaced_is_not_used(tiles, made, tmp_path):
    """Two channels with one working folder would otherwise take each other's places."""
    work = tmp_path / "work"
    shutil.copytree(made / "whole.ome.zarr.work", work)
    choices = Choices(str(tiles), str(tmp_path / "whole.ome.zarr"), work_dir=str(work))
    assert stitching_of(Chain(choices))
    other = replace(choices, search=SearchSettings(search_um=7))
    with pytest.raises(ChoiceRefusedError, match=r"align\.json: is missing, or was made of other"):
        stitching_of(Chain(other))


def test_names_of_tiles_are_no_code_in_the_page():
    tiles = tile_set([SHAPE] * 2, [(0, 0, 0), (0, 60 * V, 0)], Geometry(V, STEP))
    nasty = replace(tiles, tiles=(replace(tiles.tiles[0], name="<b>"), tiles.tiles[1]))
    assert "<b>" not in compose_page(keep_stage(nasty), nasty, {})


@pytest.mark.slow
def test_i19_25_two_workers_make_equal_bytes(tiles, made, tmp_path):
    code, said = stitch(tiles, tmp_path / "whole.ome.zarr", workers=2)
    assert code == 0, said
    assert content(tmp_path / "whole.ome.zarr") == content(made / "whole.ome.zarr")


def test_i19_23_a_second_run_changes_no_file(tiles, made):
    before = stamps(made)
    code, said = stitch(tiles, made / "whole.ome.zarr")
    assert code == 0, said
    assert "0 ran successfully" not in said
    assert stamps(made) == before


@pytest.mark.slow
def test_i19_24_a_choice_of_the_volume_leaves_the_alignment(tiles, tmp_path):
    image = tmp_path / "whole.ome.zarr"
    assert stitch(tiles, image)[0] == 0
    align = tmp_path / "whole.ome.zarr.work" / "align.json"
    before, volume = stamps(align.parent), content(image)
    code, said = stitch(tiles, image, "--fuse", "nearest")
    assert code == 0, said
    assert stamps(align.parent) == before
    assert content(image) != volume
    code, said = stitch(tiles, image, "--fuse", "nearest", "--search-um", "15")
    assert code == 0, said
    assert stamps(align.parent) != before


@pytest.mark.slow
def test_i19_24_another_channel_takes_the_alignment_of_the_first(tiles, made, tmp_path):
    image = tmp_path / "other.ome.zarr"
    align = made / "whole.ome.zarr.work" / "align.json"
    code, said = stitch(tiles, image, "--align", "file", "--align-file", align)
    assert code == 0, said
    assert not (tmp_path / "other.ome.zarr.work").exists()
    found = [zarr.open_group(each, mode="r")["0"][:] for each in (image, made / "whole.ome.zarr")]
    assert np.array_equal(*found)


@pytest.mark.slow
def test_i19_24_corrections_are_made_once_and_not_for_other_choices(tiles, tmp_path):
    image = tmp_path / "whole.ome.zarr"
    chosen = ("--flat", "estimate", "--dark", "100", "--destripe", "wavelet", "--background", "150")
    code, said = stitch(tiles, image, *chosen, workers=2)
    assert code == 0, said
    work = tmp_path / "whole.ome.zarr.work"
    flat = tifffile.imread(work / "flat.tif")
    assert flat.shape == SHAPE[1:]
    assert flat.mean() == pytest.approx(1, abs=1e-3)
    frames = zarr.open_group(work / "frames" / "tile00000.ome.zarr", mode="r")["0"]
    raw = tifffile.imread(tiles.parent / "tile0.tif")
    assert frames.shape == SHAPE
    assert np.median(frames[:]) < np.median(raw) - 50
    before = stamps(work)
    code, said = stitch(tiles, image, *chosen, "--codec", "gzip")
    assert code == 0, said
    assert stamps(work) == before


@pytest.mark.slow
def test_i19_23_s12_a_killed_run_is_resumed_by_the_next(tiles, made, tmp_path):
    image = tmp_path / "whole.ome.zarr"
    command = [sys.executable, "-c", LUIGI, "--module", "spimpack_tasks", "StitchChannel"]
    command += ["--local-scheduler", "--tiles", str(tiles), "--image", str(image)]
    parts = tmp_path / ".whole.ome.zarr.unfinished"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 120
        while not [*parts.glob("*.parts/*-16")] and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGKILL)
    assert not image.exists()
    notes = {path: path.stat().st_mtime_ns for path in parts.glob("*.parts/*-16")}
    assert notes
    code, said = stitch(tiles, image)
    assert code == 0, said
    assert content(image) == content(made / "whole.ome.zarr")
    assert not parts.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"align": "magic"}, "align is 'magic'; choose native, stage, file"),
        ({"destripe": "no"}, "destripe is 'no'; choose none, wavelet, lightsheet"),
        ({"fuse": "no"}, "fuse is 'no'; choose cubic, linear, nearest"),
        ({"codec": "no"}, "codec is 'no'; choose gzip, blosc, lz4"),
        ({"flat": "/no.tif"}, "flat is '/no.tif'; choose none, estimate"),
        ({"align": "file"}, "which is no file"),
        ({"align_file": "a.json"}, "align_file is given"),
        ({"plane_centre": "middle"}, "the plane centre is 'middle'"),
        ({"plane_centre": "nan,1"}, "the plane centre is 'nan,1.0'"),
        ({"dark": -5.0}, "dark is -5.0; write a number from 0 on"),
        ({"dark": math.nan}, "dark is nan; write a number from 0 on"),
        ({"background": math.inf}, "background is inf; write a number from 0 on"),
        ({"sigma_bright": math.nan}, "sigma_bright is nan; write a number from 0 on"),
        ({"sigma_dark": -1.0}, "sigma_dark is -1.0; write a number from 0 on"),
        ({"search_um": math.nan}, "search_um is nan; write a number above 0, such as 20"),
        ({"search_um": 0.0}, "search_um is 0.0; write a number above 0, such as 20"),
        ({"magnification": 0.0}, "magnification is 0.0; write a number from 0.1 to 10.0"),
        ({"magnification": math.nan}, "magnification is nan; write a number from 0.1 to 10.0"),
        (
            {"destripe": "wavelet", "wavelet": "db55"},
            "wavelet is 'db55', which PyWavelets does not have; did you mean 'db5'?",
        ),
    ],
    ids=str,
)
def test_wrong_choices_are_refused(tiles, tmp_path, arguments, said):
    task = StitchChannel(tiles=str(tiles), image=str(tmp_path / "whole.ome.zarr"), **arguments)
    assert task.verdict() == ExitCode.BAD_INPUT
    assert not [*task.requires()]
    with pytest.raises(SpimpackError, match=re.escape(said)):
        task.run()
    assert not [*tmp_path.iterdir()]


def test_a_wrong_file_of_tiles_is_refused_with_all_mistakes(tmp_path):
    path = tmp_path / "tiles.json"
    entry = {"name": "a", "path": "a.tif", "position_um_zyx": [0, 0], "shape_frc": [1, 2, 0]}
    geometry = {"pitch_um": "wide", "step": 1}
    path.write_text(json.dumps({"geometry": geometry, "tiles": [entry, 7]}))
    with pytest.raises(TilesRefusedError) as refused:
        read_tiles(str(path))
    assert str(refused.value).splitlines() == [
        f"{path}: geometry.step: is not known; did you mean 'step_um'?",
        f"{path}: geometry.step_um: is missing",
        f"{path}: geometry.pitch_um: 'wide' is not a number",
        f"{path}: tiles[0].dtype: is missing",
        f"{path}: tiles[0].position_um_zyx: [0, 0] is not three numbers",
        f"{path}: tiles[0].shape_frc: [1, 2, 0] is not three whole numbers from 1 on",
        f"{path}: tiles[1]: must be an object with name, path, position_um_zyx, shape_frc, dtype",
    ]
    code, output = stitch(path, tmp_path / "whole.ome.zarr")
    assert code == ExitCode.BAD_INPUT, output
    assert "geometry.pitch_um: 'wide' is not a number" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("text", ["", "[]", "{", '{"form": 9}'])
def test_files_that_hold_no_tiles(tmp_path, text):
    (tmp_path / "tiles.json").write_text(text)
    with pytest.raises(TilesRefusedError, match=r"tiles\.json: "):
        read_tiles(str(tmp_path / "tiles.json"))


def test_tiles_are_read_as_they_were_written(tiles):
    read = read_tiles(str(tiles))
    write_tiles(str(tiles.parent / "again.json"), read)
    assert read_tiles(str(tiles.parent / "again.json")) == read
    assert Path(read.tiles[0].path).is_absolute()


def test_all_missing_tiles_are_told_before_any_work(tiles, tmp_path):
    data = json.loads(tiles.read_text())
    for number, entry in enumerate(data["tiles"]):
        entry["path"] = str(tmp_path / f"gone{number}.tif")
    (tmp_path / "tiles.json").write_text(json.dumps(data))
    code, output = stitch(tmp_path / "tiles.json", tmp_path / "whole.ome.zarr")
    assert code == ExitCode.BAD_INPUT, output
    for number in range(2):
        assert f"tile{number}: path '{tmp_path}/gone{number}.tif' does not exist" in output
    assert "Traceback" not in output
    assert not (tmp_path / "whole.ome.zarr").exists()


@pytest.fixture
def spimpack(capsys):
    """Return a function that runs `spimpack` here, for exit code, output and errors."""

    def run(*arguments):
        code = main([*map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def test_the_command_line_makes_the_same_volume(spimpack, tiles, made, tmp_path):
    image = tmp_path / "whole.ome.zarr"
    code, output, said = spimpack("stitch", "volume", tiles, image)
    assert code == 0, said
    assert "tile1: frame +2.99 ± " in output
    assert "1 of 1 pair measured" in output
    assert output.endswith(f"made {image}\n")
    assert content(image) == content(made / "whole.ome.zarr")


def test_the_command_line_aligns_alone(spimpack, tiles, tmp_path):
    code, output, said = spimpack("stitch", "align", tiles, tmp_path / "whole.ome.zarr")
    assert code == 0, said
    assert "tile1: frame +2.99 ± " in output
    assert [path.name for path in tmp_path.iterdir()] == ["whole.ome.zarr.work"]


def test_one_tile_is_deskewed_by_itself(spimpack, tiles, tmp_path):
    image = tmp_path / "one.ome.zarr"
    code, output, said = spimpack("stitch", "deskew", tiles, image, "--tile", "tile1")
    assert code == 0, said
    assert output == f"made {image}\n"
    raw = tifffile.imread(tiles.parent / "tile1.tif")
    wanted = np.zeros((40, 90, 50 + 39), "u2")
    for column in range(40):
        wanted[column, :, column : column + 50] = raw[:, :, column].T
    assert np.array_equal(zarr.open_group(image, mode="r")["0"][:], wanted)
    before = stamps(tmp_path)
    assert spimpack("stitch", "deskew", tiles, image, "--tile", "tile1")[0] == 0
    assert stamps(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("deskew", "TILES", "a.ome.zarr"), "name it by --tile"),
        (("deskew", "TILES", "a.ome.zarr", "--tile", "tile7"), "has no tile 'tile7'"),
        (("volume", "TILES", "a.ome.zarr", "--tile", "tile1"), "--tile is for deskew"),
        (("volume", "TILES", "a.zarr"), "does not end in .ome.zarr"),
        (("volume", "none.json", "a.ome.zarr"), "none.json: No such file or directory"),
        (("volume", "TILES", "a.ome.zarr", "--align", "file"), "which is no file"),
    ],
    ids=["no name", "wrong name", "name too many", "ending", "no tiles", "no alignment"],
)
def test_the_command_line_refuses_mistakes(spimpack, tiles, tmp_path, arguments, said):
    words = [str(tiles) if word == "TILES" else word for word in arguments]
    words = [str(tmp_path / word) if word.startswith("a.") else word for word in words]
    code, output, errors = spimpack("stitch", *words)
    assert code == ExitCode.BAD_INPUT, errors
    assert said in errors
    assert "Traceback" not in errors
    assert output == ""
    assert not [*tmp_path.iterdir()]


def spimstitch_file(path, place, **more):
    """Write an alignment as spimstitch does; the second tile has a place along x, y and z."""
    keys = {"[0.0, 0.0, 0.0]": [0, 0, 0], f"[0.0, {60 * V}, 0.0]": place}
    content = {"voxel_sizes": [STEP, V, STEP], "align-z": True, "alignments": keys} | more
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    "given",
    [((3 * STEP, 62 * V, 0), ()), ((-3 * STEP, 58 * V, 0), ("--align-signs", "mirrored"))],
    ids=["positions", "mirrored"],
)
def test_i19_s1_a_file_of_spimstitch_is_taken(spimpack, tiles, made, tmp_path, given):
    """The true place is two rows and three frames further; the program's fault turns that round."""
    place, more = given
    image = tmp_path / "whole.ome.zarr"
    path = spimstitch_file(tmp_path / "align.json", place)
    code, output, said = spimpack(
        "stitch", "volume", tiles, image, "--align", "file", "--align-file", path, *more
    )
    assert code == 0, said
    assert "tile1: frame +3.00 ± " in output
    assert "row +2.00 ± " in output
    found, measured = (zarr.open_group(each, mode="r")["0"] for each in (image, made / image.name))
    assert found.shape == measured.shape == (40, 62 + 90, 50 + 3 + 39)
    assert not (tmp_path / "whole.ome.zarr.work").exists()


def test_i19_s1_alignments_are_written_in_both_forms(spimpack, tiles, made, tmp_path):
    work = made / "whole.ome.zarr.work"
    data = json.loads((work / "align-spimstitch.json").read_text())
    x, y, z = data["alignments"][f"[0.0, {60 * V}, 0.0]"]
    assert (x, y, z) == pytest.approx((3 * STEP, 62 * V, 0), abs=0.1)
    assert data["voxel_size"] == V
    outputs = []
    for name in ("align.json", "align-spimstitch.json"):
        image = tmp_path / f"{name}.ome.zarr"
        given = ("--align", "file", "--align-file", work / name)
        assert spimpack("stitch", "volume", tiles, image, *given)[0] == 0
        outputs.append(zarr.open_group(image, mode="r")["0"][:].astype(int))
    assert np.abs(outputs[0] - outputs[1]).max() <= 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (({"voxel_size": 18}, ()), "voxel_size is 18, but pixels of the tiles are 1.8 µm"),
        (({"alignments": {"[0, 0, 0]": [0, 0, 0]}}, ()), "has no place for tile1"),
        (({}, ("--align-reversed", "y")), "has no place for tile1, which is at 0, -108, 0 µm"),
        (({}, ("--align-reversed", "w")), "align_reversed is 'w'; write axes"),
        (
            ({}, ("--align", "stage", "--align-signs", "mirrored")),
            "align_signs is for a given file",
        ),
    ],
    ids=["pitch", "no place", "other way", "no axis", "not given"],
)
def test_i19_s1_files_of_spimstitch_that_do_not_fit(spimpack, tiles, tmp_path, wrong, said):
    change, more = wrong
    path = spimstitch_file(tmp_path / "align.json", (0, 60 * V, 0), **change)
    given = ("--align", "file", "--align-file", path)
    code, output, errors = spimpack(
        "stitch", "align", tiles, tmp_path / "whole.ome.zarr", *given, *more
    )
    assert (code, output) == (ExitCode.BAD_INPUT, "")
    assert said in errors
    assert "Traceback" not in errors
    assert [each.name for each in tmp_path.iterdir()] == ["align.json"]


def test_i19_s1_our_own_file_needs_no_signs(spimpack, tiles, made, tmp_path):
    path = made / "whole.ome.zarr.work" / "align.json"
    given = ("--align", "file", "--align-file", path, "--align-signs", "mirrored")
    code, _, errors = spimpack("stitch", "align", tiles, tmp_path / "whole.ome.zarr", *given)
    assert code == ExitCode.BAD_INPUT
    assert "is not of spimstitch, so leave align_signs and align_reversed out" in errors


ENVIRONMENT = {
    "ILLUM_CORR": ("/f.tiff", {"flat": "/f.tiff", "destripe": "lightsheet"}),
    "BACKGROUND": ("90", {"dark": 90.0, "background": 90.0, "destripe": "lightsheet"}),
    "USE_WAVELETS": ("1", {"destripe": "wavelet"}),
    "ALIGN_FILE": ("/a.json", {"align": "file", "align_file": "/a.json"}),
    "NEGATIVE_Y": ("1", {"align_reversed": "y"}),
    "WORKERS": ("3", {"threads": 3}),
    "N_WORKERS": ("5", {"threads": 5}),
    "X_STEP_SIZE": ("2", {}),
    "Y_VOXEL_SIZE": ("2", {}),
    "Z_OFFSET": ("1844", {}),
    "FLIP_Y_SWITCH": ("--flip-ud", {}),
}
WINS = {
    "flat": "estimate", "dark": 0.0, "background": 150.0, "destripe": "none", "align": "stage",
    "align_reversed": "", "threads": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_i19_env_a_variable_is_the_default_of_an_option(name, tiles, tmp_path, monkeypatch):
    value, wanted = ENVIRONMENT[name]
    monkeypatch.setenv(name, value)
    common = {"tiles": str(tiles), "image": str(tmp_path / "a.ome.zarr")}
    plain = StitchChannel(**common)
    task = StitchChannel(**common, spimstitch_env=True)
    told = {key: getattr(task, key) for key in (*OPTIONS, "threads")}
    usual = {key: getattr(plain, key) for key in told}
    assert {key: each for key, each in told.items() if each != usual[key]} == wanted
    given = StitchChannel(**common, spimstitch_env=True, **WINS)
    assert {key: getattr(given, key) for key in WINS} == WINS
    assert given.align_file == ""


def run_of(spimpack, monkeypatch, *arguments):
    """Return the parameters that the command line gives its task."""
    found = {}

    def keep(_action, parameters, _workers):
        found.update(parameters)
        return ExitCode.FAILED

    monkeypatch.setattr("spimpack_tasks.cli.stitch._run_stitching", keep)
    monkeypatch.setattr("spimpack_tasks.cli.stitch._written", lambda _: WrittenVolume(None))
    monkeypatch.setattr("spimpack_tasks.cli.stitch._check", lambda _: None)
    code, _, errors = spimpack("stitch", "volume", *arguments)
    return found, errors, code


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_i19_env_the_command_line_takes_it_and_options_win(
    name, spimpack, tiles, tmp_path, monkeypatch
):
    value, wanted = ENVIRONMENT[name]
    monkeypatch.setenv(name, value)
    common = (tiles, tmp_path / "a.ome.zarr")
    plain, _, _ = run_of(spimpack, monkeypatch, *common)
    told, errors, _ = run_of(spimpack, monkeypatch, *common, "--spimstitch-env")
    assert {key: each for key, each in told.items() if each != plain[key]} == wanted
    assert errors.startswith(f"note: {name}: ") == (not wanted)
    words = [f"--{key.replace('_', '-')}={each}" for key, each in WINS.items()]
    given, _, _ = run_of(spimpack, monkeypatch, *common, "--spimstitch-env", *words)
    assert {key: given[key] for key in WINS} == WINS


def test_i19_env_an_impossible_variable_is_refused(spimpack, tiles, tmp_path, monkeypatch):
    monkeypatch.setenv("BACKGROUND", "dark")
    image = tmp_path / "a.ome.zarr"
    code, _, errors = spimpack("stitch", "volume", tiles, image, "--spimstitch-env")
    assert code == ExitCode.BAD_INPUT
    assert "BACKGROUND is 'dark', but must be a number" in errors
    task = StitchChannel(tiles=str(tiles), image=str(image), spimstitch_env=True)
    assert task.verdict() == ExitCode.BAD_INPUT
    with pytest.raises(SpimpackError, match="BACKGROUND is 'dark'"):
        task.run()
    assert not [*tmp_path.iterdir()]
