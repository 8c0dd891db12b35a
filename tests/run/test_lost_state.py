"""Any part of the state may be lost or broken: the next run heals it, and changes no output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import luigi
import pytest
from workspace import STATE, Workspace, leftovers, small_workspace

import spimpack_tasks
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode

BROKEN = {
    "lost": None,
    "empty": b"",
    "cut off": b'{"outputs": [',
    "no object": b"[[1]]",
    "other object": b'{"a": {"b": 1}}',
    "null": b"null",
    "no text": b"\xff\xfe\x00",
}
"""What a power cut, a full disk, a sync program or an editor leave of a file of the state."""

FILES = (
    "current",
    "headers.json",
    "paths.json",
    "seal",
    "plan/*/dataset.json",
    "plan/*/[0-9]*.json",
    "receipts/assets-*.json",
    "receipts/description.json",
    "receipts/bidsignore.json",
    "checksums/*.json",
    "validated/*",
)
FOLDERS = (
    "",
    "plan",
    "plan/*",
    "validated",
    "receipts",
    "checksums",
    "locks",
    "tmp",
    "runs",
)


def packaged(root: Path) -> Workspace:
    space = small_workspace(root)
    assert space.run(checksum=True).exit_code == ExitCode.OK
    return space


def arguments(space: Workspace, command: str) -> list[str]:
    return [command, "--manifest", str(space.manifest), "--output-dir", str(space.out)]


def break_state(space: Workspace, pattern: str, content: bytes | None) -> None:
    state = space.out / STATE
    found = [path for path in state.glob(pattern) if path.is_file()]
    assert found
    for path in found:
        path.unlink()
        if content is not None:
            path.write_bytes(content)


@pytest.mark.few(26)
@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("pattern", FILES)
def test_e2_a_file_of_the_state(tmp_path, pattern, how, capsys):
    space = packaged(tmp_path)
    before = space.stamps()
    break_state(space, pattern, BROKEN[how])
    assert main(arguments(space, "plan")) == ExitCode.OK
    assert main(arguments(space, "status")) == ExitCode.OK
    for command in (["verify"], ["verify", "--pixels"], ["report"]):
        assert main([*command, str(space.out)]) != ExitCode.INTERNAL
    assert main(arguments(space, "package")) == ExitCode.OK, capsys.readouterr().err
    after = space.stamps()
    lists = {"SHA256SUMS", "SHA256SUMS.trees"}
    assert {p: s for p, s in after.items() if p not in lists} == {
        p: s for p, s in before.items() if p not in lists
    }
    assert main(["verify", str(space.out)]) == ExitCode.OK
    assert leftovers(space.out) == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("pattern", ["plan/*/[0-9]*.json", "receipts/assets-*.json", "current"])
def test_e2_luigi_heals_as_well(tmp_path, pattern, workers):
    space = packaged(tmp_path)
    before = space.stamps()
    break_state(space, pattern, b"")
    (space.out / STATE / "seal").unlink()
    task = spimpack_tasks.PackageDataset(manifest=str(space.manifest), output_dir=str(space.out))
    assert luigi.build([task], local_scheduler=True, workers=workers, no_lock=True)
    assert space.stamps() == before
    assert space.run().lines("out")[0].startswith("Nothing to do")


def test_e2_a_plan_that_lists_no_parts(tmp_path):
    space = packaged(tmp_path)
    for path in (space.out / STATE / "plan").glob("*/*.json"):
        data = json.loads(path.read_text())
        del data["parts"]
        path.write_text(json.dumps(data))
    (space.out / STATE / "seal").unlink()
    before = space.stamps()
    assert main(["verify", "--pixels", str(space.out)]) == ExitCode.OK
    assert space.run().exit_code == ExitCode.OK
    assert space.stamps() == before


@pytest.mark.parametrize("pattern", FOLDERS)
def test_e2_a_folder_of_the_state(tmp_path, pattern):
    space = packaged(tmp_path)
    before = space.stamps()
    for path in list((space.out / STATE).glob(pattern)) if pattern else [space.out / STATE]:
        if path.is_dir():
            shutil.rmtree(path)
    assert main(arguments(space, "package")) == ExitCode.OK
    assert space.stamps() == before
    space.rows[0]["Species"] = "rat"
    assert space.run().exit_code == ExitCode.OK
    assert main(["verify", str(space.out)]) == ExitCode.OK
