"""A folder of numbered planes as a source of a dataset: what is made of it, and when anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import plane_sources as sources
import pytest
import tifffile
from workspace import SHARED, Workspace
from zarr_readers import read_with_zarr

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, InputError, Report
from spimpack_tasks.files import stamps
from spimpack_tasks.files.tsv import parse_tsv
from spimpack_tasks.state.store import Store
from spimpack_tasks.validation.validate import validate
from spimpack_tasks.verification.verify import verify_fast
from spimpack_tasks.volumes import examine
from spimpack_tasks.volumes.read_header import read_header

SHAPE = (1, 2, 6, 9, 8)
VOXELS = sources.compose_voxels(SHAPE)
KEY = "sub-01/micr/sub-01_sample-brain_SPIM"
WRITERS = {
    "tif": (sources.write_tif, "C{c}_Z{z:03}.tif"),
    "png": (sources.write_png, "ch{c} {z}.png"),
    "jp2": (sources.write_jp2, "C{c}_Z{z:03}.jp2"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return write_planes(tmp_path / "raw" / "mouse 1")


@pytest.fixture
def space(tmp_path: Path, folder: Path) -> Workspace:
    """A dataset of a folder of planes, and of another image."""
    workspace = Workspace(tmp_path)
    workspace.rows.append({"spim_path": f"raw/{folder.name}", "subject": "01", **SHARED})
    workspace.add_row("b.ome.zarr", subject="02")
    return workspace


def write_planes(path: Path, kind: str = "tif") -> Path:
    write, pattern = WRITERS[kind]
    sources.write_folder(path, VOXELS, write, pattern)
    return path


def package(space: Workspace, workers: int = 1):
    return space.run(workers, backend="ome-zarr")


def scales(space: Workspace) -> list[float]:
    attributes = json.loads((space.out / f"{KEY}.ome.zarr/zarr.json").read_text())["attributes"]
    (multiscale,) = attributes["ome"]["multiscales"]
    assert [axis.get("unit") for axis in multiscale["axes"]][-3:] == ["micrometer"] * 3
    return multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]


@pytest.mark.few(2)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", WRITERS)
def test_it_becomes_an_image_with_the_voxel_size_of_the_table(tmp_path, kind, workers):
    (tmp_path / "raw").mkdir()
    planes = write_planes(tmp_path / "raw" / "planes", kind)
    before = sources_of(planes)
    space = Workspace(tmp_path)
    cells = SHARED | {"PixelSize": "0.0018;0.0018;0.004", "PixelSizeUnits": "mm"}
    space.rows.append({"spim_path": "raw/planes/", "subject": "01", **cells})
    assert package(space, workers).exit_code == ExitCode.OK
    assert np.array_equal(read_with_zarr(space.out / f"{KEY}.ome.zarr"), VOXELS)
    assert scales(space) == [1, 4, 1.8, 1.8]
    assert not (space.out / ".bidsignore").exists()
    assert validate(str(space.out)).verdict.is_valid()
    assert list(verify_fast(Store(str(space.out)))) == []
    assert package(space).lines("out")[0].startswith("Nothing to do")
    assert sources_of(planes) == before


def sources_of(folder: Path) -> dict:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


def test_the_size_that_planes_tell_is_held_against_the_table(space, folder):
    per_um = {"resolution": (10000 / 0.5, 10000 / 0.5), "resolutionunit": "CENTIMETER"}
    for plane in folder.glob("C*.tif"):
        sources.write_tif(plane, np.zeros((9, 8), "uint16"), **per_um)
    assert read_header(str(folder), "folder of planes").spacing_um_xyz == (0.5, 0.5, None)
    with pytest.raises(InputError, match=r"but the image says \[0.5, 0.5, null\]"):
        package(space)
    space.rows[0]["override_header"] = "PixelSize"
    assert package(space).exit_code == ExitCode.OK
    assert scales(space) == [1, 4, 1.8, 1.8]


def exchange(folder: Path) -> None:
    """Write other voxels into a plane, with a time that lies before that of the others."""
    plane = folder / "C1_Z003.tif"
    before = plane.stat()
    sources.write_tif(plane, VOXELS[0, 0, 0])
    assert plane.stat().st_size == before.st_size
    os.utime(plane, ns=(before.st_atime_ns, before.st_mtime_ns - 10**12))


def add(folder: Path) -> None:
    for channel in (0, 1):
        sources.write_tif(folder / f"C{channel}_Z006.tif", VOXELS[0, 0, 0])


def remove(folder: Path) -> None:
    for channel in (0, 1):
        (folder / f"C{channel}_Z005.tif").unlink()


def rename(folder: Path) -> None:
    for old, new in (("C0", "C3"), ("C1", "C0"), ("C3", "C1")):
        for plane in folder.glob(f"{old}_*"):
            plane.rename(folder / plane.name.replace(old, new))


CHANGES = {"exchanged": exchange, "added": add, "removed": remove, "renamed": rename}


@pytest.mark.parametrize("name", CHANGES)
def test_a_plane_that_changes_makes_the_image_anew(space, folder, name):
    assert package(space).exit_code == ExitCode.OK
    before = space.stamps()
    CHANGES[name](folder)
    assert package(space).exit_code == ExitCode.OK
    found = read_with_zarr(space.out / f"{KEY}.ome.zarr")
    planes = [tifffile.imread(plane) for plane in sorted(folder.glob("C*.tif"))]
    assert np.array_equal(found, np.stack(planes).reshape(1, 2, -1, 9, 8))
    assert not np.array_equal(found, VOXELS)
    after = space.stamps()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed
    assert all(path.startswith(f"{KEY}.ome.zarr/") for path in changed)


def test_an_edit_of_the_voxel_size_reaches_the_image_and_not_its_voxels(space):
    package(space)
    before = voxel_files(space)
    space.rows[0]["PixelSize"] = "1.8;1.8;5"
    assert package(space).exit_code == ExitCode.OK
    assert scales(space) == [1, 5, 1.8, 1.8]
    assert voxel_files(space) == before


def voxel_files(space: Workspace) -> dict[str, tuple[int, int]]:
    chunks = (space.out / f"{KEY}.ome.zarr" / "0" / "c").rglob("*")
    found = {str(path): path.stat() for path in chunks if path.is_file()}
    assert found
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


def test_other_files_of_the_folder_do_not_matter(space, folder):
    package(space)
    before = space.stamps()
    (folder / "notes.txt").write_text("other words")
    (folder / "more").mkdir()
    assert package(space).lines("out")[0].startswith("Nothing to do")
    assert space.stamps() == before


def test_a_plane_that_goes_away_later_is_told(space, folder):
    package(space)
    (folder / "C1_Z003.tif").unlink()
    with pytest.raises(InputError, match=r"lacks 1 plane: C1_Z003\.tif"):
        package(space)


def test_a_damaged_plane_is_named_and_holds_nothing_up(space, folder, caplog):
    plane = folder / "C1_Z003.tif"
    sources.write_tif(plane, VOXELS[0, 0, 0], compression="zlib")
    with tifffile.TiffFile(plane) as file:
        (offset,) = file.pages[0].dataoffsets
    data = bytearray(plane.read_bytes())
    data[offset : offset + 40] = bytes(40)
    plane.write_bytes(data)
    assert package(space).exit_code == ExitCode.FAILED
    assert "C1_Z003.tif' cannot be read" in caplog.text
    assert not (space.out / f"{KEY}.ome.zarr").exists()
    assert (space.out / f"{KEY.replace('01', '02')}.ome.zarr").exists()


def test_nobody_else_looks_for_planes(space, monkeypatch):
    """A dataset without folders of planes does not pay for them."""

    def fail(path):
        raise AssertionError(path)

    for module, name in (
        (examine, "stamp_planes"),
        (examine, "list_planes"),
        (stamps, "stamp_planes"),
    ):
        monkeypatch.setattr(module, name, fail)
    del space.rows[0]
    for number, name in enumerate(("a.ims", "c.ome.tif", "d.ozx")):
        space.add_row(name, subject=f"1{number}")
    assert space.run().exit_code == ExitCode.OK
    assert space.run().lines("out")[0].startswith("Nothing to do")


def test_a_store_in_a_cache_of_another_name_is_no_folder_of_planes(tmp_path):
    space = Workspace(tmp_path)
    space.add_source("b.ome.zarr").rename(tmp_path / "raw" / "0123456789")
    (tmp_path / "raw" / "b.ome.zarr").symlink_to("0123456789")
    space.rows.append({"spim_path": "raw/b.ome.zarr", "subject": "01", **SHARED})
    assert package(space).exit_code == ExitCode.OK
    assert (space.out / f"{KEY}.ome.zarr").is_symlink()


def test_one_folder_is_converted_by_itself(tmp_path, folder, capsys):
    target = tmp_path / "mouse.ome.zarr"
    size = ["--pixel-size", "1.8;1.8;4"]
    assert main(["convert", str(folder), str(target), *size]) == ExitCode.OK
    assert np.array_equal(read_with_zarr(target), VOXELS)
    assert read_header(str(target), "OME-Zarr").spacing_um_xyz == (1.8, 1.8, 4)
    assert main(["convert", str(folder), str(target), *size]) == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out
    (folder / "C1_Z003.tif").unlink()
    assert main(["convert", str(folder), str(tmp_path / "x.ome.zarr")]) == ExitCode.BAD_INPUT
    assert "lacks 1 plane: C1_Z003.tif" in capsys.readouterr().err


WRONG_SIZES = ["1.8", "1.8;1.8;x", "1.8;1.8;0", "1.8;1.8;-1", "1.8;1.8;inf", "1;1;1;1"]


@pytest.mark.parametrize("size", WRONG_SIZES)
def test_a_wrong_voxel_size_is_refused(tmp_path, folder, capsys, size):
    target = str(tmp_path / "x.ome.zarr")
    assert main(["convert", str(folder), target, f"--pixel-size={size}"]) == ExitCode.BAD_INPUT
    assert "write it like 1.8;1.8;4" in capsys.readouterr().err


def scanned(tmp_path: Path, *arguments: str) -> list[str]:
    study = tmp_path / "study"
    assert main(["init", str(study), "--scan", str(tmp_path / "raw"), *arguments]) == ExitCode.OK
    table = parse_tsv((study / "scans.tsv").read_text(), "scans.tsv", Report())
    column = table.columns.index("spim_path")
    return [os.path.relpath(row.cells[column], tmp_path / "raw") for row in table.rows]


@pytest.mark.usefixtures("folder")
def test_a_scan_finds_folders_of_planes(tmp_path):
    write_planes(tmp_path / "raw" / "sub-02", "jp2")
    damaged = write_planes(tmp_path / "raw" / "sub-03")
    (damaged / "C1_Z003.tif").unlink()
    for number in (1, 2):  # images by themselves: of several planes, or named as such
        stack = tmp_path / "raw" / "stacks" / f"m{number}.ome.tif"
        stack.parent.mkdir(exist_ok=True)
        sources.write_ome(stack, VOXELS)
        flat = tmp_path / "raw" / "flat" / f"sub-0{number}.tif"
        flat.parent.mkdir(exist_ok=True)
        sources.write_tif(flat, VOXELS[0, 0, 0])
    found = scanned(tmp_path)
    stacks = ["stacks/m1.ome.tif", "stacks/m2.ome.tif"]
    assert found == ["flat/sub-01.tif", "flat/sub-02.tif", "mouse 1", *stacks, "sub-02"]
    report = (tmp_path / "study" / "scan_report.tsv").read_text()
    assert "lacks 1 plane: C1_Z003.tif" in report
    assert "C1_Z004.tif" not in report


@pytest.mark.usefixtures("folder")
def test_a_pattern_that_fits_planes_takes_them_for_images(tmp_path):
    found = scanned(tmp_path, "--pattern", "mouse {subject}/C{session}_Z{run}.tif")
    assert len(found) == SHAPE[1] * SHAPE[2]


@pytest.mark.usefixtures("folder")
def test_a_pattern_can_fit_the_folder(tmp_path):
    assert scanned(tmp_path, "--pattern", "mouse {subject}") == ["mouse 1"]


def test_a_folder_can_be_looked_at(tmp_path, folder):
    page = tmp_path / "page.html"
    assert main(["qc", str(folder), "--output", str(page)]) == ExitCode.OK
    assert page.stat().st_size > 0
