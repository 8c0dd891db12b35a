"""`spimpack convert` to a folder of planes: equal pixels, names, turns, and nothing half-made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from dcimg_files import Dcimg, compose_frames, write_dcimg
from plane_sources import compose_voxels, write_imaris, write_nifti, write_ome

from spimpack_tasks.api import Layout, VolumeSpec, create_volume, open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.conversion import convert_planes as convert_planes_module
from spimpack_tasks.conversion.convert_planes import RECORD, convert_planes
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.files.plane_names import is_plane_pattern
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.ome_zarr import chunk_reader
from spimpack_tasks.volumes.plane_folder import encoding

FRAMES = compose_frames(7, 12, 20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_dcimg(tmp_path / "a.dcimg", FRAMES, Dcimg(padding=4))


def read(path: Path) -> np.ndarray:
    if path.suffix == ".jp2":
        return imagecodecs.jpeg2k_decode(path.read_bytes())
    return tifffile.imread(path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


def convert(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


@pytest.mark.parametrize("ending", ["tif", "jp2", "tiff"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_i19_27_planes_are_equal(tmp_path, ending, dtype, capsys):
    frames = compose_frames(3, 12, 20, dtype)
    source = write_dcimg(tmp_path / "a.dcimg", frames, Dcimg(dtype=dtype))
    assert convert(source, tmp_path / f"out/img_{{z:05}}.{ending}", "--verify") == ExitCode.OK
    assert names(tmp_path / "out") == [f"img_{n:05}.{ending}" for n in range(3)]
    for n, frame in enumerate(frames):
        found = read(tmp_path / f"out/img_{n:05}.{ending}")
        assert found.dtype == frames.dtype
        assert np.array_equal(found, frame)
    assert "planes are equal to their source" in capsys.readouterr().out
    with open_image(tmp_path / "out") as image:
        assert np.array_equal(image.levels[0][0, :, 0], frames)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flips", [False, True])
def test_i19_27_turns_are_those_of_numpy(tmp_path, source, turns, flips):
    options = ["--rotate-90", turns, *(["--flip-ud"] if flips else [])]
    target = tmp_path / "out/p%03d.tif"
    assert convert(source, target, *options, "--pixel-size", "2;4;1", "--verify") == ExitCode.OK
    for n, frame in enumerate(FRAMES):
        wanted = np.rot90(frame, turns)
        assert np.array_equal(
            read(tmp_path / f"out/p{n:03}.tif"), wanted[::-1] if flips else wanted
        )
    wanted = (4, 2) if turns % 2 == 0 else (2, 4)
    assert probe_image(tmp_path / "out").spacing_um_zyx[1:] == pytest.approx(wanted)


def test_i19_27_some_of_the_planes(tmp_path, source):
    target = tmp_path / "out/{z:02}.tif"
    assert convert(source, target, "--start", 2, "--stop", 5, "--verify") == ExitCode.OK
    assert names(tmp_path / "out") == ["02.tif", "03.tif", "04.tif"]
    assert np.array_equal(read(tmp_path / "out/03.tif"), FRAMES[3])


@pytest.mark.parametrize("psnr", [30, 60, 80, 96])
def test_i19_27_the_quality_of_jpeg_2000_is_kept(tmp_path, psnr):
    """The encoder alone stays below what it is asked for, at 30 and at 96 decibels."""
    rng = np.random.default_rng(1)
    frames = rng.poisson(300, (2, 256, 256)).astype("u2")
    frames[:, 100:120, 50:90] = 60_000
    source = write_dcimg(tmp_path / "a.dcimg", frames)
    target = tmp_path / "out/{z}.jp2"
    assert convert(source, target, "--psnr", psnr, "--verify") == ExitCode.OK
    sizes = 0
    for n, frame in enumerate(frames):
        error = np.mean((read(tmp_path / f"out/{n}.jp2").astype(float) - frame) ** 2)
        assert error > 0
        assert 10 * np.log10(65535**2 / error) >= psnr
        sizes += (tmp_path / f"out/{n}.jp2").stat().st_size
    assert sizes < frames.nbytes * 0.7


def test_the_effort_of_deflate(tmp_path):
    frames = np.random.default_rng(2).poisson(20, (2, 300, 300)).astype("u2")
    source = write_dcimg(tmp_path / "a.dcimg", frames)
    sizes = []
    for level in (1, 9):
        assert convert(source, tmp_path / f"l{level}/{{z}}.tif", "--level", level) == ExitCode.OK
        sizes.append(sum(path.stat().st_size for path in (tmp_path / f"l{level}").iterdir()))
    assert sizes[1] < sizes[0]


SOURCES = {
    "a.ims": write_imaris,
    "a.ome.tif": write_ome,
    "a.nii": write_nifti,
}


@pytest.mark.parametrize("name", SOURCES)
def test_channels_and_times_of_other_formats(tmp_path, name):
    voxels = compose_voxels((2, 2, 3, 20, 21) if name != "a.ims" else (1, 2, 3, 20, 21))
    SOURCES[name](tmp_path / name, voxels)
    target = tmp_path / "out/T{t}_C{c}_Z{z:03}.tif"
    assert convert(tmp_path / name, target, "--verify") == ExitCode.OK
    with open_image(tmp_path / "out") as image:
        assert np.array_equal(image.levels[0][...].transpose(0, 2, 1, 3, 4), voxels)


def test_the_same_bytes_by_any_number_of_threads(tmp_path, source):
    for threads in (1, 3):
        target = tmp_path / f"out{threads}/{{z}}.tif"
        assert convert(source, target, "--threads", threads) == ExitCode.OK
    for name in names(tmp_path / "out1"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out3" / name).read_bytes()


@pytest.mark.parametrize("largest", [2**20, 0], ids=["kept", "too large to keep"])
def test_planes_that_are_stored_together_are_decoded_once(tmp_path, monkeypatch, largest):
    voxels = np.random.default_rng(1).integers(0, 4000, (1, 1, 20, 30, 40)).astype("uint16")
    source = tmp_path / "a.ome.zarr"
    spec = VolumeSpec(voxels.shape, voxels.dtype, axes="zyx")
    with create_volume(source, spec, Layout(chunk_zyx=(8, 16, 16))) as writer:
        for block in writer.missing():
            writer.write(block, voxels[block.region])
        writer.finish()
    decoded = []
    undo = chunk_reader._undo

    def counted(*arguments):
        decoded.append(1)
        return undo(*arguments)

    monkeypatch.setattr(chunk_reader, "_undo", counted)
    monkeypatch.setattr(convert_planes_module, "_LARGEST_LAYER", largest)
    assert convert(source, tmp_path / "out/img_{z:05}.tif", "--verify") == ExitCode.OK
    found = [read(tmp_path / "out" / name) for name in names(tmp_path / "out")]
    assert np.array_equal(found, voxels[0, 0])
    chunks = 3 * 2 * 3
    assert len(decoded) == (chunks if largest else 20 * 2 * 3)  # gzip alone, once for each chunk


def test_a_second_run_writes_nothing(tmp_path, source, capsys):
    target = tmp_path / "out/{z}.tif"
    assert convert(source, target) == ExitCode.OK
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    assert convert(source, target) == ExitCode.OK
    assert "Nothing to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    assert convert(source, target, "--rotate-90", 1) == ExitCode.CONFLICT
    (tmp_path / "out/3.tif").unlink()
    assert convert(source, target) == ExitCode.CONFLICT


def test_foreign_files_are_never_overwritten(tmp_path, source, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "0.tif").write_bytes(b"mine")
    assert convert(source, folder / "{z}.tif") == ExitCode.CONFLICT
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["0.tif"]
    assert (folder / "0.tif").read_bytes() == b"mine"


def test_a_failed_conversion_is_resumed_plane_by_plane(tmp_path, source, monkeypatch, capsys):
    encoded = []
    encode = encoding._encode_tiff

    def fail_at_the_fifth(plane, settings):
        encoded.append(plane)
        if len(encoded) == 5:
            raise OSError(28, "No space left on device")
        return encode(plane, settings)

    form = encoding.PlaneForm("TIFF", ("uint16",), fail_at_the_fifth)
    monkeypatch.setattr("spimpack_tasks.conversion.convert_planes.PLANE_FORMS", {".tif": form})
    target = tmp_path / "out/{z}.tif"
    assert convert(source, target, "--threads", 1) != ExitCode.OK
    assert "finished planes are kept" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    kept = len([*tmp_path.glob(".out.unfinished/*/*.tif")])
    assert kept in {4, 5}, "a plane that was under way may be there too"
    encoded.clear()
    encoded.extend([None] * 9)
    assert convert(source, target, "--threads", 1, "--verify") == ExitCode.OK
    assert len(encoded) - 9 == 7 - kept
    assert not (tmp_path / ".out.unfinished").exists()


_KILLED = """
import sys, time
from spimpack_tasks.volumes.plane_folder import encoding
encode = encoding.PLANE_FORMS[".tif"].encode
def slow(plane, settings):
    time.sleep(0.2)
    return encode(plane, settings)
