"""A folder tree becomes a manifest and tables that are valid once their gaps are filled."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from cases.bad_scans import CASES, CONFLICTS
from study import fingerprint

from spimpack_tasks.cli.main import main
from spimpack_tasks.demo.images import (
    DemoImage,
    write_imaris,
    write_ome_tiff,
    write_ome_zarr,
    write_ozx,
)
from spimpack_tasks.errors import ExitCode, Report
from spimpack_tasks.files.tsv import parse_tsv
from spimpack_tasks.model.entities import OTHER_SUFFIXES, SUFFIX
from spimpack_tasks.scanning import headers

IMAGE = DemoImage(("YoPro", "Abeta"), (4, 16, 16), (4.0, 0.3467, 1.8), levels=1)
pytestmark = pytest.mark.usefixtures("folder")

TABLES = ("manifest.yml", "scans.tsv", "participants.tsv", "scan_report.tsv")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with an empty `scope` in it."""
    (tmp_path / "scope").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(name: str) -> Path:
    """Make a tiny file below `scope`, of the format that its name tells."""
    path = Path("scope", name)
    if name.endswith(".zarr"):
        path.mkdir(parents=True)
        (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"II*\x00" if ".tif" in name else b"\x89HDF")
    return path


def scan(*arguments: str, where: str = "study") -> int:
    return main(["init", where, "--scan", "scope", *arguments])


def read(name: str, where: str = "study") -> list[dict[str, str]]:
    """Read a table as the rest of the program does."""
    report = Report()
    table = parse_tsv(Path(where, name).read_text(encoding="utf-8"), name, report)
    assert not report.problems
    return [dict(zip(table.columns, row.cells, strict=True)) for row in table.rows]


def rows(*columns: str, where: str = "study") -> list[tuple[str, ...]]:
    return [tuple(row.get(column, "") for column in columns) for row in read("scans.tsv", where)]


def paths(where: str = "study") -> list[str]:
    """Return the images in the table, as paths below `scope`."""
    return [os.path.relpath(path, "scope") for (path,) in rows("spim_path", where=where)]


def reasons(where: str = "study") -> dict[str, tuple[str, str]]:
    table = read("scan_report.tsv", where)
    found = {row["path"]: (row["verdict"], row["reason"]) for row in table}
    assert len(found) == len(table)
    return found


@pytest.mark.parametrize("case", [*CASES, *CONFLICTS], ids=lambda case: case.id)
def test_a_bad_scan_is_refused_and_nothing_is_written(case, folder, capsys):
    for name in case.files.split():
        add(name)
    case.prepare(folder)
    before = fingerprint(folder)
    wanted = ExitCode.CONFLICT if case in CONFLICTS else ExitCode.BAD_INPUT
    assert main(["init", *case.scan, *case.arguments]) == wanted
    *problems, count = capsys.readouterr().err.splitlines()
    assert count == "1 error"
    assert case.says in problems[0]
    assert problems[0].endswith(f"[{case.code}]")
    assert fingerprint(folder) == before


def test_all_that_is_wrong_with_the_options_is_told_at_once(capsys):
    assert scan("--pattern", "{a}", "--exclude", "/b", "--set", "c", where="scope/study") == 2
    problems = capsys.readouterr().err.splitlines()
    assert problems[-1] == "4 errors"


def test_all_files_that_are_in_the_way_are_told_at_once(folder, capsys):
    add("sub-01.ims")
    assert scan() == 0
    before = fingerprint(folder)
    assert scan() == ExitCode.CONFLICT
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        *(f"study/{name}" for name in sorted(TABLES)),
        "4 errors",
    ]
    assert fingerprint(folder) == before


