"""Files of a folder tree that make up one image, and trees that are described level by level."""

from __future__ import annotations

from pathlib import Path

import pytest
from merge_sources import write_ome
from study import fingerprint

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.scanning.levels import read_levels

TREE = (
    "sub-01/exp_TP001/image",
    "sub-01/exp_TP002/TAG_01/image1",
    "sub-01/exp_TP002/TAG_02/image2",
    "sub-01/exp_TP003/image1",
    "sub-01/exp_TP003/image2",
    "sub-02/exp_TP001/image",
)
"""The project folder in the documentation of OMIO, with OME-TIFF for its two formats."""
CALL = ("--level", "subject=sub-", "--level", "session=TP", "--level", "T=TAG_")
"""Its call: sub="sub-", exp="TP", tagfolder="TAG_"."""
PATTERNS = (
    *("--pattern", "sub-{subject}/exp_{session}/TAG_{T}/*"),
    *("--pattern", "sub-{subject}/exp_{session}/image"),
    *("--pattern", "sub-{subject}/exp_{session}/{acquisition}"),
)
ROWS = [
    ("01", "TP001", "", "sub-01/exp_TP001/image", ""),
    ("01", "TP002", "", "sub-01/exp_TP002/TAG_01/image1;sub-01/exp_TP002/TAG_02/image2", "T"),
    ("01", "TP003", "image1", "sub-01/exp_TP003/image1", ""),
    ("01", "TP003", "image2", "sub-01/exp_TP003/image2", ""),
    ("02", "TP001", "", "sub-02/exp_TP001/image", ""),
]
SAMPLE = ("--set", "sample=brain")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for seed, name in enumerate(names):
        write_ome(Path("raw", f"{name}.ome.tif"), seed=seed)


def init(*options: str) -> int:
    return main(["init", "study", "--scan", "raw", *SAMPLE, *options])


