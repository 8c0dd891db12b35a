"""Packaging through a real luigid on loopback, with real worker processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from workspace import Workspace, small_workspace

from spimpack_tasks.errors import ExitCode

BIN = Path(sys.executable).parent
CONFIG = Path(__file__).parents[1] / "configs" / "luigi.cfg"
Luigi = Callable[..., int]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(params=["configured", "bare"])
def luigid(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """A scheduler with our configuration, and one with Luigi's own; its port and environment."""
    environment = {k: v for k, v in os.environ.items() if k != "LUIGI_CONFIG_PATH"}
    if request.param == "configured":
        environment["LUIGI_CONFIG_PATH"] = str(CONFIG)
    port = free_port()
    home = tmp_path / "luigid"
    home.mkdir()
    command = [BIN / "luigid", "--address", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--state-path", home / "state.pickle"],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port, environment
    finally:
        server.terminate()
        server.wait()


def run(workspace: Workspace, luigid: tuple[int, dict[str, str]], *further: str) -> int:
    port, environment = luigid
    where = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    scheduler = ["--scheduler-host", "127.0.0.1", "--scheduler-port", str(port), "--no-lock"]
    done = subprocess.run(
        [
            BIN / "luigi",
            "--module",
            "spimpack_tasks",
            "PackageDataset",
            *where,
            *scheduler,
            *further,
        ],
        cwd=workspace.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    if done.returncode == ExitCode.BAD_INPUT:
        assert "[value.label]" in done.stderr
    return done.returncode


@pytest.mark.parametrize("workers", ["1", "2"])
def test_edits_are_seen_although_the_scheduler_remembers(
    luigid: tuple[int, dict[str, str]], workers: str, tmp_path: Path
) -> None:
    workspace = small_workspace(tmp_path / "data")
    workspace.write()
    assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
    first = workspace.stamps()
    assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
    assert workspace.stamps() == first
    workspace.rows[0]["Species"] = "rat"
    workspace.write()
    assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
    changed = {path for path, what in workspace.stamps().items() if first.get(path) != what}
    assert changed == {"sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.json"}
    # Back to what it was before: the tasks of the first plan are known, and were done just now.
    workspace.rows[0]["Species"] = "mouse"
    workspace.write()
    if "LUIGI_CONFIG_PATH" in luigid[1]:
        assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
        assert {p: s[:2] for p, s in workspace.stamps().items()} == {
            p: s[:2] for p, s in first.items()
        }
        (workspace.out / "samples.tsv").unlink()
        assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
        assert (workspace.out / "samples.tsv").exists()


def test_a_mistake_is_told_each_time(luigid: tuple[int, dict[str, str]], tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "data")
    workspace.rows[0]["subject"] = "a-b"
    workspace.write()
    assert run(workspace, luigid) == ExitCode.BAD_INPUT
    assert run(workspace, luigid) == ExitCode.BAD_INPUT
    workspace.rows[0]["subject"] = "01"
    workspace.write()
    assert run(workspace, luigid) == ExitCode.OK


def test_the_scheduler_learns_no_free_text(
    luigid: tuple[int, dict[str, str]], tmp_path: Path
) -> None:
    """Whoever looks at luigid's page sees ids and the user's own options, no cell of a table."""
    workspace = small_workspace(tmp_path / "data")
    canary = "<img src=x onerror=alert(1)>"
    workspace.rows[0]["Comment"] = canary
    workspace.description["Name"] = canary
    workspace.rows[0]["dataset_id"] = canary
    workspace.write()
    assert run(workspace, luigid) == ExitCode.OK
    query = json.dumps({"status": "", "upstream_status": "", "search": ""})
    url = f"http://127.0.0.1:{luigid[0]}/api/task_list?data={urllib.request.quote(query)}"  # type: ignore[attr-defined]
    with urllib.request.urlopen(url) as answer:
        known = answer.read().decode()
    assert "WriteSidecars" in known
    assert "img" not in known
    assert "<" not in known.replace(str(tmp_path), "")