def test_b49_the_tree_of_sessions_and_tags():
    for name in (
        *("sub-01/exp_TP001/image.ome.tif", "sub-01/exp_TP002/TAG_01/image.ome.tif"),
        *("sub-01/exp_TP002/TAG_02/image.ome.tif", "sub-01/exp_TP003/left.ome.tif"),
        *("sub-01/exp_TP003/right.ome.tif", "sub-02/exp_TP001/image.ome.tif"),
        *("sub-01/exp_TP003/left Preview.tif", "overview/exp_TP001/image.ome.tif"),
    ):
        add(name)
    patterns = (
        "sub-{subject}/exp_{session}/image.ome.tif",
        "sub-{subject}/exp_{session}/TAG_{run}/image.ome.tif",
        "sub-{subject}/exp_{session}/{acquisition}.ome.tif",
    )
    options = [word for pattern in patterns for word in ("--pattern", pattern)]
    assert scan(*options, "--set", "sample=brain", "--exclude", "*Preview*") == 0
    assert rows("subject", "session", "acquisition", "run", "sample") == [
        ("01", "TP001", "", "", "brain"),
        ("01", "TP002", "", "01", "brain"),
        ("01", "TP002", "", "02", "brain"),
        ("01", "TP003", "left", "", "brain"),
        ("01", "TP003", "right", "", "brain"),
        ("02", "TP001", "", "", "brain"),
    ]
    report = reasons()
    assert list(report)[:3] == [
        "overview/exp_TP001/image.ome.tif",
        "sub-01/exp_TP001/image.ome.tif",
        "sub-01/exp_TP002/TAG_01/image.ome.tif",
    ]
    assert report["overview/exp_TP001/image.ome.tif"] == ("ignored", "fits no pattern")
    excluded = ("ignored", "is excluded by '*Preview*'")
    assert report["sub-01/exp_TP003/left Preview.tif"] == excluded


def test_b50_names_are_taken_whole():
    for name in ("exp_TP001/sub-1.ims", "exp_TP0010/sub-1.ims", "exp_TP001/sub-10.ims"):
        add(name)
    assert scan("--pattern", "exp_TP001/sub-1.ims", "--set", "subject=1") == 0
    assert paths() == ["exp_TP001/sub-1.ims"]


def test_the_first_pattern_that_fits_counts():
    for name in ("a/left.ims", "a/right.ims"):
        add(name)
    assert scan("--pattern", "{subject}/left.ims", "--pattern", "{subject}/{acq}.ims") == 0
    assert rows("subject", "acquisition") == [("a", ""), ("a", "right")]


def test_names_in_the_way_of_bids_need_no_pattern():
    for name in ("sub-01/ses-a/sub-01_sample-b_acq-4x_run-1.ims", "other/image.ims"):
        add(name)
    assert scan() == 0
    assert rows("subject", "session", "sample", "acquisition", "run") == [
        ("",) * 5,
        ("01", "a", "b", "4x", "1"),
    ]


def test_a_text_that_is_no_label_is_cleaned_and_told():
    add("mouse 01-a/image.ims")
    assert scan("--pattern", "{subject}/*.ims") == 0
    assert rows("subject") == [("mouse01a",)]
    verdict, reason = reasons()["mouse 01-a/image.ims"]
    assert (verdict, reason.split(";")[0]) == ("used", "subject 'mouse 01-a' becomes 'mouse01a'")


def make_odd_tree(folder: Path) -> dict[str, tuple[str, str]]:
    """Fill `scope` with one of each kind; return what is to be said, up to where reasons vary."""
    scope = folder / "scope"
    for name in (
        *("sub-01.ims", "deep/er/sub-02.ome.zarr", "note.txt", ".hidden.ims", ".git/objects/a.ims"),
        *("bids/.spimpack/current", "bids/sub-9/micr/a.ims", "bare/.zgroup", "bare/0/0.0"),
        *("previews/a.tif", "preview.tif", "plain.zarr/notes.txt", "real/sub-03.ims"),
    ):
        if not name.startswith("plain"):
            add(name)
    (scope / "plain.zarr").mkdir()
    (scope / "empty.tif").touch()
    (scope / "text.ome.tif").write_text("no TIFF")
    (scope / "folder.ims").mkdir()
    add("folder.ims/sub-04.ims")
    (scope / "file.ims.zarr").touch()
    os.mkfifo(scope / "pipe.ims")
    (scope / "loop").symlink_to(".")
    (scope / "again").symlink_to("real")
    (scope / "link.ims").symlink_to("../elsewhere.ims")
    (scope / "link.ome.zarr").symlink_to("deep/er/sub-02.ome.zarr")
    (folder / "elsewhere.ims").write_bytes(b"\x89HDF")
    (folder / "outside").mkdir()
    (folder / "outside" / "sub-05.ims").write_bytes(b"\x89HDF")
    (scope / "out").symlink_to("../outside")
    (scope / "broken.ims").symlink_to("nowhere.ims")
    (scope / "circle.ims").symlink_to("circle.ims")
    Path(os.fsdecode(b"scope/\xff.ims")).touch()
    Path("scope/two\nlines.ims").touch()
    return {
        "sub-01.ims": ("used", "its header was not read: is "),
        "deep/er/sub-02.ome.zarr": ("used", "its header was not read: has no multiscales"),
        "real/sub-03.ims": ("used", ""),
        "folder.ims/sub-04.ims": ("used", ""),
        "out/sub-05.ims": ("used", ""),
        "link.ims": ("used", ""),
        "link.ome.zarr": ("used", ""),
        "note.txt": ("ignored", "is of no known format"),
        ".hidden.ims": ("ignored", "is hidden"),
        ".git/": ("ignored", "is hidden"),
        "bids/": ("ignored", "holds a dataset that spimpack wrote"),
        "bare/": ("ignored", "is a Zarr store, but no OME-Zarr by its metadata"),
        "previews/": ("ignored", "is excluded by 'preview*'"),
        "preview.tif": ("ignored", "is excluded by 'preview*'"),
        "plain.zarr": ("ignored", "holds no zarr.json or .zattrs"),
        "empty.tif": ("ignored", "is an empty file"),
        "text.ome.tif": ("ignored", "does not begin as TIFF files do"),
        "file.ims.zarr": ("ignored", "is a file, but OME-Zarr is a directory"),
        "pipe.ims": ("ignored", "is neither a file nor a folder"),
        "loop/": ("ignored", "is the folder '.', by another way"),
        "again/": ("ignored", "is the folder 'real/', by another way"),
        "broken.ims": ("ignored", "is a link to nothing"),
        "circle.ims": ("ignored", "cannot be looked at: "),
        r"\udcff.ims": ("ignored", "has a name that a table cannot hold"),
        r"two\nlines.ims": ("ignored", "has a name that a table cannot hold"),
    }


