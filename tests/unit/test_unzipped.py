"""Unpacking a zipped OME-Zarr: nothing of it changes, and nothing leads out of the folder."""

import os
import re
import signal
import stat
import zipfile
from pathlib import Path

import children
import conversions
import numpy as np
import pytest
import zarr
from conversions import Job
from plane_harm import Killer, fill_disk, kill, tree_of
from plane_sources import compose_voxels, write_zarr
from zarr_layouts import write_store

from spimpack_tasks.arrays.codecs import DamagedChunkError
from spimpack_tasks.arrays.parallel import WorkPool
from spimpack_tasks.cli.main import main
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.ome_zarr.unzip import is_unpacked, open_zip, unpack

VOXELS = compose_voxels((2, 2, 13, 40, 37))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "a.ome.zarr"
    write_zarr(path, VOXELS)
    return path


def pack(store, path, compression=zipfile.ZIP_STORED, *, prefix="", more=(), zip64=False):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(store.rglob("*")):
            name = prefix + str(file.relative_to(store))
            if file.is_file():
                with archive.open(name, "w", force_zip64=zip64) as target:
                    target.write(file.read_bytes())
        for entry, content in more:
            archive.writestr(entry, content)
    return path


def unpack_all(source, path, threads=2, advance=lambda _: None):
    with open_zip(str(source)) as archive, WorkPool(threads) as pool:
        unpack(archive, str(path), advance, pool)
        return archive.size


