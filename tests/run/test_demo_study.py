"""The inputs of the demo study, and where it is made; the study itself runs in a system test."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from spimpack_tasks.cli import demo_study
from spimpack_tasks.cli.main import main
from spimpack_tasks.demo import brain_study
from spimpack_tasks.demo.brain import find_labels
from spimpack_tasks.demo.brain_study import compose_study, find_port, write_brain_study
from spimpack_tasks.demo.object_server import ObjectServerError, choose_ports, running_server
from spimpack_tasks.demo.specimen import to_atlas, to_microscope
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.study.reading import read_study


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "demo"
    write_brain_study(folder, None)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def tell(monkeypatch: pytest.MonkeyPatch, program: str) -> list[object]:
    """Let the command find a program of an object store or none, and return what it would run."""
    asked: list[object] = []

    def note(arguments: object) -> int:
        asked.append(arguments)
        return ExitCode.FAILED

    monkeypatch.setattr(demo_study, "find_program", lambda: program)
    monkeypatch.setattr(demo_study.run_command, "run", note)
    return asked


@pytest.mark.parametrize(
    ("option", "taken"),
    [
        ("--study", "file"),
        ("--study", "folder"),
        ("--study", "other study"),
        ("--study", "plain demo"),
        ("--inputs", "folder"),
        ("--inputs", "other study"),
    ],
)
def test_i22_4_a_demo_is_never_made_over_something_else(tmp_path, capsys, option, taken):
    folder = tmp_path / "demo"
    if taken == "file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        name = {"folder": "notes.txt", "other study": "study.yml", "plain demo": "manifest.yml"}
        (folder / name[taken]).write_text("stages:\n  validate:\n")
    before = content(tmp_path)
    assert main(["demo", str(folder), option]) == ExitCode.BAD_INPUT
    assert "choose another directory" in capsys.readouterr().err
    assert content(tmp_path) == before


def test_i22_4_the_other_demo_is_not_made_over_a_study(written, capsys):
    before = content(written)
    assert main(["demo", str(written)]) == ExitCode.BAD_INPUT
    assert "choose another directory" in capsys.readouterr().err
    assert content(written) == before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("demo new --study --inputs", "not allowed with"),
        ("demo new --study --backend copy", "--backend is for the demo without --study"),
        ("demo new --inputs --backend copy", "--backend is for the demo without --study"),
    ],
)
def test_i22_4_options_that_do_not_go_together(tmp_path, monkeypatch, capsys, line, told):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(line.split())
    except SystemExit as end:
        code = end.code
    assert code == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_i22_4_inputs_are_equal_from_call_to_call_and_after_a_kill(written, tmp_path):
    folder = tmp_path / "demo"
    shutil.copytree(written, folder)
    # A call has left this that was killed in the middle of its last tile.
    (folder / "raw" / "cFos_1.ome.tif").unlink()
    (folder / "raw" / ".cFos_1.ome.tif").write_bytes(b"part")
    (folder / "raw" / "cFos.tsv").unlink()
    shutil.rmtree(folder / "alignment")
    write_brain_study(folder, None)
    assert content(folder) == content(written)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_brain_study(folder, None)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_i22_4_the_study_gets_a_store_when_there_can_be_one(written, tmp_path):
    path = tmp_path / "study.yml"
    (tmp_path / "raw").symlink_to(written / "raw")
    (tmp_path / "alignment").symlink_to(written / "alignment")
    path.write_text(compose_study(None))
    write_brain_study(tmp_path, None)
    assert find_port(path) is None
    assert "publish" not in read_study(str(path)).document.data["stages"]
    write_brain_study(tmp_path, lambda: 9001)
    publish = read_study(str(path)).document.data["stages"]["publish"]
    assert publish == {"store": {"url": "s3://lab/brain", "endpoint_url": "http://127.0.0.1:9001"}}
    write_brain_study(tmp_path, lambda: 9002)
    assert find_port(path) == 9001  # the port is chosen once
    path.write_text(compose_study(None).replace("Demo brain", "My brain"))
    write_brain_study(tmp_path, lambda: 9003)
    assert "My brain" in path.read_text()  # what a user has edited is the user's
    assert find_port(path) is None


def test_i22_4_publishing_is_left_out_without_a_server(tmp_path, monkeypatch, capsys):
    asked = tell(monkeypatch, "")
    monkeypatch.setattr(brain_study, "_write_channel", lambda *_: None)
    assert main(["demo", str(tmp_path / "demo"), "--study"]) == ExitCode.FAILED
    told = capsys.readouterr().out
    assert "Publishing is left out" in told
    assert "pip install 'spimpack_tasks[demo]'" in told
    assert asked[0].until == ""
    # The program was there once, and is gone: all before the publication can still be made.
    (tmp_path / "demo" / "study.yml").write_text(compose_study(9001))
    assert main(["demo", str(tmp_path / "demo"), "--study"]) == ExitCode.FAILED
    assert "Publishing is left out" in capsys.readouterr().out
    assert asked[1].until == "validate"


def test_i22_4_a_store_that_does_not_start_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the user")
    before = dict(os.environ)
    program = tmp_path / "weed"
    program.write_text("#!/bin/sh\necho the disk is full >&2\nexit 1\n")
    program.chmod(0o755)
    (port,) = choose_ports(1)
    with (
        pytest.raises(ObjectServerError, match=rf"port {port}(.|\n)*the disk is full"),
        running_server(str(program), tmp_path / "store", port, "lab"),
    ):
        pass
    assert dict(os.environ) == before


def test_i22_4_places_of_the_specimen_come_back():
    places = np.array([[5.7, 6.6, 4.0], [1.2, 3.4, 2.0], [9.0, 12.0, 7.0]])
    assert np.allclose(to_atlas(to_microscope(places)), places, atol=1e-12)
    # The centre lies in the middle of 212 + 123 by 64 + 88 by 124 voxels.
    step = 80 / math.sqrt(2) / 1000
    wanted = [334 / 2 * step, 151 / 2 * 0.08, 123 / 2 * step]
    assert to_microscope(places[0]) == pytest.approx(wanted)


def test_i22_4_tiles_show_the_brain_where_it_lies(written):
    frames = tifffile.imread(written / "raw" / "NeuN_0.ome.tif")
    other = tifffile.imread(written / "raw" / "NeuN_1.ome.tif")
    assert frames.shape == other.shape == (212, 88, 124)
    # The middle of the brain: voxel z 61.5, y 75.5, x 167, so column 61.5 and frame 167 - 61.5.
    inside = frames[100:112, 70:81, 56:68].mean()
    outside = np.median(frames[0])
    assert outside == 120
    assert inside > 2 * outside
    # In the overlap the second tile shows the same, 1.3 frames, 65.4 rows and 1.1 columns further.
    near = np.corrcoef(frames[60:150, 66:86, 20:100].ravel(), other[59:149, 1:21, 19:99].ravel())
    far = np.corrcoef(frames[60:150, 66:86, 20:100].ravel(), other[60:150, 2:22, 20:100].ravel())
    assert near[0, 1] > 0.8
    assert near[0, 1] > far[0, 1]


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ((5.7 + 2.0, 6.6 + 0.9, 4.0 - 0.7), 1089),
        ((5.7 - 2.0, 6.6 + 0.9, 4.0 - 0.7), -1089),
        ((5.8, 6.6 + 0.2, 4.0 + 0.5), 549),
        ((5.6, 6.6 + 4.0, 4.0), -512),
        ((5.8, 6.6, 4.0 - 3.1), 315),
        ((5.8, 6.6, 4.0 + 3.0), 343),
        ((5.7, 6.6, 4.0 - 3.3), 0),
        ((5.7 + 4.7, 6.6, 4.0), 0),
    ],
)
def test_i22_4_regions_of_the_atlas(place, label):
    assert find_labels(np.array(place)) == label
