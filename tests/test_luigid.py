"""Packaging through a real luigid on loopback, with real worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import CONFIG, Cluster, end
from workspace import Workspace, small_workspace

from spimpack_tasks.errors import ExitCode


@pytest.fixture(params=["configured", "bare"])
def luigid(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler with our configuration, and one with Luigi's own."""
    is_ours = request.param == "configured"
    with Cluster(tmp_path / "luigid", {"LUIGI_CONFIG_PATH": str(CONFIG)} if is_ours else {}) as it:
        yield it


def run(workspace: Workspace, luigid: Cluster, *further: str) -> int:
    worker = luigid.start_worker("worker", workspace, *further)
    code = end(worker)
    log = luigid.log("worker")
    assert "Traceback" not in log, log
    if code == ExitCode.BAD_INPUT:
        assert "[value.label]" in log
    return code


@pytest.mark.parametrize("workers", ["1", "2"])
def test_edits_are_seen_although_the_scheduler_remembers(
    luigid: Cluster, workers: str, tmp_path: Path
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
    if "LUIGI_CONFIG_PATH" in luigid.environment:
        assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
        assert {p: s[:2] for p, s in workspace.stamps().items()} == {
            p: s[:2] for p, s in first.items()
        }
        (workspace.out / "samples.tsv").unlink()
        assert run(workspace, luigid, "--workers", workers) == ExitCode.OK
        assert (workspace.out / "samples.tsv").exists()


def test_a_mistake_is_told_each_time(luigid: Cluster, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "data")
    workspace.rows[0]["subject"] = "a-b"
    workspace.write()
    assert run(workspace, luigid) == ExitCode.BAD_INPUT
    assert run(workspace, luigid) == ExitCode.BAD_INPUT
    workspace.rows[0]["subject"] = "01"
    workspace.write()
    assert run(workspace, luigid) == ExitCode.OK


def test_the_scheduler_learns_no_free_text(luigid: Cluster, tmp_path: Path) -> None:
    """Whoever looks at luigid's page sees ids and the user's own options, no cell of a table."""
    workspace = small_workspace(tmp_path / "data")
    canary = "<img src=x onerror=alert(1)>"
    workspace.rows[0]["Comment"] = canary
    workspace.description["Name"] = canary
    workspace.rows[0]["dataset_id"] = canary
    workspace.write()
    assert run(workspace, luigid) == ExitCode.OK
    known = str(luigid.ask("task_list", status="", upstream_status="", search=""))
    assert "WriteSidecars" in known
    assert "img" not in known
    assert "<" not in known.replace(str(tmp_path), "")