@pytest.mark.usefixtures("deadline")
def test_b52_everything_below_the_folder_is_reported_once(folder):
    expected = make_odd_tree(folder)
    assert scan("--exclude", "preview*") == 0
    report = reasons()
    assert report.keys() == expected.keys()
    for path, (verdict, reason) in expected.items():
        assert report[path][0] == verdict, path
        assert report[path][1].startswith(reason), path
    assert sorted(paths()) == sorted(p for p, (verdict, _) in expected.items() if verdict == "used")


@pytest.mark.usefixtures("deadline")
def test_b58_nothing_below_the_folder_is_touched(folder):
    make_odd_tree(folder)
    (folder / "scope").chmod(0o555)
    before = fingerprint(folder / "scope"), fingerprint(folder / "outside")
    assert scan() == 0
    assert (fingerprint(folder / "scope"), fingerprint(folder / "outside")) == before
    (folder / "scope").chmod(0o755)
    assert {path.name for path in Path("study").iterdir()} == {*TABLES, "manifest.schema.json"}


def test_a_folder_that_cannot_be_read_is_told(capsys):
    """A path of more than 4096 bytes can be made, but not opened as a whole, not even by root."""
    add("sub-01.ims")
    top = os.open("scope", os.O_RDONLY)
    descriptors = [top]
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=descriptors[-1])
        descriptors.append(os.open("d" * 250, os.O_RDONLY, dir_fd=descriptors[-1]))
    for descriptor in descriptors:
        os.close(descriptor)
    assert scan() == 0
    (warning,) = (line for line in capsys.readouterr().err.splitlines() if "d/" in line)
    assert warning.endswith("/: warning: cannot be read: File name too long [scan.unreadable]")
    (path,) = (path for path in reasons() if path.startswith("d"))
    assert reasons()[path] == ("ignored", "cannot be read: File name too long")


def write_images() -> None:
    """Make a real image of each format that labs have."""
    scope = Path("scope")
    write_ome_zarr(scope / "mouse2" / "week 1.ome.zarr", IMAGE, ngff="0.4")
    write_ome_zarr(scope / "mouse10" / "week 1.ome.zarr", IMAGE, ngff="0.5")
    write_ome_tiff(scope / "mouse1" / "week 1.ome.tif", IMAGE)
    write_ome_tiff(scope / "mouse1" / "week 2.ome.tif", IMAGE, bigtiff=True)
    write_imaris(scope / "mouse3" / "week 1.ims", IMAGE)
    write_ozx(scope / "mouse4" / "week 1.ozx", IMAGE)


ALL_SET = (
    *("--pattern", "mouse{subject}/week {session}.*"),
    *("--set", "sample=brain", "--set", "orientation_string_xyz=RPI"),
)


def name_the_dataset(where: str = "study") -> None:
    manifest = Path(where, "manifest.yml")
    text = manifest.read_text().replace('Name: ""', "Name: Test")
    manifest.write_text(text.replace('License: ""', "License: CC0"))


