"""Recordings that another Python extracts; a script stands in for it."""

import json
import os
import sys

import numpy as np
import pytest
from alignment_root import MOUSE, RECORDING, make_root

from spimpack_tasks.alignment.clusters import renumber_clusters
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, OutputError

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
        continue
    several = probe == "ProbeB"
    spikes = {{
        "times": [0.1, 0.3, 0.5, 0.2, 0.3, 0.4] if several else samples / {RATE},
        "clusters": np.array([0, 1, 0, 2, 0, 1] if several else samples % 2, "u4"),
        "amps": np.arange(6) if several else samples,
        "depths": np.arange(6) / 2 if several else samples,
    }}
    arrays = {{f"spikes.{{name}}": values for name, values in spikes.items()}}
    arrays["spike_shank_indices"] = [0, 0, 0, 1, 1, 1] if several else 0 * samples
    arrays["unit_shank_indices"] = [0, 0, 1, 1, 1] if several else [0, 0]
    for name in ("localCoordinates", "rawInd", "shankInd"):
        arrays[f"channels.{{name}}"] = [0]
    if several:
        arrays["channels.contactId"] = [0]
    for name, values in arrays.items():
        np.save(folder / f"{{name}}.npy", values)
    ids = ["7", "9", "7", "8", "9"] if several else ["0", "1"]
    rows = ["cluster_id,snr,cluster_id.1", *(f"{{n}},1.5,{{n}}" for n in ids)]
    (folder / "clusters.metrics.csv").write_text("\\n".join(rows))
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
    said = capsys.readouterr().out
    assert "recordings are not extracted" not in said
    assert said.count("without sorting, so not in datapackage.json: ") == 2
    (call,) = (root / "calls.txt").read_text().splitlines()
    assert call.split() == [str(root / SORTED), str(root / RECORDING)]
    folder = root.parent / "results" / MOUSE
    times = np.load(folder / RECORDING / "ProbeA" / "spikes.times.npy")
    assert np.array_equal(times, np.arange(0, 10**6, 997) / RATE)
    data = json.loads((folder / "datapackage.json").read_text())
    assert set(data["probes"][RECORDING]) == {"ProbeA"}
    probe = data["probes"][RECORDING]["ProbeA"]
    assert probe["ephys"]["path"] == f"{RECORDING}/ProbeA"
    assert {
        key: each["path"].rpartition("/")[2] for key, each in probe["channel_table"].items()
    } == {
        "local_coordinates": "channels.localCoordinates.npy",
        "raw_ind": "channels.rawInd.npy",
        "shank_ind": "channels.shankInd.npy",
    }
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


def test_u9_clusters_are_numbered_over_all_shanks_where_that_is_asked_for(root):
    """By hand: two units on the first shank, three on the second."""
    (root / SORTED / "all").touch()
    assert align(root, "--ephys-python", "ephys/python") == 0
    folder = root.parent / "results" / MOUSE
    before = np.load(folder / RECORDING / "ProbeA" / "spikes.clusters.npy")
    assert align(root, "--ephys-python", "ephys/python", "--renumber-clusters") == 0
    assert len((root / "calls.txt").read_text().splitlines()) == 2
    found = {
        name: np.load(folder / RECORDING / "ProbeB" / f"{name}.npy").tolist()
        for name in ("spikes.times", "spikes.clusters", "spikes.amps", "spike_shank_indices")
    }
    assert found == {
        "spikes.times": [0.1, 0.2, 0.3, 0.3, 0.4, 0.5],
        "spikes.clusters": [0, 4, 1, 2, 3, 0],
        "spikes.amps": [0, 3, 1, 4, 5, 2],
        "spike_shank_indices": [0, 1, 0, 1, 1, 0],
    }
    assert np.array_equal(np.load(folder / RECORDING / "ProbeA" / "spikes.clusters.npy"), before)
    metrics = (folder / RECORDING / "ProbeB" / "clusters.metrics.csv").read_text().splitlines()
    assert metrics[1:] == ["0,1.5,7", "1,1.5,9", "2,1.5,7", "3,1.5,8", "4,1.5,9"]
    state = json.loads((folder / "_state" / f"ephys_{SORTED}.json").read_text())
    assert not state["collections"]["ProbeB"]["multishank_cluster_ids_overlap"]
    data = json.loads((folder / "datapackage.json").read_text())
    assert "contact_id" in data["probes"][RECORDING]["ProbeB"]["channel_table"]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("spikes.amps", [1], "has arrays of spikes of different lengths"),
        ("spikes.clusters", [0, 1, 0, 3, 0, 1], "has spikes of clusters that its shanks do not"),
        ("spike_shank_indices", [0, 0, 0, 2, 1, 1], "has spikes of clusters that its shanks do"),
        ("spikes.depths", None, "spikes.depths.npy: is no array of the converter"),
    ],
)
def test_u9_arrays_that_do_not_fit_are_not_renumbered(tmp_path, name, values, said):
    arrays = {f"spikes.{each}": np.arange(6) for each in ("times", "amps", "depths")}
    arrays |= {"spikes.clusters": np.array([0, 1, 0, 2, 0, 1])}
    arrays |= {"spike_shank_indices": [0, 0, 0, 1, 1, 1], "unit_shank_indices": [0, 0, 1, 1, 1]}
    for key, each in (arrays | {name: values}).items():
        if each is not None:
            np.save(tmp_path / f"{key}.npy", each)
    with pytest.raises(OutputError, match=said):
        renumber_clusters(str(tmp_path))


def test_i20_19_a_probe_that_is_sorted_later_joins_the_others(root):
    assert align(root, "--ephys-python", "ephys/python") == 0
    folder = root.parent / "results" / MOUSE
    assert (folder / RECORDING / "ProbeB" / "sorting_error.txt").is_file()
    (folder / RECORDING / "ProbeB" / "notes.txt").write_text("mine")
    (root / SORTED / "all").touch()
    assert align(root, "--ephys-python", "ephys/python") == 0
    assert not (folder / RECORDING / "ProbeB" / "sorting_error.txt").exists()
    assert (folder / RECORDING / "ProbeB" / "notes.txt").read_text() == "mine"
    data = json.loads((folder / "datapackage.json").read_text())
    assert set(data["probes"][RECORDING]) == {"ProbeA", "ProbeB"}


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


def test_u9_two_recordings_are_extracted_at_the_same_time(root):
    """Each in a folder of its own, which the other one leaves alone."""
    other = RECORDING.replace("10-00-00", "11-00-00")
    for name in (other, f"{other}_sorted_2024-02-02"):
        (root / name).mkdir()
    np.save(root / f"{other}_sorted_2024-02-02" / "samples.npy", np.arange(0, 10**6, 997))
    path, new = root / "manifest.csv", f"{other}_sorted_2024-02-02,b_"
    path.write_text(path.read_text().replace(f"{SORTED},b_", new))
    python = root / "ephys" / "python"
    slow = python.read_text().replace("samples = ", "import time; time.sleep(0.7)\nsamples = ", 1)
    python.write_text(slow)
    (root / SORTED / "all").touch()
    (root / f"{other}_sorted_2024-02-02" / "all").touch()
    assert align(root, "--ephys-python", "ephys/python", "--workers", "2") == 0
    folder = root.parent / "results" / MOUSE
    assert len((root / "calls.txt").read_text().splitlines()) == 2
    for name, probe in ((RECORDING, "ProbeA"), (other, "ProbeB")):
        assert (folder / name / probe / "spikes.times.npy").is_file()
    assert not [name for name in os.listdir(folder) if name.startswith(".")]
