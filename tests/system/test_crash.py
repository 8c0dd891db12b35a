"""Kills a run at every single file operation, and looks at what is left and what a rerun makes.

The operations are counted by an audit hook in a forked child. At the k-th one the child is killed
before it, killed with a torn file left behind, or told that the disk is full, failing or read-only.
After each: no torn or strange file under a final name, sources and foreign files untouched, and a
rerun ends with the tree of a run that was never disturbed.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import pytest
from children import start, wait
from workspace import STATE, Workspace, small_workspace, tree_of

from spimpack_tasks.errors import ExitCode, InputError
from spimpack_tasks.model.buckets import bucket_of, light_unit_of

NEEDS_SPACE = {"os.rename", "os.mkdir", "os.symlink", "os.link"}
TROUBLES = (errno.ENOSPC, errno.EIO, errno.EROFS)
FREES_SPACE = {"os.remove", "os.rmdir", "os.utime"}
KILLED = 137
NOT_REACHED = 99


class KillerBeforeTheRecord:
    """Kills the process at the first file operation after the k-th output has got its name."""

    def __init__(self, out: Path, k: int) -> None:
        self.out = os.path.realpath(out)
        self.k = k
        self.count = 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in NEEDS_SPACE | FREES_SPACE | {"open"}:
            return
        if self.count == self.k:
            os._exit(KILLED)
        if event == "os.rename" and self._is_output(args[1], args[3]):
            self.count += 1

    def _is_output(self, name: str, folder: int) -> bool:
        """Tell whether a name, relative to an open folder, is that of an output."""
        if name.startswith("/"):
            return False
        parent = os.path.realpath(f"/proc/self/fd/{folder}")
        return f"{parent}/".startswith(f"{self.out}/") and STATE not in parent.split("/")


class Saboteur:
    """Does harm at the k-th file operation below the output directory."""

    def __init__(self, out: Path, k: int, mode: str) -> None:
        self.out = str(out)
        self.k = k
        self.mode = mode
        self.count = 0

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if not self._is_operation(event, args) or not self._concerns_output(args):
            return
        self.count += 1
        if self.count != self.k:
            return
        if self.mode == "disk trouble":
            code = TROUBLES[self.k % len(TROUBLES)]
            raise OSError(code, os.strerror(code), str(args[0]))
        if self.mode == "torn":
            self.k = -1
            with open(str(args[0]), "wb") as file:
                file.write(b'{"to')
        os._exit(KILLED)

    def _is_operation(self, event: str, args: tuple[object, ...]) -> bool:
        """Count the operations at which the mode makes a difference."""
        if event == "open":
            return self._opens_for_writing(args)
        needs_space = event in NEEDS_SPACE and self.mode != "torn"
        return needs_space or (event in FREES_SPACE and self.mode == "killed")

    @staticmethod
    def _opens_for_writing(args: tuple[object, ...]) -> bool:
        flags = args[2]
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    def _concerns_output(self, args: tuple[object, ...]) -> bool:
        # A name relative to an open folder has no slash in front; we use those for the output only.
        path = args[0]
        return isinstance(path, str) and (path.startswith(self.out) or not path.startswith("/"))


def run(workspace: Workspace, backend: str) -> int:
    try:
        return workspace.run(backend=backend).exit_code
    except InputError as error:
        return error.exit_code


def run_sabotaged(workspace: Workspace, backend: str, k: int, mode: str) -> int:
    saboteur = Saboteur(workspace.out, k, mode)

    def action() -> int:
        sys.addaudithook(saboteur)
        code = run(workspace, backend)
        return NOT_REACHED if saboteur.count < k else code

    return wait(start(action))


def first_version(root: Path) -> Workspace:
    workspace = small_workspace(root)
    workspace.rows.pop()
    workspace.participants = []
    return workspace


def share_a_task(workspace: Workspace) -> None:
    """Give the images labels by which they are of two buckets of one task."""
    buckets: dict[str, list[tuple[str, str]]] = {}
    for number in range(10, 99):
        bucket = bucket_of(f"sub-{number}_sample-brain_acq-4x_SPIM")
        buckets.setdefault(light_unit_of(bucket), []).append((bucket, str(number)))
    both = next(found for found in buckets.values() if len({bucket for bucket, _ in found}) > 1)
    labels = list(dict(sorted(both)).values())
    for row, label in zip(workspace.rows, labels[:2], strict=True):
        row["subject"] = label


def second_version(first: Workspace) -> Workspace:
    """Change a cell and the dataset's name, rename a subject: outputs change, come and go."""
    one, two = (dict(row) for row in first.rows)
    rows = [one | {"sample_staining": "NeuN;Abeta"}, two | {"subject": "09"}]
    return Workspace(first.root, rows, first.description | {"Name": "Second"})


def make_start(workspace: Workspace, scenario: str, backend: str) -> None:
    """Make the output directory as it is before the run that is disturbed.

    A copy of it would not do: a folder is known by its inode.
    """
    shutil.rmtree(workspace.out, ignore_errors=True)
    if scenario == "update":
        (workspace.out / "derivatives").mkdir(parents=True)
        (workspace.out / "derivatives" / "mine.txt").write_text("mine")
        assert run(workspace, backend) == ExitCode.OK


@dataclass(frozen=True)
class Trees:
    """The output before the run and after an undisturbed run, and the sources."""

    old: dict[str, tuple[str, str]]
    wanted: dict[str, tuple[str, str]]
    sources: dict[str, tuple[str, str]]

    def check_after_crash(self, workspace: Workspace) -> None:
        for path, what in workspace.tree().items():
            # A copied store is replaced as a whole, so what is in it is new or old with it.
            assert path in self.old or path in self.wanted, f"strange name {path}"
            if what[0] != "directory":
                assert what in (self.old.get(path), self.wanted.get(path)), f"torn file {path}"
        assert tree_of(workspace.root / "raw") == self.sources