object.__setattr__(encoding.PLANE_FORMS[".tif"], "encode", slow)
from spimpack_tasks.cli.main import main
main(["convert", *sys.argv[1:], "--threads", "1"])
"""


def test_a_killed_conversion_is_resumed(tmp_path, source):
    target = tmp_path / "out/{z}.tif"
    child = subprocess.Popen([sys.executable, "-c", _KILLED, str(source), str(target)])
    end = time.monotonic() + 60
    while not [*tmp_path.glob(".out.unfinished/*/1.tif")] and time.monotonic() < end:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "out").exists()
    assert [*tmp_path.glob(".out.unfinished/*/1.tif")]
    assert convert(source, target, "--verify") == ExitCode.OK
    assert names(tmp_path / "out") == [f"{n}.tif" for n in range(7)]
    assert not [*tmp_path.glob("out/*.part")]


def test_differences_are_found(tmp_path, source, capsys):
    target = tmp_path / "out/{z}.tif"
    assert convert(source, target) == ExitCode.OK
    changed = FRAMES[4].copy()
    changed[3, 5] += 1
    tifffile.imwrite(tmp_path / "out/4.tif", changed)
    tifffile.imwrite(tmp_path / "out/5.tif", FRAMES[5][:-1])
    (tmp_path / "out/6.tif").write_bytes(b"II*\0")
    capsys.readouterr()
    assert convert(source, target, "--verify") == ExitCode.CONFLICT
    printed = capsys.readouterr().out
    assert "4.tif differs from its source" in printed
    assert "5.tif has (11, 20) of uint16 instead of (12, 20) of uint16" in printed
    assert "6.tif cannot be read" in printed
    assert "3 deviations" in printed


REFUSED = {
    "no number": (["out/plane.tif"], "does not end in .ome.zarr"),
    "several channels": (["a.ims", "out/{z}.tif"], "lacks {c}, but the image has 2 along c"),
    "other field": (["out/{q}.tif"], "{q} in '{q}.tif' is no number of t, c or z"),
    "form": (["out/{z:x}.tif"], "{z:x} in '{z:x}.tif' is no number of t, c or z"),
    "broken": (["out/{z.tif"], "is no pattern of names"),
    "folder": (["out{z}/{z}.tif"], "has a number in the name of a folder"),
    "no parent": (["none/out/{z}.tif"], "is not a folder; make it first"),
    "too far": (["out/{z}.tif", "--stop", "9"], "there are no planes from 0 up to 9"),
    "none": (["out/{z}.tif", "--start", "3", "--stop", "3"], "there are no planes from 3 up to 3"),
    "psnr of tiff": (["out/{z}.tif", "--psnr", "80"], "planes in TIFF have no --psnr"),
    "level of jp2": (["out/{z}.jp2", "--level", "3"], "planes in JPEG 2000 have no --level"),
    "codec": (["out/{z}.tif", "--codec", "zlib"], "planes in TIFF have no --codec"),
    "turn of zarr": (["a.ome.zarr", "--rotate-90", "1"], "is no folder of planes"),
    "flip of tiff": (["a.ome.tif", "--flip-ud", "--start", "0"], "alone --flip-ud, --start can be"),
    "float": (["f.nii", "out/{z}.jp2"], "voxels of type float32, which JPEG 2000 has not"),
    "unclear": (["c.ims", "out/{c}_{z}.tif"], "names by '{c}_{z}.tif' would not be read again"),
}


@pytest.mark.parametrize(("arguments", "told"), REFUSED.values(), ids=REFUSED)
@pytest.mark.usefixtures("source")
def test_what_is_refused(tmp_path, arguments, told, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    voxels = compose_voxels((1, 2, 3, 20, 21))
    write_imaris(tmp_path / "a.ims", voxels)
    write_imaris(tmp_path / "c.ims", voxels)
    write_nifti(tmp_path / "f.nii", voxels.astype("f4")[:, :1])
    before = sorted(os.listdir(tmp_path))
    if not arguments[0].endswith((".ims", ".nii")):
        arguments = ["a.dcimg", *arguments]
    assert main(["convert", *arguments]) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("option", [["--psnr", "5"], ["--psnr", "a"], ["--start", "-1"]])
def test_options_that_are_no_numbers(tmp_path, source, option):
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(source), str(tmp_path / "out/{z}.jp2"), *option])
    assert ended.value.code == 2


def test_a_source_that_changes_meanwhile(tmp_path, source, monkeypatch):
    encode = encoding._encode_tiff

    def change(plane, settings):
        os.utime(source, (1, 1))
        return encode(plane, settings)

    form = encoding.PlaneForm("TIFF", ("uint16",), change)
    monkeypatch.setattr("spimpack_tasks.conversion.convert_planes.PLANE_FORMS", {".tif": form})
    with pytest.raises(OSError, match="changed while it was converted"):
        convert_planes(
            str(source),
            str(tmp_path / "out/{z}.tif"),
            encoding.PlanesRequest(),
            WHOLE,
            (1, lambda _: None),
        )
    assert not (tmp_path / "out").exists()


def test_each_format_of_planes_is_told_by_its_ending():
    for ending in encoding.PLANE_FORMS:
        assert is_plane_pattern(f"out/{{z}}{ending}")
    for path in ("out/a.tif", "out{z}/a.tif", "{z}.png", "{z}", "a.ome.tif"):
        assert not is_plane_pattern(path)


def test_the_record_has_no_path_of_this_machine(tmp_path, source):
    assert convert(source, tmp_path / "out/{z}.tif", "--start", 1) == ExitCode.OK
    text = (tmp_path / "out" / RECORD).read_text()
    assert str(tmp_path) not in text
    record = json.loads(text)
    assert (record["planes"], record["start"], record["converted_from"]) == (6, 1, "DCIMG")
