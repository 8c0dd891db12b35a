"""Statements about reading that no other file of tests is about, over all formats at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import children
import nibabel
import numpy as np
import pytest
import tifffile
from czi_sources import Czi, write_czi
from lsm_sources import Lsm, write_lsm
from ome_sets import Xml, binary_only, piece, stack, write
from thorlabs_sources import Raw, write_raw
from tiny_images import write_tiny_image

from spimpack_tasks.api import VolumeSpec, create_volume, open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.errors import SourceRefusedError


def write_nifti(path: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), "int16"), np.eye(4)), path)
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    **dict.fromkeys(
        (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".ome.btf", ".ims", ".ome.zarr", ".ozx"),
        write_tiny_image,
    ),
    ".nii": write_nifti,
    ".nii.gz": write_nifti,
    ".lsm": lambda path: write_lsm(path, Lsm()),
    ".czi": lambda path: write_czi(path, Czi()),
    ".raw": lambda path: write_raw(path, Raw()),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_o01_each_format_is_read_with_and_without_voxels(tmp_path: Path, ending: str) -> None:
    path = WRITERS[ending](tmp_path / f"image{ending}")
    info = probe_image(path)
    with open_image(path) as image:
        assert image.info.shape == info.shape == image.levels[0].shape
        assert image.levels[0][0, 0, 0].shape == info.shape[3:]


REFUSED: dict[str, Callable[[Path], object]] = {
    "o01-unknown.xyz": lambda path: path.write_bytes(b"voxels"),
    "o01-missing.tif": lambda path: path,
    "o01-empty-folder": lambda path: path.mkdir(),
    "o01-folder-of-notes": lambda path: (path.mkdir(), (path / "a.txt").write_text("a")),
    "o01-no-zarr.ome.zarr": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_o01_what_is_no_image_is_refused_by_its_path(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    REFUSED[name](path)
    for function in (probe_image, open_image):
        with pytest.raises((SourceRefusedError, OSError, ValueError), match=name):
            function(path)
    assert main(["info", str(path)]) == ExitCode.BAD_INPUT
    assert name in capsys.readouterr().err


def write_set(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Write one image of two time points in two files, each with the metadata of both."""
    voxels = stack(2, 1, 3)
    paths = [folder / f"t{t}.ome.tif" for t in range(2)]
    pieces = "".join(piece(path.name, FirstT=t, PlaneCount=3) for t, path in enumerate(paths))
    for t, path in enumerate(paths):
        write(path, voxels[t, 0], Xml(voxels, tiff_data=pieces).text(path.name))
    return paths, voxels


@pytest.mark.parametrize("member", [0, 1])
def test_o04_any_member_gives_the_whole_image(tmp_path: Path, member: int) -> None:
    paths, voxels = write_set(tmp_path)
    info = probe_image(paths[member])
    assert sorted(info.files) == [str(path) for path in paths]
    with open_image(paths[member]) as image:
        assert np.array_equal(image.levels[0][:, :, 0], voxels[:, 0])


RESOLUTIONS = {
    "o13-cm": ({"resolution": (5000, 5000), "resolutionunit": "CENTIMETER"}, (2.0, 2.0)),
    "o13-72-dpi": ({"resolution": (72, 72), "resolutionunit": "INCH"}, (None, None)),
    "o13-no-unit": ({"resolution": (5000, 5000), "resolutionunit": "NONE"}, (None, None)),
    "o13-nothing": ({}, (None, None)),
    "o14-anisotropic": ({"resolution": (5000, 2500), "resolutionunit": "CENTIMETER"}, (4.0, 2.0)),
}


@pytest.mark.parametrize("case", RESOLUTIONS)
def test_o13_sizes_of_a_plain_tiff(tmp_path: Path, case: str) -> None:
    options, expected_yx = RESOLUTIONS[case]
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, np.zeros((8, 9), "u2"), metadata=None, **options)
    assert probe_image(path).spacing_um_zyx[1:] == expected_yx


def test_o14_sizes_of_ome_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.75, "PhysicalSizeZ": 3.0}
    tifffile.imwrite(path, np.zeros((2, 8, 9), "u2"), ome=True, metadata={"axes": "ZYX", **sizes})
    assert probe_image(path).spacing_um_zyx == (3.0, 0.75, 0.5)


def test_o20_metadata_in_a_companion(tmp_path: Path) -> None:
    voxels = stack(1, 1, 3)
    path = tmp_path / "a.ome.tif"
    write(path, voxels[0, 0], binary_only("set.companion.ome", path.name))
    with pytest.raises(SourceRefusedError, match=r"set\.companion\.ome"):
        probe_image(path)
    (tmp_path / "set.companion.ome").write_text(
        Xml(voxels, tiff_data=piece(path.name, PlaneCount=3)).text()
    )
    assert probe_image(path).shape[1] == 3
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][0, :, 0], voxels[0, 0])


