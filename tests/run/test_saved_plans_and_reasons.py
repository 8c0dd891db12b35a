"""`package --plan` does what `plan --save` showed, or stops; `why` says where an output is from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from workspace import Workspace, change_backend, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging import saved_plan
from spimpack_tasks.packaging.backends.symlink import make_link
from spimpack_tasks.running.preview import preview_run
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.changes import _MEANING

ONE = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM"
TWO = "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM"


def save(workspace: Workspace, *further: str) -> str:
    workspace.write()
    path = str(workspace.root / "plan.json")
    given = [str(workspace.manifest), str(workspace.out), *further]
    assert main(["plan", *given, "--save", path]) == ExitCode.OK
    return path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_i15_8_a_saved_plan_is_done_and_can_be_repeated(
    workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    path = save(workspace, "--relative-symlinks")
    assert not workspace.out.exists()
    capsys.readouterr()
    assert main(["package", "--plan", path, "--workers", workers]) == ExitCode.OK
    assert capsys.readouterr().out == f"Packaged {workspace.out}: 3 new\n"
    assert os.readlink(workspace.out / f"{ONE}.ims").startswith("../")
    before = workspace.stamps()
    assert main(["package", "--plan", path]) == ExitCode.OK
    assert workspace.stamps() == before


def test_i15_8_a_run_that_stopped_halfway_goes_on(tmp_path: Path, monkeypatch) -> None:
    workspace = small_workspace(tmp_path)
    path = save(workspace)

    def fail_at_two(output, place: str) -> None:
        if "sub-02" in output.path:
            raise OSError(5, "broken disk")
        make_link(output, place)

    change_backend(monkeypatch, "symlink", make=fail_at_two)
    assert main(["package", "--plan", path]) == ExitCode.FAILED
    change_backend(monkeypatch, "symlink", make=make_link)
    assert main(["package", "--plan", path]) == ExitCode.OK
    assert len([p for p in workspace.tree() if p.endswith("_SPIM.json")]) == 3


def edit_table(workspace: Workspace) -> None:
    workspace.rows[0]["Species"] = "rat"
    workspace.write()


def touch_source(workspace: Workspace, seconds: int = 1) -> None:
    os.utime(next((workspace.root / "raw").glob("*.ims")), (seconds, seconds))


def unlink_output(workspace: Workspace) -> None:
    (workspace.out / f"{TWO}.json").unlink()


def remove_readme(workspace: Workspace) -> None:
    (workspace.out / "README.md").unlink()


MOVED: dict[str, tuple[Callable[[Workspace], None], list[str]]] = {
    "i15-8-a table": (edit_table, ["scans.tsv: was edited"]),
    "i15-8-a source": (touch_source, [".ims: was changed"]),
    "i15-8-an output": (unlink_output, [": was unchanged, and is missing"]),
    "i15-8-the README": (remove_readme, ["README.md: was unchanged, and is missing"]),
}


@pytest.mark.parametrize("name", MOVED)
def test_a_disk_that_moved_on_stops_the_run(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, told = MOVED[name]
    workspace = small_workspace(tmp_path)
    workspace.run()
    path = save(workspace)
    change(workspace)
    before = workspace.tree()
    capsys.readouterr()
    assert main(["package", "--plan", path]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "the saved plan fits no more, so nothing was done: " in said
    for text in told:
        assert text in said
    assert workspace.tree() == before


def test_i15_8_another_version_stops_the_run(
    tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(small_workspace(tmp_path))
    monkeypatch.setattr(saved_plan, "__version__", "99.0")
    assert main(["package", "--plan", path]) == ExitCode.BAD_INPUT
    assert "this is spimpack_tasks 99.0; it was " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("further", "told"),
    [
        pytest.param(["a.yml"], "leave out manifest", id="i15-8-a manifest beside it"),
        pytest.param(["--backend", "copy"], "leave out backend", id="i15-8-a backend beside it"),
        pytest.param(["--no-previews"], "leave out previews", id="i15-8-a flag beside it"),
        pytest.param(["--subject", "01"], "leave out subjects", id="i15-8-a part beside it"),
    ],
)
def test_nothing_else_is_chosen(
    further: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(small_workspace(tmp_path))
    assert main(["package", "--plan", path, *further]) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "told"),
    [
        pytest.param("notes.txt", "is no saved plan; choose another file", id="i15-8-a file"),
        pytest.param("none/p.json", "there is no folder", id="i15-8-no folder"),
        pytest.param("out/p.json", "would be a part of the dataset", id="i15-8-in the dataset"),
    ],
)
def test_a_plan_replaces_nothing(
    place: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    (tmp_path / "notes.txt").write_text("mine")
    paths = [str(workspace.manifest), str(workspace.out)]
    assert main(["plan", *paths, "--save", str(tmp_path / place)]) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for text in ("", "[]", "{}", '{"about": 1}'):
        (tmp_path / "notes.txt").write_text(text)
        assert main(["package", "--plan", str(tmp_path / "notes.txt")]) == ExitCode.BAD_INPUT
        assert "is no saved plan; write one with: " in capsys.readouterr().err


def test_i15_8_only_paths_are_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    workspace.rows[0]["Species"] = "rat"
    workspace.write()
    command = ["plan", str(workspace.manifest), str(workspace.out), "--exit-code"]
    capsys.readouterr()
    assert main(command) == 1
    said = capsys.readouterr()
    assert f"{ONE}.ims" in said.out.splitlines()
    assert said.err == "1 changed, 2 unchanged\n"
    assert main([*command, "--verbose"]) == 1
    loud = capsys.readouterr()
    assert loud.out == said.out
    assert 'Species: "mouse" -> "rat"' in loud.err or "Species" in loud.err


def why(path: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main(["why", str(path), "--format", "json"]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_i15_8_why_names_row_source_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    workspace = small_workspace(tmp_path)
    workspace.run()
    number = next(i for i, row in enumerate(workspace.rows) if row["subject"].endswith("01"))
    sidecar = why(workspace.out / f"{ONE}.json", capsys)
    assert sidecar["reason"] == "it was new"
    assert sidecar["row"] == f"scans.tsv:{number + 2}"
    assert sidecar["source"] == str(tmp_path / workspace.rows[number]["spim_path"])
    assert sidecar["source_state"] == "unchanged since"
    values = {each["key"]: each["origin"] for each in sidecar["values"]}
    column = list(workspace.rows[number])
    header = (tmp_path / "scans.tsv").read_text().splitlines()[number + 1].split("\t")
    position = sum(len(cell) + 1 for cell in header[: column.index("PixelSize")]) + 1
    assert values["PixelSize"] == f"scans.tsv:{number + 2}:{position}"
    workspace.rows[number]["Species"] = "rat"
    workspace.run()
    assert '-> "rat"' in why(workspace.out / f"{ONE}.json", capsys)["reason"]
    assert why(workspace.out / f"{TWO}.json", capsys)["reason"] == "it was new"
    (workspace.out / f"{TWO}.json").unlink()
    assert why(workspace.out / f"{TWO}.json", capsys)["state"].startswith("it is gone")
    workspace.run()
    assert why(workspace.out / f"{TWO}.json", capsys)["reason"] == "it was gone"
    touch_source(workspace)
    image = why(workspace.out / f"{ONE}.ims", capsys)
    assert image["source_state"] == "changed since"
    workspace.run()
    image = why(workspace.out / f"{ONE}.ims", capsys)
    # The link is the same, so it was not written again.
    assert (image["reason"], image["source_state"]) == ("it was new", "unchanged since")
    workspace.run(backend="copy")
    copied = why(workspace.out / f"{ONE}.ims", capsys)
    assert copied["reason"] == "way of linking changed"
    touch_source(workspace, 2)
    workspace.run(backend="copy")
    assert why(workspace.out / f"{ONE}.ims", capsys)["reason"] == "source changed"


def test_i15_8_why_after_the_state_was_lost_and_a_row_was_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    (workspace.out / ".spimpack").rename(tmp_path / "lost")
    workspace.run()
    assert why(workspace.out / f"{ONE}.json", capsys)["reason"] == (
        "it was there already, as planned"
    )
    workspace.rows = [row for row in workspace.rows if not row["subject"].endswith("01")]
    workspace.write()
    assert why(workspace.out / f"{ONE}.json", capsys)["row"].startswith("not in the tables")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        pytest.param("out/mine.txt", "so it is yours", id="i15-8-a file of the user"),
        pytest.param("out/nothing", "and nothing is there", id="i15-8-nothing"),
        pytest.param("raw", "is in no dataset with a record", id="i15-8-no dataset"),
        pytest.param(f"out/{ONE}.jso", f"did you mean '{ONE}.json'?", id="i15-8-a typing error"),
    ],
)
def test_why_of_other_paths(
    place: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    (workspace.out / "mine.txt").write_text("x")
    assert main(["why", str(tmp_path / place)]) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err


def test_i15_8_a_removed_image_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    del workspace.rows[2], workspace.participants[2]
    workspace.write()
    capsys.readouterr()
    assert main(["plan", str(workspace.manifest), str(workspace.out)]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1] == "2 unchanged, 1 removed"
    assert workspace.run().lines("out")[0] == "Packaged out: 2 unchanged, 1 removed"


def test_i15_8_a_missing_readme_is_seen_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    (workspace.out / "README.md").rename(workspace.out / "README.rst")
    assert main(["verify", str(workspace.out)]) == ExitCode.OK
    (workspace.out / "README.rst").unlink()
    capsys.readouterr()
    assert main(["verify", str(workspace.out)]) == ExitCode.CONFLICT
    assert "missing: README.md\n" in capsys.readouterr().out
    assert main(["status", str(workspace.manifest), str(workspace.out)]) == ExitCode.OK
    assert "other files: README.md missing\n" in capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["report", str(workspace.out), "--file", str(page)]) == ExitCode.OK
    text = page.read_text()
    assert "Not complete: 1 other file missing, changed or no longer wanted" in text
    assert "0 of 3" not in text


def test_i15_8_a_report_without_a_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = small_workspace(tmp_path)
    workspace.run()
    place = str(tmp_path / "none/a.html")
    assert main(["report", str(workspace.out), "--file", place]) == ExitCode.BAD_INPUT
    assert f"there is no folder {tmp_path}/none" in capsys.readouterr().err


def test_i15_8_two_paths_to_verify(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", "my", "data"])
    assert ended.value.code == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "'data' is one path too many; put a path with spaces into quotes" in said


def test_i15_8_every_count_has_a_meaning_on_the_page(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    workspace.write()
    counts = preview_run(workspace.options()).counts()
    assert counts.keys() <= {str(name) for name in _MEANING}
    known = load_schema("report")["properties"]["counts"]["propertyNames"]["enum"]
    assert counts.keys() <= set(known)
