"""Workers and schedulers that die in the middle of the work, and what becomes of the dataset.

After each: the work is done, or the next run does it, and what was right by then is not written
again. Who survives ends with the exit code that the dataset asks for.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import CONFIG, Cluster, Gate, end, images_for, phase_out, shorten, wait_until
from workspace import Workspace, leftovers

from spimpack_tasks.errors import ExitCode

IMAGES = 8
GATED = ("--backend", "gated")
Stamps = dict[str, tuple[Any, ...]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return images_for(tmp_path / "data", IMAGES)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "plugin")


@pytest.fixture
def cluster(tmp_path: Path, gate: Gate, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster with our settings, with short delays unless a test wants them as they are."""
    config = getattr(request, "param", None) or shorten(tmp_path)
    environment = gate.environment | {"LUIGI_CONFIG_PATH": str(config)}
    with Cluster(tmp_path / "cluster", environment) as cluster:
        yield cluster


@pytest.fixture
def start(cluster: Cluster, workspace: Workspace) -> Any:
    """Start a worker of a name; an assistant, if it is called so."""

    def start(name: str, *further: str) -> subprocess.Popen[bytes]:
        role = ("--assistant",) if name.startswith("assistant") else ()
        return cluster.start_worker(name, workspace, *GATED, *role, *further)

    return start


def made(workspace: Workspace) -> int:
    return sum(path.endswith(".ims") for path in workspace.tree())


@pytest.fixture
def check(cluster: Cluster, workspace: Workspace, gate: Gate, start: Any) -> Any:
    """Check that all is there, what was right is untouched, and another run finds nothing to do."""

    def check(before: Stamps) -> None:
        assert made(workspace) == IMAGES
        assert not leftovers(workspace.out)
        stamps = workspace.stamps()
        assert {path: stamps[path] for path in before} == before
        work = len(gate.begun())
        assert end(start("again")) == ExitCode.OK
        assert workspace.stamps() == stamps
        assert len(gate.begun()) == work
        for log in cluster.folder.iterdir():
            assert log.suffix == ".pickle" or "Traceback" not in log.read_text(), log.read_text()

    return check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cluster", "workers"),
    [
        pytest.param(None, "1", id="one process each"),
        pytest.param(None, "2", id="two processes each", marks=pytest.mark.slow),
        pytest.param(CONFIG, "1", id="our settings as they are", marks=pytest.mark.slow),
    ],
    indirect=["cluster"],
)
def test_o59_an_assistant_dies_and_the_others_do_its_work(
    workspace: Workspace, gate: Gate, start: Any, check: Any, workers: str
) -> None:
    names = ("main", "assistant", "assistant 2")
    main, dying, staying = (start(name, "--workers", workers) for name in names)
    for worker in (main, dying, staying):
        gate.wait_for(worker)
    os.killpg(dying.pid, signal.SIGKILL)
    before = workspace.stamps()
    gate.open()
    assert end(main) == ExitCode.OK
    assert phase_out(staying) == ExitCode.OK
    check(before)


@pytest.mark.slow
def test_the_process_of_one_task_dies_and_the_task_is_done_again(
    gate: Gate, start: Any, check: Any
) -> None:
    main = start("main", "--workers", "2")
    gate.wait_for(main)
    os.kill(gate.begun()[0], signal.SIGKILL)
    gate.open()
    assert end(main) == ExitCode.OK
    check({})


@pytest.mark.slow
def test_o60_the_worker_that_began_the_run_dies_and_the_next_run_ends_it(
    workspace: Workspace, gate: Gate, start: Any, check: Any
) -> None:
    main, assistant = start("main"), start("assistant")
    gate.wait_for(main)
    gate.wait_for(assistant)
    main.kill()
    gate.open()
    wait_until("the assistant goes on", lambda: made(workspace) >= 2)
    before = workspace.stamps()
    assert end(start("next")) == ExitCode.OK
    assert phase_out(assistant) == ExitCode.OK
    check(before)


@pytest.mark.slow
def test_f14_a_run_beside_a_dead_worker_says_how_long(tmp_path: Path, gate: Gate) -> None:
    """With Luigi's own settings: a minute of silence, and luigid looks once a minute."""
    workspace = images_for(tmp_path / "one", 1)
    with Cluster(tmp_path / "bare", gate.environment) as cluster:
        dying = cluster.start_worker("dying", workspace, *GATED)
        gate.wait_for(dying)
        os.killpg(dying.pid, signal.SIGKILL)
        gate.open()
        assert end(cluster.start_worker("next", workspace, *GATED)) == ExitCode.NOT_RUN
        assert cluster.log("next").count("after 120 seconds at most") == 1
        where = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
        package = (cluster.program("spimpack"), "package", *where, *GATED)
        assert end(cluster.start("package", *package)) == ExitCode.OK


