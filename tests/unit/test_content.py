"""What a directory is known again by is the same in every version: it stands in records."""

import os
from hashlib import blake2b
from pathlib import Path

import pytest

from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.files.input_files import digest_of
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.state.content import (
    content_of,
    holds_record,
    is_edited_in_place,
    times_of,
)
from spimpack_tasks.state.receipts import Receipt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a.ome.zarr"
    (folder / "0").mkdir(parents=True)
    (folder / "zarr.json").write_bytes(b"{}")
    (folder / "0" / ".zarray").write_bytes(b"[1]")
    (folder / "0" / "chunk").write_bytes(b"12345")
    (folder / "0" / "link").symlink_to("elsewhere")
    for number, name in enumerate(("0/.zarray", "0/chunk", "zarr.json")):
        os.utime(folder / name, ns=(0, 10**9 + number))
    return folder


def digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def test_names_sizes_links_and_metadata_are_the_content(folder: Path) -> None:
    lines = [
        b"0/.zarray\x003\x00" + digest(b"[1]"),
        b"0/chunk\x005\x00",
        b"0/link\x00elsewhere\x00",
        b"zarr.json\x002\x00" + digest(b"{}"),
    ]
    assert content_of(str(folder)) == digest(b"".join(lines)).hex()
    assert content_of(str(folder / "zarr.json")) == ""
    assert content_of(str(folder / "none")) == ""


def test_times_of_files_are_the_times(folder: Path) -> None:
    lines = [
        b"0/.zarray\x001000000000\x00",
        b"0/chunk\x001000000001\x00",
        b"0/link\x000\x00",
        b"zarr.json\x001000000002\x00",
    ]
    assert times_of(str(folder)) == digest(b"".join(lines)).hex()
    assert times_of(str(folder / "zarr.json")) == ""


@pytest.mark.parametrize("known", ["as it was", "another folder", "no times on record"])
@pytest.mark.parametrize("edit", ["none", "in place"])
@pytest.mark.parametrize("source", ["copied", "hard links"])
def test_an_edit_in_place_is_known_by_the_times(
    folder: Path, source: str, edit: str, known: str
) -> None:
    original = folder.with_name("source")
    (original / "0").mkdir(parents=True)
    for name in ("0/.zarray", "0/chunk", "zarr.json"):
        if source == "copied":
            (original / name).write_bytes((folder / name).read_bytes())
        else:
            (original / name).hardlink_to(folder / name)
    path = str(folder)
    evidence = "directory 1 1" if known == "another folder" else evidence_of(path)
    times = "" if known == "no times on record" else times_of(path)
    receipt = Receipt(Kind.IMAGE, "", evidence, source=str(original), times=times)
    if edit == "in place":
        (folder / "0" / "chunk").write_bytes(b"54321")
    expected = (source, edit, known) == ("copied", "in place", "as it was")
    assert is_edited_in_place(path, receipt) is expected


COPIES = {
    "the same bytes": (b"12345", "", True),
    "other bytes": (b"12354", "", False),
    "other bytes of the same time": (b"12354", "time", False),
    "the same bytes of the same time": (b"12345", "time", True),
    "fewer bytes": (b"1234", "", False),
    "the source has changed": (b"12345", "source", False),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_known_again_by_its_bytes(name: str, tmp_path: Path) -> None:
    data, same, expected = COPIES[name]
    source, copy = tmp_path / "source.ims", tmp_path / "copy.ims"
    source.write_bytes(b"12345")
    os.utime(source, ns=(0, 10**9))
    receipt = Receipt(
        Kind.IMAGE, "", "file 5 77", source=str(source), stamp=stamp_text(str(source))
    )
    copy.write_bytes(data)
    if same == "time":
        os.utime(copy, ns=(0, 10**9))
    if same == "source":
        os.utime(source, ns=(0, 10**9 + 1))
    assert holds_record(str(copy), evidence_of(str(copy)), receipt) is expected


def test_a_directory_is_known_again_by_its_content(folder: Path) -> None:
    path = str(folder)
    there = evidence_of(path)
    sound = Receipt(Kind.IMAGE, "", "directory 1 1", content=content_of(path))
    assert holds_record(path, there, sound)
    assert not holds_record(path, there, Receipt(Kind.TEXT, "", "directory 1 1"))
    assert not holds_record(path, there, Receipt(Kind.IMAGE, "", "link elsewhere"))
    assert not holds_record(path, there, Receipt(Kind.IMAGE, "", "file 1 1", content="a"))
    # Early versions recorded no content: the time of the folder has to do.
    time = there.split(" ")[2]
    assert holds_record(path, there, Receipt(Kind.IMAGE, "", f"directory 1 {time}"))
    assert not holds_record(path, there, Receipt(Kind.IMAGE, "", f"directory 1 1{time}"))
    (folder / "0" / "chunk").write_bytes(b"1234")
    assert not holds_record(path, there, sound)


@pytest.mark.parametrize("text", ["", "a\tb\n", "\u00b5m \U0001f400" * 400_000])
def test_a_text_has_the_digest_of_its_bytes(text):
    expected = blake2b(text.encode(), digest_size=16).hexdigest()
    assert digest_of(text) == digest_of(text.encode()) == expected
