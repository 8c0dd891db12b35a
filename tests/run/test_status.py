"""`plan` and `status` write nothing, and tell the truth while a run is going on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study import fingerprint
from workspace import Workspace, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.state.store import Store

SPIMPACK = Path(sys.executable).with_name("spimpack")


def arguments(workspace: Workspace) -> list[str]:
    workspace.write()
    return ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]


def status(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert main(["status", *arguments(workspace)]) == ExitCode.OK
    return capsys.readouterr().out.splitlines()


def test_status_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = small_workspace(tmp_path)
    assert status(workspace, capsys) == [
        "3 images: 3 new; 0 stale files",
        "current plan: none, nothing has been packaged here",
        "no run is going on",
    ]
    assert not workspace.out.exists()
    workspace.run()
    current = Store(str(workspace.out)).current_plan_id()
    *lines, last = status(workspace, capsys)
    assert lines == [
        "3 images: 3 unchanged; 0 stale files",
        f"current plan: {current}, that of these inputs",
        "no run is going on",
    ]
    made = "last run: 3 images made, 0 kept, in 0:00:0"
    assert last.startswith(made)
    assert last.endswith("; it completed the dataset")
    workspace.rows[0]["Species"] = "rat"
    workspace.rows.pop(2)
    workspace.participants.pop(2)
    first, others, second, third, _ = status(workspace, capsys)
    assert first == "2 images: 1 changed, 1 unchanged; 2 stale files"
    assert others.startswith("other files: ")
    assert second.startswith(f"current plan: {current}; these inputs make ")
    assert third == "no run is going on"
    (workspace.out / "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.json").write_text("mine")
    assert status(workspace, capsys)[0] == "2 images: 1 changed, 1 conflict; 2 stale files"


def test_status_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    capsys.readouterr()
    store = Store(str(workspace.out))
    for name in ("writers", "receipts-assets-03", "checksums"):
        with store.lock(name, shared=name == "checksums"):
            assert main(["status", *arguments(workspace), "--format", "json"]) == ExitCode.OK
        said = json.loads(capsys.readouterr().out)
        assert said["run_going_on"] is True
        assert said["images"]["unchanged"] == 3
        assert said["stale_files"] == 0
        assert said["current_plan"] == said["plan"] == store.current_plan_id()
    assert not store.is_busy()


def test_status_of_refused_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = small_workspace(tmp_path)
    workspace.rows[0]["subject"] = "0-1"
    assert main(["status", *arguments(workspace)]) == ExitCode.BAD_INPUT
    assert "subject" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["right", "edited", "conflict", "lost"])
def test_nothing_is_written(state: str, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run(checksum=True)
    if state == "edited":
        workspace.rows[0]["Species"] = "rat"
    elif state == "conflict":
        (workspace.out / "samples.tsv").write_text("mine")
    elif state == "lost":
        (workspace.out / ".spimpack").rename(tmp_path / "elsewhere")
    workspace.write()
    before = fingerprint(tmp_path)
    for command in ("plan", "status"):
        main([command, *arguments_as_they_are(workspace)])
    main(["verify", str(workspace.out)])
    main(["verify", str(workspace.out), "--checksum", "full"])
    after = fingerprint(tmp_path)
    # The log of the verification came and went.
    after.pop(str(workspace.out / ".spimpack"), None)
    before.pop(str(workspace.out / ".spimpack"), None)
    assert after == before


def arguments_as_they_are(workspace: Workspace) -> list[str]:
    return ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]


@pytest.mark.parametrize("workers", ["2", "1"])
@pytest.mark.parametrize("backend", ["symlink", "copy"])
@pytest.mark.slow
def test_plan_and_status_work_while_a_run_is_going_on(
    backend: str, workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two manifests take turns in one output; whoever looks sees no conflict and no traceback."""
    workspace = small_workspace(tmp_path)
    for number in range(4, 34):
        workspace.add_row(f"{number}.ome.zarr", subject=f"{number:02}")
        workspace.participants.append({"participant_id": f"{number:02}"})
    workspace.write()
    other = tmp_path / "other.tsv"
    text = (tmp_path / "scans.tsv").read_text()
    other.write_text("".join(text.replace("mouse", "rat").splitlines(keepends=True)[:-3]))
    other.with_suffix(".yml").write_text(
        json.dumps({"dataset_description": workspace.description, "scans_tsv": other.name})
    )
    manifests = [str(workspace.manifest), str(other.with_suffix(".yml"))]
    shared = ["--output-dir", str(workspace.out), "--backend", backend, "--replace"]
    looks = 0
    seen = set()
    for turn in range(4):
        run = subprocess.Popen(
            [SPIMPACK, "package", "--manifest", manifests[turn % 2], *shared, "--workers", workers],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:
            for manifest in manifests:
                for command in ("plan", "status"):
                    code = main([command, "--manifest", manifest, *shared])
                    shown = capsys.readouterr()
                    assert code == ExitCode.OK, shown
                    assert "conflict" not in shown.out
                    seen.add(shown.out)
                    looks += 1
        said = run.communicate()[1]
        assert "Traceback" not in said
        assert run.returncode == ExitCode.OK, said
    assert looks > 8
    assert len(seen) > 4
    assert os.path.isdir(workspace.out)
