"""A conversion that cannot be done: one message, one code, nothing left behind, nothing mixed."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import ome_sets
import pytest
import tifffile
from imaris_variants import Variant, write_variant
from plane_sources import compose_voxels, write_zarr
from test_convert_imaris import spoil_chunk
from workspace import Workspace, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.conversion import convert_file as alone
from spimpack_tasks.conversion import held_place
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.file_traces import FileTrace
from spimpack_tasks.files.held_folders import TargetTakenError
from spimpack_tasks.pipelines import package
from spimpack_tasks.volumes import disk_space as room
from spimpack_tasks.volumes import levels as base
from spimpack_tasks.volumes import source_errors as trouble
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.convert import least_size
from spimpack_tasks.volumes.disk_space import require_space
from spimpack_tasks.volumes.formats import OME_ZARR, ZIPPED

TARGETS = ["t.ome.zarr", "t.ome.tif"]


def write_damaged_ims(path: Path) -> None:
    write_variant(path, Variant())
    spoil_chunk(path, (0, 0, 0))


def write_cut_off_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((64, 64, 64), "uint16"))
    os.truncate(path, path.stat().st_size // 2)


def write_complex(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((2, 8, 8), "complex64"))


HOPELESS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a damaged chunk": ("a.ims", write_damaged_ims),
    "a file that is cut off": ("a.tif", write_cut_off_tiff),
    "complex numbers": ("a.tif", write_complex),
    "no header": ("a.nii", lambda path: path.write_bytes(b"\x5c\x01\x00\x00" + bytes(400))),
    "no planes": ("planes", lambda path: path.mkdir()),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", HOPELESS)
def test_c7_f15_what_cannot_ever_work_is_said_once_and_leaves_nothing(
    tmp_path, name, target, capsys
):
    file, make = HOPELESS[name]
    make(tmp_path / file)
    before = sorted(os.listdir(tmp_path))
    code = main(["convert", str(tmp_path / file), str(tmp_path / target)])
    said = capsys.readouterr()
    assert (code, said.out) == (ExitCode.BAD_INPUT, "")
    assert "run it again" not in said.err
    assert len(said.err.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == before


def test_c7_the_hint_of_a_reader_is_kept(tmp_path, capsys):
    path = tmp_path / "a.nii"
    image = nibabel.Nifti1Image(np.zeros((8, 8, 8), "uint16"), np.diag([2, 3, 4, 1]))
    image.header["pixdim"][1:4] = 5, 5, 5
    nibabel.save(image, path)
    with path.open("r+b") as file:  # nibabel writes the sizes of the affine
        file.seek(80)
        file.write(np.array([5, 5, 5], "<f4").tobytes())
    for target in TARGETS:
        assert main(["convert", str(path), str(tmp_path / target)]) == ExitCode.BAD_INPUT
        assert capsys.readouterr().err.count("; make them agree, or set sform_code to 0") == 1


def test_c7_a_disk_that_fails_just_now_is_tried_again(tmp_path, monkeypatch, capsys):
    write_zarr(tmp_path / "a.ome.zarr", compose_voxels((1, 1, 8, 16, 16)))

    def fail(*_):
        raise base.UnreadableVoxelsError("a.ome.zarr") from OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(alone, "convert_to_ome_zarr", fail)
    arguments = ["convert", str(tmp_path / "a.ome.zarr"), str(tmp_path / "t.ome.zarr")]
    assert main(arguments) == ExitCode.FAILED
    assert "run the command again to resume: finished parts are kept" in capsys.readouterr().err


def largest_file(source: Path) -> Path:
    return max((p for p in source.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def change_a_chunk(source: Path) -> None:
    path = largest_file(source)
    path.write_bytes(path.read_bytes()[::-1])


def replace(source: Path) -> None:
    """Put another store at the place of the first one, with the same times."""
    times = source.stat().st_mtime_ns
    other = source.with_name("other")
    shutil.copytree(source, other)
    shutil.rmtree(source)
    other.rename(source)
    os.utime(source, ns=(times, times))


def touch_file(source: Path) -> None:
    source.write_bytes(source.read_bytes() + b"\0")


def write_with_old_time(path: Path) -> None:
    """Write other bytes into a file, and put its time back."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a chunk of a store": ("a.ome.zarr", change_a_chunk),
    "a whole store": ("a.ome.zarr", replace),
    "an Imaris file": ("a.ims", touch_file),
    "a file whose time is put back": ("a.ims", write_with_old_time),
    "a chunk whose time is put back": (
        "a.ome.zarr",
        lambda path: write_with_old_time(largest_file(path)),
    ),
    "a plane of a folder": ("planes", lambda path: touch_file(path / "z2.tif")),
    "a new plane in a folder": ("planes", lambda path: (path / "z9.tif").write_bytes(b"x")),
    "a member of a set": ("set0.ome.tif", lambda path: touch_file(path.with_name("set1.ome.tif"))),
}


