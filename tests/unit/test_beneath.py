"""Folders below an open one: never by way of a link, with `openat2` and without it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from spimpack_tasks.files import beneath
from spimpack_tasks.files.atomic import OpenTree
from spimpack_tasks.files.beneath import open_beneath


@pytest.fixture(params=["openat2", "step by step"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Open folders both ways."""
    beneath._find_openat2.cache_clear()
    if request.param == "step by step":
        monkeypatch.setattr(beneath, "_find_openat2", lambda: None)
    elif beneath._find_openat2() is None:
        pytest.skip("this kernel has no openat2")
    return str(request.param)


def entered(root: Path, path: str, *, create: bool = False) -> Path:
    """Return where the descriptor of a folder leads."""
    folder = os.open(root, os.O_RDONLY)
    try:
        inner = open_beneath(folder, path, create=create)
        try:
            return Path(os.readlink(f"/proc/self/fd/{inner}"))
        finally:
            os.close(inner)
    finally:
        os.close(folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder beside another one that nothing may lead to."""
    (tmp_path / "out" / "a" / "b").mkdir(parents=True)
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    return tmp_path / "out"


@pytest.mark.parametrize("path", ["", "a", "a/b"])
def test_a_folder_is_entered(path: str, root: Path) -> None:
    assert entered(root, path) == root / path


def test_a_missing_folder_is_made_only_if_asked(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        entered(root, "a/c/d")
    assert entered(root, "a/c/d", create=True) == root / "a/c/d"


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("target", ["../elsewhere", "a", "/"])
@pytest.mark.parametrize("path", ["link", "link/b", "a/link", "a/link/b"])
def test_no_link_is_followed(path: str, target: str, root: Path, *, create: bool) -> None:
    (root / path.rpartition("link")[0] / "link").symlink_to(target)
    with pytest.raises(OSError, match=r"Too many levels|Not a directory"):
        entered(root, path, create=create)


@pytest.mark.parametrize("create", [False, True])
def test_a_file_is_no_folder(root: Path, *, create: bool) -> None:
    (root / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        entered(root, "file/b", create=create)


def test_descriptors_are_closed(root: Path) -> None:
    (root / "link").symlink_to("a")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/b", "link/b", "nothing"):
        with closing(OpenTree(str(root))) as tree:
            try:
                tree.folder(path)
                tree.folder("a")
            except OSError:
                assert path != "a/b"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_vanished_while_it_was_open_is_made_again(root: Path) -> None:
    (root / "one").write_text("1")
    (root / "two").write_text("2")
    with closing(OpenTree(str(root))) as tree:
        tree.move_in(f"{root}/one", "sub/x/one")
        (root / "sub/x/one").unlink()
        (root / "sub/x").rmdir()
        tree.move_in(f"{root}/two", "sub/x/two")
    assert (root / "sub/x/two").read_text() == "2"


def test_a_link_that_came_in_place_of_an_open_folder_is_not_followed(root: Path) -> None:
    for name in ("one", "two"):
        (root / name).write_text(name)
    with closing(OpenTree(str(root))) as tree:
        tree.move_in(f"{root}/one", "a/b/one")
        (root / "a/b").rename(root / "a/moved")
        (root / "a/b").symlink_to("../../elsewhere/b")
        tree.move_in(f"{root}/two", "a/b/two")
    assert list((root.parent / "elsewhere/b").iterdir()) == []
    assert (root / "a/moved/two").read_text() == "two"


def test_folders_that_are_empty_are_removed_with_what_was_in_them(root: Path) -> None:
    for name in ("a/b/one", "a/b/two", "a/three"):
        (root / name).write_text(name)
    with closing(OpenTree(str(root))) as tree:
        tree.remove("a/b/one", f"{root}/t1")
        assert (root / "a/b").exists()
        tree.remove("a/b/two", f"{root}/t2")
        assert not (root / "a/b").exists()
        tree.remove("a/b/never", f"{root}/t3")
        tree.remove("a/three", f"{root}/t4")
        (root / "new").write_text("new")
        tree.move_in(f"{root}/new", "a/new")
    assert [path.name for path in root.rglob("*")] == ["a", "new"]