def test_real_images_become_a_dataset(folder, capsys):
    write_images()
    assert scan(*ALL_SET) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "6 images used, 0 other paths ignored; scan_report.tsv says why",
        "Nothing to fill in, in scans.tsv",
        "To fill in, in manifest.yml: Name and License",
        "Then run: spimpack validate study/manifest.yml",
    ]
    columns = ("sample_staining", "PixelSize", "PixelSizeUnits")
    assert rows(*columns) == [("YoPro;Abeta", "1.8;0.3467;4", "um")] * 6
    labels = [("1", "1"), ("1", "2"), ("2", "1"), ("3", "1"), ("4", "1"), ("10", "1")]
    assert rows("subject", "session") == labels
    assert read("participants.tsv") == [
        {"participant_id": f"sub-{number}"} for number in (1, 2, 3, 4, 10)
    ]
    name_the_dataset()
    assert main(["validate", "--manifest", "study/manifest.yml"]) == 0
    options = ["--manifest", "study/manifest.yml", "--output-dir", "bids", "--backend", "symlink"]
    assert main(["package", *options]) == 0
    images = sorted(Path("bids").glob("sub-*/ses-*/micr/*_SPIM.o*"))
    assert len(images) == 5
    sidecars = [json.loads(p.read_text()) for p in Path("bids").rglob("*_SPIM.json")]
    assert [sidecar["PixelSize"] for sidecar in sidecars] == [[1.8, 0.3467, 4]] * 6
    assert fingerprint(folder / "scope").keys() == {
        str(path) for path in [folder / "scope", *(folder / "scope").rglob("*")]
    }


def test_a_scan_of_equal_trees_gives_equal_files():
    write_images()
    assert scan(*ALL_SET, where="one") == scan(*ALL_SET, where="two") == 0
    for name in TABLES[1:]:
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_headers_are_read_only_when_all_names_are_right(monkeypatch):
    for name in ("sub-01_sample-b.ims", "sub-01_sample-b.ozx"):
        add(name)
    read = []
    monkeypatch.setattr(headers, "read_header", lambda *what: read.append(what))
    assert scan() == ExitCode.BAD_INPUT
    assert read == []


def test_what_is_not_known_is_left_open_and_counted_last(capsys):
    add("sub-01.ome.tif")
    write_ome_tiff(Path("scope/b.ome.tif"), IMAGE)
    assert scan() == 0
    *_, used, gaps, hint, _, _ = capsys.readouterr().out.splitlines()
    assert hint == (
        "Labels of other names than sub-01 are found by --pattern, such as '{subject}/*'"
    )
    assert (
        used == "2 images used (1 header not read), 0 other paths ignored; scan_report.tsv says why"
    )
    assert gaps == (
        "To fill in, in scans.tsv: subject in 1 row, sample in 2 rows, orientation_string_xyz in "
        "2 rows, sample_staining in 1 row, PixelSize in 1 row, PixelSizeUnits in 1 row"
    )


def test_without_subjects_there_is_no_participants_table():
    add("a.ims")
    assert scan() == 0
    assert not Path("study/participants.tsv").exists()
    assert "\n# participants_tsv:" in Path("study/manifest.yml").read_text()


def test_what_the_user_sets_wins_over_headers_and_names():
    write_imaris(Path("scope/sub-01_sample-b.c_run-1.ims"), IMAGE)
    settings = ("sample_staining=a;b", "sample=x", "PixelSize=0.0018;0.1;4", "BodyPart=BRAIN")
    assert scan(*(word for text in settings for word in ("--set", text))) == 0
    columns = ("sample", "run", "sample_staining", "PixelSize", "PixelSizeUnits", "BodyPart")
    assert rows(*columns) == [("x", "1", "a;b", "0.0018;0.1;4", "", "BRAIN")]
    assert reasons() == {"sub-01_sample-b.c_run-1.ims": ("used", "")}


def test_a_missing_library_is_told_once_and_the_scan_goes_on(monkeypatch, capsys):
    for name in ("sub-01.ims", "sub-02.ims"):
        write_imaris(Path("scope", name), IMAGE)
    write_ome_tiff(Path("scope/sub-03.ome.tif"), IMAGE)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert scan() == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "sub-01.ims: warning: h5py is not installed; install it with: "
        "pip install 'spimpack_tasks[images]' [scan.extra]"
    )
    assert rows("PixelSize") == [("",), ("",), ("1.8;0.3467;4",)]
    assert all("h5py" in reasons()[name][1] for name in ("sub-01.ims", "sub-02.ims"))