@pytest.mark.slow
def test_luigid_is_stopped_and_started_and_the_run_goes_on(
    cluster: Cluster, workspace: Workspace, gate: Gate, start: Any, check: Any
) -> None:
    main, assistant = start("main"), start("assistant")
    gate.wait_for(main)
    gate.wait_for(assistant)
    cluster.luigid.terminate()
    assert cluster.luigid.wait() == 0
    before = workspace.stamps()
    gate.open()
    wait_until("work is done without luigid", lambda: made(workspace))
    cluster.start_luigid()
    assert end(main) == ExitCode.OK
    assert phase_out(assistant) == ExitCode.OK
    check(before)


def test_luigid_is_killed_and_started_and_the_next_run_does_the_rest(
    cluster: Cluster, workspace: Workspace, gate: Gate, start: Any, check: Any
) -> None:
    """What a killed luigid knew is lost: its workers find nothing to do, and leave."""
    main, assistant = start("main"), start("assistant")
    gate.wait_for(main)
    gate.wait_for(assistant)
    cluster.luigid.kill()
    cluster.luigid.wait()
    gate.open()
    wait_until("work is done without luigid", lambda: made(workspace))
    cluster.start_luigid()
    assert end(main) == ExitCode.NOT_RUN
    before = workspace.stamps()
    assert 0 < made(workspace) < IMAGES
    assert end(start("next")) == ExitCode.OK
    assert phase_out(assistant) == ExitCode.OK
    check(before)


@pytest.mark.slow
def test_luigid_dies_and_a_run_without_it_does_the_rest(
    cluster: Cluster, workspace: Workspace, gate: Gate, start: Any, check: Any
) -> None:
    main = start("main")
    gate.wait_for(main)
    cluster.luigid.kill()
    gate.open()
    assert end(main) == ExitCode.NOT_RUN
    assert "see that luigid runs there" in cluster.log("main")
    before = workspace.stamps()
    inputs = ("--manifest", str(workspace.manifest), "--output-dir", str(workspace.out))
    package = cluster.start("package", cluster.program("spimpack"), "package", *inputs, *GATED)
    assert end(package) == ExitCode.OK
    cluster.start_luigid()
    check(before)


@pytest.mark.slow
@pytest.mark.parametrize("leaves", ["main", "assistant"])
def test_a_worker_that_is_phased_out_finishes_what_it_is_at(
    workspace: Workspace, gate: Gate, start: Any, check: Any, leaves: str
) -> None:
    """As before the end of the time of a job: it leaves, and has nothing half done."""
    workers = {"main": start("main"), "assistant": start("assistant")}
    for worker in workers.values():
        gate.wait_for(worker)
    leaving = workers.pop(leaves)
    leaving.send_signal(signal.SIGUSR1)
    gate.open()
    code = end(leaving)
    before = workspace.stamps()
    assert gate.begun().count(leaving.pid) == 1
    assert made(workspace)
    if leaves == "main":
        assert code in {ExitCode.OK, ExitCode.NOT_RUN}  # the assistant may have done the rest
        assert end(start("next")) == ExitCode.OK
        assert phase_out(workers["assistant"]) == ExitCode.OK
    else:
        assert end(workers["main"]) == ExitCode.OK
    check(before)


def test_a_scheduler_that_is_not_there_is_told_of_without_its_password(
    workspace: Workspace, tmp_path: Path, gate: Gate
) -> None:
    config = tmp_path / "impatient.cfg"
    config.write_text("[core]\nrpc-retry-attempts = 2\nrpc-retry-wait = 0\n")
    cluster = Cluster(tmp_path / "nowhere", gate.environment | {"LUIGI_CONFIG_PATH": str(config)})
    url = f"http://ada:secret@127.0.0.1:{cluster.port}"
    worker = cluster.start_worker("worker", workspace, *GATED, "--scheduler-url", url)
    assert end(worker) == ExitCode.NOT_RUN
    log = cluster.log("worker")
    assert f"'http://127.0.0.1:{cluster.port}'; see that luigid runs there" in log
    assert "secret" not in log
    assert "Traceback" not in log