def try_crash_points(root: Path, scenario: str, backend: str, mode: str, points: count[int]) -> int:
    """Crash at each of the points until a run gets by; return how far it got."""
    first = first_version(root)
    if scenario == "fresh, of one task":
        share_a_task(first)
    make_start(first, scenario, backend)
    workspace = second_version(first) if scenario == "update" else first
    old = workspace.tree()
    assert run(workspace, backend) == ExitCode.OK
    trees = Trees(old, workspace.tree(), tree_of(root / "raw"))
    for k in points:
        make_start(first, scenario, backend)
        code = run_sabotaged(workspace, backend, k, mode)
        if code == NOT_REACHED:
            return k
        # A disk that fails only when we clean up behind us does not make a run fail.
        complete = workspace.tree() == trees.wanted
        assert code != ExitCode.OK or (mode == "disk trouble" and complete), k
        trees.check_after_crash(workspace)
        assert run(workspace, backend) == ExitCode.OK, k
        assert workspace.tree() == trees.wanted, k
    raise AssertionError


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode",
    [
        "torn",
        pytest.param("killed", marks=pytest.mark.slow),
        pytest.param("disk trouble", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("scenario", "backend"),
    [
        ("fresh", "copy"),
        ("fresh, of one task", "symlink"),
        pytest.param("update", "symlink", marks=pytest.mark.slow),
        pytest.param("fresh", "ome-zarr:convert=all", marks=pytest.mark.slow),
        pytest.param("update", "ome-zarr:convert=all", marks=pytest.mark.slow),
        pytest.param("fresh", "ome-zarr:convert=all,ngff=0.4", marks=pytest.mark.slow),
    ],
)
def test_a24_every_crash_point_heals(
    backend: str, scenario: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scenario == "fresh, of one task":
        monkeypatch.setattr("spimpack_tasks.model.buckets.MOST_UNITS", 1)
    small_workspace(tmp_path / "warm").run()  # what is imported once is not imported in each child

    def half(name: str, points: count[int]) -> int:
        (tmp_path / name).mkdir()

        def action() -> int:
            reached = try_crash_points(tmp_path / name, scenario, backend, mode, points)
            assert reached > 25, "the saboteur saw next to nothing of the run"
            return 0

        return start(action, str(tmp_path / f"{name}.log"))

    children = {"odd": half("odd", count(1, 2)), "even": half("even", count(2, 2))}
    failed = [name for name, child in children.items() if wait(child) != 0]
    assert not failed, (tmp_path / f"{failed[0]}.log").read_text()[-3000:]


def write_edits(first: Workspace) -> None:
    """Write images of the same sizes and headers as the first, with voxels of their own."""
    for number in (1, 2):
        first.add_source(f"new{number}.ims")
        with h5py.File(first.add_source(f"edit{number}.ims"), "r+") as file:
            file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"][0, 0, 0] = number
        store = first.add_source(f"edit{number}.ome.zarr")
        chunk = store / "0" / "c" / "0" / "0" / "0" / "0"
        chunk.write_bytes(bytes([number]) * chunk.stat().st_size)


def edited(first: Workspace, number: int) -> Workspace:
    """Change outputs of all kinds, and let one come and go; number 0 is what there was."""
    people = [
        {"participant_id": f"sub-{subject}", "genotype": f"edit {number}"}
        for subject in ("01", "02", f"{number}5")
    ]
    if not number:
        return Workspace(first.root, first.rows, first.description, people[:2])
    one, two = (dict(row) for row in first.rows)
    one |= {"sample_staining": f"YoPro;N{number}", "spim_path": f"raw/edit{number}.ims"}
    two |= {"spim_path": f"raw/edit{number}.ome.zarr", "Species": f"edit {number}"}
    new = one | {"subject": f"{number}5", "spim_path": f"raw/new{number}.ims"}
    description = first.description | {"Name": f"Edit {number}"}
    return Workspace(first.root, [one, two, new], description, people)


def run_killed_before_the_record(workspace: Workspace, backend: str, k: int) -> int:
    killer = KillerBeforeTheRecord(workspace.out, k)

    def action() -> int:
        sys.addaudithook(killer)
        code = run(workspace, backend)
        return NOT_REACHED if killer.count < k else code

    return wait(start(action))


@pytest.mark.slow
@pytest.mark.parametrize("last", [2, 0], ids=["edited again", "undone"])
@pytest.mark.parametrize("backend", ["symlink", "copy", "ome-zarr:convert=all"])
def test_what_a_killed_run_did_not_record_is_not_taken_for_the_next_edit(
    backend: str, last: int, tmp_path: Path
) -> None:
    """Killed after an output got its name and before its record was written, then edited again."""
    root = first_version(tmp_path)
    write_edits(root)
    first, begun, wanted = edited(root, 0), edited(root, 1), edited(root, last)
    assert run(wanted, backend) == ExitCode.OK
    expected = wanted.tree()
    for k in count(1):
        make_start(first, "update", backend)
        if run_killed_before_the_record(begun, backend, k) == NOT_REACHED:
            break
        assert run(wanted, backend) == ExitCode.OK, k
        found = {path: what for path, what in wanted.tree().items() if not_the_users(path)}
        assert found == expected, k
    # Three images and their sidecars, description, tables and .bidsignore.
    assert k > 8


def not_the_users(path: str) -> bool:
    """Leave out what `make_start` adds."""
    return not path.startswith("derivatives")
