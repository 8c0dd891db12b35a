"""The log of what runs did: there after a run that did something, whoever did it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study import fingerprint
from workspace import Workspace, change_backend, small_workspace

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.plan import Output
from spimpack_tasks.packaging.backends.symlink import make_link
from spimpack_tasks.state import runs
from spimpack_tasks.state.runs import read_last_run
from spimpack_tasks.state.store import Store

BIN = Path(sys.executable).parent

STEPS = {
    "ValidateManifest",
    "BuildPaths",
    "WriteDescription",
    "WriteParticipants",
    "WriteSamples",
    "WriteReadme",
    "WriteBidsIgnore",
    "WriteSidecars",
    "SymlinkAssets",
    "PackageDataset",
}


def last_run(workspace: Workspace) -> runs.Run:
    run = read_last_run(Store(str(workspace.out)))
    assert run is not None
    return run


def luigi(workspace: Workspace, *more: str) -> subprocess.CompletedProcess[str]:
    workspace.write()
    command = [BIN / "luigi", "--module", "spimpack_tasks", "PackageDataset", "--local-scheduler"]
    options = ["--manifest", workspace.manifest, "--output-dir", workspace.out, *more]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("by", ["spimpack", "luigi"])
def test_a_run_is_on_record(by: str, workers: int, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    before = time.time()
    if by == "spimpack":
        workspace.run(workers)
    else:
        assert luigi(workspace, "--workers", str(workers)).returncode == 0
    run = last_run(workspace)
    assert {task.task for task in run.tasks} >= STEPS
    assert sum(task.images for task in run.tasks if task.task == "SymlinkAssets") == 3
    assert run.plan_id == Store(str(workspace.out)).current_plan_id()
    assert (run.is_complete, run.processes, run.failures) == (True, 1, [])
    assert before <= run.started <= run.ended <= time.time()
    assert all(run.started <= task.started <= task.ended <= run.ended for task in run.tasks)
    assert run.versions.keys() == {"spimpack_tasks", "python", "luigi"}


def test_nothing_to_do_leaves_no_record(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    before = fingerprint(workspace.out)
    workspace.run()
    assert luigi(workspace).returncode == 0
    assert fingerprint(workspace.out) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_on_record_until_it_is_mended(workers: int, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    chunk = tmp_path / "raw/b.ome.zarr/0/c/0/0/0/0"
    chunk.unlink()
    chunk.symlink_to("nowhere")
    assert workspace.run(workers, backend="copy").exit_code is ExitCode.FAILED
    run = last_run(workspace)
    (failure,) = run.failures
    assert (failure.task, failure.unit) == ("CopyAssets", "sub-02_sample-brain_acq-4x_SPIM")
    image, _, reason = failure.error.partition(": ")
    assert image == "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.ome.zarr"
    assert reason.startswith("'0/c/0/0/0/0' in it is a link to 'nowhere'")
    assert run.is_complete is False
    chunk.unlink()
    chunk.write_bytes(b"data")
    workspace.run(workers, backend="copy")
    assert last_run(workspace).failures == []


def test_o60_a_killed_run_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = small_workspace(tmp_path)
    monkeypatch.setattr("spimpack_tasks.packaging.tasks.planning.end_run", lambda *_, **__: None)
    workspace.run()
    run = last_run(workspace)
    assert run.is_complete is None
    assert len(run.tasks) >= len(STEPS)


def test_refused_inputs_leave_no_record(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    before = fingerprint(workspace.out)
    workspace.rows[0]["subject"] = "0-1"
    assert luigi(workspace).returncode == ExitCode.BAD_INPUT
    assert fingerprint(workspace.out) == before


def test_a_run_goes_on_where_it_cannot_be_recorded(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    store = Store(str(workspace.out))
    store.create()
    Path(store.path(runs.FOLDER)).write_text("in the way")
    assert workspace.run().exit_code is ExitCode.OK


def write_log(store: Store, name: str, *lines: object) -> None:
    folder = Path(store.path(runs.FOLDER))
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(line if isinstance(line, str) else f"{json.dumps(line)}\n" for line in lines)
    (folder / f"{name}.jsonl").write_text(text)


def head(plan_id: str, started: float) -> dict[str, object]:
    return {"plan_id": plan_id, "started": started, "versions": {}}


def task(started: float, ended: float, unit: str = "", error: str = "") -> dict[str, object]:
    times = {"started": started, "ended": ended}
    return {"task": "WriteSidecars", "unit": unit, "images": 1, **times, "error": error}


JOINED = {
    "overlapping": ([head("a", 1), task(2, 5)], [head("a", 3), task(4, 9)], 2),
    "one after the other": ([head("a", 1), task(2, 3)], [head("a", 4), task(5, 9)], 1),
    "another plan": ([head("a", 1), task(2, 5)], [head("b", 3), task(4, 9)], 1),
    "a torn line": ([head("a", 1), task(2, 5)], ['{"ta\n', task(3, 9), head("a", 3)], 2),
    "no head yet": ([head("a", 1), task(2, 9)], [], 1),
}


@pytest.mark.parametrize(("first", "second", "processes"), JOINED.values(), ids=JOINED)
def test_processes_at_one_plan_are_one_run(
    first: list[object], second: list[object], processes: int, tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    write_log(store, "1", *first)
    write_log(store, "2", *second)
    run = read_last_run(store)
    assert run is not None
    assert (run.processes, run.ended) == (processes, 9)


def test_what_another_worker_did_later_is_no_failure(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_log(store, "1", head("a", 1), task(2, 3, "x", "lost"), task(2, 3, "y", "full"))
    write_log(store, "2", head("a", 1), task(4, 5, "x"))
    run = read_last_run(store)
    assert run is not None
    assert [failure.unit for failure in run.failures] == ["y"]


def test_old_runs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT", 2)
    workspace = small_workspace(tmp_path)
    for species in ("mouse", "rat", "vole"):
        workspace.rows[0]["Species"] = species
        workspace.run()
    store = Store(str(workspace.out))
    assert len(os.listdir(store.path(runs.FOLDER))) == 2
    assert last_run(workspace).plan_id == store.current_plan_id()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_whose_plan_is_forgotten_is_on_record(
    workers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Another run takes over, prunes, and so deletes the plan, while a link is made."""
    workspace = small_workspace(tmp_path)

    def take_over(output: Output, path: str) -> None:
        (workspace.out / ".spimpack/current").write_text("another")
        shutil.rmtree(workspace.out / ".spimpack/plan", ignore_errors=True)
        make_link(output, path)

    change_backend(monkeypatch, "symlink", make=take_over)
    assert workspace.run(workers).exit_code is not ExitCode.OK
    assert "Traceback" not in capfd.readouterr().err
    run = last_run(workspace)
    assert run.is_complete is False
    assert any(failure.error.startswith("superseded") for failure in run.failures)
