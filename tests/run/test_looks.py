"""How often a run looks at the disk: seldom in a run of ours, and each time in another's flow."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import luigi
import pytest
from workspace import Workspace, small_workspace

from spimpack_tasks import PackageDataset
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.prepared_run import PreparedRun
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.sweep import Sweep

ONE = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM"


@pytest.fixture
def packaged(tmp_path: Path) -> Workspace:
    workspace = small_workspace(tmp_path)
    assert workspace.run().exit_code == ExitCode.OK
    return workspace


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the looks at each path, by what it is done with."""
    counts: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., object]:
        ask = getattr(os, name)

        def count(path: object, *args: object, **options: object) -> object:
            counts[f"{name} {path}"] += 1
            return ask(path, *args, **options)

        return count

    for name in ("lstat", "stat", "readlink"):
        monkeypatch.setattr(os, name, counted(name))
    return counts


def arguments(workspace: Workspace) -> list[str]:
    return [
        *("PackageDataset", "--manifest", str(workspace.manifest)),
        *("--output-dir", str(workspace.out), "--local-scheduler", "--no-lock"),
    ]


def task_of(workspace: Workspace) -> luigi.Task:
    SESSION.reset()
    luigi.task_register.Register.clear_instance_cache()
    return PackageDataset(manifest=str(workspace.manifest), output_dir=str(workspace.out))


def test_luigi_looks_once_where_there_is_nothing_to_do(
    packaged: Workspace, looks: Counter[str]
) -> None:
    SESSION.reset()
    luigi.task_register.Register.clear_instance_cache()
    assert luigi.run(arguments(packaged))
    assert looks[f"lstat {packaged.out}/{ONE}.json"] == 1
    assert looks[f"readlink {packaged.out}/{ONE}.ims"] == 1
    assert looks[f"lstat {packaged.out}/{ONE}.ims"] == 0
    assert looks[f"lstat {packaged.root}/raw/a.ims"] == 1


def test_an_edit_looks_before_the_run_and_at_its_end(
    packaged: Workspace, looks: Counter[str]
) -> None:
    packaged.rows[0]["Comment"] = "edited"
    assert packaged.run().exit_code == ExitCode.OK
    other = "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM"
    assert looks[f"lstat {packaged.out}/{other}.json"] == 2
    assert looks[f"lstat {packaged.out}/{other}.ome.tif"] == 0
    assert looks[f"readlink {packaged.out}/{other}.ome.tif"] == 2


@pytest.mark.parametrize("gone", [f"{ONE}.json", f"{ONE}.ims", "samples.tsv"])
def test_the_task_of_another_flow_looks_each_time(gone: str, packaged: Workspace) -> None:
    task = task_of(packaged)
    assert task.complete()
    text = (packaged.out / gone).read_bytes()
    (packaged.out / gone).unlink()
    assert not task.complete()
    (packaged.out / gone).write_bytes(text)


@pytest.mark.parametrize("gone", [f"{ONE}.json", f"{ONE}.ims", "samples.tsv"])
@pytest.mark.parametrize("before", ["luigi.run", "package", "refused", "made"])
def test_what_an_earlier_run_of_a_process_saw_is_not_believed(
    before: str, gone: str, packaged: Workspace
) -> None:
    task = task_of(packaged)
    if before == "luigi.run":
        assert luigi.run(arguments(packaged))
    elif before == "package":
        packaged.rows[0]["Comment"] = "edited"
        assert packaged.run().exit_code == ExitCode.OK
        task = task_of(packaged)
    elif before == "refused":
        rows = packaged.rows[:]
        packaged.rows[0] = packaged.rows[0] | {"spim_path": "raw/nothing.ims"}
        with pytest.raises(Exception, match="nothing"):
            packaged.run()
        packaged.rows[:] = rows
        packaged.write()
    (packaged.out / gone).unlink()
    assert not task.complete()
    assert not task_of(packaged).complete()


def test_an_output_that_vanishes_when_a_run_has_looked_is_made_again(
    packaged: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged.rows[0]["Comment"] = "edited"
    victim = next(packaged.out.glob("sub-02/micr/*.json"))
    sweep = PreparedRun.sweep

    def sweep_and_delete(prepared: PreparedRun) -> Sweep:
        found = sweep(prepared)
        victim.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(PreparedRun, "sweep", sweep_and_delete)
    assert packaged.run().exit_code == ExitCode.OK
    assert victim.exists()