def test_o24_the_library_loads_no_viewer() -> None:
    code = (
        "import sys, spimpack_tasks\n"
        "from spimpack_tasks import open_image, probe_image\n"
        "names = {name.partition('.')[0].lower() for name in sys.modules}\n"
        "print(sorted(names & {'napari', 'itk', 'pyqt5', 'pyqt6', 'pyside6', 'qtpy', 'vispy'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_o27_no_place_of_this_machine_is_written_into_an_image(tmp_path: Path) -> None:
    write_tiny_image(tmp_path / "raw/a.ims")
    for target in ("a.ome.zarr", "a.ome.tif"):
        assert main(["convert", str(tmp_path / "raw/a.ims"), str(tmp_path / target)]) == ExitCode.OK
    files = [tmp_path / "a.ome.tif", *(tmp_path / "a.ome.zarr").rglob("*.json")]
    files += [*(tmp_path / "a.ome.zarr").rglob(".z*")]
    assert len(files) > 1
    for path in files:
        assert str(tmp_path).encode() not in path.read_bytes()
        assert os.uname().nodename.encode() not in path.read_bytes()


def test_o46_a_conversion_that_is_killed_leaves_nothing_at_its_target(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 4096, (24, 512, 512), "u2")
    tifffile.imwrite(tmp_path / "a.ome.tif", voxels, ome=True, metadata={"axes": "ZYX"})
    target = tmp_path / "out.ome.tif"
    words = ["convert", str(tmp_path / "a.ome.tif"), str(target)]
    program = str(Path(sys.executable).with_name("spimpack"))
    child = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not [*tmp_path.glob(".out*/*")] and time.monotonic() < end and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert child.returncode == -signal.SIGKILL, "it had ended before"
    assert not target.exists()
    assert main(words) == ExitCode.OK
    assert np.array_equal(tifffile.imread(target), voxels)


def test_o62_an_empty_image_has_five_axes_and_its_own_type(tmp_path: Path) -> None:
    spec = VolumeSpec((1, 2, 5, 40, 50), np.dtype("u2"), spacing_um_zyx=(4.0, 1.8, 1.8))
    with create_volume(tmp_path / "a.ome.zarr", spec) as writer:
        for block in writer.missing():
            sizes = [part.stop - part.start for part in block.region]
            with pytest.raises(ValueError, match="type"):
                writer.write(block, np.full(sizes, 70_000, "u4"))
            writer.write(block, np.full(sizes, 7, "u2"))
        writer.finish()
    with open_image(tmp_path / "a.ome.zarr") as image:
        assert image.info.spacing_um_zyx == (4.0, 1.8, 1.8)
        assert (image.levels[0][...] == np.full((1, 5, 2, 40, 50), 7, "u2")).all()
    for shape in [(5, 40, 50), (1, 0, 5, 40, 50)]:
        with (
            pytest.raises(ValueError, match="five positive numbers"),
            create_volume(tmp_path / "b.ome.zarr", VolumeSpec(shape, np.dtype("u2"))),
        ):
            pass
    assert not (tmp_path / "b.ome.zarr").exists()


PEAKS = {
    "o22-probe": ("from spimpack_tasks import probe_image; probe_image(sys.argv[1])", 150),
    "o22-plane": (
        "from spimpack_tasks import open_image; open_image(sys.argv[1]).levels[0][0, 60, 1]",
        250,
    ),
    "o47-export": (
        "from spimpack_tasks.cli.main import main as m; assert not m(['convert', *sys.argv[2:]])",
        400,
    ),
}


@pytest.fixture(scope="module")
def gibibyte(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return an OME-TIFF and an OME-Zarr of 1 GiB each, whose voxels are hardly stored."""
    folder = tmp_path_factory.mktemp("gibibyte")
    sizes = {"axes": "CZYX", "PhysicalSizeX": 1.0}
    tifffile.imwrite(
        folder / "a.ome.tif", shape=(2, 64, 2048, 2048), dtype="u2", ome=True, metadata=sizes
    )
    spec = VolumeSpec((1, 2, 64, 2048, 2048), np.dtype("u2"), axes="czyx")
    with create_volume(folder / "a.ome.zarr", spec) as writer:
        for block in writer.missing():
            writer.write(block, np.zeros([p.stop - p.start for p in block.region], "u2"))
        writer.finish()
    return folder / "a.ome.tif", folder / "a.ome.zarr"


@pytest.mark.slow
@pytest.mark.parametrize("name", PEAKS)
def test_o22_memory_does_not_go_with_the_image(
    tmp_path: Path, gibibyte: tuple[Path, Path], name: str
) -> None:
    code, most_mib = PEAKS[name]
    words = [str(gibibyte[0]), str(gibibyte[1]), str(tmp_path / "out.ome.tif")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{children.PRINT_PEAK_KIB}", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.split()[-1]) / 1024 < most_mib