def make_source(path: Path) -> None:
    if path.suffix == ".ims":
        write_variant(path, Variant())
    elif path.suffix == ".zarr":
        write_zarr(path, compose_voxels((1, 1, 8, 16, 16)))
    elif path.name == "planes":
        path.mkdir()
        for number in range(4):
            tifffile.imwrite(path / f"z{number}.tif", np.full((8, 8), number, "uint16"))
    else:
        write_set(path.parent)


def write_set(folder: Path) -> None:
    """Write an OME-TIFF set of two files, with a channel in each."""
    voxels = ome_sets.stack(1, 2, 4)
    names = ["set0.ome.tif", "set1.ome.tif"]
    pieces = "".join(
        ome_sets.piece(name, FirstC=c, FirstZ=0, FirstT=0, IFD=0, PlaneCount=4)
        for c, name in enumerate(names)
    )
    xml = ome_sets.Xml(voxels, tiff_data=pieces)
    for c, name in enumerate(names):
        ome_sets.write(folder / name, voxels[0, c], xml.text(name))


@pytest.fixture
def changing(monkeypatch) -> Callable[[Path, Callable[[Path], None]], None]:
    """Have a source change when it has been read for the first time."""

    def arrange(source: Path, change: Callable[[Path], None], files: int = 1) -> None:
        real, looks = trouble.trace_files, []

        def trace(path: str) -> FileTrace:
            found = real(path)
            looks.append(path)
            if len(looks) == files:  # each was looked at before the conversion
                change(source)
            return found

        monkeypatch.setattr(trouble, "trace_files", trace)

    return arrange


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CHANGES)
def test_f7_a_source_that_changes_meanwhile(tmp_path, name, target, changing, capsys):
    file, change = CHANGES[name]
    make_source(tmp_path / file)
    changing(tmp_path / file, change, files=2 if "set" in name else 1)
    code = main(["convert", str(tmp_path / file), str(tmp_path / target)])
    assert code == ExitCode.FAILED
    assert "its source changed while it was converted; run it again" in capsys.readouterr().err
    assert not [name for name in os.listdir(tmp_path) if name.startswith((".t.", "t."))]


