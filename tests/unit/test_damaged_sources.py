"""One file's fault is one file's problem, whatever a parser raises: for every reader there is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from ome_sets import Xml, in_order, stack, write
from workspace import Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes import read_header as read_header_module
from spimpack_tasks.volumes import volume
from spimpack_tasks.volumes.errors import HeaderError, UnreadableVoxelsError
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.volume import open_levels

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


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_f1_whatever_a_parser_raises_names_the_file(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def raising(*_: str) -> object:
        raise error

    @contextmanager
    def opening(*_: str) -> Iterator[list[StoredLevel]]:
        yield [StoredLevel((), (), np.dtype("u1"), (), raising)]

    monkeypatch.setattr(read_header_module, "_reader_of", lambda _: raising)
    with pytest.raises(HeaderError, match=r"^'/a/b\.tif' is damaged: \S"):
        read_header("/a/b.tif", "TIFF")
    monkeypatch.setattr(volume, "_opener_of", lambda _, **__: raising)
    with pytest.raises(UnreadableVoxelsError, match=r"/a/b\.tif"), open_levels("/a/b.tif", "TIFF"):
        pass
    monkeypatch.setattr(volume, "_opener_of", lambda _, **__: opening)
    with open_levels("/a/b.tif", "TIFF") as levels, pytest.raises(UnreadableVoxelsError):
        levels[0].read(())


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
