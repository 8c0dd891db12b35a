"""Runs that a page starts: the right command, progress, stopping, and nothing that is left over."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_long_runs import SLOW as SLOW_COPY
from test_progress_line import SLOW, slow_workspace
from workspace import Workspace, leftovers, small_workspace, tree_of

from spimpack_tasks.cli.parser import build_parser
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.running import supervised, supervisor
from spimpack_tasks.running.exit_messages import exit_message
from spimpack_tasks.running.preview import preview_run, why_no_validator
from spimpack_tasks.running.process import PackagingRun, Runs
from spimpack_tasks.running.request import RunRequest
from spimpack_tasks.running.supervised import RunningError

PATIENCE_S = 120


class SlowRequest(RunRequest):
    """A run in which each image takes a while."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", SLOW, *self.arguments()]


def options(**changes: object) -> Options:
    return Options("/study/manifest.yml", "/study/bids", **changes)


START = "spimpack package --manifest=/study/manifest.yml --output-dir=/study/bids"
COMMANDS = {
    "plain": (RunRequest(options()), START),
    "all": (
        RunRequest(
            options(backend="copy", relative_symlinks=True, overwrite=True), 2, validates=True
        ),
        f"{START} --backend=copy --workers=2 --relative-symlinks --overwrite --bids-validator",
    ),
    "links to originals": (
        RunRequest(options(backend="ome-tiff", keep_source_links=True)),
        f"{START} --backend=ome-tiff --keep-source-links",
    ),
    "strict": (RunRequest(options(strict=True)), f"{START} --strict"),
    "off": (RunRequest(options(strict=False)), f"{START} --no-strict"),
    "a name that a shell would obey": (
        RunRequest(Options("/$(rm -r *)';", "/--overwrite")),
        ("""spimpack package '--manifest=/$(rm -r *)'"'"';' --output-dir=/--overwrite"""),
    ),
}


@pytest.mark.parametrize(("request_", "line"), COMMANDS.values(), ids=COMMANDS)
def test_the_command_line_says_the_same(request_: RunRequest, line: str) -> None:
    assert request_.line() == line
    assert shlex.split(line)[1:] == request_.arguments() == request_.command()[4:]
    parsed = build_parser().parse_args(request_.arguments())
    wanted = request_.options
    assert (parsed.manifest, parsed.output_dir) == (wanted.manifest, wanted.output_dir)
    assert (parsed.workers, parsed.overwrite) == (request_.workers, wanted.overwrite)


def finish(run: PackagingRun) -> int | None:
    code = run.wait(PATIENCE_S)
    if code is None:
        run.stop()
    return code


def run_of(workspace: Workspace, **changes: object) -> PackagingRun:
    workspace.write()
    images = preview_run(workspace.options(**changes)).work
    return PackagingRun(RunRequest(workspace.options(**changes)), images)


def test_a_run_packages(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "one")
    run = run_of(workspace)
    assert finish(run) == 0
    assert run.summary() == [f"Packaged {workspace.out}: 3 new"]
    assert exit_message(run) == (True, "Every image is in the dataset.")
    progress = run.progress()
    assert (progress.step, progress.done, progress.total, progress.share) == ("Finishing", 3, 3, 1)
    other = small_workspace(tmp_path / "two")
    other.run(relative_symlinks=True)
    again = run_of(workspace, relative_symlinks=True)
    assert finish(again) == 0
    assert tree_of(workspace.out) == tree_of(other.out)


