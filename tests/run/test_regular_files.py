"""A pipe, a socket or a device in the place of a file is refused, and never waited for."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import nibabel
import numpy as np
import pytest
from plane_sources import (
    compose_voxels,
    write_folder,
    write_imaris,
    write_ome,
    write_tif,
    write_zip,
)
from workspace import Workspace
from zarr_layouts import write_store

from spimpack_tasks.cli.main import main
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.validation.validate import validate

pytestmark = pytest.mark.usefixtures("deadline")
VOXELS = compose_voxels((1, 1, 4, 20, 21))
KINDS = ("fifo", "socket", "device", "folder")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def put(kind: str, path: Path) -> None:
    """Put something in the place of a file."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            folder = os.open(path.parent, os.O_RDONLY)
            server.bind(f"/proc/self/fd/{folder}/{path.name}")
            os.close(folder)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"f5-{kind}")
def test_nothing_else_is_opened(tmp_path: Path, kind: str) -> None:
    put(kind, tmp_path / "a")
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(str(tmp_path / "a"))


def nifti(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOXELS[0, 0].T, np.eye(4)), path)


SOURCES = {
    "f5-chunk": (lambda p: write_store(p, "v3"), "a.ome.zarr", "0/c/0/0/0/0"),
    "f5-chunk-of-v2": (lambda p: write_store(p, "v2"), "a.ome.zarr", "0/0/0/0/0"),
    "f5-shard": (lambda p: write_store(p, "v3-sharded"), "a.ome.zarr", "0/c/0/0/0/0"),
    "f5-zarr.json": (lambda p: write_store(p, "v3"), "a.ome.zarr", "zarr.json"),
    "f5-level": (lambda p: write_store(p, "v3"), "a.ome.zarr", "0/zarr.json"),
    "f5-zattrs": (lambda p: write_store(p, "v2"), "a.ome.zarr", ".zattrs"),
    "f5-zarray": (lambda p: write_store(p, "v2"), "a.ome.zarr", "0/.zarray"),
    "f5-zattrs-of-level": (lambda p: write_store(p, "v2"), "a.ome.zarr", "0/.zattrs"),
    "f5-plane": (
        lambda p: write_folder(p, VOXELS, write_tif, "p_{z:03}.tif"),
        "planes",
        "p_001.tif",
    ),
    "f5-imaris": (lambda p: write_imaris(p, VOXELS), "a.ims", ""),
    "f5-ome-tiff": (lambda p: write_ome(p, VOXELS), "a.ome.tif", ""),
    "f5-archive": (lambda p: write_zip(p, VOXELS), "a.ozx", ""),
    "f5-nifti": (nifti, "a.nii.gz", ""),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SOURCES)
def test_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str) -> None:
    write, source, inner = SOURCES[name]
    path = tmp_path / source
    write(path)
    put(kind, path / inner if inner else path)
    for target in ("o.ome.zarr", "o.ome.tif"):
        assert run("convert", path, tmp_path / target) != 0
        assert not (tmp_path / target).exists()
    assert run("qc", path, "--output", tmp_path / "page.html") != 0
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err


def package(space: Workspace) -> list[object]:
    return ["package", "--manifest", space.manifest, "--output-dir", space.out]


@pytest.mark.parametrize("backend", ["symlink-tree", "hardlink", "copy"])
@pytest.mark.parametrize("kind", KINDS[:3], ids=lambda kind: f"f5-{kind}")
def test_packaging(tmp_path: Path, kind: str, backend: str) -> None:
    space = Workspace(tmp_path)
    space.add_row("a.ome.zarr", subject="01")
    chunk = next(p for p in (tmp_path / "raw/a.ome.zarr/0/c").rglob("*") if p.is_file())
    put(kind, chunk)
    done = space.run(1, backend=backend)
    assert done.exit_code != 0
    assert not list(space.out.glob("sub-*/micr/*.ome.zarr"))


@pytest.mark.parametrize("kind", ["fifo", "socket"], ids=lambda kind: f"f5-{kind}")
def test_tables_and_state(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    space = Workspace(tmp_path)
    space.add_row("a.ome.zarr", subject="01")
    space.write()
    assert run(*package(space)) == 0
    files = [space.manifest, *tmp_path.glob("*.tsv")]
    state = [p for p in (space.out / ".spimpack").rglob("*") if p.is_file()]
    state = [p for p in state if p.parent.name != "locks" or p.name == "writers"]
    sidecars = [p for p in space.out.rglob("*.*") if p.suffix in {".json", ".tsv"}]
    for path in {*files, *state, *sidecars}:
        kept = path.read_bytes()
        put(kind, path)
        run("validate", "--manifest", space.manifest)
        run("plan", *package(space)[1:])
        run("status", *package(space)[1:])
        run("verify", space.out)
        run("report", space.out, "--file", tmp_path / "report.html", "--overwrite")
        if path in sidecars and "sub-01" in path.name:
            validate(str(space.out))
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err, path
        path.unlink()
        path.write_bytes(kept)
