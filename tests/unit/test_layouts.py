"""Named rules find the images of their folders, and a user's file extends them."""

from __future__ import annotations

import csv
from pathlib import Path

import acquisition_files as written
import numpy as np
import pytest
import tifffile
from tiny_images import write_tiny_image

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.scanning.layouts import shipped_layouts


def make(root: Path, name: str) -> None:
    """Make an image: a folder of planes where the name ends with a slash."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
        for z in range(3):
            tifffile.imwrite(path / f"000000_000000_{20 * z:06}_Ch1.tif", np.zeros((8, 8), "u2"))
    else:
        write_tiny_image(path)


TREES = {
    "mind": (
        [
            "raw/ims_4x166_stitched/a_AS134F1/brain.ims",
            "raw/ims_4x/b_AS134F3_lefthemi/x.ims",
            "raw/tif_4x_stitched/c_Benny/",
            "raw/tif_4x/a_AS134F1/tile.ome.tif",
            "bids/sub-1/micr/sub-1_sample-brain_SPIM.ome.tif",
        ],
        [
            ("AS134F1", "brain", "4x166stitched", "", ""),
            ("AS134F3", "lefthemi", "4x", "", ""),
            ("Benny", "brain", "4xstitched", "", ""),
        ],
    ),
    "mesospim": (
        [
            "day 1/mouse3_Mag1x_Tile0_Ch488_Sh0_Rot0.tif",
            "day 1/mouse3_Mag1x_Tile1_Ch488_Sh1_Rot90.tif",
            "day 1/mouse4_Tile0_Ch561_Flt515LP_Sh0.ome.tif",
            "day 1/MAX_mouse3_Mag1x_Tile0_Ch488_Sh0_Rot0.tif",
            "notes_of_Tile.tif",
        ],
        [
            ("mouse3", "brain", "Sh0Rot0", "Ch488", "0"),
            ("mouse3", "brain", "Sh1Rot90", "Ch488", "1"),
            ("mouse4", "brain", "Sh0", "Ch561", "0"),
        ],
    ),
    "smartspim": (
        [
            "S1/Ex_488_Ch1_stitched/",
            "S1/Ex_488_Ch1_MIP_stitched/",
            "S2/Ex_561_Em_593/046560/046560_-136000/",
        ],
        [
            ("S1", "brain", "", "Ex488Ch1", ""),
            ("S2", "brain", "046560136000", "Ex561Em593", ""),
        ],
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_i16_6_a_layout_gives_the_labels_of_its_folders(tmp_path: Path, name: str) -> None:
    images, expected = TREES[name]
    for image in images:
        make(tmp_path / "raw tree", image)
    study = tmp_path / "study"
    words = ["init", str(study), "--scan", str(tmp_path / "raw tree"), "--layout", name]
    assert main(words) == ExitCode.OK
    with (study / "scans.tsv").open(newline="") as file:
        rows = [*csv.DictReader(file, delimiter="\t")]
    columns = ("subject", "sample", "acquisition", "stain", "chunk")
    assert sorted(tuple(row.get(c) or "" for c in columns) for row in rows) == sorted(expected)
    assert main(["init", str(study), "--update"]) == ExitCode.OK


@pytest.mark.parametrize("name", TREES)
def test_i16_6_each_layout_can_be_printed_and_read_again(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in TREES[name][0]:
        make(tmp_path / "raw", image)
    assert main(["init", "--layouts", name]) == ExitCode.OK
    own = tmp_path / "own.yml"
    own.write_text(capsys.readouterr().out)
    words = ["init", str(tmp_path / "study"), "--scan", str(tmp_path / "raw"), "--dry-run"]
    assert main([*words, "--layout", name]) == ExitCode.OK
    shipped = capsys.readouterr().out
    assert main([*words, "--layout", str(own)]) == ExitCode.OK
    assert capsys.readouterr().out == shipped


def test_i16_6_all_layouts_are_listed_and_tested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--layouts"]) == ExitCode.OK
    listed = [line for line in capsys.readouterr().out.splitlines() if line[:1].strip()]
    assert listed == sorted(TREES) == sorted(shipped_layouts())


def test_i16_6_options_go_before_a_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "raw", "mouse3_Tile0_Ch488_Sh0.tif")
    words = ["init", str(tmp_path / "study"), "--scan", str(tmp_path / "raw"), "--dry-run"]
    given = ["--layout", "mesospim", "--default", "sample=heart"]
    assert main([*words, *given]) == ExitCode.OK
    assert "sample-heart" in capsys.readouterr().out
    given = ["--layout", "mesospim", "--pattern", "{subject}_Tile*"]
    assert main([*words, *given]) == ExitCode.OK
    assert "-> sub-mouse3 sample-brain (" in capsys.readouterr().out


def test_i16_6_files_about_images_are_used_and_fill_sizes(tmp_path: Path) -> None:
    make(tmp_path / "raw", "S1/Ex_488_Ch1_stitched/")
    (tmp_path / "raw/S1/metadata_9.json").write_bytes(written.smartspim())
    (tmp_path / "raw/S1/notes.json").write_bytes(b"{}")
    study = tmp_path / "study"
    words = ["init", str(study), "--scan", str(tmp_path / "raw"), "--layout", "smartspim"]
    assert main(words) == ExitCode.OK
    with (study / "scans.tsv").open(newline="") as file:
        [row] = csv.DictReader(file, delimiter="\t")
    assert (row["PixelSize"], row["PixelSizeUnits"]) == ("1.8;1.8;2", "um")
    assert row["acq_time"] == "2024-05-16T11:26:14"
    lines = (study / "scan_report.tsv").read_text().splitlines()[1:]
    report = dict(line.split("\t")[:2] for line in lines)
    assert report["S1/metadata_9.json"] == "used"
    assert report["S1/notes.json"] == "ignored"


BROKEN = {
    "a list": ("- a\n", "is no mapping"),
    "another key": ("pattern: ['*.tif']\n", "is no key of a layout; did you mean 'patterns'?"),
    "a text": ("patterns: '*.tif'\n", "must be a list of texts"),
    "a number": ("patterns: [1]\n", "must be a list of texts"),
    "no yaml": ("patterns: [\n", "own.yml:"),
    "no pattern": ("patterns: ['{x']\n", "scan.pattern"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_i16_6_a_broken_layout_is_refused_with_its_place(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "raw", "a_Tile0_Ch488.tif")
    text, reason = BROKEN[case]
    (tmp_path / "own.yml").write_text(text)
    words = ["init", str(tmp_path / "study"), "--scan", str(tmp_path / "raw")]
    assert main([*words, "--layout", str(tmp_path / "own.yml")]) == ExitCode.BAD_INPUT
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
