"""What a directory is known again by is the same in every version: it stands in records."""

import os
from hashlib import blake2b
from pathlib import Path

import pytest

from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.model.plan import Kind
from spimpack_tasks.state.content import content_of, is_edited_in_place, times_of
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
