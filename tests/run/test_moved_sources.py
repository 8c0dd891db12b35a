"""Sources that are the same while the way to them changes, and headers that come late."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from workspace import Workspace, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.state.session import SESSION


def package(space: Workspace, *further: str) -> None:
    SESSION.reset()  # as in a process of its own
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(space.out), *further]
    assert main(["package", *inputs]) == ExitCode.OK


def broken_links(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_symlink() and not path.exists()]


def rename_folder(root: Path) -> None:
    """Rename the folder that a link in the path of all sources leads to."""
    os.rename(root / "disk1", root / "disk2")
    os.unlink(root / "raw")
    os.symlink(root / "disk2", root / "raw")


def rename_file(root: Path) -> None:
    """Rename the file that a source leads to."""
    os.rename(root / "disk1/c.ome.tif", root / "disk1/d.ome.tif")
    os.unlink(root / "raw/link.ome.tif")
    os.symlink("d.ome.tif", root / "raw/link.ome.tif")


def hard_link(root: Path) -> None:
    """Let a source lead to another name of the same file, and remove the first name."""
    os.link(root / "disk1/c.ome.tif", root / "disk1/e.ome.tif")
    os.unlink(root / "raw/link.ome.tif")
    os.symlink("e.ome.tif", root / "raw/link.ome.tif")
    os.unlink(root / "disk1/c.ome.tif")


@pytest.mark.parametrize("change", [rename_folder, rename_file, hard_link])
def test_links_follow_sources_that_only_moved(change, tmp_path):
    space = small_workspace(tmp_path)
    space.write()
    os.rename(tmp_path / "raw", tmp_path / "disk1")
    os.symlink(tmp_path / "disk1", tmp_path / "raw")
    os.symlink("c.ome.tif", tmp_path / "raw/link.ome.tif")
    (row,) = [row for row in space.rows if row["spim_path"].endswith("c.ome.tif")]
    row["spim_path"] = row["spim_path"].replace("c.ome.tif", "link.ome.tif")
    space.write()
    package(space)
    assert broken_links(space.out) == []
    change(tmp_path)
    package(space)
    assert broken_links(space.out) == []


def test_relative_links_follow_a_dataset_that_moved_behind_a_link(tmp_path):
    space = small_workspace(tmp_path)
    space.write()
    package(space, "--relative-symlinks")
    (tmp_path / "deep/er").mkdir(parents=True)
    shutil.move(space.out, tmp_path / "deep/er/out")
    os.symlink(tmp_path / "deep/er/out", space.out)
    assert broken_links(tmp_path / "deep/er/out")
    package(space, "--relative-symlinks")
    assert broken_links(tmp_path / "deep/er/out") == []


def test_a_header_that_comes_late_is_read(tmp_path, capsys, caplog):
    space = small_workspace(tmp_path)
    space.write()
    store = next((tmp_path / "raw").glob("*.ome.zarr"))
    level = next(
        path
        for path in store.rglob("*")
        if path.name in {".zarray", "zarr.json"} and path.parent != store
    )
    text = level.read_bytes()
    stamps = os.stat(level.parent), os.stat(store)
    level.unlink()
    package(space)
    assert "[source.header]" in caplog.text
    caplog.clear()
    level.write_bytes(text)
    for path, stamp in zip((level.parent, store), stamps, strict=True):
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    package(space)
    assert "[source.header]" not in caplog.text
    inputs = ["--manifest", str(space.manifest), "--output-dir", str(space.out)]
    assert main(["validate", *inputs]) == ExitCode.OK
    assert "source.header" not in capsys.readouterr().out
