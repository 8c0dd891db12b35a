"""`spimpack status` beside a real luigid with workers, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from cluster import Cluster, end, images_for, shorten, wait_until
from workspace import Workspace

from spimpack_tasks.errors import ExitCode
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.work_notes import read_notes

SUPPORT = Path(__file__).parents[1] / "support"


def start(cluster: Cluster, name: str, workspace: Workspace) -> subprocess.Popen[bytes]:
    """Start a worker, or an assistant if it is called so, with the slow backend."""
    role = ("--assistant",) if name.startswith("assistant") else ()
    where = ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(cluster.port), "--no-lock")
    inputs = ("--manifest", str(workspace.manifest), "--output-dir", str(workspace.out))
    command = (cluster.program("luigi"), "--module", "slow_copy", "PackageDataset")
    return cluster.start(name, *command, *where, *inputs, "--backend", "slow-copy", *role)


def status(cluster: Cluster, workspace: Workspace) -> dict:
    """Ask another process, which has the backend as well."""
    code = "import slow_copy, sys; from spimpack_tasks.cli.main import main; sys.exit(main())"
    paths = [str(workspace.manifest), str(workspace.out)]
    done = subprocess.run(
        [
            *(cluster.program("python"), "-c", code, "status", *paths),
            *("--format", "json", "--backend", "slow-copy"),
        ],
        env=cluster.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_i15_2_each_worker_tells_how_it_is(tmp_path: Path) -> None:
    workspace = images_for(tmp_path / "data", 4)
    environment = {
        "LUIGI_CONFIG_PATH": str(shorten(tmp_path)),
        "PYTHONPATH": str(SUPPORT),
        "SLOW_COPY_STEPS": "200",
        "SPIMPACK_LOG_SECONDS": "1",
    }
    store = Store(str(workspace.out))
    with Cluster(tmp_path / "cluster", environment) as cluster:
        worker = start(cluster, "worker", workspace)
        assistant = start(cluster, "assistant", workspace)
        wait_until("both have a note", lambda: len(read_notes(store)) == 2)
        said = status(cluster, workspace)
        assert said["run_going_on"] is True
        assert {each["process"] for each in said["workers"]} == {worker.pid, assistant.pid}
        assert all(each["heard_of"] for each in said["workers"])
        assert len({each["path"] for each in said["workers"]}) == 2
        assert {each["host"] for each in said["workers"]} == {os.uname().nodename}
        os.killpg(assistant.pid, signal.SIGKILL)
        assistant.wait()
        said = status(cluster, workspace)
        heard = {each["process"]: each["heard_of"] for each in said["workers"]}
        assert heard[assistant.pid] is False
        assert end(worker) == ExitCode.OK
        assert f"{os.uname().nodename}, process {worker.pid}: sub-" in cluster.log("worker")
        said = status(cluster, workspace)
        assert (said["workers"], said["run_going_on"]) == ([], False)
        assert said["images"]["unchanged"] == 4
        assert said["last_run"]["made"] == 4
    assert not Path(store.path("working")).exists()
