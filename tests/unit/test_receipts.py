"""Receipts are found again by what an image was made from."""

from pathlib import Path

import pytest

from spimpack_tasks.model.plan import Kind
from spimpack_tasks.state.receipts import (
    Receipt,
    images_made_from,
    read_all_receipts,
    read_receipts,
    receipt_names,
    recorded_paths,
    write_receipts,
)
from spimpack_tasks.state.store import Store

SOURCE = '/raw/Maus "müde" 脑.ims'


def image(source: str, stamp: str) -> Receipt:
    return Receipt(Kind.IMAGE, "print", "file 1 1", source=source, stamp=stamp, times="t")


RECEIPTS = {
    "assets-00": {"b": image(SOURCE, "5 6"), "a": image("/raw/other.ims", "5 6")},
    "assets-01": {"c": image(SOURCE, "5 7"), "d": image(f"{SOURCE}x", "5 6")},
    "assets-02": {"e": image(SOURCE, "5 6")},
    "sidecars-00": {"f": image(SOURCE, "5 6")},
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path))
    store.create()
    with store.scratch_folder("receipts") as place:
        for name, receipts in RECEIPTS.items():
            write_receipts(place, name, receipts)
    return store


def test_receipts_are_read_as_they_were_written(store: Store) -> None:
    assert read_all_receipts(store) == RECEIPTS
    assert receipt_names(store) == sorted(RECEIPTS)
    assert sorted(recorded_paths(store)) == ["a", "b", "c", "d", "e", "f"]
    assert read_receipts(store, "assets-03") == {}
    assert receipt_names(Store(f"{store.output_dir}/none")) == []


def test_images_of_a_source_are_found(store: Store) -> None:
    found = {path: receipt.source for path, receipt in images_made_from(store, SOURCE, "5 6")}
    assert found == {"b": SOURCE, "e": SOURCE}
    assert list(images_made_from(store, "/raw/none.ims", "5 6")) == []
