"""Recordings that another Python extracts; a script stands in for it."""

import json
import os
import sys

import numpy as np
import pytest
from alignment_root import MOUSE, RECORDING, make_root

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

SORTED = f"{RECORDING}_sorted_2024-02-02"
RATE = 30_000.0
STAND_IN = f"""\
#!{sys.executable}
import sys
from pathlib import Path
import numpy as np
flag, command, program, sorting, results, session, finding = sys.argv[1:]
assert (flag, command) == ("-I", "-c")
compile(program, "program", "exec")
assert "extract_spikes(sorting, results, session_folder=session)" in program
log = Path(sorting).parent / "calls.txt"
with log.open("a") as file:
    print(sorting, session, finding, file=file)
samples = np.load(Path(sorting) / "samples.npy")
for probe in ("ProbeA", "ProbeB"):
    folder = Path(results) / probe
    folder.mkdir()
    if probe == "ProbeB" and not (Path(sorting) / "all").exists():
        (folder / "sorting_error.txt").write_text("no units")
    else:
        np.save(folder / "spikes.times.npy", samples / {RATE})
if (Path(sorting) / "broken").exists():
    sys.exit("ModuleNotFoundError: No module named 'aind_ephys_ibl_gui_conversion'")
"""


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    made = make_root(folder)
    (folder / RECORDING).mkdir()
    (folder / SORTED).mkdir()
    np.save(folder / SORTED / "samples.npy", np.arange(0, 10**6, 997))
    python = folder / "ephys" / "python"
    python.parent.mkdir()
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return made.folder


def align(root, *more):
    chosen = ["--desired-voxel-size-um", "320", *more]
    roots = ["--data-root", str(root), "--results-root", str(root.parent / "results")]
    return main(["align", *roots, *chosen])


def test_i20_19_a_recording_is_extracted_once(root, capsys):
    assert align(root, "--ephys-python", "ephys/python") == 0
    assert "recordings are not extracted" not in capsys.readouterr().out
    (call,) = (root / "calls.txt").read_text().splitlines()
    assert call.split() == [str(root / SORTED), str(root / RECORDING)]
    folder = root.parent / "results" / MOUSE
    times = np.load(folder / RECORDING / "ProbeA" / "spikes.times.npy")
    assert np.array_equal(times, np.arange(0, 10**6, 997) / RATE)
    data = json.loads((folder / "datapackage.json").read_text())
    assert set(data["probes"][RECORDING]) == {"ProbeA"}
    assert data["probes"][RECORDING]["ProbeA"]["ephys"]["path"] == f"{RECORDING}/ProbeA"
    coverage = json.loads((folder / "coverage.json").read_text())
    assert [each["line"] for each in coverage["without_sorting"]] == [3, 4]
    assert not [name for name in os.listdir(folder) if name.startswith(".")]
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    assert align(root, "--ephys-python", "ephys/python") == 0
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before


def test_u9_shanks_that_number_clusters_alike_are_told(root):
    (root / SORTED / "all").touch()
    assert align(root, "--ephys-python", "ephys/python") == 0
    folder = root.parent / "results" / MOUSE
    state = json.loads((folder / "_state" / f"ephys_{SORTED}.json").read_text())
    overlap = {k: v["multishank_cluster_ids_overlap"] for k, v in state["collections"].items()}
    assert overlap == {"ProbeA": False, "ProbeB": True}
    (folder / RECORDING / "ProbeB" / "spikes.times.npy").unlink()
    assert align(root, "--ephys-python", "ephys/python") == 0
    assert (folder / RECORDING / "ProbeB" / "spikes.times.npy").is_file()
    assert len((root / "calls.txt").read_text().splitlines()) == 2


def test_i20_19_without_an_interpreter_nothing_is_extracted(root, capsys):
    assert align(root) == 0
    assert "recordings are not extracted: give --ephys-python" in capsys.readouterr().out
    assert align(root, "--skip-ephys", "--ephys-python", "ephys/python") == 0
    assert not (root / "calls.txt").exists()


def test_i20_19_an_interpreter_that_fails_is_told_with_its_words(root, caplog):
    (root / SORTED / "broken").touch()
    assert align(root, "--ephys-python", "ephys/python") == ExitCode.FAILED
    assert "No module named 'aind_ephys_ibl_gui_conversion'" in caplog.text
    assert "install aind-ephys-ibl-gui-conversion into its environment" in caplog.text
    assert "Traceback" not in caplog.text
    folder = root.parent / "results" / MOUSE
    assert not (folder / RECORDING / "ProbeA" / "spikes.times.npy").exists()
    assert (folder / RECORDING / "ProbeA" / "xyz_picks.json").is_file()
    assert not (folder / "datapackage.json").exists()
    (root / SORTED / "broken").unlink()
    assert align(root, "--ephys-python", "ephys/python") == 0


def test_i20_12_recordings_and_interpreters_that_are_missing_are_refused(root, capsys):
    assert align(root, "--ephys-python", "ephys/none") == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "ephys/none: ephys_python: is no program" in said
    (root / RECORDING).rmdir()
    assert align(root, "--ephys-python", "ephys/python") == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert f"manifest.csv:2: sorted_recording: no folder '{RECORDING}'" in said
    assert not (root.parent / "results").exists()
