"""One image over many workers: tasks, equal bytes, kills, and sources that change meanwhile."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import plane_sources as sources
import pytest
import tifffile
from merge_sources import write_ome
from test_graph import nodes_of
from test_runs import luigi
from workspace import SHARED, STATE, Workspace, change_backend, leftovers, tree_of

from spimpack_tasks import ConvertPart
from spimpack_tasks.arrays import grid, pyramid
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, InputError
from spimpack_tasks.model.buckets import PART, unit_of_part
from spimpack_tasks.packaging.activity import find_activity
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.changes import find_changes
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state import resumable
from spimpack_tasks.state.run_progress import RunProgress, Work
from spimpack_tasks.state.runs import TaskRun, read_last_run
from spimpack_tasks.state.store import Store
from spimpack_tasks.state.work_notes import WorkNote

WHOLE = "ome-zarr:convert=all"
SPLIT = f"{WHOLE},split_above=100kB"
LARGE, SMALL = "sub-01_sample-brain_SPIM", "sub-02_sample-brain_SPIM"
IMAGE = f"sub-01/micr/{LARGE}.ome.zarr"
SPACING = ";".join(map(str, sources.SPACING_UM[::-1]))


@pytest.fixture
def small_chunks(monkeypatch):
    """Make the images of the tests consist of several blocks and levels."""
    monkeypatch.setattr(pyramid, "_CHUNKS", ((4, 16),))
    monkeypatch.setattr(grid, "SLAB_CHUNKS", 2)
    monkeypatch.setattr(pyramid, "SMALL_ENOUGH", 1000)


def voxels_of(shape, seed=7):
    voxels = np.random.default_rng(seed).integers(0, 4000, shape).astype("uint16")
    voxels[:, :, : shape[2] // 3] = 0
    return voxels


def space_of(root: Path, shape=(1, 1, 60, 60, 40)) -> Workspace:
    """Return a dataset of an image that is divided, and of one that is too small for that."""
    workspace = Workspace(root)
    (root / "raw").mkdir(parents=True)
    for name, sizes in (("a", shape), ("b", (1, 1, 6, 20, 30))):
        sources.write_ome(root / f"raw/{name}.ome.tif", voxels_of(sizes))
    for subject, name in (("01", "a"), ("02", "b")):
        row = {"subject": subject, "spim_path": f"raw/{name}.ome.tif"}
        workspace.rows.append(row | SHARED | {"sample_staining": "YoPro", "PixelSize": SPACING})
    return workspace


def tasks_of(space: Workspace) -> Counter:
    run = read_last_run(Store(str(space.out)))
    assert run is not None
    return Counter(task.task for task in run.tasks)


def wanted_tree(space: Workspace) -> dict:
    """Return what a run makes that divides no image."""
    whole = replace(space, root=space.root / "whole")
    whole.root.mkdir()
    for row in (rows := [dict(row) for row in space.rows]):
        row["spim_path"] = ";".join(f"../{path}" for path in row["spim_path"].split(";"))
    whole.rows = rows
    assert whole.run(backend=WHOLE).exit_code == ExitCode.OK
    return whole.tree()


def unfinished(space: Workspace) -> list[Path]:
    return [*(space.out / STATE / "unfinished").glob("*/*")]


@pytest.mark.few(2)
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
def test_21_it_is_the_same_whatever_the_number_of_workers(tmp_path, ngff, workers):
    space = space_of(tmp_path)
    backend = f"{SPLIT},ngff={ngff}"
    assert space.run(workers, backend=backend).exit_code == ExitCode.OK
    tasks = tasks_of(space)
    assert (tasks[PART], tasks["OmeZarrAssets"]) == (16, 2)
    found = space.tree()
    assert space.run(backend=f"{WHOLE},ngff={ngff}").lines("out")[0].startswith("Nothing to do")
    whole = replace(space, root=tmp_path / "again")
    os.makedirs(whole.root)
    os.symlink(tmp_path / "raw", whole.root / "raw")
    assert whole.run(backend=f"{WHOLE},ngff={ngff}").exit_code == ExitCode.OK
    assert PART not in tasks_of(whole)
    assert found == whole.tree()
    assert unfinished(space) == []
    assert leftovers(space.out) == []
    assert main(["verify", str(space.out), "--pixels"]) == ExitCode.OK


@pytest.mark.usefixtures("small_chunks")
def test_21_time_points_and_channels_are_divided(tmp_path):
    space = space_of(tmp_path, (3, 2, 12, 30, 40))
    space.rows[0]["sample_staining"] = "YoPro;Abeta"
    assert space.run(2, backend=SPLIT).exit_code == ExitCode.OK
    assert tasks_of(space)[PART] == 16
    assert space.tree() == wanted_tree(space)


@pytest.mark.usefixtures("small_chunks")
def test_21_files_that_are_merged_are_divided(tmp_path):
    space = Workspace(tmp_path)
    for number in range(3):
        write_ome(tmp_path / f"raw/t{number}.ome.tif", seed=number)
    paths = ";".join(f"raw/t{number}.ome.tif" for number in range(3))
    row = {"subject": "01", "spim_path": paths, "merge_axis": "T"}
    space.rows.append(row | SHARED | {"sample_staining": "A"})
    assert space.run(2, backend=f"{WHOLE},split_above=1").exit_code == ExitCode.OK
    assert tasks_of(space)[PART] == 16
    found = {path: what for path, what in space.tree().items() if ".ome.zarr/" in path}
    wanted = wanted_tree(space)
    assert found == {path: what for path, what in wanted.items() if ".ome.zarr/" in path}


@pytest.mark.slow
def test_21_the_stock_program_shares_an_image_among_its_workers(tmp_path):
    space = space_of(tmp_path, (1, 1, 512, 32, 32))
    done = luigi(space, "--backend", SPLIT, "--workers", "2")
    assert done.returncode == ExitCode.OK, done.stderr
    assert tasks_of(space)[PART] == 16
    found = space.tree()
    one = luigi(replace(space, root=again(space)), "--backend", WHOLE)
    assert one.returncode == ExitCode.OK, one.stderr
    assert found == tree_of(space.root / "again/out")


def again(space: Workspace) -> Path:
    """Return the root of a second dataset of the same sources."""
    root = space.root / "again"
    root.mkdir()
    (root / "raw").symlink_to(space.root / "raw")
    return root


def test_21_parts_can_be_run_by_their_own_name(tmp_path):
    space = space_of(tmp_path, (1, 1, 512, 32, 32))
    space.write()
    command = [Path(sys.executable).parent / "luigi", "--module", "spimpack_tasks", PART]
    where = ["--manifest", space.manifest, "--output-dir", space.out, "--local-scheduler"]
    done = subprocess.run(
        [*command, *where, "--backend", SPLIT], capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert not (space.out / IMAGE).exists()
    assert len(unfinished(space)) == 2
    assert space.run(backend=SPLIT).exit_code == ExitCode.OK
    assert PART not in tasks_of(space)
    assert unfinished(space) == []


SETTINGS = {
    "0": "'0' is not a size such as 500GB",
    "-1": "'-1' is not a size",
    "abc": "'abc' is not a size",
    "12 parsecs": "'12 parsecs' is not a size",
    "": "'' is not a size",
}


@pytest.mark.parametrize("value", SETTINGS)
def test_21_what_is_no_size_is_refused(tmp_path, value):
    space = space_of(tmp_path)
    with pytest.raises(InputError, match=SETTINGS[value]):
        space.run(backend=f"{WHOLE},split_above={value}")
    assert not space.out.exists()


@pytest.mark.parametrize("value", ["never", "500GB", "1e9", "288000"])
def test_21_an_image_that_is_not_larger_is_not_divided(tmp_path, value):
    space = space_of(tmp_path)  # of 144,000 voxels, which are 288,000 bytes
    assert space.run(backend=f"{WHOLE},split_above={value}").exit_code == ExitCode.OK
    assert PART not in tasks_of(space)


def make_worse(monkeypatch, after, harm):
    """Have something happen when a part of a number is about to be made."""
    division = BACKENDS["ome-zarr"].division

    def make(output, path, number, advance):
        if number == after:
            harm(path)
        return division.make(output, path, number, advance)

    change_backend(monkeypatch, "ome-zarr", division=replace(division, make=make))


@pytest.mark.few(1)
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("workers", [1, 2])
def test_21_a_source_that_changes_between_parts_is_refused_and_made_anew(
    tmp_path, monkeypatch, workers
):
    space = space_of(tmp_path)
    source = tmp_path / "raw/a.ome.tif"

    def change(_):
        sources.write_ome(source, voxels_of((1, 1, 60, 60, 40), seed=8))
        os.utime(source, ns=(1, 1))

    with monkeypatch.context() as patch:
        make_worse(patch, 9, change)
        outcome = space.run(workers, backend=SPLIT)
    assert outcome.exit_code == ExitCode.FAILED
    assert not (space.out / IMAGE).exists()
    assert (space.out / f"sub-02/micr/{SMALL}.ome.zarr").exists()
    assert space.run(workers, backend=SPLIT).exit_code == ExitCode.OK
    assert tasks_of(space)[PART] == 16
    assert space.tree() == wanted_tree(space)
    assert unfinished(space) == []


@pytest.mark.usefixtures("small_chunks")
def test_21_a_source_that_changes_before_the_finish_is_refused(tmp_path, monkeypatch):
    space = space_of(tmp_path)
    source = tmp_path / "raw/a.ome.tif"
    resume = BACKENDS["ome-zarr"].resume

    def touch_and_resume(output, path, advance):
        os.utime(source, ns=(5, 5))
        return resume(output, path, advance)

    with monkeypatch.context() as patch:
        change_backend(patch, "ome-zarr", resume=touch_and_resume)
        assert space.run(backend=SPLIT).exit_code == ExitCode.FAILED
    assert not (space.out / IMAGE).exists()
    assert space.run(backend=SPLIT).exit_code == ExitCode.OK
    assert tasks_of(space)[PART] == 16
    assert space.tree() == wanted_tree(space)


@pytest.mark.usefixtures("small_chunks")
def test_21_a_full_disk_keeps_the_parts_that_are_there(tmp_path, monkeypatch, caplog):
    space = space_of(tmp_path)

    def fill(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        make_worse(patch, 5, fill)
        outcome = space.run(backend=SPLIT)
    assert outcome.exit_code == ExitCode.FAILED
    assert "No space left on device; free some and run it again" in caplog.text
    assert space.run(backend=SPLIT).exit_code == ExitCode.OK
    assert tasks_of(space)[PART] == 1
    assert space.tree() == wanted_tree(space)


@pytest.mark.usefixtures("small_chunks")
def test_21_a_disk_that_is_full_at_the_finish_keeps_all_parts(tmp_path, monkeypatch):
    space = space_of(tmp_path)

    def fill(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        change_backend(patch, "ome-zarr", resume=fill)
        assert space.run(backend=SPLIT).exit_code == ExitCode.FAILED
    assert space.run(backend=SPLIT).exit_code == ExitCode.OK
    assert PART not in tasks_of(space)
    assert space.tree() == wanted_tree(space)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("setting", [WHOLE, f"{WHOLE},split_above=1"])
def test_21_an_unfinished_image_goes_on_with_another_setting(tmp_path, monkeypatch, setting):
    """Parts that are there are voxels that are there, also for a run that divides otherwise."""
    space = space_of(tmp_path)

    def fail(_):
        raise OSError(errno.EIO, "stopped")

    with monkeypatch.context() as patch:
        make_worse(patch, 12, fail)
        space.run(backend=SPLIT)
    (lock, image) = sorted(unfinished(space), key=lambda path: path.name != "lock")
    assert (lock.name, len([*(image / ".parts").glob("*-16")])) == ("lock", 15)
    before = {path.name: path.stat().st_ino for path in (image / "0").rglob("*") if path.is_file()}
    assert before
    assert space.run(backend=setting).exit_code == ExitCode.OK
    after = {path.stat().st_ino for path in (space.out / IMAGE / "0").rglob("*") if path.is_file()}
    assert set(before.values()) <= after
    assert space.tree() == wanted_tree(space)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("workers", [1, 2])
def test_21_an_edit_of_metadata_leaves_the_voxels(tmp_path, workers):
    space = space_of(tmp_path)
    space.run(backend=SPLIT)
    before = {path: path.stat().st_ino for path in (space.out / IMAGE).rglob("0/c/**/*")}
    space.rows[0]["sample_staining"] = "Abeta"
    assert space.run(workers, backend=SPLIT).exit_code == ExitCode.OK
    after = {path: path.stat().st_ino for path in (space.out / IMAGE).rglob("0/c/**/*")}
    files = {path for path in before if path.is_file()}
    assert {p: after[p] for p in files} == {p: before[p] for p in files}
    assert sum(task.bytes for task in last_tasks(space, PART)) == 0
    # Voxels are linked, so folders that were empty are not there.
    wanted = {path: what for path, what in wanted_tree(space).items() if what[0] != "directory"}
    assert {p: what for p, what in space.tree().items() if what[0] != "directory"} == wanted


def last_tasks(space: Workspace, name: str) -> list[TaskRun]:
    run = read_last_run(Store(str(space.out)))
    assert run is not None
    return [task for task in run.tasks if task.task == name]


@pytest.mark.parametrize("workers", [1, 2])
def test_21_an_image_in_place_is_made_by_one_worker(tmp_path, workers, caplog):
    caplog.set_level("INFO")
    space = space_of(tmp_path)
    voxels = voxels_of((1, 1, 12, 300, 260))
    tifffile.imwrite(tmp_path / "raw/a.ome.tif", voxels[0, 0], metadata={"axes": "ZYX"})
    backend = f"{SPLIT},level0=in-place"
    assert space.run(workers, backend=backend).exit_code == ExitCode.OK
    told = json.loads((space.out / IMAGE / "zarr.json").read_text())["attributes"]
    assert told["spimpack_tasks"]["level0"] == "in-place"
    assert sum(task.bytes for task in last_tasks(space, PART)) == 0
    assert not (space.out / IMAGE / ".parts").exists()
    assert workers > 1 or f"{IMAGE}: is not divided, so one worker makes it" in caplog.text
    assert main(["verify", str(space.out), "--pixels"]) == ExitCode.OK


KILLS = [("0.5", 1, 3), ("0.5", 3, 5), ("0.4", 2, 7)]


def count_files(folder):
    """Return the number of files below a folder, from which others are moved meanwhile."""
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.slow
@pytest.mark.parametrize(("ngff", "workers", "seed"), KILLS)
def test_21_a_run_may_be_killed_at_any_time(tmp_path, ngff, workers, seed):
    """Each run is killed with all its workers when it has made some files, until one ends."""
    space = space_of(tmp_path, (1, 1, 512, 64, 64))
    space.write()
    backend = f"{SPLIT},ngff={ngff}"
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "package"]
    command += [str(space.manifest), str(space.out), "--backend", backend]
    command += ["--workers", str(workers)]
    made = space.out / ".spimpack" / "unfinished"
    rng, codes = random.Random(seed), []
    while not codes or codes[-1] == -signal.SIGKILL:
        enough = count_files(made) + rng.randint(1, 12)
        with (tmp_path / "errors").open("w") as log:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
            )
        while process.poll() is None and count_files(made) < enough:
            time.sleep(0.002)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        codes.append(process.wait())
    errors = (tmp_path / "errors").read_text()
    assert codes[-1] == ExitCode.OK, errors
    assert -signal.SIGKILL in codes
    found = space.tree()
    whole = replace(space, root=again(space))
    assert whole.run(backend=f"{WHOLE},ngff={ngff}").exit_code == ExitCode.OK
    assert found == whole.tree()
    assert unfinished(space) == []


@pytest.mark.usefixtures("small_chunks")
def test_21_the_graph_shows_the_parts(tmp_path, monkeypatch):
    space = space_of(tmp_path)

    def fail(_):
        raise OSError(errno.EIO, "stopped")

    def state() -> dict[str, dict[str, bool]]:
        return {node.name: node.units for node in nodes_of(space, backend=SPLIT)}

    assert list(state()[PART].values()) == [False] * 16
    with monkeypatch.context() as patch:
        make_worse(patch, 3, fail)
        space.run(backend=SPLIT)
    assert [unit for unit, is_there in state()[PART].items() if not is_there] == [
        unit_of_part(LARGE, 3)
    ]
    space.run(backend=SPLIT)
    assert all(state()[PART].values())
    assert {node.name: set(node.requires) for node in nodes_of(space, backend=SPLIT)}[
        "OmeZarrAssets"
    ] == {PART}
    assert PART not in {node.name for node in nodes_of(space, backend=WHOLE)}


def test_21_parts_count_as_bytes_and_not_as_images():
    progress = RunProgress(Work({LARGE: 160, SMALL: 40}, {}))

    def end(task, unit, size):
        progress.add(TaskRun(task, unit, 0, 0, 1, bytes=size))

    def note(task, unit, total, done):
        return WorkNote("here", 1, "plan", task, unit, 0, 1, "a", 0, done, total, done, total)

    assert (progress.amount.done, progress.amount.total) == (0, 200)
    for number in range(3):
        end(PART, unit_of_part(LARGE, number), 10)
    assert (progress.placed, progress.amount.done, progress.amount.total) == (0, 30, 200)
    progress.follow([note(PART, LARGE, 10, 5), note("OmeZarrAssets", SMALL, 40, 20)])
    assert (progress.amount.done, progress.amount.total) == (55, 200)
    progress.follow([])
    for number in range(3, 16):
        end(PART, unit_of_part(LARGE, number), 10)
    assert (progress.placed, progress.amount.done, progress.amount.total) == (0, 160, 200)
    progress.follow([note("OmeZarrAssets", LARGE, 0, 0)])
    assert (progress.amount.done, progress.amount.total) == (160, 200)
    progress.follow([])
    end("OmeZarrAssets", LARGE, 0)
    end("OmeZarrAssets", SMALL, 40)
    assert (progress.placed, progress.amount.done, progress.amount.total) == (2, 200, 200)


@pytest.mark.usefixtures("small_chunks")
def test_21_a_part_that_failed_is_named_although_another_one_was_made(tmp_path, monkeypatch):
    space = space_of(tmp_path)

    def fail(_):
        raise OSError(errno.EIO, "stopped")

    make_worse(monkeypatch, 3, fail)
    space.run(backend=SPLIT)
    run = read_last_run(Store(str(space.out)))
    assert run is not None
    assert [task.unit for task in run.failures if task.task == PART] == [unit_of_part(LARGE, 3)]


@pytest.mark.usefixtures("small_chunks")
def test_21_a_worker_that_comes_too_late_makes_nothing(tmp_path, monkeypatch):
    """Its scheduler had given it up, and others have made the image while it waited."""
    space = space_of(tmp_path)
    assert space.run(backend=SPLIT).exit_code == ExitCode.OK
    before = space.stamps()
    where = {"manifest": str(space.manifest), "output_dir": str(space.out), "backend": SPLIT}
    late = ConvertPart(**where, unit=LARGE, part=3)
    looks = iter([True])
    want = resumable._Work._wanting

    def wanting(work, outputs):
        return outputs if next(looks, False) else want(work, outputs)

    monkeypatch.setattr(resumable._Work, "_wanting", wanting)
    late.run()
    assert late.complete()
    assert space.stamps() == before
    assert unfinished(space) == []


def look_on(monkeypatch, look):
    """Have something looked at whenever a part reports progress."""
    monkeypatch.setattr("spimpack_tasks.state.work_notes.FIRST_S", 0.0)
    monkeypatch.setattr("spimpack_tasks.state.work_notes.EVERY_S", 0.0)
    division = BACKENDS["ome-zarr"].division

    def make(output, path, number, advance):
        def advance_and_look(size):
            advance(size)
            look(number)

        return division.make(output, path, number, advance_and_look)

    change_backend(monkeypatch, "ome-zarr", division=replace(division, make=make))


def test_21_a_worker_says_which_part_it_is_at(tmp_path, monkeypatch):
    space = space_of(tmp_path, (1, 1, 512, 32, 32))
    seen: list[str] = []

    def look(_):
        notes = [*(space.out / STATE / "working").glob("*.json")]
        seen.extend(json.loads(note.read_text())["path"] for note in notes)

    look_on(monkeypatch, look)
    assert space.run(backend=SPLIT).exit_code == ExitCode.OK
    assert f"{IMAGE}, part 1 of 16" in seen


@pytest.mark.usefixtures("small_chunks")
def test_21_a_look_at_a_run_counts_each_byte_once(tmp_path, monkeypatch):
    space = space_of(tmp_path, (1, 1, 64, 60, 40))
    space.write()
    whole = 2 * (64 * 60 * 40 + 6 * 20 * 30)
    seen = {}

    def look(number):
        prepared = prepare_run(space.options(backend=SPLIT))
        seen[number] = find_activity(prepared, find_changes(prepared)).amount

    look_on(monkeypatch, look)
    assert space.run(backend=SPLIT).exit_code == ExitCode.OK
    assert {amount.total for amount in seen.values()} <= {whole, whole - 2 * 6 * 20 * 30}
    done = [amount.done for amount in seen.values()]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] <= whole


@pytest.mark.usefixtures("small_chunks")
def test_21_a_large_image_among_very_many_is_divided(tmp_path, monkeypatch):
    """Where images share tasks, its parts still have tasks of their own."""
    monkeypatch.setattr("spimpack_tasks.model.buckets.MOST_SLOW_UNITS", 1)
    space = space_of(tmp_path)
    assert space.run(2, backend=SPLIT).exit_code == ExitCode.OK
    run = read_last_run(Store(str(space.out)))
    assert run is not None
    units = {task.task: task.unit for task in run.tasks if task.unit}
    assert len(units["OmeZarrAssets"]) == 3
    assert units[PART].startswith(LARGE)
    assert tasks_of(space)[PART] == 16
    assert space.tree() == wanted_tree(space)