def test_the_manifest_says_how_it_was_made():
    add("sub-01.ims")
    options = ("--pattern", "sub-{subject}.*", "--exclude", "a\nb", "--set", "sample=b")
    assert scan(*options) == 0
    text = Path("study/manifest.yml").read_text()
    command = r"spimpack init study --scan scope --pattern 'sub-{subject}.*' --exclude 'a\nb'"
    assert f"# Made by: {command} --set sample=b\n" in text
    assert "\nscans_tsv: scans.tsv\n" in text
    assert "\nparticipants_tsv: participants.tsv\n" in text


def test_a_schema_that_is_there_is_left_as_it_is():
    add("sub-01.ims")
    Path("study").mkdir()
    Path("study/manifest.schema.json").write_text("mine")
    assert scan() == 0
    assert Path("study/manifest.schema.json").read_text() == "mine"


def test_paths_are_relative_where_the_images_lie_below_the_manifest(folder):
    add("sub-01.ims")
    assert scan(where=".") == scan(where="study") == 0
    assert rows("spim_path", where=".") == [("scope/sub-01.ims",)]
    assert rows("spim_path") == [(str(folder / "scope" / "sub-01.ims"),)]


ODD_NAMES = ("a\tb.ims", '"a".ims', 'a"b.ims', " a.ims", "a\u2028b.ims", "~.ims", "é µ.ims")


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_an_odd_name_survives(name, capsys):
    add(name)
    settings = ("subject=1", "sample=b", "orientation_string_xyz=RPI", "sample_staining=a")
    settings += ("PixelSize=1;1;1", "PixelSizeUnits=um")
    assert scan(*(word for text in settings for word in ("--set", text)), where=".") == 0
    name_the_dataset(".")
    main(["validate", "--manifest", "manifest.yml"])
    assert "1 image: 0 errors" in capsys.readouterr().out
    assert paths(".") == [name]
    assert name in reasons(".")


def test_a_folder_named_as_the_home_is_not_the_home():
    add("~/sub-01.ims")
    os.chdir("scope")
    assert main(["init", ".", "--scan", "~"]) == 0
    assert rows("spim_path", where=".") == [("./~/sub-01.ims",)]


def warnings_of(capsys) -> str:
    return capsys.readouterr().err


def test_d3_folders_of_other_names_that_give_one_subject_are_told(capsys):
    for name in ("Animal-4/a.ims", "mouse 4/b.ims", "brain4/c.ims", "mouse 5/d.ims"):
        add(name)
    patterns = ("Animal-{subject}/*", "mouse {subject}/*", "brain{subject}/*")
    given = [word for text in patterns for word in ("--pattern", text)]
    # Three images of one name are refused anyway; the acquisition tells them apart here.
    given = [word.replace("/*", "/{acq}.ims") for word in given]
    assert scan(*given, "--set", "sample=brain") == ExitCode.OK
    said = warnings_of(capsys)
    assert "'Animal-4', 'brain4', 'mouse 4' all give the subject '4'; " in said
    assert "[scan.one-label]" in said


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["mouse 04/a.ims", "Mouse-4/b.ims"], "*{subject:[0-9]+}/{acq}.ims"),
        (["TP1/m4/a.ims", "XY/m4/b.ims"], "{session}/m{subject}/{acq}.ims"),
        (["s1_m4_a.ims", "s2_m4_b.ims"], "s*_m{subject}_{acq}.ims"),
    ],
    ids=["d3-case-and-signs", "d3-captures", "d3-numbers"],
)
def test_folders_of_like_names_are_not_told(names, pattern, capsys):
    for name in names:
        add(name)
    scan("--pattern", pattern, "--set", "sample=brain")
    assert "scan.one-label" not in warnings_of(capsys)


def test_d3_one_pattern_may_take_subjects_of_two_cohorts(capsys):
    for name in ("wt/4/a.ims", "ko/4/b.ims"):
        add(name)
    assert scan("--pattern", "*/{subject}/{acq}.ims", "--set", "sample=brain") == ExitCode.OK
    assert "'ko/4', 'wt/4' all give the subject '4'" in warnings_of(capsys)