FORMS = {
    "stored": {},
    "deflated": {"compression": zipfile.ZIP_DEFLATED},
    "in a folder": {"prefix": "a.ome.zarr/"},
    "zip64": {"zip64": True},
    "folders": {"more": [("0/", ""), ("0/c/", "")]},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_files_stay_as_they_are(tmp_path, store, form):
    pack(store, tmp_path / "a.ozx", **FORMS[form])
    told = []
    size = unpack_all(tmp_path / "a.ozx", tmp_path / "out", advance=told.append)
    assert tree_of(tmp_path / "out") == tree_of(store)
    assert np.array_equal(zarr.open_group(tmp_path / "out", mode="r")["0"][:], VOXELS)
    assert sum(told) == size == sum(len(data) for data in tree_of(store).values())
    assert is_unpacked(str(tmp_path / "a.ozx"), str(tmp_path / "out"))
    next(iter((tmp_path / "out").rglob("c/**/0"))).parent.rename(tmp_path / "gone")
    assert not is_unpacked(str(tmp_path / "a.ozx"), str(tmp_path / "out"))


def test_the_metadata_of_the_image_come_last(tmp_path, monkeypatch):
    write_zarr(tmp_path / "a.ome.zarr", VOXELS, version=2)
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as archive:
        for name in (".zattrs", ".zgroup", "0/.zarray", "0/0.0.0.0.0"):
            archive.write(tmp_path / "a.ome.zarr" / name, name)
    order = []
    rename = os.rename

    def watched(old, new):
        order.append(os.path.relpath(new, tmp_path / "out"))
        rename(old, new)

    monkeypatch.setattr(os, "rename", watched)
    unpack_all(tmp_path / "a.ozx", tmp_path / "out", threads=1)
    assert order == ["0/.zarray", "0/0.0.0.0.0", ".zgroup", ".zattrs"]


def entry(name, mode=0, **fields):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = 3
    for key, value in fields.items():
        setattr(info, key, value)
    return info


REFUSED = {
    "above": (entry("../evil"), "'../evil', which leads elsewhere"),
    "above within": (entry("0/../../evil"), "which leads elsewhere"),
    "absolute": (entry("/tmp/evil"), "'/tmp/evil', which leads elsewhere"),
    "of Windows": (entry("..\\evil"), "which leads elsewhere"),
    "no name": (entry("0//evil"), "which leads elsewhere"),
    "a link": (entry("link", stat.S_IFLNK | 0o777), "'link' that is a link or a device"),
    "a pipe": (entry("pipe", stat.S_IFIFO | 0o644), "'pipe' that is a link or a device"),
    "bzip2": (entry("b", compress_type=zipfile.ZIP_BZIP2), "'b' of compression 12"),
    "a file in a file": (entry("zarr.json/x"), "has 'zarr.json' as a file and as a folder"),
    "temporary": (entry("0/x.part"), "has an entry '0/x.part', which is no file of an OME-Zarr"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_archives_that_lead_elsewhere_are_refused_before_anything_is_written(tmp_path, store, name):
    evil, message = REFUSED[name]
    pack(store, tmp_path / "a.ozx", more=[(evil, "content")])
    before = tree_of(tmp_path)
    job = Job(str(tmp_path / "a.ozx"), str(tmp_path / "out"), Request())
    with pytest.raises(OSError, match=re.escape(message)):
        conversions.convert(job, lambda _: None)
    assert tree_of(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path, store):
    pack(store, tmp_path / "a.ozx", more=[("zarr.json", "{}")])
    with pytest.raises(HeaderError, match=r"has two entries 'zarr\.json'"):
        unpack_all(tmp_path / "a.ozx", tmp_path / "out")


def test_an_encrypted_entry_is_refused(tmp_path, store):
    pack(store, tmp_path / "a.ozx")
    data = bytearray((tmp_path / "a.ozx").read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.ozx").write_bytes(data)
    with pytest.raises(HeaderError, match="has an encrypted entry"):
        unpack_all(tmp_path / "a.ozx", tmp_path / "out")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_entry_is_named(tmp_path, store, compression):
    pack(store, tmp_path / "a.ozx", compression)
    with zipfile.ZipFile(tmp_path / "a.ozx") as archive:
        place = archive.getinfo("0/c/1/0/1/0/1").header_offset
    data = bytearray((tmp_path / "a.ozx").read_bytes())
    data[place + 100] ^= 0xFF
    (tmp_path / "a.ozx").write_bytes(data)
    with pytest.raises(DamagedChunkError, match=r"a\.ozx: '0/c/1/0/1/0/1' is damaged"):
        unpack_all(tmp_path / "a.ozx", tmp_path / "out")
    assert not (tmp_path / "out/zarr.json").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_an_archive_that_is_cut_off_is_refused(tmp_path, store):
    pack(store, tmp_path / "a.ozx")
    os.truncate(tmp_path / "a.ozx", 5000)
    with pytest.raises(HeaderError, match="is not a sound zip file"):
        unpack_all(tmp_path / "a.ozx", tmp_path / "out")


@pytest.mark.parametrize("harm", [kill, fill_disk])
@pytest.mark.parametrize("k", [1, 2, 3, 8, 31, 52, 73])
def test_a_rerun_goes_on(tmp_path, store, k, harm):
    pack(store, tmp_path / "a.ozx")
    out = tmp_path / "out"
    killer = Killer(out, k, harm)

    def action():
        killer.watch()
        try:
            unpack_all(tmp_path / "a.ozx", out, threads=1)
        except OSError as error:
            return error.errno
        return 0

    assert children.wait(children.start(action)) == (-signal.SIGKILL if harm is kill else 28)
    whole = tree_of(store)
    left = tree_of(out)
    assert all(data == whole[name] for name, data in left.items() if not name.endswith(".part"))
    assert "zarr.json" not in left
    inodes = {name: (out / name).stat().st_ino for name in left if not name.endswith(".part")}
    unpack_all(tmp_path / "a.ozx", out)
    assert tree_of(out) == whole
    assert all((out / name).stat().st_ino == inode for name, inode in inodes.items())


def test_a_file_that_is_not_what_it_was_is_made_again(tmp_path, store):
    pack(store, tmp_path / "a.ozx")
    unpack_all(tmp_path / "a.ozx", tmp_path / "out")
    file = next(file for file in (tmp_path / "out/0/c").rglob("*") if file.is_file())
    file.write_bytes(bytes(file.stat().st_size))
    unpack_all(tmp_path / "a.ozx", tmp_path / "out")
    assert tree_of(tmp_path / "out") == tree_of(store)


def test_an_archive_without_an_image_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(HeaderError, match=r"holds no zarr\.json"):
        unpack_all(Path(tmp_path / "a.ozx"), tmp_path / "out")


def test_f6_a_link_in_an_archive_is_not_read_as_a_chunk(tmp_path, capsys):
    """What an archive calls a link is its text, which could pass for voxels."""
    source = tmp_path / "in.ozx"
    store = write_store(tmp_path / "in.zarr", "v3-plain")
    with zipfile.ZipFile(source, "w") as archive:
        for file in sorted(p for p in store.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(str(file.relative_to(store)))
            is_chunk = info.filename == "0/c/1/1/1/1"
            info.external_attr = (0o120777 if is_chunk else 0o100644) << 16
            archive.writestr(info, file.read_bytes())
    for target in ("out.ome.zarr", "out.ome.tif"):
        assert main(["convert", str(source), str(tmp_path / target)]) != 0
        assert "link or a device" in capsys.readouterr().err
