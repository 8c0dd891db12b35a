"""`spimpack report`: one page that holds together, whatever stands in the dataset."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from study import fingerprint
from workspace import Workspace, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, size_in_words
from spimpack_tasks.files.pages import safe
from spimpack_tasks.report.data import ReportData, gather_data
from spimpack_tasks.report.formatting import duration_in_words
from spimpack_tasks.report.page import compose_page
from spimpack_tasks.report.summary import summarise
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.state.store import Store

SIDECAR = "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.json"
OPTIONAL_ENDS = {"td", "th", "li", "tr"}
VOID = {"meta", "br", "path", "rect"}


class Page(HTMLParser):
    """Reads a page: that its elements nest, what it shows, and what it would fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.outside: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        fetching = {"src", "srcset", "data", "action", "background", "poster"}
        given = dict(attrs)
        self.outside += [f"{tag} {name}" for name in given if name in fetching or name[:2] == "on"]
        if not (given.get("href") or "#").startswith("#"):
            self.outside.append(f"{tag} href")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        while self.open[-1] in OPTIONAL_ENDS and self.open[-1] != tag:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def facts_of(workspace: Workspace) -> ReportData:
    return gather_data(Store(str(workspace.out)))


def page_of(workspace: Workspace) -> Page:
    return Page("\n".join(compose_page(facts_of(workspace))))


def statuses(workspace: Workspace) -> list[str]:
    return [image.status for image in facts_of(workspace).images]


