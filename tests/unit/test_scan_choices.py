"""What images leave open to the user, and files that describe them, in a scan."""

from __future__ import annotations

from pathlib import Path

import acquisition_files
import numpy as np
import pytest
import tifffile
from merge_sources import write_ome
from ome_sets import Xml, binary_only, piece, stack, write
from thorlabs_sources import Raw, write_raw

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory, with the folder that is scanned."""
    (tmp_path / "raw/sub-01").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "raw/sub-01"


def init(*options: str) -> None:
    assert (
        main(["init", "study", "--scan", "raw", "--set", "sample=brain", *options]) == ExitCode.OK
    )


def table(name: str) -> list[dict[str, str]]:
    head, *lines = [line.split("\t") for line in Path("study", name).read_text().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


def write_scenes(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        for _ in range(2):
            writer.write(np.zeros((3, 20, 30), "u2"), metadata={"axes": "ZYX"})


def write_pages(path: Path, pages: int = 5) -> None:
    voxels = np.zeros((pages, 20, 30), "u2")
    tifffile.imwrite(path, voxels, metadata=None, photometric="minisblack")


def test_n28_a_file_of_several_images_is_asked_about(folder, capsys):
    write_scenes(folder / "two.ome.tif")
    init()
    assert "scene in 1 row (files of several images" in capsys.readouterr().out
    assert table("scans.tsv")[0]["scene"] == ""
    assert "has 2 scenes" in table("scan_report.tsv")[0]["reason"]


def test_n28_a_file_that_does_not_say_its_axes_is_asked_about(folder, capsys):
    write_pages(folder / "pages.tif")
    init()
    assert "axes in 1 row (where images are converted" in capsys.readouterr().out
    assert table("scans.tsv")[0]["axes"] == ""


def test_n28_files_that_are_merged_are_asked_about_once(folder, capsys):
    for number in (1, 2):
        (folder / f"TAG_{number}").mkdir()
        write_pages(folder / f"TAG_{number}/pages.tif")
    init("--level", "subject=sub-", "--level", "T=TAG_")
    assert "axes in 1 row" in capsys.readouterr().out


def test_n28_a_choice_for_all_images_is_no_question(folder, capsys):
    write_pages(folder / "pages.tif")
    init("--set", "axes=ZYX")
    assert "axes in" not in capsys.readouterr().out
    assert table("scans.tsv")[0]["axes"] == "ZYX"


def test_n28_images_that_say_everything_get_no_columns(folder, capsys):
    write_ome(folder / "a.ome.tif")
    init()
    assert not {"axes", "scene"} & table("scans.tsv")[0].keys()
    assert "axes" not in capsys.readouterr().out


@pytest.mark.parametrize(("planes", "axes"), [(5, "ZYX"), (7, "")], ids=["as-many", "another"])
def test_n28_mesospim_tells_that_pages_are_planes(folder, planes, axes):
    write_pages(folder / "a.tif")
    told = acquisition_files.mesospim("a.tif", planes=str(planes))
    (folder / "a.tif_meta.txt").write_text(told)
    init()
    assert table("scans.tsv")[0]["axes"] == axes


def write_raw_image(folder: Path) -> str:
    raw = Raw()
    write_raw(folder / "Image.raw", raw)
    return "Experiment.xml"


def write_companion(folder: Path) -> str:
    voxels = stack(1, 2, 3)
    name = "k.companion.ome"
    xml = Xml(voxels, tiff_data=piece("k.ome.tif", IFD=0, PlaneCount=6)).text(name)
    (folder / name).write_text(xml)
    write(folder / "k.ome.tif", [*voxels.reshape(6, *voxels.shape[-2:])], binary_only(name, "k"))
    return name


@pytest.mark.parametrize("make", [write_raw_image, write_companion])
def test_n23_a_file_that_is_read_with_an_image_is_not_ignored(folder, make):
    name = make(folder)
    (folder / "notes.txt").write_text("-")
    init()
    verdicts = {Path(line["path"]).name: line["verdict"] for line in table("scan_report.tsv")}
    assert verdicts[name] == "used"
    assert verdicts["notes.txt"] == "ignored"
