"""A scan that only looks, and one that adds what has come since."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_images import write_tiny_image

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.scanning.patterns import read_pattern

PATTERN = ("--pattern", "{genotype}/mouse {subject}/{acquisition}")
OPTIONS = (*PATTERN, "--set", "sample=brain", "--default", "session=1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Two subjects of three images; the working directory."""
    monkeypatch.chdir(tmp_path)
    for path in ("wt/mouse 1/4x.ome.tif", "wt/mouse 1/10x.ome.tif", "ko/mouse 2/4x.ome.zarr"):
        write_tiny_image(tmp_path / "raw" / path)
    (tmp_path / "raw/notes.txt").write_text("-")
    return tmp_path


def init(*options: str) -> int:
    return main(["init", "study", *options])


def tree() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("study").rglob("*") if path.is_file()}


def rows(name: str = "scans.tsv") -> list[list[str]]:
    return [line.split("\t") for line in Path("study", name).read_text().splitlines()]


READINGS = {
    "i15-4-ending-left-out": ("{subject}_{acq}", "m1_4x.ome.tif", {"subject": "m1", "acq": "4x"}),
    "i15-4-ending-in-any-case": ("{subject}", "m1.TIF", {"subject": "m1"}),
    "i15-4-ending-given": ("{subject}.ims", "m1.ims", {"subject": "m1"}),
    "i15-4-other-ending-given": ("{subject}.ims", "m1.tif", None),
    "i15-4-dot-in-a-name": ("{subject}", "m1.5.tif", {"subject": "m1.5"}),
    "i15-4-no-ending": ("{subject}", "m1", {"subject": "m1"}),
    "i15-4-expression": ("re:(?P<sub>M[0-9]+)/.*", "M12/x_4x.ome.tif", {"subject": "M12"}),
    "i15-4-expression-is-for-the-whole": ("re:(?P<sub>M[0-9]+)", "M12/x.ims", None),
    "i15-4-expression-with-a-choice": (
        r"re:(?P<sub>\w+)(?:/s(?P<ses>\d))?/(?P<acq>[^/]+)",
        "M12/4x.ims",
        {"subject": "M12", "acq": "4x"},
    ),
    "i15-4-capture-of-a-participant": (
        "{subject}_{sex}_{participant_id}",
        "m1_F_x.ims",
        None,
    ),
}


@pytest.mark.parametrize(("text", "path", "texts"), READINGS.values(), ids=READINGS)
def test_patterns(text, path, texts):
    if "participant_id" in text:
        with pytest.raises(ValueError, match="no entity, and no column"):
            read_pattern(text)
        return
    wanted = [{("acquisition" if k == "acq" else k): v for k, v in texts.items()}] if texts else []
    assert read_pattern(text).readings(path) == wanted


def test_i15_4_a_dry_run_prints_labels_and_writes_nothing(capsys):
    before = sorted(Path().rglob("*"))
    assert init("--scan", "raw", *OPTIONS, "--dry-run") == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "ko/mouse 2/4x.ome.zarr -> sub-2 ses-1 sample-brain acq-4x genotype=ko",
        "wt/mouse 1/4x.ome.tif -> sub-1 ses-1 sample-brain acq-4x genotype=wt",
        "wt/mouse 1/10x.ome.tif -> sub-1 ses-1 sample-brain acq-10x genotype=wt",
        "ignored, is of no known format: notes.txt",
        "3 paths used, 1 ignored; nothing was written",
    ]
    assert sorted(Path().rglob("*")) == before


def test_i15_4_a_dry_run_names_the_pattern_and_few_ignored_paths(capsys):
    for number in range(5):
        Path(f"raw/{number}.txt").touch()
    several = ("--pattern", "wt/mouse {sub}/*", "--pattern", "ko/mouse {sub}/*")
    assert init("--scan", "raw", *several, "--dry-run") == ExitCode.OK
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "ko/mouse 2/4x.ome.zarr -> sub-2 (by 'ko/mouse {sub}/*')"
    assert "ignored, is of no known format: 0.txt, 1.txt, 2.txt and 3 more" in shown
    assert init("--scan", "raw", *several, "--dry-run", "--verbose") == ExitCode.OK
    assert "0.txt, 1.txt, 2.txt, 3.txt, 4.txt, notes.txt\n" in capsys.readouterr().out


def test_i15_4_a_dry_run_with_a_mistake_is_refused():
    assert init("--scan", "raw", "--pattern", "nowhere/{sub}", "--dry-run") == ExitCode.BAD_INPUT
    assert init("--dry-run") == ExitCode.BAD_INPUT


def test_i15_4_captures_of_participants_and_defaults():
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    assert rows("participants.tsv") == [
        ["participant_id", "genotype"],
        ["sub-1", "wt"],
        ["sub-2", "ko"],
    ]
    table = rows()
    assert {row[table[0].index("session")] for row in table[1:]} == {"1"}
    assert "genotype" not in table[0]


