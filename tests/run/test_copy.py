"""A copy that is cut short goes on where it was, mixes no two sources, and leaves no litter.

The steps in which data are synced are made small here, so that small images have several of them.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from children import start, wait
from workspace import Workspace, change_backend, small_workspace

from spimpack_tasks import CopyAssets, SymlinkAssets
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files import copying
from spimpack_tasks.files.copying import copy_file, copy_tree
from spimpack_tasks.files.trees import files_below
from spimpack_tasks.model.plan import Kind, Output, Plan, Step
from spimpack_tasks.packaging.backends.copy import COPY
from spimpack_tasks.state.staging import hold_unfinished, idle_unfinished, remove_unfinished
from spimpack_tasks.state.store import Store

STEP = 2**20
NAME = "sub-{}/micr/sub-{}_sample-brain_acq-4x_SPIM"
Harm = Callable[[], None]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "STEP", STEP)
    monkeypatch.setattr(copying, "_PIECE", STEP // 4)


def ignore(_: int) -> None:
    pass


def unfinished(workspace: Workspace) -> list[Path]:
    """Return the images that are being made."""
    found = (workspace.out / ".spimpack" / "unfinished").glob("*/*")
    return [path for path in found if path.name != "lock"]


def bytes_read() -> int:
    """Return how many bytes this process has read or copied so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


def large_file(path: Path, size: int) -> None:
    """Make an image larger, as what follows the end of an Imaris file does not matter."""
    with path.open("ab") as file:
        file.write(os.urandom(size - path.stat().st_size))


def large_store(path: Path, count: int, size: int) -> None:
    """Add chunks to an OME-Zarr, twenty in a folder."""
    for number in range(count):
        chunk = path / "0" / "c" / f"{number // 20:02}" / f"{number:03}"
        chunk.parent.mkdir(exist_ok=True)
        chunk.write_bytes(os.urandom(size))


