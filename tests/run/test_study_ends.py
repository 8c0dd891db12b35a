"""How runs of studies end: exit codes, and files of others that are left as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from study_files import STUDY, write_recording, write_study

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

LUIGI = [sys.executable, "-m", "luigi", "--module", "spimpack_tasks"]
CONVERT = "stages: {convert: {a: {source: raw/488_0.ome.tif, image: a.ome.zarr}}}\n"


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


PLACE = "a.ome.zarr"
TASKS = {
    "convert": ["ConvertImage", "--sources", '["raw/488_0.ome.tif"]', "--image", "a.ome.zarr"],
    "stitch": ["StitchChannel", "--tiles", "tiles.json", "--image", "a.ome.zarr"],
    "deskew": ["DeskewTile", "--tiles", "tiles.json", "--tile", "488_0.ome", "--image", PLACE],
    "deconvolve": ["DeconvolveVolume", "--volume", "v.ome.zarr", "--image", PLACE],
    "study": ["ProcessStudy", "--study", "study.yml"],
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", TASKS)
def test_an_occupied_place_is_a_conflict_by_any_way(tmp_path, name):
    write_recording(tmp_path / "raw")
    (tmp_path / "study.yml").write_text(CONVERT)
    tiles = ["tiles", str(tmp_path / "raw/488.tsv"), str(tmp_path / "tiles.json")]
    assert main([*tiles, "--pitch", "2", "--step", "1.5", "--angle", "45"]) == 0
    if name == "deconvolve":
        volume = ["stitch", "volume", str(tmp_path / "tiles.json"), str(tmp_path / "v.ome.zarr")]
        assert main([*volume, "--align", "stage"]) == 0
    (tmp_path / "a.ome.zarr").mkdir()
    (tmp_path / "a.ome.zarr/mine").write_text("x")
    options = ["--local-scheduler"]
    task = [word.replace('["raw', f'["{tmp_path}/raw') for word in TASKS[name]]
    done = run([*LUIGI, *task, *options], tmp_path)
    assert done.returncode == ExitCode.CONFLICT, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "a.ome.zarr/mine").read_text() == "x"


@pytest.mark.slow
def test_a_dataset_that_is_not_valid_ends_with_its_own_code(tmp_path):
    text = STUDY.replace("  report:\n", "  publish:\n    lab: {url: 's3://lab/x'}\n")
    path = write_study(tmp_path, text.replace("  validate:\n", "  validate: {strict: true}\n"))
    for options in ([], ["--only", "publish"]):
        command = [sys.executable, "-m", "spimpack_tasks.cli.main", "run", str(path), *options]
        done = run(command, tmp_path)
        assert done.returncode == ExitCode.INVALID, done.stderr + done.stdout
    done = run([*LUIGI, *TASKS["study"], "--only", "publish", "--local-scheduler"], tmp_path)
    assert done.returncode == ExitCode.INVALID, done.stderr


@pytest.mark.parametrize("name", ["study.html", "products/ro-crate-metadata.json"])
def test_a_page_that_is_not_ours_is_refused_before_anything_is_made(tmp_path, capsys, name):
    path = write_study(tmp_path)
    (tmp_path / "products").mkdir()
    (tmp_path / name).write_text("mine")
    assert main(["run", str(path)]) == ExitCode.CONFLICT
    assert f"{name} is there already" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "products/stitched").exists()


def text_log(path: Path) -> None:
    path.write_text('{"mine": 1}\n')


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "raw/488.tsv")


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [text_log, link, pipe])
def test_a_log_that_is_not_ours_is_left_as_it_is(tmp_path, make):
    path = write_study(tmp_path)
    log = tmp_path / "products/study-log.jsonl"
    log.parent.mkdir()
    make(log)
    before = log.lstat(), (tmp_path / "raw/488.tsv").read_text()
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    assert (tmp_path / "raw/488.tsv").read_text() == before[1]
    assert (log.lstat().st_size, log.lstat().st_mtime_ns) == (
        before[0].st_size,
        before[0].st_mtime_ns,
    )


def test_a_file_of_the_user_at_the_place_of_the_lock_is_left_as_it_is(tmp_path):
    path = write_study(tmp_path)
    mine = tmp_path / "products/made/run"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert main(["run", str(path), "--only", "convert"]) == ExitCode.OK
    assert mine.read_text() == "mine"
