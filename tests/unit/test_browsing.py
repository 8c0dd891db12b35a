"""The file browser: what it lists, and that it never looks outside of its roots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_images import write_tiny_image

from spimpack_tasks.editing import browsing
from spimpack_tasks.editing.browsing import ListingKind, list_folder
from spimpack_tasks.files.roots import OutsideRootsError, is_within


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with folders, images and links, beside things that must not be seen."""
    root = tmp_path / "root"
    (root / "mouse 10").mkdir(parents=True)
    (root / "mouse 2").mkdir()
    (root / ".hidden").mkdir()
    (root / "notes.txt").write_text("x")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "back").symlink_to(root)
    write_tiny_image(root / "b.ims")
    write_tiny_image(root / "a.ome.zarr")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "out-to-nothing").symlink_to(tmp_path / "not there")
    (root / "inner").symlink_to(root / "mouse 2")
    (root / "broken").symlink_to(root / "gone")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    return root


def listed(listing: browsing.Listing) -> list[tuple[str, str, str]]:
    return [(entry.name, str(entry.kind), entry.detail) for entry in listing.entries]


def test_a_folder_is_listed(root: Path) -> None:
    outside = "leads out of the folders that may be seen"
    listing = list_folder(str(root), [str(root)])
    assert listed(listing) == [
        ("inner", "folder", ""),
        ("mouse 2", "folder", ""),
        ("mouse 10", "folder", ""),
        ("a.ome.zarr", "image", "OME-Zarr"),
        ("b.ims", "image", "Imaris"),
        ("broken", "refused", "leads to nothing"),
        ("loop", "refused", "leads to nothing"),
        ("notes.txt", "file", ""),
        ("out", "refused", outside),
        ("out-to-nothing", "refused", outside),
        ("pipe", "refused", "is no regular file"),
    ]
    assert [entry.name for entry in listing.of_kind(ListingKind.IMAGE)] == ["a.ome.zarr", "b.ims"]
    assert listing.note == ""


def test_a_folder_of_planes_can_be_entered_and_chosen(root: Path) -> None:
    for folder, names in {
        "planes": ["p_01.tif", "p_02.tif", "log.txt"],
        "one plane": ["p_01.tif"],
        "others": ["left_01.tif", "right_01.tif"],
    }.items():
        (root / "all" / folder).mkdir(parents=True)
        for name in names:
            (root / "all" / folder / name).write_bytes(b"")
    assert listed(list_folder(str(root / "all"), [str(root)])) == [
        ("one plane", "folder", ""),
        ("others", "folder", ""),
        ("planes", "folder", ""),
        ("planes", "image", "folder of planes"),
    ]
    (image,) = list_folder(str(root / "all"), [str(root)]).of_kind(ListingKind.IMAGE)
    assert image.path == str(root / "all" / "planes")


def test_parents_end_at_the_root(root: Path) -> None:
    deep = root / "mouse 2" / "left" / "raw"
    deep.mkdir(parents=True)
    names = ["", "mouse 2", "mouse 2/left", "mouse 2/left/raw"]
    listing = list_folder(f"{deep}/", [str(root)])
    assert listing.parents == tuple(str(root / name) for name in names)
    both = [str(root / "mouse 2"), str(root)]
    assert list_folder(str(deep), both).parents == listing.parents


INSIDE = {
    "root": "{root}",
    "folder": "{root}/mouse 2",
    "slashes": "/{root}//mouse 2/./",
    "link that stays inside": "{root}/inner",
    "not there yet": "{root}/new/manifest.yml",
    "hidden": "{root}/.hidden",
}
OUTSIDE = {
    "nothing": "",
    "relative": "root/mouse 2",
    "home": "~",
    "parent": "{root}/..",
    "parent and back": "{root}/../root/mouse 2",
    "parent inside": "{root}/mouse 2/../mouse 10",
    "beside": "{root}/../secret",
    "name that begins alike": "{root}-2/x",
    "link out": "{root}/out",
    "link out to nothing": "{root}/out-to-nothing",
    "below a link out": "{root}/out/back",
    "through a link out and back": "{root}/out/back/mouse 2",
    "not there, below a link out": "{root}/out/none",
    "system": "/etc/passwd",
    "top": "/",
    "NUL": "{root}/a\0b",
    "no name that a file can have": "{root}/\ud800",
}