def test_a_run_tells_why_it_is_refused(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.rows[0]["subject"] = "0-1"
    run = run_of(workspace)
    assert finish(run) == ExitCode.BAD_INPUT
    assert not exit_message(run).is_good
    assert any("[value.label]" in line for line in run.messages())
    assert not workspace.out.exists()


def start_slowly(root: Path, workers: int = 1) -> tuple[Workspace, PackagingRun]:
    workspace = slow_workspace(root)
    images = preview_run(workspace.options()).work
    return workspace, PackagingRun(SlowRequest(workspace.options(), workers), images)


def wait_until(is_so, run: PackagingRun) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, run.messages()
        assert run.is_going_on, (run.exit_code, run.messages())
        time.sleep(0.02)


def members(group: int) -> list[int]:
    """Return the processes of a group that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_grows(workers: int, tmp_path: Path) -> None:
    _, run = start_slowly(tmp_path, workers)
    assert run.progress().step in {"Checking inputs", "Placing images"}
    wait_until(lambda: 0 < run.progress().done < 20, run)
    progress = run.progress()
    assert progress.step == "Placing images"
    assert progress.total == 20
    assert 0 < progress.share < 1
    assert finish(run) == 0
    assert run.progress().share == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_run_ends_and_the_next_one_goes_on(workers: int, tmp_path: Path) -> None:
    workspace, run = start_slowly(tmp_path, workers)
    wait_until(lambda: run.progress().done > 0, run)
    group = run._process
    assert members(group)
    run.stop()
    run.stop()
    assert run.wait(PATIENCE_S), (run.summary(), run.messages(), run.progress())
    assert members(group) == []
    assert exit_message(run).text == "Stopped. Finished parts are kept; run it again to resume."
    placed = [path for path, (kind, _) in tree_of(workspace.out).items() if kind == "link"]
    assert 0 < len(placed) < 20
    assert finish(run_of(workspace)) == 0
    assert leftovers(workspace.out) == []
    other = slow_workspace(tmp_path / "other")
    other.run()
    assert set(workspace.tree()) == set(other.tree())
    assert finish(run_of(workspace)) == 0


STUBBORN = """\
import os, signal, sys, time
for what in (signal.SIGINT, signal.SIGTERM):
    signal.signal(what, signal.SIG_IGN)
if os.fork() == 0:
    time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""
SHORT = f"""\
import sys
sys.path.insert(0, {str(Path(supervisor.__file__).parent)!r})
import supervisor
supervisor.STEPS = tuple((what, seconds and 0.1) for what, seconds in supervisor.STEPS)
sys.exit(supervisor.main(2, sys.argv[1:]))
"""


def test_what_does_not_want_to_end_is_killed() -> None:
    command = [sys.executable, "-c", SHORT, sys.executable, "-c", STUBBORN]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as held:
        assert held.stdout.readline() == "ready\n"
        held.stdin.close()
        assert held.wait(PATIENCE_S) == 128 + signal.SIGKILL
        assert members(int(held.stderr.read())) == []


LOSES_ITS_LIFE = """\
import os, signal, sys, time
sys.path[:0] = [sys.argv[1] + "/support", sys.argv[1] + "/run"]
from test_running import start_slowly, wait_until
from pathlib import Path
_, run = start_slowly(Path(sys.argv[2]))
wait_until(lambda: run.progress().done > 0, run)
print(run._process, run._supervisor.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOSES_ITS_LIFE, str(Path(__file__).parents[1]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    group, _ = map(int, done.stdout.split())
    deadline = time.monotonic() + PATIENCE_S
    while members(group):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_output_has_one_run(tmp_path: Path) -> None:
    workspace = slow_workspace(tmp_path)
    runs = Runs()
    first = runs.start(SlowRequest(workspace.options()))
    (tmp_path / "link").symlink_to(workspace.out)
    for path in (workspace.out, f"{workspace.out}/", tmp_path / "link"):
        with pytest.raises(RunningError, match="is going on already"):
            runs.start(RunRequest(workspace.options(output_dir=str(path))))
        assert runs.find(str(path)) is first
    other = runs.start(RunRequest(workspace.options(output_dir=str(tmp_path / "other"))))
    assert finish(other) == 0
    assert runs.find_last(str(workspace.manifest)) is other
    assert runs.find_last("/another.yml") is None
    first.stop()
    assert first.wait(PATIENCE_S)
    again = runs.start(RunRequest(workspace.options()))
    assert finish(again) == 0
    assert runs.find(str(workspace.out)) is again


def test_no_secret_and_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(supervised.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("SPIMPACK_UI_TOKEN", "canary-4711")
    workspace, run = start_slowly(tmp_path)
    wait_until(lambda: run.progress().done > 0, run)
    for member in (run._supervisor.pid, *members(run._process)):
        for name in ("environ", "cmdline"):
            assert b"canary-4711" not in Path(f"/proc/{member}/{name}").read_bytes()
    assert os.listdir(tmp_path / "tmp") == []
    run.stop()
    assert run.wait(PATIENCE_S)
    files = (path for path in workspace.out.rglob("*") if path.is_file())
    assert not any(b"canary-4711" in path.read_bytes() for path in files)


def test_a_long_output_is_shown_from_its_end() -> None:
    file = supervised._unnamed_file()
    file.write(b"first\n" + b"x" * supervised.TAIL_BYTES + b"\n\x1b[2Jlast\xff\n")
    assert supervised._tail(file) == ["...", "\\x1b[2Jlast\ufffd"]
    file.close()


def test_the_validator_is_asked(tmp_path: Path) -> None:
    if why_no_validator():
        pytest.skip("bids-validator-deno is not installed")
    workspace = small_workspace(tmp_path)
    workspace.write()
    run = PackagingRun(RunRequest(workspace.options(), validates=True))
    assert finish(run) == 0, run.messages()
    assert run.summary()[1].startswith(f"{workspace.out}: valid BIDS")


def test_a_missing_validator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "")
    assert "pip install 'spimpack_tasks[bids]'" in why_no_validator()


def test_a_preview_tells_all_that_would_change(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()
    first = preview_run(workspace.options())
    assert first.may_run
    assert first.counts()["new"] == len(first.work.images) == 3
    assert not workspace.out.exists()
    workspace.run()
    assert preview_run(workspace.options()).shown() == []
    workspace.rows[0]["Species"] = "rat"
    workspace.rows.pop()
    workspace.write()
    second = preview_run(workspace.options())
    verdicts = {change.path.split("/")[0]: str(change.verdict) for change in second.shown()}
    assert verdicts["sub-01"] == "changed"
    assert verdicts["sub-03"] == "removed"
    assert 'Species: "mouse" -> "rat"' in second.shown()[0].reasons
    sidecar = next((workspace.out / "sub-01").rglob("*.json"))
    sidecar.write_text("{}")
    third = preview_run(workspace.options())
    assert not third.may_run
    assert [problem.code for problem in third.report.errors] == ["conflict.altered"]
    assert third.counts()["conflict"] == 1
    assert preview_run(workspace.options(overwrite=True)).may_run


def test_a_preview_of_refused_inputs_is_what_validation_says(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.rows[0]["subject"] = "0-1"
    workspace.write()
    refused = preview_run(workspace.options())
    assert not refused.may_run
    assert "value.label" in {problem.code for problem in refused.report.errors}
    assert refused.changes == ()


class SlowCopy(RunRequest):
    """Copies each image in four seconds."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", SLOW_COPY, *self.arguments()]


def test_i15_2_a_page_sees_bytes_and_workers(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    workspace = small_workspace(tmp_path)
    workspace.write()
    options = workspace.options(backend="copy")
    run = PackagingRun(SlowCopy(options), preview_run(options).work)
    wait_until(lambda: run.progress().workers, run)
    progress = run.progress()
    assert progress.step == "Placing images"
    assert f"process {run._process}: sub-" in progress.workers[0]
    assert "0:00:0" in progress.text
    run.stop()
    assert run.wait(PATIENCE_S)
    assert run.progress().workers == ()
