"""Damage of packaged images shows from the names, sizes and times of their files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.publishing.objects import Item, UnpackagedError, find_objects
from spimpack_tasks.publishing.portals.dandi_files import DigestedFiles
from spimpack_tasks.publishing.publication import Publication
from spimpack_tasks.publishing.wholeness import damage_of, require_whole
from spimpack_tasks.remote.location import Location
from spimpack_tasks.state.content import content_of, times_of
from spimpack_tasks.state.receipts import Receipt
from spimpack_tasks.state.store import Store

NAME = "sub-1/micr/sub-1_SPIM.ome.zarr"
CHUNK = "0/0/0"


def make_image(folder: Path) -> None:
    for name, data in {
        ".zattrs": b"{}",
        "0/.zarray": b"{}",
        CHUNK: b"12345",
        "0/0/1": b"1",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def item_of(root: Path, source: Path) -> Item:
    """Return the image with its record, as packaging makes it."""
    path = str(root / NAME)
    receipt = Receipt(
        Kind.IMAGE,
        "fingerprint",
        evidence_of(path),
        source=str(source),
        content=content_of(path),
        times=times_of(path),
    )
    return Item(NAME, is_store=True, is_text=False, receipt=receipt)


def later(path: Path) -> None:
    os.utime(path, ns=(10**18, 10**18))


CASES = {
    "whole": (lambda _: None, ""),
    "empty": (lambda image: (image / CHUNK).write_bytes(b""), "0/0/0 has no byte"),
    "cut": (lambda image: (image / CHUNK).write_bytes(b"1234"), "names or sizes"),
    "cut, with its time": (
        lambda image: [
            times := (image / CHUNK).stat().st_mtime_ns,
            (image / CHUNK).write_bytes(b"1234"),
            os.utime(image / CHUNK, ns=(times, times)),
        ],
        "names or sizes",
    ),
    "gone": (lambda image: (image / CHUNK).unlink(), "names or sizes"),
    "one more": (lambda image: (image / "0/0/2").write_bytes(b"1"), "names or sizes"),
    "other metadata": (lambda image: (image / ".zattrs").write_bytes(b"[]"), "its metadata"),
    "written in place": (
        lambda image: [(image / CHUNK).write_bytes(b"abcde"), later(image / CHUNK)],
        "were written since",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_i17_02_damage_is_found_by_a_look(tmp_path, case):
    image = tmp_path / NAME
    make_image(image)
    item = item_of(tmp_path, tmp_path / "source")
    damage, expected = CASES[case]
    damage(image)
    locals_ = find_objects(str(tmp_path), item)
    found = damage_of(str(tmp_path), item, locals_)
    assert (expected in found, bool(found)) == (True, bool(expected)), found
    if expected:
        with pytest.raises(UnpackagedError, match="delete the image in the dataset"):
            require_whole(str(tmp_path), [item], {NAME: locals_})


def test_i17_02_a_look_asks_the_disk_for_nothing_more_of_chunks(tmp_path, monkeypatch):
    make_image(tmp_path / NAME)
    item = item_of(tmp_path, tmp_path / "source")
    locals_ = find_objects(str(tmp_path), item)
    asked = []

    def spy(name):
        original = getattr(os, name)

        def call(path, *args, **options):
            asked.append(str(path))
            return original(path, *args, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("stat", "lstat", "open", "readlink"):
        spy(name)
    assert damage_of(str(tmp_path), item, locals_) == ""
    assert [path for path in asked if path.endswith("/0/0/1")] == []
    assert [path for path in asked if path.endswith("/.zattrs")] != []


@pytest.mark.parametrize("way", ["moved", "links", "hard links"])
def test_i17_02_what_is_no_damage(tmp_path, way):
    source = tmp_path / "source"
    make_image(source)
    image = tmp_path / NAME
    image.parent.mkdir(parents=True)
    if way == "moved":
        make_image(image)
        item = item_of(tmp_path, source)
        shutil.copytree(image, tmp_path / "copy", copy_function=shutil.copyfile)
        shutil.rmtree(image)
        (tmp_path / "copy").rename(image)
        later(image / CHUNK)
    else:
        make = os.symlink if way == "links" else os.link
        shutil.copytree(source, image, copy_function=make)
        item = item_of(tmp_path, source)
        (source / CHUNK).write_bytes(b"54321")  # the user's own edit, which a link shows
        later(source / CHUNK)
    assert damage_of(str(tmp_path), item, find_objects(str(tmp_path), item)) == ""


def test_i17_02_dandi_refuses_a_damaged_image_as_well(tmp_path):
    make_image(tmp_path / NAME)
    item = item_of(tmp_path, tmp_path / "source")
    publication = Publication(Store(str(tmp_path)), Location.parse("s3://lab/x"))
    with DigestedFiles(publication, str(tmp_path), keep=False) as files:
        assert list(files.refusals(item)) == []
        (tmp_path / NAME / CHUNK).write_bytes(b"1")
        (line,) = files.refusals(item)
    assert line.startswith(f"{NAME} is not as packaged: names or sizes")