def test_d3_labels_that_differ_in_zeros_are_told_by_a_scan(capsys):
    for name in ("sub-1/sub-1_sample-a.ims", "sub-01/sub-01_sample-a.ims"):
        add(name)
    assert scan() == ExitCode.OK
    said = warnings_of(capsys)
    assert "'sub-1/sub-1_sample-a.ims' gives '1'" in said
    assert "[path.zeros]" in said


def test_d3_templates_make_labels_of_several_captures(capsys):
    for name in ("wt/m 4/a.ims", "ko/m 4/b.ims", "ko/m 12/c.ims"):
        add(name)
    pattern = "{cohort}/m {number}/{acq}.ims"
    options = ("--pattern", pattern, "--set", "sample=brain")
    assert scan(*options, "--label", "subject={cohort}{number:02}") == ExitCode.OK
    rows = read("scans.tsv")
    assert sorted(row["subject"] for row in rows) == ["ko04", "ko12", "wt04"]
    assert [p["participant_id"] for p in read("participants.tsv")] == [
        "sub-ko04",
        "sub-ko12",
        "sub-wt04",
    ]
    assert not warnings_of(capsys)
    assert "--label 'subject={cohort}{number:02}'" in Path("study/manifest.yml").read_text()


def test_d3_a_template_fills_up_names_in_the_way_of_bids():
    for name in ("sub-1/sub-1_sample-a.ims", "sub-01/sub-01_sample-b.ims"):
        add(name)
    assert scan("--label", "subject={subject:03}") == ExitCode.OK
    assert {row["subject"] for row in read("scans.tsv")} == {"001"}


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("subject", "holds other things than captures"),
        ("subject=m", "holds other things than captures"),
        ("subject={a}-{b}", "holds other things than captures"),
        ("cohort={a}", "is not ENTITY=TEMPLATE"),
        ("subject={number}", "uses 'number', which is no capture of 'm{subject}/*'"),
    ],
    ids=lambda text: f"d3-{text}",
)
def test_templates_that_cannot_be(label, says, capsys):
    add("m4/a.ims")
    assert scan("--pattern", "m{subject}/*", "--label", label) == ExitCode.BAD_INPUT
    said = warnings_of(capsys)
    assert says in said
    assert "[scan.pattern]" in said
    assert not Path("study").exists()


def test_d9_photos_go_to_their_table_and_other_microscopes_are_left_out():
    kinds = ("TEM", "SEM", "uCT", "BF", "DF", "PC", "DIC", "FLUO", "CONF", "PLI", "CARS", "2PE")
    kinds += ("MPE", "SR", "NLO", "OCT", "XPCT")
    add("sub-1/sub-1_sample-a_stain-x_SPIM.ome.tif")
    add("sub-1/sub-1_sample-a_acq-2_photo.tif")
    Path("scope/sub-1/sub-1_sample-a_photo.jpg").write_bytes(b"\xff\xd8\xff")
    Path("scope/overview_photo.png").write_bytes(b"\x89PNG")
    for kind in kinds:
        add(f"sub-1/sub-1_sample-a_{kind}.ome.tif")
    add("a_SR.ims")  # a word, and no suffix: the name has no entity
    assert scan() == ExitCode.OK
    assert sorted(row["spim_path"].rpartition("/")[2] for row in read("scans.tsv")) == [
        "a_SR.ims",
        "sub-1_sample-a_stain-x_SPIM.ome.tif",
    ]
    photos = {row["photo_path"].rpartition("/")[2]: row for row in read("photos.tsv")}
    assert photos.keys() == {
        "sub-1_sample-a_acq-2_photo.tif",
        "sub-1_sample-a_photo.jpg",
        "overview_photo.png",
    }
    row = photos["sub-1_sample-a_acq-2_photo.tif"]
    assert (row["subject"], row["sample"], row["acquisition"]) == ("1", "a", "2")
    reasons = {row["path"].rpartition("/")[2]: row for row in read("scan_report.tsv")}
    for kind in kinds:
        told = reasons[f"sub-1_sample-a_{kind}.ome.tif"]
        assert told["verdict"] == "ignored"
        assert f"suffix {kind}" in told["reason"]
    assert reasons["overview_photo.png"]["verdict"] == "used"
    assert "photos_tsv: photos.tsv\n" in Path("study/manifest.yml").read_text()


def test_d9_the_suffixes_are_those_of_the_schema():
    schema = pytest.importorskip("bidsschematools.schema").load_schema()
    suffixes = set(schema.rules.files.raw.micr.microscopy.suffixes)
    assert suffixes == {*OTHER_SUFFIXES, SUFFIX}
