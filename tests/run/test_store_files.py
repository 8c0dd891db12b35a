"""OME-Zarr whose files are not all there, or lie elsewhere: never taken for zeros, never leaked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from workspace import SHARED, Workspace
from zarr_layouts import LAYOUTS, VOXELS, write_store
from zarr_readers import read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.files.outside import VARIABLE
from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.state.publish import reason_of
from spimpack_tasks.state.store import Store
from spimpack_tasks.verification.verify import verify_full


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def replace(path: Path, make) -> None:
    path.unlink()
    make(path)


HARMS = {
    "dangling": lambda path: path.symlink_to("../../../.git/annex/objects/XX/not/here"),
    "circle": lambda path: path.symlink_to(path.name),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "annex-pointer": lambda path: path.write_text("/annex/objects/MD5E-s128--0123456789abcdef\n"),
    "lfs-pointer": lambda path: path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 128\n"
    ),
    "secret": lambda path: path.symlink_to("/etc/passwd"),
}


@pytest.fixture(params=LAYOUTS, ids=lambda name: f"b1-{name}")
def layout(request) -> str:
    return request.param


@pytest.fixture
def raw(tmp_path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.usefixtures("deadline")
def test_b1_a_file_that_cannot_be_opened_is_named(raw, tmp_path, capsys, layout, harm):
    source = write_store(raw / "in.ome.zarr", layout)
    chunk = LAYOUTS[layout][1]
    replace(source / chunk, HARMS[harm])
    assert run("convert", source, tmp_path / "out.ome.zarr") != 0
    assert f"{chunk!r} in it" in capsys.readouterr().err
    assert not (tmp_path / "out.ome.zarr").exists()


def test_b1_every_command_names_it(raw, tmp_path, capsys):
    source = write_store(raw / "in.ome.zarr")
    chunk = LAYOUTS["v3"][1]
    replace(source / chunk, HARMS["dangling"])
    for command in (
        ("convert", source, tmp_path / "out.ome.tif"),
        ("qc", source, "--output", tmp_path / "page.html"),
    ):
        assert run(*command) != 0
        assert f"{chunk!r} in it is a link" in capsys.readouterr().err


def test_b1_a_chunk_that_is_absent_is_zeros(raw, tmp_path, layout):
    source = write_store(raw / "in.ome.zarr", layout)
    (source / LAYOUTS[layout][1]).unlink()
    wanted = zarr.open_array(source / "0", mode="r")[:]
    assert not wanted[1].all()
    assert run("convert", source, tmp_path / "out.ome.zarr", "--verify") == 0
    made = read_with_zarr(tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(made[0], wanted)


@pytest.mark.parametrize("kept", ["0", "0/c", "0/c/1", "0/c/1/1"], ids=lambda name: f"b1-{name}")
@pytest.mark.parametrize("harm", ["dangling", "file"])
def test_a_folder_that_cannot_be_entered_is_named(raw, tmp_path, capsys, kept, harm):
    source = write_store(raw / "in.ome.zarr")
    shutil.rmtree(source / kept)
    if harm == "file":
        (source / kept).write_text("no folder")
    else:
        (source / kept).symlink_to("nowhere")
    assert run("convert", source, tmp_path / "out.ome.zarr") != 0
    assert f"{kept}{'/zarr.json' if kept == '0' and harm == 'file' else ''}'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json"], ids=lambda name: f"b1-{name}")
def test_metadata_that_were_not_fetched_are_named(raw, tmp_path, capsys, name):
    source = write_store(raw / "in.ome.zarr")
    replace(source / name, lambda path: path.symlink_to("nowhere"))
    assert run("convert", source, tmp_path / "out.ome.zarr") != 0
    told = capsys.readouterr().err
    assert name in told
    assert "link to 'nowhere'" in told


BACKENDS = ["symlink", "symlink-tree", "hardlink", "copy", "ome-zarr", "ome-zarr:convert=all"]
BACKENDS += ["ome-zarr:others=copy", "ome-tiff:convert=all"]


def workspace_of(tmp_path: Path, source: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    name = str(source.relative_to(tmp_path))
    workspace.rows = [{"spim_path": name, **SHARED, "subject": "01"}]
    return workspace


@pytest.mark.parametrize(
    ("backend", "workers"), [*((name, 1) for name in BACKENDS), ("symlink", 2), ("copy", 2)]
)
def test_b1_no_backend_takes_what_is_not_whole(raw, tmp_path, backend, workers):
    source = write_store(raw / "in.ome.zarr")
    chunk = LAYOUTS["v3"][1]
    replace(source / chunk, HARMS["dangling"])
    workspace = workspace_of(tmp_path, source)
    outcome = workspace.run(workers, backend=backend)
    assert outcome.exit_code == 4
    logs = (workspace.out / ".spimpack" / "runs").rglob("*")
    told = "".join(path.read_text() for path in logs if path.is_file())
    assert not list(workspace.out.glob("sub-01/micr/*.ome.*"))
    assert f"{chunk!r} in it is a link" in told


@pytest.mark.parametrize("backend", ["symlink", "symlink-tree", "hardlink"])
def test_b1_verify_names_what_is_lost_later(raw, tmp_path, backend):
    source = write_store(raw / "in.ome.zarr")
    chunk = LAYOUTS["v3"][1]
    store = source.rename(raw / "kept.ome.zarr")
    shutil.copytree(store, source)
    (source / chunk).unlink()
    (source / chunk).symlink_to(f"../../../../../../kept.ome.zarr/{chunk}")
    workspace = workspace_of(tmp_path, source)
    assert workspace.run(backend=backend).exit_code == 0
    assert [d.fault for d in verify_full(Store(str(workspace.out))) if d.counts] == []
    (store / chunk).unlink()
    found = [str(d) for d in verify_full(Store(str(workspace.out))) if d.counts]
    if backend == "hardlink":  # it has the data
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith("unreadable: sub-01/micr/")
        assert chunk in found[0]


@pytest.mark.parametrize("backend", ["symlink", "copy"])
def test_b1_verify_names_a_chunk_of_a_checksum(raw, tmp_path, backend):
    source = write_store(raw / "in.ome.zarr")
    chunk = LAYOUTS["v3"][1]
    workspace = workspace_of(tmp_path, source)
    assert workspace.run(backend=backend, checksum=True).exit_code == 0
    image = next(workspace.out.glob("sub-01/micr/*.ome.zarr"))
    replace(image / chunk, HARMS["dangling"])
    found = [str(d) for d in verify_full(Store(str(workspace.out))) if d.counts]
    assert len(found) == 1
    assert chunk in found[0]


def link(path: Path, target: Path, *, relative: bool = True) -> None:
    text = os.path.relpath(target, path.parent) if relative else str(target)
    path.unlink()
    path.symlink_to(text)


def annexed(root: Path, *, git: str = ".git") -> Path:
    """Put a store into a repository of git, with each file of it in the annex, as DataLad does."""
    source = write_store(root / "sub" / "in.ome.zarr")
    objects = root / git / "annex" / "objects"
    for number, path in enumerate(sorted(p for p in source.rglob("*") if p.is_file())):
        kept = objects / "Xy" / "Zz" / f"MD5E-s1--{number}" / f"MD5E-s1--{number}"
        kept.parent.mkdir(parents=True)
        path.rename(kept)
        path.symlink_to(
            os.path.relpath(root / ".git", path.parent) + str(kept)[len(str(root / git)) :]
        )
    return source


def in_annex(root: Path) -> Path:
    return annexed(root)


def in_annex_of_a_submodule(root: Path) -> Path:
    inner = root / "super" / "inner"
    (root / "super" / ".git" / "modules" / "inner").mkdir(parents=True)
    inner.mkdir()
    (inner / ".git").symlink_to("../.git/modules/inner")
    return annexed(inner, git="../.git/modules/inner")


def tree_of_links(root: Path, *, relative: bool = True) -> Path:
    kept = write_store(root / "disk" / "kept.ome.zarr")
    made = root / "dataset" / "sub-01" / "in.ome.zarr"
    shutil.copytree(kept, made)
    for path in (p for p in made.rglob("*") if p.is_file()):
        link(path, kept / path.relative_to(made), relative=relative)
    return made


def tree_of_links_into_an_annex(root: Path) -> Path:
    kept = annexed(root / "repository")
    made = root / "dataset" / "sub-01" / "in.ome.zarr"
    for path in (p for p in kept.rglob("*") if p.is_symlink()):
        here = made / path.relative_to(kept)
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(path)
    return made


def level_beside(root: Path) -> Path:
    made = write_store(root / "in.ome.zarr")
    (made / "0").rename(root / "level")
    (made / "0").symlink_to("../level")
    return made


def whole_store(root: Path) -> Path:
    kept = write_store(root / "disk" / "kept.ome.zarr")
    (root / "in.ome.zarr").symlink_to(kept)
    return root / "in.ome.zarr"


WHOLE = {
    "f6-annex": in_annex,
    "f6-annex-of-a-submodule": in_annex_of_a_submodule,
    "f6-tree-of-links": tree_of_links,
    "f6-tree-of-absolute-links": lambda root: tree_of_links(root, relative=False),
    "f6-tree-of-links-into-an-annex": tree_of_links_into_an_annex,
    "f6-level-beside-the-store": level_beside,
    "f6-link-to-the-store": whole_store,
}


@pytest.mark.parametrize("name", WHOLE)
def test_stores_of_links_that_were_made_on_purpose_are_read(raw, tmp_path, name):
    source = WHOLE[name](raw)
    StoreFiles(str(source)).check()
    assert run("convert", source, tmp_path / "out.ome.zarr", "--verify") == 0
    made = read_with_zarr(tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(made[0], VOXELS)


@pytest.mark.parametrize("backend", ["symlink", "symlink-tree", "hardlink", "copy"])
@pytest.mark.parametrize("name", ["f6-annex", "f6-tree-of-links-into-an-annex"])
def test_stores_of_links_are_packaged(raw, tmp_path, name, backend):
    source = WHOLE[name](raw)
    workspace = workspace_of(tmp_path, source)
    assert workspace.run(backend=backend).exit_code == 0
    image = next(workspace.out.glob("sub-01/micr/*.ome.zarr"))
    np.testing.assert_array_equal(zarr.open_array(image / "0", mode="r")[:], VOXELS)
    assert run("qc", image, "--output", tmp_path / "page.html") == 0


def other_voxels(root: Path) -> Path:
    return write_store(root / "secret" / "other.ome.zarr", "v3-plain", VOXELS[::-1])


def chunk_elsewhere(source: Path, there: Path) -> str:
    (there / "0" / "c" / "1" / "1" / "1" / "1").rename(there / "key")
    link(source / "0/c/1/1/1/1", there / "key")
    return "0/c/1/1/1/1"


def chunk_of_no_store(source: Path, there: Path) -> str:
    """Lead to a file of the same name, in a folder that is no OME-Zarr."""
    (there / "zarr.json").unlink()
    link(source / "0/c/1/1/1/1", there / "0/c/1/1/1/1")
    return "0/c/1/1/1/1"


def level_elsewhere(source: Path, there: Path) -> str:
    shutil.rmtree(source / "0")
    (source / "0").symlink_to(there / "0")
    return "0"


def folder_of_chunks_elsewhere(source: Path, there: Path) -> str:
    shutil.rmtree(source / "0/c/1")
    (source / "0/c/1").symlink_to(there / "0" / "c" / "1")
    return "0/c/1"


def metadata_elsewhere(source: Path, there: Path) -> str:
    link(source / "0/zarr.json", there / "zarr.json")
    return "0/zarr.json"


def annex_that_is_a_link(source: Path, there: Path) -> str:
    (source / ".git" / "annex").mkdir(parents=True)
    (source / ".git" / "annex" / "objects").symlink_to(there)
    (there / "0" / "c" / "1" / "1" / "1" / "1").rename(there / "key")
    link(source / "0/c/1/1/1/1", source / ".git" / "annex" / "objects" / "key")
    return "0/c/1/1/1/1"


OUT = {
    "f6-chunk": chunk_elsewhere,
    "f6-chunk-of-no-store": chunk_of_no_store,
    "f6-level": level_elsewhere,
    "f6-folder-of-chunks": folder_of_chunks_elsewhere,
    "f6-metadata": metadata_elsewhere,
    "f6-annex-that-leads-out": annex_that_is_a_link,
}


@pytest.mark.parametrize("name", OUT)
def test_links_out_of_the_image_are_not_followed(raw, tmp_path, capsys, monkeypatch, name):
    there = other_voxels(tmp_path)
    source = write_store(raw / "in.ome.zarr", "v3-plain")
    linked = OUT[name](source, there)
    wanted = f"{linked!r} in it is a link out of the image"
    assert run("convert", source, tmp_path / "out.ome.zarr") != 0
    assert wanted in capsys.readouterr().err
    if name == "f6-metadata":
        return
    monkeypatch.setenv(VARIABLE, f"/nowhere:{there.parent}")
    assert run("convert", source, tmp_path / "out.ome.zarr") == 0
    monkeypatch.setenv(VARIABLE, f"{there.parent}-other")
    assert run("convert", source, tmp_path / "other.ome.zarr") != 0


@pytest.mark.parametrize("name", OUT)
def test_no_backend_takes_links_out_of_the_image(raw, tmp_path, name):
    source = write_store(raw / "in.ome.zarr", "v3-plain")
    OUT[name](source, other_voxels(tmp_path))
    for backend in ("symlink", "symlink-tree", "hardlink", "copy"):
        workspace = workspace_of(tmp_path, source)
        assert workspace.run(backend=backend).exit_code == 4
        assert not list(workspace.out.glob("sub-01/micr/*.ome.zarr"))


def test_b1_a_file_that_the_system_refuses_is_named():
    output = SimpleNamespace(source="/raw/in.ome.zarr")
    error = PermissionError(13, "Permission denied", "/raw/in.ome.zarr/0/c/1")
    assert reason_of(output, error) == "'0/c/1' in it: Permission denied"
    elsewhere = PermissionError(13, "Permission denied", "/out/.spimpack/tmp/x")
    assert reason_of(output, elsewhere) == "Permission denied"
    assert reason_of(SimpleNamespace(source=""), error) == "Permission denied"
