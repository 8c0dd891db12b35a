"""One file's fault is one file's problem, whatever a parser raises: for every reader there is."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import conversions
import numpy as np
import pytest
from ome_sets import Xml, in_order, stack, write
from plane_sources import (
    compose_voxels,
    write_folder,
    write_imagej,
    write_imaris,
    write_nifti,
    write_ome,
    write_tif,
    write_zarr,
    write_zip,
)
from workspace import Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.conversion.convert_file import convert_file
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes import read_header as read_header_module
from spimpack_tasks.volumes import volume
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.errors import HeaderError, SourceRefusedError, UnreadableVoxelsError
from spimpack_tasks.volumes.examine import examine_source
from spimpack_tasks.volumes.formats import FORMATS
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.volume import open_levels

VOXELS = compose_voxels((1, 2, 4, 20, 21))
WRITERS = {
    "OME-Zarr": ("a.ome.zarr", lambda path: write_zarr(path, VOXELS)),
    "zipped OME-Zarr": ("a.ozx", lambda path: write_zip(path, VOXELS)),
    "Imaris": ("a.ims", lambda path: write_imaris(path, VOXELS)),
    "OME-TIFF": ("a.ome.tif", lambda path: write_ome(path, VOXELS, compression="zlib")),
    "TIFF": ("a.tif", lambda path: write_imagej(path, VOXELS)),
    "NIfTI": ("a.nii", lambda path: write_nifti(path, VOXELS)),
    "folder of planes": (
        "planes",
        lambda path: write_folder(path, VOXELS[:, :1], write_tif, "p_{z:03}.tif"),
    ),
}
ERRORS = (
    ArithmeticError(),
    AssertionError("x"),
    AttributeError("x"),
    BufferError(),
    IndexError(),
    KeyError("x"),
    MemoryError(),
    NotImplementedError(),
    OverflowError(),
    RecursionError(),
    StopIteration(),
    ZeroDivisionError("x"),
    struct.error("x"),
)


def test_f1_each_reader_is_in_the_contract() -> None:
    assert set(WRITERS) == {form.name for form in FORMATS}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_f1_whatever_a_parser_raises_names_the_file(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def raising(_: str) -> object:
        raise error

    @contextmanager
    def opening(_: str) -> Iterator[list[StoredLevel]]:
        yield [StoredLevel((), (), np.dtype("u1"), (), raising)]

    monkeypatch.setattr(read_header_module, "_reader_of", lambda _: raising)
    with pytest.raises(HeaderError, match=r"^'/a/b\.tif' is damaged: \S"):
        read_header("/a/b.tif", "TIFF")
    monkeypatch.setattr(volume, "_opener_of", lambda _: raising)
    with pytest.raises(UnreadableVoxelsError, match=r"/a/b\.tif"), open_levels("/a/b.tif", "TIFF"):
        pass
    monkeypatch.setattr(volume, "_opener_of", lambda _: opening)
    with open_levels("/a/b.tif", "TIFF") as levels, pytest.raises(UnreadableVoxelsError):
        levels[0].read(())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound source of each format."""
    folder = tmp_path_factory.mktemp("sound")
    for name, make in WRITERS.values():
        make(folder / name)
    return folder


def spoil(path: Path, chance: random.Random) -> None:
    """Change some bytes of a file, or of a file of a folder, and cut it off at times."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    if chance.random() < 0.2:
        del data[chance.randrange(len(data)) :]
    for _ in range(chance.choice([1, 2, 8, 64])):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    file.write_bytes(data)


def look(path: Path) -> None:
    """Read header and voxels of a source as all commands do."""
    form = examine_source(str(path)).format.name
    read_header(str(path), form)
    with open_levels(str(path), form) as levels:
        for level in levels:
            if np.prod(level.shape, dtype=float) <= 2**20:
                level.read(tuple(slice(0, n) for n in level.shape))


@pytest.mark.usefixtures("deadline")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", WRITERS)
def test_f1_fuzzed_bytes_never_end_a_run(sound: Path, tmp_path: Path, form: str) -> None:
    name = WRITERS[form][0]
    chance = random.Random(form)
    for number in range(40):
        path = tmp_path / f"{number}" / name
        path.parent.mkdir()
        original = sound / name
        shutil.copytree(original, path) if original.is_dir() else shutil.copy(original, path)
        spoil(path, chance)
        try:
            look(path)
        except (SourceRefusedError, UnreadableVoxelsError) as error:
            assert str(path) in str(error)  # noqa: PT017 - a sound reading is right as well


@pytest.mark.usefixtures("deadline")
@pytest.mark.filterwarnings("ignore")
def test_f1_comparing_with_a_damaged_source_is_told(sound: Path, tmp_path: Path) -> None:
    """The second reading of an OME-TIFF has the same guard."""
    path, target = tmp_path / "a.ome.tif", tmp_path / "made.ome.zarr"
    shutil.copy(sound / "a.ome.tif", path)
    convert_file(str(path), str(target), Request(codec="", ngff=""), 1, lambda _: None)
    chance, told = random.Random(1), 0
    for _ in range(60):
        shutil.copy(sound / "a.ome.tif", path)
        spoil(path, chance)
        try:
            faults = list(conversions.compare(path, target))
        except (OSError, SourceRefusedError):
            told += 1
        else:
            told += bool(faults)
    assert told > 30


ENCODINGS = ("UTF-32", "UTF-16BE", "UTF-7", "EBCDIC-US", "Shift_JIS", "GB18030", "hex", "x" * 200)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_f1_an_encoding_in_ome_xml_is_told(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.ome.tif"
    write_in(path, encoding)
    with pytest.raises(HeaderError, match="has OME-XML that"):
        read_header(str(path), "OME-TIFF")


def write_in(path: Path, encoding: str) -> None:
    voxels = stack(1, 1, 2)
    write(path, in_order(voxels, "XYZCT"), Xml(voxels).text().replace("UTF-8", encoding))


def test_f1_one_damaged_file_among_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path)
    workspace.add_row("good.ome.tif", subject="01")
    workspace.add_row("bad.ome.tif", subject="02")
    write_in(tmp_path / "raw" / "bad.ome.tif", "UTF-32")
    workspace.write()
    assert main(["validate", "--manifest", str(workspace.manifest)]) == ExitCode.OK
    told = capsys.readouterr()
    assert "source.header" in told.out + told.err
    assert "characters of another encoding" in told.out + told.err
    found = tmp_path / "found"
    pattern = "{subject}.ome.tif"
    arguments = ["init", str(found), "--scan", str(tmp_path / "raw"), "--pattern", pattern]
    assert main(arguments) == ExitCode.OK
    written = "".join(path.read_text() for path in found.iterdir())
    assert "another encoding" in written


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_f1_converting_a_damaged_file_is_told(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_in(tmp_path / "bad.ome.tif", "UTF-32")
    code = main(["convert", str(tmp_path / "bad.ome.tif"), str(tmp_path / f"made{ending}")])
    assert code in {ExitCode.BAD_INPUT, ExitCode.FAILED}
    told = capsys.readouterr()
    assert "another encoding" in told.err
    assert "Traceback" not in told.out + told.err