def one_image(root: Path, name: str) -> Workspace:
    """Return a workspace with one image of ten steps."""
    workspace = Workspace(root)
    workspace.add_row(name, subject="01", acquisition="4x", Species="mouse")
    source = root / "raw" / name
    if source.is_dir():
        large_store(source, 160, STEP // 16)
    else:
        large_file(source, 10 * STEP)
    return workspace


def harm_after(monkeypatch: pytest.MonkeyPatch, amount: int, harm: Harm) -> None:
    """Let something happen in the middle of the work, when so many bytes are there."""
    resume = COPY.resume

    def disturbed(output: Output, path: str, advance: Callable[[int], None]) -> None:
        done, harmed = 0, False

        def count(number: int) -> None:
            nonlocal done, harmed
            done += number
            if done >= amount and not harmed:
                harmed = True
                harm()
            advance(number)

        resume(output, path, count)

    change_backend(monkeypatch, "copy", resume=disturbed)


def run_disturbed(workspace: Workspace, amount: int, harm: Harm, workers: int = 1) -> int:
    """Package in a child to which something happens; return its exit code."""

    def action() -> int:
        with pytest.MonkeyPatch.context() as monkeypatch:
            harm_after(monkeypatch, amount, harm)
            return workspace.run(workers, backend="copy").exit_code

    return wait(start(action))


def kill(how: signal.Signals) -> Harm:
    return lambda: os.kill(os.getpid(), how)


def cut_short(workspace: Workspace) -> Path:
    """Kill a run at 6.5 of 10 steps, and return what it has left."""
    workspace.write()
    amount = 6 * STEP + STEP // 2
    assert run_disturbed(workspace, amount, kill(signal.SIGKILL)) == -signal.SIGKILL
    (part,) = unfinished(workspace)
    return part


def assert_whole(workspace: Workspace) -> None:
    """Hold the images against their sources, and look for litter."""
    for row in workspace.rows:
        source = workspace.root / row["spim_path"]
        subject = row["subject"]
        (image,) = (workspace.out / f"sub-{subject}" / "micr").glob("*SPIM.[!j]*")
        if source.is_dir():
            names = list(files_below(str(source)))
            assert names == list(files_below(str(image)))
            assert all((image / n).read_bytes() == (source / n).read_bytes() for n in names)
        else:
            assert image.read_bytes() == source.read_bytes()
    assert not list((workspace.out / ".spimpack").glob("unfinished/*"))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_killed_copy_of_a_file_goes_on(how: signal.Signals, workers: int, tmp_path: Path) -> None:
    workspace = one_image(tmp_path, "a.ims")
    workspace.write()
    code = run_disturbed(workspace, 6 * STEP + STEP // 2, kill(how), workers)
    # Of two workers, it is the process of the one task that is killed, and the run goes on.
    assert code == (-how if workers == 1 else ExitCode.FAILED)
    assert not list(workspace.out.rglob("*.ims"))
    (part,) = unfinished(workspace)
    inode, before = part.stat().st_ino, bytes_read()
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    # Six steps are kept; what else a run reads is less than one step.
    assert 4 * STEP <= bytes_read() - before < 5 * STEP
    assert (workspace.out / f"{NAME.format('01', '01')}.ims").stat().st_ino == inode
    assert_whole(workspace)


def test_a_run_with_other_tables_goes_on_with_the_same_image(tmp_path: Path) -> None:
    workspace = one_image(tmp_path, "a.ims")
    inode = cut_short(workspace).stat().st_ino
    workspace.rows[0]["Species"] = "rat"
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    assert (workspace.out / f"{NAME.format('01', '01')}.ims").stat().st_ino == inode
    assert_whole(workspace)


def test_a_killed_copy_of_a_store_goes_on(tmp_path: Path) -> None:
    workspace = one_image(tmp_path, "a.ome.zarr")
    part = cut_short(workspace)
    source = tmp_path / "raw" / "a.ome.zarr"
    kept = {
        name: (part / name).stat().st_ino
        for name in files_below(str(part))
        if (part / name).stat().st_mtime_ns == (source / name).stat().st_mtime_ns
    }
    assert len(kept) >= 6 * 16
    before = bytes_read()
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    assert bytes_read() - before < 5 * STEP
    image = workspace.out / f"{NAME.format('01', '01')}.ome.zarr"
    assert {name: (image / name).stat().st_ino for name in kept} == kept
    assert_whole(workspace)


def rewrite(path: Path) -> None:
    """Give a file another content of the same size."""
    path.write_bytes(os.urandom(path.stat().st_size))


def replace_unseen(path: Path) -> None:
    """Put another file of the same size and time into the place of a file."""
    times = path.stat()
    shutil.copy(path, path.with_suffix(".new"))
    rewrite(path.with_suffix(".new"))
    os.utime(path.with_suffix(".new"), ns=(times.st_atime_ns, times.st_mtime_ns))
    path.with_suffix(".new").rename(path)


def make_folder_of(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inner").write_bytes(b"data")


def make_file_of(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"data")


CHUNK = "0/c/00/003"
CHANGES = [
    pytest.param("a.ims", "", rewrite, id="file rewritten"),
    pytest.param("a.ims", "", replace_unseen, id="another file of the same size and time"),
    pytest.param("a.ome.zarr", CHUNK, rewrite, id="chunk rewritten"),
    pytest.param("a.ome.zarr", CHUNK, Path.unlink, id="chunk removed"),
    pytest.param("a.ome.zarr", CHUNK, make_folder_of, id="folder for a chunk"),
    pytest.param("a.ome.zarr", "0/c/01", make_file_of, id="chunk for a folder"),
    pytest.param("a.ome.zarr", "0/c/01", shutil.rmtree, id="folder removed"),
    pytest.param("a.ome.zarr", "zarr.json", Path.touch, id="metadata touched"),
]


@pytest.mark.parametrize(("name", "inner", "change"), CHANGES)
def test_a_source_that_changes_between_is_copied_as_it_is(
    name: str, inner: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    workspace = one_image(tmp_path, name)
    cut_short(workspace)
    change(tmp_path / "raw" / name / inner)
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    assert_whole(workspace)


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        pytest.param("a.ims", rewrite, id="file rewritten"),
        pytest.param("a.ims", lambda path: os.truncate(path, STEP), id="file cut"),
        pytest.param(f"a.ome.zarr/{CHUNK}", rewrite, id="chunk rewritten after it was copied"),
        pytest.param(f"a.ome.zarr/{CHUNK}", Path.unlink, id="chunk removed after it was copied"),
        pytest.param("a.ome.zarr/zarr.json", Path.touch, id="metadata touched"),
    ],
)
def test_a_source_that_changes_meanwhile_is_not_published(
    changed: str,
    change: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    workspace = one_image(tmp_path, changed.partition("/")[0])
    workspace.add_row("b.ims", subject="02", acquisition="4x", Species="mouse")
    with monkeypatch.context() as patched:
        harm_after(patched, 6 * STEP, lambda: change(tmp_path / "raw" / changed))
        outcome = workspace.run(backend="copy")
    assert outcome.exit_code == ExitCode.FAILED
    assert outcome.counts["failed"] == 1
    assert "its source changed while it was" in caplog.text
    assert not list((workspace.out / "sub-01" / "micr").glob("*SPIM.[!j]*"))
    assert list((workspace.out / "sub-02" / "micr").glob("*.ims"))
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    assert_whole(workspace)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_an_image_for_which_there_is_no_room_leaves_it_to_others(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = one_image(tmp_path, "a.ims")
    workspace.add_row("b.ims", subject="02", acquisition="4x", Species="mouse")

    def fill() -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        harm_after(patched, 6 * STEP, fill)
        outcome = workspace.run(backend="copy")
    assert outcome.exit_code == ExitCode.FAILED
    assert (outcome.counts["new"], outcome.counts["failed"]) == (1, 1)
    reason = f"{os.strerror(code)}; free some and run it again"
    assert f"{NAME.format('01', '01')}.ims: {reason}" in caplog.text
    assert not unfinished(workspace)
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    assert_whole(workspace)


@pytest.mark.parametrize(
    ("length", "kept"),
    [
        pytest.param(0, 0, id="nothing"),
        pytest.param(STEP - 1, 0, id="less than a step"),
        pytest.param(STEP, 0, id="a step that may not be synced"),
        pytest.param(STEP + 1, STEP, id="a step and more"),
        pytest.param(5 * STEP, 4 * STEP, id="all"),
        pytest.param(5 * STEP + 1, 0, id="more than all"),
    ],
)
def test_only_what_was_synced_is_kept(length: int, kept: int, tmp_path: Path) -> None:
    """After a power cut, the end of a file may hold anything."""
    source, path = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(5 * STEP))
    path.write_bytes(source.read_bytes()[:kept] + bytes(length - kept))
    told: list[int] = []
    copy_file(str(source), str(path), told.append)
    assert path.read_bytes() == source.read_bytes()
    assert told[0] == kept
    assert sum(told) == 5 * STEP
    assert path.stat().st_mtime_ns == source.stat().st_mtime_ns


def test_files_count_as_copied_when_they_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the source, by which a file counts as copied, is set after the sync."""
    source, path = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    for number in range(40):
        (source / f"{number:02}").write_bytes(bytes(STEP // 8))
        os.utime(source / f"{number:02}", (1, 1))
    seen = []

    def look(_: str) -> None:
        times = [os.stat(path / name).st_mtime for name in sorted(os.listdir(path))]
        seen.append((len(times), times.count(1)))

    monkeypatch.setattr(copying, "sync_disk", look)
    copy_tree(str(source), str(path), ignore)
    assert seen == [(8 * batch, 8 * (batch - 1)) for batch in range(1, 6)]


@pytest.mark.parametrize("refused", [errno.EXDEV, errno.ENOSYS, errno.EINVAL, 0])
def test_another_way_is_taken_where_one_does_not_work(
    refused: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, path = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(3 * STEP + 5))

    def copy_file_range(*_: int) -> int:
        if refused:
            raise OSError(refused, os.strerror(refused))
        return 0

    monkeypatch.setattr(os, "copy_file_range", copy_file_range)
    copy_file(str(source), str(path), ignore)
    assert path.read_bytes() == source.read_bytes()


def test_how_far_it_is_counts_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = one_image(tmp_path, "a.ims")
    cut_short(workspace)
    told: list[tuple[int, int, str]] = []
    monkeypatch.setattr(
        "spimpack_tasks.progress.Progress.reach",
        lambda _, done, total, unit: told.append((done, total, unit)),
    )
    assert workspace.run(backend="copy").exit_code == ExitCode.OK
    told = [what for what in told if what[2] == "MB"]
    assert told[0] == (6, 10, "MB")
    assert told[-1] == (10, 10, "MB")
    assert all(earlier <= later for earlier, later in pairwise(told))


@pytest.mark.parametrize("change", ["another backend", "removed row", "same"])
def test_what_nobody_goes_on_with_is_removed(change: str, tmp_path: Path) -> None:
    workspace = one_image(tmp_path, "a.ims")
    workspace.add_row("b.ims", subject="02", acquisition="4x", Species="mouse")
    cut_short(workspace)
    if change == "removed row":
        workspace.rows.pop(0)
    backend = "symlink" if change == "another backend" else "copy"
    if change == "same":
        # The image has come in another way.
        image = workspace.out / f"{NAME.format('01', '01')}.ims"
        image.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tmp_path / "raw" / "a.ims", image)
    assert workspace.run(backend=backend).exit_code == ExitCode.OK
    assert not list((workspace.out / ".spimpack").glob("unfinished/*"))


def test_what_somebody_works_on_stays(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    os.makedirs(store.output_dir)
    store.create()
    (tmp_path / "source").write_bytes(b"data")
    busy, idle, wanted = (
        Output(name, Step.ASSETS, Kind.IMAGE, "f", source=str(tmp_path / "source"))
        for name in ("busy", "idle", "wanted")
    )
    plan = Plan("plan", "copy", (wanted,))
    store.make_current(plan)
    places = {}
    for output in (idle, wanted):
        with hold_unfinished(store, output) as path:
            Path(path).write_bytes(b"half")
        places[output.path] = Path(path)
    with hold_unfinished(store, busy) as path:
        Path(path).write_bytes(b"half")
        remove_unfinished(store, "plan", wanted=plan)
        assert Path(path).exists()
        assert places["wanted"].exists()
        assert not places["idle"].parent.exists()
        assert [*idle_unfinished(store)] == [places["wanted"].parent.name]
    remove_unfinished(store, "plan")
    assert not list((tmp_path / "out" / ".spimpack").glob("unfinished/*"))


def test_each_waits_for_the_place_that_another_takes_away(tmp_path: Path) -> None:
    """A place goes when its image does; who waited for it makes it anew, and is alone in it."""
    store = Store(str(tmp_path / "out"))
    os.makedirs(store.output_dir)
    store.create()
    source = tmp_path / "source"
    source.write_bytes(b"data")
    output = Output("image", Step.ASSETS, Kind.IMAGE, "f", source=str(source))

    def come_and_go() -> int:
        for _ in range(200):
            with hold_unfinished(store, output) as path:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL))
                os.unlink(path)
        return 0

    log = str(tmp_path / "log")
    children = [start(come_and_go, log) for _ in range(3)]
    assert [wait(child) for child in children] == [0, 0, 0], Path(log).read_text()
    assert not list((tmp_path / "out" / ".spimpack").glob("unfinished/*"))


@pytest.mark.few(2)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("further", [{}, {"checksum": True}], ids=str)
def test_many_images_share_tasks(
    further: dict[str, bool], workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spimpack_tasks.model.buckets.MOST_SLOW_UNITS", 2)
    monkeypatch.setattr("spimpack_tasks.model.buckets.MOST_UNITS", 2)
    workspace = small_workspace(tmp_path)
    for backend in ("copy", "symlink"):
        outcome = workspace.run(workers, backend=backend, **further)
        assert outcome.exit_code == ExitCode.OK
        assert sum(outcome.counts[what] for what in ("new", "changed")) == 3


@pytest.mark.parametrize(
    ("count", "slow", "light"),
    [
        pytest.param(16, 16, 16, id="few"),
        pytest.param(17, 17, 10, id="too many for light tasks"),
        pytest.param(1024, 1024, 16, id="as many as may be"),
        pytest.param(5000, 1015, 16, id="too many"),
    ],
)
def test_the_number_of_tasks_is_limited(count: int, slow: int, light: int) -> None:
    keys = [f"sub-{number:05}_sample-brain_SPIM" for number in range(count)]
    assert len({CopyAssets.unit_of(key, keys) for key in keys}) == slow
    assert len({SymlinkAssets.unit_of(key, keys) for key in keys}) == light
