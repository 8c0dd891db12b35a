"""Long runs tell how they are: from notes of workers, in lines of a log, and after a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workspace import Workspace, change_backend, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.model.meter import Amount, Meter
from spimpack_tasks.model.plan import Output
from spimpack_tasks.packaging.backends.base import Advance
from spimpack_tasks.packaging.backends.copy import resume_copy
from spimpack_tasks.state import work_notes
from spimpack_tasks.state.run_progress import UNKNOWN, RunProgress, Work
from spimpack_tasks.state.runs import TaskRun, read_last_run
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.work_notes import Worker, WorkNote, read_notes

KEYS = ["sub-01_sample-brain_SPIM", "sub-02_sample-brain_SPIM"]


def note(**changes: object) -> WorkNote:
    values = {"host": "far", "process": 1, "plan_id": "p", "task": "CopyAssets", "unit": KEYS[0]}
    return WorkNote(**values | {"since": 0.0, "heard": 0.0} | changes)


def task(name: str, unit: str, size: int) -> TaskRun:
    return TaskRun(name, unit, 1, 0, 1, bytes=size)


@pytest.mark.parametrize(
    ("expected", "ended", "notes", "amount"),
    [
        pytest.param((100, 300), [], [], (0, 400), id="i15-2-nothing yet"),
        pytest.param((0, 0), [], [], (0, 0), id="i15-2-links have no bytes"),
        pytest.param((100, UNKNOWN), [], [], (0, 0), id="i15-2-not all is known"),
        pytest.param(
            (100, UNKNOWN), [(KEYS[1], 900)], [], (900, 1000), id="i15-2-known when it is done"
        ),
        pytest.param(
            (100, 300), [(KEYS[1], 320)], [], (320, 420), id="i15-2-measured, not estimated"
        ),
        pytest.param(
            (UNKNOWN, 300), [], [(KEYS[0], 50, 200)], (50, 500), id="i15-2-measured at the start"
        ),
        pytest.param(
            (100, 300),
            [(KEYS[1], 300)],
            [(KEYS[0], 25, 100)],
            (325, 400),
            id="i15-2-done and in work",
        ),
    ],
)
def test_bytes_are_those_of_all_workers(expected, ended, notes, amount) -> None:
    progress = RunProgress(Work(dict(zip(KEYS, expected, strict=True)), {}))
    for unit, size in ended:
        progress.add(task("CopyAssets", unit, size))
    progress.follow(note(unit=unit, done=done, total=total) for unit, done, total in notes)
    assert (progress.amount.done, progress.amount.total) == amount


def test_i15_2_images_are_never_made_while_planning() -> None:
    progress = RunProgress(Work(dict.fromkeys(KEYS, 100), {}))
    progress.follow([note(path="sub-01/micr/a.ome.zarr", path_done=5, path_total=20, total=20)])
    assert progress.step == "Placing images"
    assert "a.ome.zarr 25%" in progress.text(Meter())


def test_i15_2_rate_and_time_left_follow_the_last_seconds() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    for second in range(61):  # a slow minute, as when finished parts are skipped
        now = float(second)
        meter.text(Amount(second * 1_000_000, 10**9))
    for second in range(61, 91):  # and half a minute that is ten times as fast
        now = float(second)
        text = meter.text(Amount(60_000_000 + (second - 60) * 10_000_000, 10**9))
    assert text == "360 MB of 1.0 GB (36%)  10.0 MB/s  0:01:30  left 0:01:04"


@pytest.mark.parametrize(
    ("host", "process", "age", "is_heard"),
    [
        pytest.param("here", "alive", 10**6, True, id="i15-2-its process is there"),
        pytest.param("here", "gone", 0, False, id="i15-2-its process is gone"),
        pytest.param("far", "gone", 5, True, id="i15-2-another host, a moment ago"),
        pytest.param("far", "alive", 200, False, id="i15-2-another host, long ago"),
    ],
)
def test_a_worker_is_heard_of(host: str, process: str, age: float, is_heard: bool) -> None:  # noqa: FBT001
    ended = subprocess.Popen(["true"])
    ended.wait()
    number = os.getpid() if process == "alive" else ended.pid
    heard = note(host=host, process=number, heard=1000.0)
    assert heard.is_heard("here", 1000.0 + age) is is_heard


def test_i15_2_a_note_comes_after_a_second_and_goes(tmp_path: Path, monkeypatch) -> None:
    store = Store(str(tmp_path))
    store.create()
    written = []
    monkeypatch.setattr(work_notes, "FIRST_S", 0.05)
    with Worker(store, "p", "CopyAssets", KEYS[0], written.append) as worker:
        worker.begin_image("a", 10)
        worker.advance(1)
        assert read_notes(store) == []
        time.sleep(0.06)
        worker.advance(2)
        worker.advance(3)  # within the second
        (found,) = read_notes(store)
        assert (found.path_done, found.process, found.host) == (3, os.getpid(), os.uname().nodename)
    assert not Path(store.path("working")).exists()


def test_i15_2_damaged_notes_do_no_harm(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    folder = Path(store.path("working"))
    folder.mkdir(parents=True)
    for number, text in enumerate(['{"host"', "[]", "", '{"host": "a", "new": 1}']):
        (folder / f"{number}.json").write_text(text)
    assert read_notes(store) == []


def slow(output: Output, path: str, advance: Advance) -> None:
    resume_copy(output, path, advance)
    for _ in range(40):
        time.sleep(0.1)
        advance(0)


SLOW = """\
import sys
from dataclasses import replace
import test_long_runs
from spimpack_tasks.cli.main import main
from spimpack_tasks.packaging.backends.registry import BACKENDS
BACKENDS["copy"] = replace(BACKENDS["copy"], resume=test_long_runs.slow)
sys.exit(main())
"""


def start(workspace: Workspace, **variables: str) -> subprocess.Popen[str]:
    workspace.write()
    paths = [str(workspace.manifest), str(workspace.out)]
    folders = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, "package", *paths, "--backend", "copy"],
        env=os.environ | {"PYTHONPATH": folders} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_note(workspace: Workspace, run: subprocess.Popen[str]) -> WorkNote:
    deadline = time.monotonic() + 60
    while not (notes := read_notes(Store(str(workspace.out)))):
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.05)
    return notes[0]


def status(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict]:
    command = ["status", str(workspace.manifest), str(workspace.out), "--backend", "copy"]
    assert main(command) == ExitCode.OK
    text = capsys.readouterr().out
    assert main([*command, "--format", "json"]) == ExitCode.OK
    return text, json.loads(capsys.readouterr().out)


def test_i15_2_status_from_another_process_and_after_a_kill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    run = start(workspace)
    seen = wait_for_note(workspace, run)
    text, data = status(workspace, capsys)
    where = f"{os.uname().nodename}, process {run.pid}: {seen.path}, "
    assert "a run is going on" in text
    assert where in text
    assert [(w["process"], w["heard_of"]) for w in data["workers"]] == [(run.pid, True)]
    run.kill()
    run.communicate()
    text, data = status(workspace, capsys)
    assert "no run is going on" in text
    assert f"{os.uname().nodename}, process {run.pid}: not heard of since " in text
    assert [w["heard_of"] for w in data["workers"]] == [False]
    assert data["last_run"]["completed"] is None
    workspace.run(backend="copy")
    assert not (workspace.out / ".spimpack/working").exists()
    assert status(workspace, capsys)[1]["workers"] == []


def test_i15_2_without_a_terminal_there_are_lines_in_the_log(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    out, err = start(workspace, SPIMPACK_LOG_SECONDS="1").communicate()
    assert out == f"Packaged {workspace.out}: 3 new\n"
    lines = [line for line in err.splitlines() if line.startswith("Placing images")]
    assert 3 <= len(lines) <= 40
    assert any("_SPIM" in line for line in lines)
    assert "\033" not in err


@pytest.mark.parametrize("workers", [1, 2])
def test_i15_8_numbers_of_a_run_that_fails_are_kept(
    workers: int, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run(backend="copy")
    workspace.add_row("4.ims", subject="04")
    workspace.add_row("5.ims", subject="05")
    workspace.participants += [{"participant_id": "04"}, {"participant_id": "05"}]
    workspace.rows.pop(0)
    workspace.participants.pop(0)

    def fail_at_five(output: Output, path: str, advance: Advance) -> None:
        if "sub-05" in path or "sub-05" in output.path:
            raise OSError(5, "broken disk")
        resume_copy(output, path, advance)

    change_backend(monkeypatch, "copy", resume=fail_at_five)
    outcome = workspace.run(workers, backend="copy")
    assert outcome.exit_code is ExitCode.FAILED
    run = read_last_run(Store(str(workspace.out)))
    assert run is not None
    size = (workspace.root / "raw/4.ims").stat().st_size
    assert (run.made, run.kept, run.bytes, len(run.failures)) == (1, 2, size, 1)
    text, data = status(workspace, capsys)
    assert "last run: 1 image made (" in text
    assert "2 kept, 1 failure, in " in text
    assert "it did not complete the dataset" in text
    assert main(["report", str(workspace.out), "--format", "json"]) == ExitCode.OK
    said = json.loads(capsys.readouterr().out)["run"]
    assert (said["made"], said["kept"], said["bytes"], said["failed"]) == (1, 2, size, 1)
    assert data["last_run"]["made"] == 1
    change_backend(monkeypatch, "copy", resume=resume_copy)
    workspace.run(workers, backend="copy")
    run = read_last_run(Store(str(workspace.out)))
    assert run is not None
    assert (run.made, run.kept, run.removed, run.failures) == (1, 3, 2, [])
