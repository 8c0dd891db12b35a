"""Working folders of unfinished images: which of them no process holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from spimpack_tasks.model.plan import Kind, Output, Step
from spimpack_tasks.state.staging import hold_unfinished, idle_unfinished
from spimpack_tasks.state.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "out"))
    store.create()
    return store


def an_image(tmp_path: Path) -> Output:
    source = tmp_path / "a.ims"
    source.write_bytes(b"voxels")
    path = "sub-01/micr/sub-01_sample-a_SPIM.ome.zarr"
    return Output(path, Step.ASSETS, Kind.IMAGE, "fingerprint", source=str(source))


def test_a_folder_is_idle_when_its_holder_has_left(tmp_path: Path, store: Store) -> None:
    with hold_unfinished(store, an_image(tmp_path)) as path:
        Path(path).mkdir()
        assert list(idle_unfinished(store)) == []
    assert list(idle_unfinished(store)) == [Path(path).parent.name]


def test_a_folder_whose_maker_was_killed_before_it_had_a_lock_is_idle(store: Store) -> None:
    folder = Path(store.path("unfinished")) / "0123456789abcdef"
    folder.mkdir(parents=True)
    assert list(idle_unfinished(store)) == [folder.name]


def test_a_folder_that_only_has_a_lock_goes_with_its_holder(tmp_path: Path, store: Store) -> None:
    with hold_unfinished(store, an_image(tmp_path)):
        pass
    assert list(Path(store.path("unfinished")).iterdir()) == []