def table(name: str = "scans.tsv") -> list[dict[str, str]]:
    head, *lines = [line.split("\t") for line in Path("study", name).read_text().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


def rows() -> list[tuple[str, ...]]:
    """Return labels, paths below the scanned folder without their endings, and the axis."""
    root = f"{Path.cwd()}/raw/"
    return [
        (
            *(row.get(name, "") for name in ("subject", "session", "acquisition")),
            row["spim_path"].replace(root, "").replace(".ome.tif", ""),
            row.get("merge_axis", ""),
        )
        for row in table()
    ]


@pytest.mark.parametrize("options", [CALL, PATTERNS], ids=["o49-the-call", "o49-patterns"])
def test_the_tree_gives_the_documented_rows(options):
    make(*TREE)
    Path("raw/notes.txt").write_text("-")
    Path("raw/.hidden.tif").write_text("-")
    before = fingerprint(Path("raw"))
    assert init(*options) == ExitCode.OK
    assert rows() == ROWS
    report = table("scan_report.tsv")
    files = [str(path.relative_to("raw")) for path in Path("raw").rglob("*") if path.is_file()]
    assert sorted(line["path"] for line in report) == sorted(files), "o52"
    verdicts = {line["path"]: line["verdict"] for line in report}
    assert verdicts.pop("notes.txt") == verdicts.pop(".hidden.tif") == "ignored"
    assert set(verdicts.values()) == {"used"}
    told = {line["path"]: line["reason"] for line in report}[
        "sub-01/exp_TP002/TAG_02/image2.ome.tif"
    ]
    assert told.startswith("T '02': 2 of 2 that make up sub-01_ses-TP002_sample-brain_SPIM")
    assert fingerprint(Path("raw")) == before, "o58"


def test_o49_a_folder_may_be_one_image():
    make(*TREE)
    assert init(*CALL[:4], "--level", "T=*") == ExitCode.OK
    assert rows()[2] == (
        *("01", "TP003", ""),
        "sub-01/exp_TP003/image1;sub-01/exp_TP003/image2",
        "T",
    )
    assert len(rows()) == 4


LEVELS = {
    "o50-behind-a-boundary": ("session=TP", "exp_TP001/a", {"session": "TP001"}),
    "o50-at-the-beginning": ("session=TP", "TP001/a", {"session": "TP001"}),
    "o50-behind-a-hyphen": ("session=TP", "day1-TP_2/a", {"session": "TP_2"}),
    "o50-part-of-a-word": ("session=TP", "exp_XTP001/a", None),
    "o50-letters-behind": ("session=TP", "exp_TPX1/a", None),
    "o50-more-behind": ("session=TP", "exp_TP001_old/a", None),
    "o50-in-full": ("session=TP001", "exp_TP001/a", {"session": "TP001"}),
    "o50-in-full-not-longer": ("session=TP001", "exp_TP0010/a", None),
    "o50-in-full-not-shorter": ("session=TP001", "exp_TP01/a", None),
    "o50-own-name": ("subject=sub-", "sub-01/a", {"subject": "01"}),
    "o50-own-name-with-letters": ("subject=sub-", "sub-A1/a", {"subject": "A1"}),
    "o50-own-name-in-full": ("subject=sub-1", "sub-1/a", {"subject": "1"}),
    "o50-own-name-not-longer": ("subject=sub-1", "sub-10/a", None),
    "o50-prefix": ("subject=ID", "ID0010/a", {"subject": "ID0010"}),
    "o50-prefix-not-longer": ("subject=ID001", "ID0010/a", None),
    "o50-any": ("acq=*", "4x zoom/a", {"acquisition": "4x zoom"}),
    "o50-a-file-itself": ("session=TP", "exp_TP001.tif", {"session": "TP001"}),
    "o50-not-deeper": ("session=TP", "exp_TP001/b/a", None),
    "o50-axis": ("Z=part", "part 1/a", None),
    "o50-axis-with-its-number": ("Z=part_", "x_part_07/a", {"Z": "07"}),
}


@pytest.mark.parametrize(("level", "path", "wanted"), LEVELS.values(), ids=LEVELS)
def test_a_level_takes_whole_names(level, path, wanted):
    (pattern,) = read_levels([level])
    assert pattern.readings(path) == ([] if wanted is None else [wanted])


def test_i16_4_numbered_names_are_in_the_order_of_their_numbers():
    make("m1/z_10", "m1/a_9", "m1/b_8", "m2/z_1")
    assert init("--pattern", "m{subject}/*_{Z}", "--set", "merge_shape=pad") == ExitCode.OK
    first, second = table()
    paths = [path.rpartition("/")[2] for path in first["spim_path"].split(";")]
    assert paths == ["b_8.ome.tif", "a_9.ome.tif", "z_10.ome.tif"]
    assert (first["merge_axis"], first["merge_order"], first["merge_shape"]) == (
        "Z",
        "table",
        "pad",
    )
    assert (second["merge_axis"], second["merge_order"]) == ("Z", "")


def test_i16_4_policies_are_for_images_that_are_merged():
    make(*TREE)
    assert init(*CALL, "--set", "merge_spacing=first") == ExitCode.OK
    assert [row["merge_spacing"] for row in table()] == ["", "first", "", "", ""]


def test_i16_4_a_missing_number_is_told():
    make("m1/a_1", "m1/a_2", "m1/a_5")
    assert init("--pattern", "m{subject}/a_{T}") == ExitCode.OK
    assert "there is no T 3 and 1 more" in table("scan_report.tsv")[0]["reason"]


@pytest.mark.parametrize("options", [CALL, PATTERNS], ids=["o55-call", "o55-patterns"])
def test_groups_of_equal_names_in_two_folders_are_two_images(options):
    make(*(f"sub-0{n}/exp_TP001/TAG_0{tag}/image" for n in (1, 2) for tag in (1, 2)))
    make("sub-03/exp_TP001/image", "sub-03/exp_TP001/other")
    assert init(*options) == ExitCode.OK
    assert [(row[0], row[3].count(";"), row[4]) for row in rows()[:2]] == [
        ("01", 1, "T"),
        ("02", 1, "T"),
    ]


def test_o54_one_name_in_two_folders_is_two_images():
    make("sub-01/exp_TP001/image", "sub-01/exp_TP002/image", "sub-02/exp_TP001/image")
    assert init(*CALL[:4]) == ExitCode.OK
    assert [row[:3] for row in rows()] == [
        ("01", "TP001", ""),
        ("01", "TP002", ""),
        ("02", "TP001", ""),
    ]


def test_o56_files_that_do_not_fit_are_told_and_the_others_scanned():
    make("m1/a_1", "m2/a_1", "m2/a_2")
    write_ome(Path("raw/m1/a_2.ome.tif"), (4, 20, 30))
    assert init("--pattern", "m{subject}/a_{T}") == ExitCode.OK
    report = {line["path"]: line["reason"] for line in table("scan_report.tsv")}
    assert "the size along z is 4 in 'a_2.ome.tif', but 3 in 'a_1" in report["m1/a_1.ome.tif"]
    assert [row["PixelSize"] for row in table()] == ["", "1.8;1.8;4"]


def test_i16_4_a_row_with_wildcards_knows_its_files(capsys):
    make("m1/a_1", "m1/a_2")
    assert init("--pattern", "m{subject}/a_{T}") == ExitCode.OK
    text = Path("study/scans.tsv").read_text()
    (row,) = table()
    wild = row["spim_path"].partition(";")[0].replace("a_1", "a_*")
    Path("study/scans.tsv").write_text(text.replace(row["spim_path"], wild))
    make("m1/a_1", "m1/a_2", "m1/a_3")
    capsys.readouterr()
    assert main(["init", "study", "--update"]) == ExitCode.OK
    assert capsys.readouterr().out == "0 new images, 1 in the table before\n"


def test_i16_4_a_row_that_lost_a_file_is_named(capsys):
    make("m1/a_1", "m1/a_2", "m2/a_1")
    assert init("--pattern", "m{subject}/a_{T}") == ExitCode.OK
    Path("raw/m1/a_2.ome.tif").unlink()
    capsys.readouterr()
    assert main(["init", "study", "--update"]) == ExitCode.OK
    assert "1 row without an image, nothing removed" in capsys.readouterr().out
