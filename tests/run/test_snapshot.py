"""Snapshots: a run knows by `stat` alone that nothing has changed, and is never wrong about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import luigi
import pytest
from workspace import Workspace, small_workspace

from spimpack_tasks import PackageDataset, package_run
from spimpack_tasks.cli import validate
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.manifest import headers
from spimpack_tasks.packaging import up_to_date
from spimpack_tasks.packaging.prepared_run import PreparedRun
from spimpack_tasks.packaging.up_to_date import find_snapshot as find_snapshot_of
from spimpack_tasks.state.checksum_lists import FILE_LIST
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.snapshot import (
    DatasetSnapshot,
    read_snapshot,
    trace_sources,
    write_snapshot,
)
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.sweep import Sweep


def find_snapshot(options):
    found = find_snapshot_of(options)
    return found and found[1]


ONE = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM"
Change = Callable[[Workspace], object]


def repoint(workspace: Workspace) -> None:
    """Let the link that the table names lead to another image of the same size and time."""
    link = workspace.root / "raw/linked.ims"
    status = link.stat()
    shutil.copy(link, workspace.root / "raw/other.ims")
    os.utime(workspace.root / "raw/other.ims", ns=(status.st_atime_ns, status.st_mtime_ns))
    link.unlink()
    link.symlink_to("other.ims")


def rewrite(path: Path) -> None:
    """Write a file anew with the same size and time."""
    # Beside the old one, so that it is not given the same inode.
    new = path.with_suffix(".new")
    shutil.copy2(path, new)
    new.replace(path)


def edit_in_place(workspace: Workspace) -> None:
    """Change a table, but neither its size nor its time."""
    table = workspace.root / "scans.tsv"
    status = table.stat()
    table.write_text(table.read_text().replace("mouse", "mouze"))
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))


BREAKS: dict[str, Change] = {
    "table edited": edit_in_place,
    "manifest edited": lambda w: w.manifest.write_text(w.manifest.read_text() + "\n# more\n"),
    "table of its default name appears": lambda w: (w.root / "photos.tsv").write_text("subject\n"),
    "table is gone": lambda w: (w.root / "participants.tsv").unlink(),
    "source touched": lambda w: os.utime(w.root / "raw/a.ims", ns=(1, 1)),
    "metadata of a zarr touched": lambda w: os.utime(
        w.root / "raw/b.ome.zarr/zarr.json", ns=(2**61, 2**61)
    ),
    "source is gone": lambda w: (w.root / "raw/a.ims").unlink(),
    "link to a source leads elsewhere": repoint,
    "sidecar written anew": lambda w: rewrite(w.out / f"{ONE}.json"),
    "sidecar is gone": lambda w: (w.out / f"{ONE}.json").unlink(),
    "image is gone": lambda w: (w.out / f"{ONE}.ims").unlink(),
    "folder is gone": lambda w: shutil.rmtree(w.out / "sub-01"),
    "README is gone": lambda w: (w.out / "README.md").unlink(),
    "another README appears": lambda w: (w.out / "README.txt").write_text("mine"),
    "receipts are gone": lambda w: shutil.rmtree(w.out / ".spimpack/receipts"),
    "plan is gone": lambda w: shutil.rmtree(w.out / ".spimpack/plan"),
    "another plan is the current one": lambda w: (w.out / ".spimpack/current").write_text("x"),
    "snapshot is torn": lambda w: os.truncate(w.out / ".spimpack/seal", 100),
    "end of the snapshot is torn": lambda w: os.truncate(
        w.out / ".spimpack/seal", (w.out / ".spimpack/seal").stat().st_size - 10
    ),
    "snapshot is of another kind": lambda w: (w.out / ".spimpack/seal").write_text("[1]"),
    "snapshot lacks something": lambda w: (w.out / ".spimpack/seal").write_text("{}"),
}

OPTIONS = {
    "backend": {"backend": "hardlink"},
    "relative links": {"relative_symlinks": True},
    "strict": {"strict": True},
    "no output": {"output_dir": ""},
    "unknown backend": {"backend": "symlnk"},
}


@pytest.fixture
def complete(tmp_path: Path) -> Workspace:
    """A packaged workspace, one source of which is named by way of a link."""
    workspace = small_workspace(tmp_path)
    workspace.add_row("linked-to.ims", subject="04", acquisition="4x", Species="mouse")
    (tmp_path / "raw/linked.ims").symlink_to("linked-to.ims")
    workspace.rows[-1]["spim_path"] = "raw/linked.ims"
    workspace.participants.append({"participant_id": "sub-04", "genotype": "wt"})
    assert workspace.run().exit_code == ExitCode.OK
    assert find_snapshot(workspace.options()) is not None
    return workspace


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_the_snapshot(name: str, complete: Workspace) -> None:
    BREAKS[name](complete)
    assert find_snapshot(complete.options()) is None


@pytest.mark.parametrize("name", OPTIONS)
def test_a_snapshot_is_for_one_request(name: str, complete: Workspace) -> None:
    assert find_snapshot(complete.options(**OPTIONS[name])) is None


def test_other_software_does_not_trust_the_snapshot(
    complete: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "VERSION", headers.VERSION + 1)
    assert find_snapshot(complete.options()) is None


def test_a_complete_dataset_is_not_compared_again(
    complete: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    SESSION.reset()

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(package_run, "prepare_run", refuse)
    before = complete.stamps()
    outcome = complete.run()
    assert outcome.lines("out") == ["Nothing to do: 4 unchanged in out"]
    assert complete.stamps() == before


def test_luigi_trusts_the_snapshot(complete: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    SESSION.reset()
    luigi.task_register.Register.clear_instance_cache()
    monkeypatch.setattr(
        "spimpack_tasks.packaging.tasks.planning.prepare_run", lambda _: pytest.fail("read again")
    )
    task = PackageDataset(manifest=str(complete.manifest), output_dir=str(complete.out))
    assert task.complete()
    assert task.verdict() is ExitCode.OK


@pytest.mark.parametrize(
    ("name", "found_at_all"),
    [("gr\u00fcn 1.ims", True), (os.fsdecode(b"gr\xfcn.ims"), True), ("two\nlines.ims", False)],
    ids=["not ASCII", "not UTF-8", "line end"],
)
def test_strange_names_of_sources(name: str, found_at_all: bool, tmp_path: Path) -> None:  # noqa: FBT001
    store = Store(str(tmp_path))
    store.create()
    source = tmp_path / name
    source.touch()
    paths = [str(source)]
    snapshot = DatasetSnapshot("plan", [], {}, {}, 1, trace_sources(paths), "", {})
    write_snapshot(store, snapshot, paths, ["output"])
    found = read_snapshot(store)
    assert (found is not None) == found_at_all
    assert found is None or found.has_same_sources(store)


def test_a_broken_snapshot_is_mended_by_the_next_run(complete: Workspace) -> None:
    rewrite(complete.out / f"{ONE}.json")
    before = complete.stamps()
    assert complete.run().counts["unchanged"] == 4
    assert complete.stamps() == before
    assert find_snapshot(complete.options()) is not None


def move_behind_link(source: Path) -> None:
    moved = source.with_name("moved.ims")
    if not moved.exists():
        source.rename(moved)
        source.symlink_to(moved)


CHANGES: dict[str, Callable[[Path], object]] = {
    "time": lambda source: os.utime(source, ns=(1, 1)),
    "size": lambda source: source.write_bytes(source.read_bytes() + b"more"),
    "gone": lambda source: source.unlink(missing_ok=True),
    "link": move_behind_link,
    "metadata": lambda source: source.with_name("a_meta.txt").write_text("[POSITION]"),
}


@pytest.mark.parametrize("when", ["while the snapshot is taken", "while it is packaged"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changes_meanwhile_is_seen_by_the_next_run(
    when: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = small_workspace(tmp_path)
    write, sweep = up_to_date.write_snapshot, PreparedRun.sweep

    def change_then_write(*arguments: Any) -> None:
        CHANGES[change](tmp_path / "raw/a.ims")
        write(*arguments)

    def sweep_then_change(prepared: PreparedRun) -> Sweep:
        found = sweep(prepared)
        CHANGES[change](tmp_path / "raw/a.ims")
        return found

    if when == "while the snapshot is taken":
        monkeypatch.setattr(up_to_date, "write_snapshot", change_then_write)
    else:
        monkeypatch.setattr(PreparedRun, "sweep", sweep_then_change)
    workspace.run()
    monkeypatch.undo()
    assert find_snapshot(workspace.options()) is None
    if change in {"time", "size"}:
        assert workspace.run().exit_code == ExitCode.OK
        assert find_snapshot(workspace.options()) is not None


def test_a_disk_that_takes_no_snapshot_does_no_harm(complete: Workspace) -> None:
    snapshot = complete.out / ".spimpack/seal"
    snapshot.unlink()
    shutil.rmtree(complete.out / ".spimpack/tmp")
    (complete.out / ".spimpack/tmp").write_text("in the way")
    assert complete.run().exit_code == ExitCode.OK
    assert not snapshot.exists()


def test_kept_checksums_are_looked_at_in_spite_of_the_snapshot(complete: Workspace) -> None:
    complete.run(checksum=True)
    lists = complete.out / ".spimpack" / FILE_LIST
    lists.write_text("edited")
    assert complete.run().exit_code == ExitCode.OK
    assert lists.read_text() != "edited"


def test_groups_are_shown_in_the_same_way(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    for row, group in zip(workspace.rows, ("b", "a", "b"), strict=True):
        row["dataset_id"] = group
    first, second = workspace.run(), workspace.run()
    assert first.lines("out")[1:] == second.lines("out")[1:] == ["a: 1 image", "b: 2 images"]
    snapshot = find_snapshot(workspace.options())
    assert snapshot is not None
    assert snapshot.groups == {"a": 1, "b": 2}


def validated(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what `spimpack validate` prints of a packaged workspace."""
    arguments = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    assert main(["validate", *arguments]) == ExitCode.OK
    return capsys.readouterr().out


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The checks of the inputs that `spimpack validate` makes."""
    made: list[object] = []
    check = validate._prepare_run
    monkeypatch.setattr(validate, "_prepare_run", lambda *what: made.append(what) or check(*what))
    return made


def test_inputs_that_were_sound_and_are_the_same_are_not_checked_again(
    tmp_path: Path, checks: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path)
    for subject in "12":
        workspace.add_row(f"{subject}.ome.tif", subject=subject)
    workspace.write()
    before = validated(workspace, capsys)
    assert "2 images" in before
    workspace.run()
    checks.clear()
    assert validated(workspace, capsys) == before
    assert checks == []
    (validation,) = (workspace.out / ".spimpack/validated").iterdir()
    validation.write_text("torn")
    assert validated(workspace, capsys) == before
    assert len(checks) == 1


def test_warnings_are_told_again(
    tmp_path: Path, checks: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("1.ome.tif", subject="1", sample_staining="Abeta")
    workspace.run()
    assert "sidecar.channels" in validated(workspace, capsys)
    assert len(checks) == 1