@pytest.mark.parametrize("path", INSIDE.values(), ids=INSIDE)
def test_within_the_root(path: str, root: Path) -> None:
    assert is_within(path.format(root=root), [str(root)])


@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
def test_outside_of_the_root(path: str, root: Path) -> None:
    assert not is_within(path.format(root=root), [str(root)])
    with pytest.raises(OutsideRootsError) as caught:
        list_folder(path.format(root=root), [str(root)])
    assert str(caught.value).endswith(f"is outside the folders that may be used here: {root}")


def test_outside_nothing_is_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched = []
    lstat = os.lstat

    def watch(path, **options):
        touched.append(os.fspath(path))
        return lstat(path, **options)

    monkeypatch.setattr(os, "lstat", watch)
    for path in ("/etc/passwd", f"{root}/out/back", f"{root}/out/none"):
        assert not is_within(path, [str(root)])
    assert any("root" in path for path in touched)
    assert not [path for path in touched if "passwd" in path or "back" in path or "none" in path]


def test_a_root_may_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "name").symlink_to(root)
    roots = [str(tmp_path / "name")]
    assert list_folder(f"{tmp_path}/name/mouse 2", roots).parents[0] == f"{tmp_path}/name"
    assert is_within(f"{root}/mouse 2", roots)
    assert not is_within(str(tmp_path / "secret"), roots)


def test_the_whole_disk_may_be_a_root(root: Path) -> None:
    assert list_folder(str(root), ["/"]).parents[:2] == ("/", "/" + str(root).split("/")[1])
    assert is_within("/", ["/"])


def test_strange_names_are_shown_and_refused(root: Path) -> None:
    os.close(os.open(os.fsencode(root / "mouse 2") + b"/\xff.ims", os.O_CREAT))
    (root / "mouse 2" / "two\nlines.ims").touch()
    (root / "mouse 2" / "e\u0301.ims").touch()
    why = "its name fits into no table; rename it"
    assert sorted(listed(list_folder(str(root / "mouse 2"), [str(root)]))) == [
        ("e\u0301.ims", "image", "Imaris"),
        ("two\\nlines.ims", "refused", why),
        ("\ufffd.ims", "refused", why),
    ]


def test_many_entries_are_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (root / "mouse 2" / f"image {number}.ims").touch()
    monkeypatch.setattr(browsing, "MOST_SHOWN", 10)
    listing = list_folder(str(root / "mouse 2"), [str(root)])
    assert [e.name for e in listing.entries] == [f"image {number}.ims" for number in range(10)]
    assert listing.note == "shows 10 of 30 entries; type a part of a name"
    listing = list_folder(str(root / "mouse 2"), [str(root)], "MAGE 2")
    assert len(listing.entries) == 10
    assert list_folder(str(root / "mouse 2"), [str(root)], "29.").entries[0].name == "image 29.ims"
    monkeypatch.setattr(browsing, "MOST_LOOKED_AT", 20)
    listing = list_folder(str(root / "mouse 2"), [str(root)])
    assert listing.note.startswith("holds more than 20 entries")


def test_what_cannot_be_read_says_why(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_folder(str(root / "gone"), [str(root)]).note == (
        "cannot be read: No such file or directory"
    )
    assert list_folder(str(root / "notes.txt"), [str(root)]).note == (
        "cannot be read: Not a directory"
    )

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    assert list_folder(str(root), [str(root)]).note == "cannot be read: Permission denied"