HARMLESS = {
    "another mode": lambda path: path.chmod(0o400),
    "a hard link": lambda path: path.with_name("link").hardlink_to(path),
    "it is read": lambda path: path.read_bytes(),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_source_that_is_not_written_meanwhile(tmp_path, change, changing):
    make_source(tmp_path / "a.ims")
    changing(tmp_path / "a.ims", change)
    assert main(["convert", str(tmp_path / "a.ims"), str(tmp_path / "t.ome.zarr")]) == ExitCode.OK


@pytest.mark.parametrize("backend", ["ome-zarr:convert=all", "ome-tiff:convert=all"])
@pytest.mark.parametrize("name", ["a chunk of a store", "a whole store"])
def test_f7_package_refuses_as_well(tmp_path, name, backend, changing):
    space = Workspace(tmp_path)
    space.add_row("b.ome.zarr", subject="02", acquisition="4x")
    space.write()
    changing(tmp_path / "raw" / "b.ome.zarr", CHANGES[name][1])
    outcome = package(space.options(backend=backend))
    assert outcome.exit_code == ExitCode.FAILED
    assert not list((space.out / "sub-02").rglob("*_SPIM.ome*"))
    assert not list((space.out / ".spimpack" / "unfinished").rglob("*zarr*"))
    assert package(space.options(backend=backend)).exit_code == ExitCode.OK


def test_f8_a_second_conversion_leaves_the_place_of_the_first(tmp_path, capsys):
    write_variant(tmp_path / "a.ims", Variant())
    target = str(tmp_path / "t.ome.zarr")
    began, goes_on = threading.Event(), threading.Event()
    place = tmp_path / ".t.ome.zarr.unfinished"
    outcomes = []

    def first() -> None:
        with held_place.hold_place(target, "first") as path:
            began.set()
            assert goes_on.wait(20)
            Path(path).mkdir()
            outcomes.append(Path(path).is_dir())
            Path(path).rmdir()

    thread = threading.Thread(target=first)
    thread.start()
    assert began.wait(20)
    assert main(["convert", str(tmp_path / "a.ims"), target]) == ExitCode.CONFLICT
    assert "is being made by another process" in capsys.readouterr().err
    assert place.is_dir()
    goes_on.set()
    thread.join()
    assert outcomes == [True]
    assert not place.exists()
    assert main(["convert", str(tmp_path / "a.ims"), target]) == ExitCode.OK


def test_f8_many_at_once_make_one(tmp_path):
    write_variant(tmp_path / "a.ims", Variant())
    target = str(tmp_path / "t.ome.zarr")
    barrier = threading.Barrier(4)
    outcomes: list[object] = []

    def convert() -> None:
        barrier.wait()
        try:
            outcomes.append(
                alone.convert_file(
                    str(tmp_path / "a.ims"), target, Request(codec="", ngff=""), 1, lambda _: None
                )
            )
        except TargetTakenError:
            outcomes.append("taken")

    threads = [threading.Thread(target=convert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 1
    assert set(outcomes) <= {True, False, "taken"}
    assert sorted(os.listdir(tmp_path)) == ["a.ims", "t.ome.zarr"]


def test_f15_lack_of_room_is_told_in_fitting_units(tmp_path, monkeypatch, capsys):
    write_variant(tmp_path / "a.ims", Variant())
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 700))
    assert main(["convert", str(tmp_path / "a.ims"), str(tmp_path / "t.ome.zarr")]) == 4
    said = capsys.readouterr().err
    assert "and the disk has 700 B; free some and run the command again" in said
    assert "0.0" not in said


def test_f15_room_for_an_archive_is_that_of_its_entries(tmp_path, monkeypatch):
    write_zarr(tmp_path / "a.ome.zarr", np.zeros((1, 1, 8, 64, 64), "uint16"))
    archive = tmp_path / "a.ozx"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted((tmp_path / "a.ome.zarr").rglob("*")):
            if path.is_file():
                file.writestr(str(path.relative_to(tmp_path / "a.ome.zarr")), path.read_bytes())
        unpacked = sum(entry.file_size for entry in file.infolist())
    assert archive.stat().st_size < unpacked
    for free, fits in ((unpacked - 1, False), (unpacked, True)):
        usage = shutil._ntuple_diskusage(9, 9, free)
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _, usage=usage: usage)
        if fits:
            require_space(str(tmp_path), least_size(str(archive), ZIPPED, OME_ZARR))
        else:
            with pytest.raises(OSError, match="at the least"):
                require_space(str(tmp_path), least_size(str(archive), ZIPPED, OME_ZARR))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "Read-only file system; choose a target on another disk"),
        (errno.EACCES, "Permission denied; choose a target in a folder that you may write to"),
    ],
    ids=["read-only", "no permission"],
)
def test_f15_a_disk_that_takes_nothing_is_named(tmp_path, number, remedy, monkeypatch, capsys):
    write_variant(tmp_path / "a.ims", Variant())
    target = tmp_path / "t.ome.zarr"

    def refuse(path, *_):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(alone.os, "mkdir", refuse)
    assert main(["convert", str(tmp_path / "a.ims"), str(target)]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert said == f"spimpack: {tmp_path}/.t.ome.zarr.unfinished: {remedy}\n"


def test_f15_the_log_of_a_library_is_not_a_second_message(tmp_path):
    path = tmp_path / "a.tif"
    write_cut_off_tiff(path)
    script = (
        "import logging, sys; from spimpack_tasks.cli.main import main; code = main(sys.argv[1:]);"
        "logging.getLogger('tifffile').error('what tifffile says'); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, "convert", str(path), str(tmp_path / "t.ome.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (ExitCode.BAD_INPUT, 1)


def test_a_refused_image_of_a_dataset_leaves_no_place(tmp_path):
    space = small_workspace(tmp_path)
    write_damaged_ims(tmp_path / "raw" / "a.ims")
    space.rows[0] |= {"PixelSize": "1.5;2.5;3.5"}
    assert space.run(backend="ome-zarr").exit_code == ExitCode.FAILED
    assert not list((space.out / ".spimpack" / "unfinished").rglob("zarr.json"))