def test_i15_4_facts_about_subjects_go_to_their_table():
    facts = ("--set", "species=mus musculus", "--default", "genotype=wt")
    options = ("--pattern", "**/mouse {subject}/{acq}", "--set", "sample=brain", *facts)
    assert init("--scan", "raw", *options) == ExitCode.OK
    assert rows("participants.tsv") == [
        ["participant_id", "genotype", "species"],
        ["sub-1", "wt", "mus musculus"],
        ["sub-2", "wt", "mus musculus"],
    ]
    assert {"species", "genotype"}.isdisjoint(rows()[0])


def test_i15_4_a_dry_run_hints_at_patterns(capsys):
    assert init("--scan", "raw", "--dry-run") == ExitCode.OK
    assert "are found by --pattern, such as '{subject}/*'\n" in capsys.readouterr().out


def test_i15_4_subjects_of_a_workbook_are_named(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    manifest = Path("study/manifest.yml")
    text = manifest.read_text().replace(
        "participants_tsv: participants.tsv", "participants_tsv: p.xlsx"
    )
    manifest.write_text(text)
    write_tiny_image(Path("raw/wt/mouse 3/4x.ome.tif"))
    assert init("--update") == ExitCode.OK
    assert "add new subjects to study/p.xlsx yourself: 3\n" in capsys.readouterr().out


def test_i15_4_a_capture_that_makes_labels_is_no_column():
    label = ("--label", "subject={group}{number:02}")
    options = ("--pattern", "{group}/mouse {number}/{acq}", *label, "--set", "sample=b")
    assert init("--scan", "raw", *options) == ExitCode.OK
    assert rows("participants.tsv") == [["participant_id"], ["sub-ko02"], ["sub-wt01"]]


def edit_by_hand() -> None:
    """Edit the tables as people do: cells, order, a column, a comment of their own, line ends."""
    header, *lines = Path("study/scans.tsv").read_text().splitlines()
    lines = [f"{line}\tnote {n}" for n, line in enumerate(lines)][::-1]
    text = "\r\n".join([f"{header}\tnotes", *lines])  # no line end at the end
    Path("study/scans.tsv").write_bytes(text.encode())
    Path("study/participants.tsv").write_text("participant_id\tage\nsub-2\t9\nsub-1\t8\n")


def test_i15_4_an_update_adds_new_images_and_keeps_all_else(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    edit_by_hand()
    before = Path("study/scans.tsv").read_bytes()
    write_tiny_image(Path("raw/wt/mouse 3/4x.ome.tif"))
    write_tiny_image(Path("raw/ko/mouse 2/10x.ome.tif"))
    others = {p: d for p, d in tree().items() if not p.endswith((f"{os.sep}scans.tsv", "nts.tsv"))}
    capsys.readouterr()
    assert init("--update") == ExitCode.OK
    assert "2 new images, 3 in the table before\n1 new subject: 3\n" in capsys.readouterr().out
    after = Path("study/scans.tsv").read_bytes()
    assert after.startswith(before + b"\r\n")
    added = [line.split("\t") for line in after[len(before) + 2 :].decode().split("\r\n")]
    header = before.decode().split("\r\n")[0].split("\t")
    cells = [dict(zip(header, line, strict=True)) for line in added]
    assert [(c["subject"], c["acquisition"], c["session"], c["sample"]) for c in cells] == [
        ("2", "10x", "1", "brain"),
        ("3", "4x", "1", "brain"),
    ]
    assert [c["notes"] for c in cells] == ["", ""]
    participants = Path("study/participants.tsv").read_text()
    assert participants.splitlines()[:3] == [
        "participant_id\tage\tgenotype",
        "sub-2\t9\t",
        "sub-1\t8\t",
    ]
    assert participants.splitlines()[3:] == ["sub-3\t\twt"]
    assert {p: d for p, d in tree().items() if p in others} == others
    # A second time there is nothing to do.
    whole = tree()
    assert init("--update") == ExitCode.OK
    assert "0 new images, 5 in the table before" in capsys.readouterr().out
    assert tree() == whole


def test_i15_4_an_update_tells_rows_whose_images_are_gone(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    before = tree()
    Path("raw/wt/mouse 1/10x.ome.tif").unlink()
    assert init("--update") == ExitCode.OK
    assert "1 row without an image, nothing removed: " in capsys.readouterr().out
    assert tree() == before


def test_i15_4_an_update_may_only_look(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    write_tiny_image(Path("raw/wt/mouse 3/4x.ome.tif"))
    before = tree()
    assert init("--update", "--dry-run") == ExitCode.OK
    told = capsys.readouterr().out
    assert "wt/mouse 3/4x.ome.tif -> sub-3 ses-1 sample-brain acq-4x genotype=wt\n" in told
    assert "ignored, is of no known format: notes.txt\n" in told
    assert "mouse 1" not in told
    assert tree() == before


def test_i15_4_an_update_of_a_manifest_of_another_name(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    Path("study/manifest.yml").rename("study/week.yml")
    write_tiny_image(Path("raw/wt/mouse 3/4x.ome.tif"))
    assert main(["init", "study/week.yml", "--update"]) == ExitCode.OK
    assert "1 new image, 3 in the table before\n" in capsys.readouterr().out
    assert rows()[-1][0] == "3"


def test_i15_4_an_update_looks_into_all_tables(capsys):
    """An image in the second table is not new, and its name is not given twice."""
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    header, first, *others = Path("study/scans.tsv").read_text().splitlines(keepends=True)
    Path("study/scans.tsv").write_text(header + first)
    Path("study/more.tsv").write_text(header + "".join(others))
    manifest = Path("study/manifest.yml")
    text = manifest.read_text().replace(
        "scans_tsv: scans.tsv", "scans_tsv: scans.tsv\ndatasets_tsv: more.tsv"
    )
    manifest.write_text(text)
    before = tree()
    assert init("--update") == ExitCode.OK
    assert "0 new images, 3 in the table before\n" in capsys.readouterr().out
    assert tree() == before


def test_i15_4_a_command_line_takes_the_place_of_the_manifest(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    write_tiny_image(Path("raw/new/mouse 3/4x.ome.tif"))
    assert init("--update", "--set", "sample=liver") == ExitCode.OK
    assert "the command line takes the place of scan.set" in capsys.readouterr().out
    assert rows()[-1][1] == "liver"


def test_i15_4_a_new_image_with_the_name_of_a_row_is_refused(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    before = tree()
    Path("raw/wt").rename("raw/moved")
    assert init("--update") == ExitCode.BAD_INPUT
    assert "which the table has for" in capsys.readouterr().err
    assert tree() == before


REFUSED = {
    "no manifest": (lambda: Path("study/manifest.yml").unlink(), "does not exist"),
    "no folder": (
        lambda: Path("study/manifest.yml").write_text("dataset_description: {}\n"),
        "does not say which folder was scanned",
    ),
    "a workbook": (
        lambda: Path("study/manifest.yml").write_text(
            f"scan: {{folder: {Path('raw').absolute()}}}\nscans_tsv: scans.xlsx\n"
        ),
        "is no tab-separated table",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), REFUSED.values(), ids=REFUSED)
def test_i15_4_an_update_that_cannot_be(spoil, told, capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    spoil()
    before = tree()
    assert init("--update") != ExitCode.OK
    assert told in capsys.readouterr().err
    assert tree() == before


def test_i15_4_a_faulty_scan_block_has_its_line(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    manifest = Path("study/manifest.yml")
    manifest.write_text(manifest.read_text().replace("  patterns:", "  pattern:"))
    number = manifest.read_text().splitlines().index('  pattern: ["' + PATTERN[1] + '"]') + 1
    assert main(["validate", "study/manifest.yml"]) == ExitCode.BAD_INPUT
    assert f"study/manifest.yml:{number}:3: scan.pattern: " in capsys.readouterr().out


def test_i15_4_an_update_knows_images_of_the_manifest_itself(capsys):
    """They stand below `datasets`, or in a manifest that is included."""
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    header, first, *others = Path("study/scans.tsv").read_text().splitlines(keepends=True)
    Path("study/scans.tsv").write_text(header + first)
    Path("study/part").mkdir()
    Path("study/part/scans.tsv").write_text(header + "".join(others))
    Path("study/part/manifest.yml").write_text("scans_tsv: scans.tsv\n")
    manifest = Path("study/manifest.yml")
    manifest.write_text(manifest.read_text() + "include: [part/manifest.yml]\n")
    before = tree()
    assert init("--update") == ExitCode.OK
    assert "0 new images, " in capsys.readouterr().out
    assert tree() == before


def test_i15_4_an_update_brings_no_column_back(capsys):
    assert init("--scan", "raw", *OPTIONS) == ExitCode.OK
    table = [line.split("\t") for line in Path("study/scans.tsv").read_text().splitlines()]
    at = table[0].index("PixelSize")
    lines = ["\t".join(cell for n, cell in enumerate(row) if n != at) for row in table]
    Path("study/scans.tsv").write_text("\n".join(lines) + "\n")
    before = Path("study/scans.tsv").read_text()
    write_tiny_image(Path("raw/wt/mouse 3/4x.ome.tif"))
    assert init("--update") == ExitCode.OK
    assert "1 new image, 3 in the table before" in capsys.readouterr().out
    assert Path("study/scans.tsv").read_text().startswith(before)