def test_the_page_needs_nothing_besides_itself(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    text = "\n".join(compose_page(facts_of(workspace)))
    page = Page(text)
    assert page.outside == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not re.search(r"https?://|url\(|@import", text)
    assert "default-src 'none'" in text
    assert page.tags.count("h1") == 1
    assert page.tags.count("section") == 5


def test_the_page_tells_the_facts(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.description |= {"Authors": ["Ada Lovelace"], "DatasetDOI": "doi:10.1/x"}
    workspace.run()
    text = page_of(workspace).text
    for fact in (
        "✓ Complete: every output is in place",
        "Ada Lovelace",
        "CC0",
        "doi:10.1/x",
        "symlink",
        "3 unchanged",
        "sub-02_sample-brain_acq-4x_SPIM.ome.zarr",
        "it completed the dataset",
        "The size is without 1 folder",
    ):
        assert fact in text, fact


NASTY = '<script>alert("&amp;")</script>\u202e\u0007'


def test_everything_is_escaped(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.description |= {"Name": NASTY, "Authors": [NASTY], "License": NASTY}
    workspace.add_row('a"><img src=x>.ims', subject="04", dataset_id="<b>g</b>", Species=NASTY)
    workspace.participants = []
    workspace.run()
    (workspace.out / "sub-04/micr/<i>x").write_text("mine")
    (workspace.out / "sub-04/micr" / os.fsdecode(b"caf\xe9")).write_text("not UTF-8")
    log = next((workspace.out / ".spimpack/runs").glob("*.jsonl"))
    line = {"task": "<u>", "unit": "<u>", "images": 0, "started": 1, "ended": 2, "error": NASTY}
    with log.open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert main(["report", str(workspace.out)]) == ExitCode.OK
    text = (workspace.out / ".spimpack/report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "img", "b", "i", "u"} & set(page.tags)
    assert "\u202e" not in text
    assert page.text.count("<script>alert") >= 4
    assert r"caf\udce9" in page.text


def page_text(workspace: Workspace) -> str:
    return page_of(workspace).text


CHANGES = {
    "removed link": (
        lambda w: (w.out / SIDECAR).with_suffix(".ome.zarr").unlink(),
        ["unchanged", "missing", "unchanged"],
    ),
    "edited sidecar": (
        lambda w: (w.out / SIDECAR).write_text("mine"),
        ["unchanged", "conflict", "unchanged"],
    ),
    "source gone": (
        lambda w: (w.root / "raw/a.ims").unlink(),
        ["source gone", "unchanged", "unchanged"],
    ),
    "source changed": (
        lambda w: os.utime(w.root / "raw/c.ome.tif", (1, 1)),
        ["unchanged", "unchanged", "source changed"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_status_of_each_image(name: str, tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    assert statuses(workspace) == ["unchanged"] * 3
    change, wanted = CHANGES[name]
    change(workspace)
    assert statuses(workspace) == wanted
    (amiss,) = set(wanted) - {"unchanged"}
    facts = facts_of(workspace)
    assert facts.is_complete is name.startswith("source")
    assert summarise(facts)["counts"] == {"unchanged": 2, amiss: 1}
    counts, _, table = page_text(workspace).rpartition("Sources are below")
    assert f"{amiss}" in counts[-60:]
    # What needs attention comes first.
    rows = re.findall(r"sub-0(\d)_sample-brain_acq-4x_SPIM\.\S+ [^\w\s]", table)
    assert rows[0] == str(wanted.index(amiss) + 1)
    assert len(rows) == 3


def test_a_failed_image_is_named_with_its_reason(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    chunk = tmp_path / "raw/b.ome.zarr/0/c/0/0/0/0"
    chunk.unlink()
    chunk.symlink_to("nowhere")
    workspace.run(backend="copy")
    assert statuses(workspace) == ["unchanged", "new", "unchanged"]
    text = page_text(workspace)
    assert "✗ Not complete: 1 of 3 images needs attention; 1 error" in text
    assert "0/c/0/0/0/0" in text
    assert "which is not there" in text
    assert "it did not complete the dataset" in text


def test_sizes_come_from_sources_and_checksums(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    before = facts_of(workspace)
    assert [image.size is None for image in before.images] == [False, True, False]
    assert before.numbers.unknown_sizes == 1
    workspace.run(checksum=True)
    after = facts_of(workspace)
    sizes = [p.stat().st_size for p in (tmp_path / "raw").rglob("*") if p.is_file()]
    assert after.numbers.source_bytes == sum(sizes)
    assert after.numbers.unknown_sizes == 0


def test_problems_that_are_alike_share_a_row(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    for number in range(5):
        (workspace.out / f"sub-01/micr/{number}.txt").write_text("mine")
    assert main(["bids-validate", str(workspace.out)]) == ExitCode.INVALID
    text = page_text(workspace)
    assert (
        "5 \u00d7 sub-01/micr/0.txt sub-01/micr/1.txt sub-01/micr/2.txt and 2 more places" in text
    )
    assert "NOT_INCLUDED" in text
    assert "written to after it was last validated" not in text
    workspace.rows[0]["Species"] = "rat"
    workspace.run()
    assert "written to after it was last validated" in page_text(workspace)


def test_a_note_on_a_run_is_no_problem(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run(backend="copy")
    workspace.rows[0]["Species"] = "rat"
    workspace.write()
    assert main(["package", str(workspace.manifest), str(workspace.out)]) == ExitCode.OK
    (validated,) = (workspace.out / ".spimpack/validated").iterdir()
    assert "option.last-run" in validated.read_text()
    assert "option.last-run" not in page_text(workspace)


def test_the_verdict_of_the_validator_stands_at_the_top(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    assert "\u25cb Not validated as BIDS" in page_text(workspace)
    assert main(["bids-validate", str(workspace.out)]) == ExitCode.OK
    top = page_text(workspace).partition("Subjects")[0]
    assert re.search("\u2713 Valid BIDS: 0 errors, [0-9]+ warnings", top)
    (workspace.out / "sub-01/micr/notes.txt").write_text("mine")
    assert main(["bids-validate", str(workspace.out)]) == ExitCode.INVALID
    top = page_text(workspace).partition("Subjects")[0]
    assert re.search("\u2717 Not valid BIDS: 1 error, [0-9]+ warnings", top)
    workspace.rows[0]["Species"] = "rat"
    workspace.run()
    top = page_text(workspace).partition("Subjects")[0]
    assert re.search("! Not valid BIDS: 1 error, [0-9]+ warnings, before the last run", top)


def test_many_unchanged_images_are_behind_a_line(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    for number in range(4, 55):
        workspace.add_row(f"{number}.ims", subject=f"{number:02}")
        workspace.participants.append({"participant_id": f"{number:02}"})
    workspace.run()
    (tmp_path / "raw/a.ims").unlink()
    text = "\n".join(compose_page(facts_of(workspace)))
    before, summary, behind = text.partition("<details><summary>53 unchanged images</summary>")
    assert summary
    assert "a.ims" in before
    assert behind.count("<tr><td>sub-") == 53
    workspace.rows = workspace.rows[1:-3]
    workspace.run()
    assert "<details>" not in "\n".join(compose_page(facts_of(workspace)))


def many_images(tmp_path: Path) -> Workspace:
    """Return a workspace of 260 images that was packaged."""
    workspace = small_workspace(tmp_path)
    first = workspace.root / "raw" / "c.ome.tif"
    for number in range(4, 261):
        (workspace.root / "raw" / f"{number}.ome.tif").write_bytes(first.read_bytes())
        cells = {"spim_path": f"raw/{number}.ome.tif", "subject": f"{number:03}"}
        workspace.rows.append(workspace.rows[2] | cells)
    workspace.participants = []
    workspace.run()
    return workspace


def shown_rows(page: str) -> int:
    """Return the number of images that are listed outside of lines to open."""
    section = page.partition('<section id="images"')[2]
    while "<details>" in section:
        inner = section.rpartition("<details>")
        section = inner[0] + inner[2].partition("</details>")[2]
    return section.count("<tr><td>sub-")


def test_i15_6_many_images_are_behind_lines_by_their_status(tmp_path: Path) -> None:
    workspace = many_images(tmp_path)
    page = "\n".join(compose_page(facts_of(workspace)))
    assert "<summary>260 unchanged images</summary>" in page
    assert "<summary>201 to 260" in page
    assert page.count("<tr><td>sub-") == 260
    assert shown_rows(page) == 0
    for path in workspace.out.glob("sub-*/micr/sub-*_SPIM.o*"):
        path.unlink()
    page = "\n".join(compose_page(facts_of(workspace)))
    assert "<summary>missing: 259</summary>" in page
    assert shown_rows(page) == 1  # the one that is unchanged


def test_i15_6_images_are_filtered_by_a_text_in_their_paths(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    facts = facts_of(workspace)
    for text, listed in {"SUB-02": 1, "raw/": 3, ".ims": 1, "nowhere": 0, "": 3}.items():
        page = "\n".join(compose_page(facts, contains=text))
        assert page.count("<tr><td>sub-") == listed, text
    assert Page("\n".join(compose_page(facts, contains=NASTY))).tags.count("script") == 0


def test_i15_6_counts_by_severity_and_status_stand_at_the_top(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    top = page_text(workspace).partition("Dataset Problems")[0]
    assert "Problems: 0 errors Images: 3 unchanged" in top
    (tmp_path / "raw/a.ims").unlink()
    (workspace.out / "sub-01/micr/notes.txt").write_text("mine")
    top = page_text(workspace).partition("Dataset Problems")[0]
    assert "Problems: 1 error, 1 warning Images: 2 unchanged, 1 source gone" in top


@pytest.mark.parametrize("state", ["complete", "failed", "validated", "without runs"])
def test_the_json_is_as_its_schema_says(
    state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    if state == "failed":
        (workspace.out / SIDECAR).write_text("mine")
        (tmp_path / "raw/a.ims").unlink()
    elif state == "validated":
        main(["bids-validate", str(workspace.out)])
    elif state == "without runs":
        for log in (workspace.out / ".spimpack/runs").iterdir():
            log.unlink()
    before = fingerprint(workspace.out)
    capsys.readouterr()
    assert main(["report", str(workspace.out), "--format", "json"]) == ExitCode.OK
    summary = json.loads(capsys.readouterr().out)
    jsonschema.validate(summary, load_schema("report"))
    assert summary["numbers"]["images"] == 3
    assert summary["complete"] is (state != "failed")
    assert (summary["validation"] is None) is (state != "validated")
    assert (summary["run"] is None) is (state == "without runs")
    assert fingerprint(workspace.out) == before


def test_the_page_lies_in_the_state_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    before = workspace.stamps()
    capsys.readouterr()
    for _ in range(2):
        assert main(["report", str(workspace.out)]) == ExitCode.OK
    page = workspace.out / ".spimpack/report.html"
    assert capsys.readouterr().out == f"wrote {page}\n" * 2
    assert page.is_file()
    assert workspace.stamps() == before
    assert workspace.run().lines("out")[0].startswith("Nothing to do")


def report_at(path: Path, workspace: Workspace) -> Path:
    assert main(["report", str(workspace.out), "--file", str(path)]) == ExitCode.OK
    return path


def another_file(workspace: Workspace) -> Path:
    path = workspace.root / "notes.html"
    path.write_text("mine")
    return path


def link_to_report(workspace: Workspace) -> Path:
    path = workspace.root / "link.html"
    path.symlink_to(report_at(workspace.root / "report.html", workspace))
    return path


PLACES = {
    "elsewhere": (lambda w: w.root / "report.html", ""),
    "an earlier report": (lambda w: report_at(w.root / "report.html", w), ""),
    "another file": (another_file, "is no report"),
    "a link to a report": (link_to_report, "is no report"),
    "a directory": (lambda w: w.root / "raw", "is a directory"),
    "in the dataset": (lambda w: w.out / "report.html", "part of the dataset"),
    "in a subject": (lambda w: w.out / "sub-01" / "report.html", "part of the dataset"),
}


@pytest.mark.parametrize("name", PLACES)
def test_only_a_report_is_replaced(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    make, refusal = PLACES[name]
    path = make(workspace)
    before = fingerprint(tmp_path)
    code = main(["report", str(workspace.out), "--file", str(path)])
    if refusal:
        assert code == ExitCode.BAD_INPUT
        assert refusal in capsys.readouterr().err
        assert fingerprint(tmp_path) == before
    else:
        assert code == ExitCode.OK
        Page(path.read_text(encoding="utf-8"))


def test_another_file_is_replaced_if_told(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    path = another_file(workspace)
    assert main(["report", str(workspace.out), "--file", str(path), "--overwrite"]) == ExitCode.OK
    Page(path.read_text(encoding="utf-8"))


def test_a_dataset_of_others_has_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dataset_description.json").write_text("{}")
    assert main(["report", str(tmp_path)]) == ExitCode.FAILED
    assert "holds no record of a run" in capsys.readouterr().err


WORDS = {
    "size": (size_in_words, {0: "0 B", 999: "999 B", 1000: "1.0 kB", 123456: "123 kB"}),
    "large size": (size_in_words, {999_600: "1.0 MB", 15 * 10**11: "1.5 TB", 10**16: "10,000 TB"}),
    "duration": (duration_in_words, {0.012: "12 ms", 0.951: "1.0 s", 9.96: "10 s", 59.4: "59 s"}),
    "long": (duration_in_words, {60: "1 min 0 s", 3599: "59 min 59 s", 7260: "2 h 1 min"}),
    "text": (safe, {'<a b="c">': "&lt;a b=&quot;c&quot;&gt;", "\u202e": r"\u202e"}),
}


@pytest.mark.parametrize("name", WORDS)
def test_words(name: str) -> None:
    function, cases = WORDS[name]
    assert {value: function(value) for value in cases} == cases
