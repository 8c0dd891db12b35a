"""Locks of a dataset, and plans as they are kept."""

import errno
import fcntl
import os
import socket
from pathlib import Path

import pytest

from spimpack_tasks.model.plan import Kind, Output, Plan, Step
from spimpack_tasks.state.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path))
    store.create()
    return store


@pytest.mark.parametrize("shared", [False, True])
def test_a_store_is_busy_while_a_lock_is_held(store: Store, shared: bool) -> None:  # noqa: FBT001
    assert not store.is_busy()
    with store.lock("writers", shared=shared):
        assert store.is_busy()
    assert not store.is_busy()
    assert not Store(f"{store.output_dir}/none").is_busy()


def put_link(path: Path) -> None:
    path.symlink_to("elsewhere")


def put_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(path.parent)  # the name of a socket is short
        one.bind(path.name)


@pytest.mark.parametrize("put", [put_link, put_socket])
def test_what_is_no_file_is_nobodys_lock(
    store: Store, put: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.output_dir)
    put(Path(store.path("locks", "writers")))
    assert not store.is_busy()


def test_where_one_cannot_tell_nobody_holds_a_lock(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.lock("writers"):
        pass

    def refuse(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not store.is_busy()


def test_a_link_in_place_of_a_lock_is_replaced(store: Store) -> None:
    lock = Path(store.path("locks", "writers"))
    lock.symlink_to("elsewhere")
    with store.lock("writers"):
        assert store.is_busy()
    assert lock.is_file()
    assert not lock.is_symlink()


def test_a_folder_in_place_of_a_lock_is_an_error(store: Store) -> None:
    os.mkdir(store.path("locks", "writers"))
    with pytest.raises(IsADirectoryError), store.lock("writers"):
        pass


def test_a_lock_makes_no_folder_for_a_dataset_that_is_gone(tmp_path: Path) -> None:
    gone = Store(str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError), gone.lock("writers"):
        pass
    assert list(tmp_path.iterdir()) == []
    bare = Store(str(tmp_path))
    with bare.lock("writers"):
        assert bare.is_busy()


def test_a_plan_is_read_as_it_was_kept(store: Store) -> None:
    image = {"source": "/raw/脑.ims", "stamp": "5 6", "asset": "sub-01_SPIM", "format": "Imaris"}
    outputs = (
        Output("dataset_description.json", Step.DESCRIPTION, Kind.TEXT, "a", text="müde\n"),
        Output("sub-01/micr/x.ims", Step.ASSETS, Kind.IMAGE, "b", **image),
    )
    plan = Plan("0123", "symlink", outputs)
    store.make_current(plan)
    assert store.current_plan_id() == "0123"
    assert store.load_plan("0123") == plan
    assert store.has_plan("0123")
    assert store.find_plan("4567") is None
    kept = b"".join(path.read_bytes() for path in Path(store.path("plan")).rglob("*.json"))
    # As it is, so that whoever looks for a source finds it.
    assert "/raw/脑.ims".encode() in kept
    assert "müde".encode() in kept
