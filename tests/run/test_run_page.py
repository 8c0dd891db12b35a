"""The page Run: what would change, the run itself, and what came of it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_progress_line import SLOW, slow_workspace
from workspace import Workspace, small_workspace

pytest.importorskip("streamlit", reason="needs the extra ui")
from streamlit.testing.v1 import AppTest

from spimpack_tasks.running import request
from spimpack_tasks.running.process import RUNS
from spimpack_tasks.ui import run_options
from spimpack_tasks.ui.views import run as page_module

PATIENCE_S = 120


def show(manifest: str, root: str) -> None:
    import streamlit as st

    from spimpack_tasks.editing.editor import open_manifest
    from spimpack_tasks.ui.views import report, run

    names = ("run", "save", "description", "participants", "scans", "report")
    pages = {name: st.Page(lambda: None, title=name, url_path=name) for name in names}
    st.session_state["pages"] = pages
    st.navigation(list(pages.values()), position="hidden")
    editor = st.session_state.setdefault("editor", open_manifest(manifest, (root,)))
    if st.session_state.get("edit"):
        editor.set_cells({(0, "Species"): "vole"})
    (report if st.session_state.get("report") else run).show(editor)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = small_workspace(tmp_path / "study")
    workspace.write()
    yield workspace
    end_run(workspace)


def end_run(workspace: Workspace) -> None:
    run = RUNS.find(str(output_of(workspace)))
    if run is not None:
        run.stop()
        run.wait(PATIENCE_S)


def output_of(workspace: Workspace) -> Path:
    return workspace.root / "bids"


def open_page(workspace: Workspace) -> AppTest:
    arguments = (str(workspace.manifest), str(workspace.root.parent))
    page = AppTest.from_function(show, args=arguments, default_timeout=60).run()
    assert not page.exception
    return page


def press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception
    return page


def keys(page: AppTest) -> set[str]:
    return {button.key for button in page.button}


def said(page: AppTest) -> str:
    return "\n".join(text.value.replace("\\", "") for text in page.markdown)


def wait(workspace: Workspace) -> int | None:
    run = RUNS.find(str(output_of(workspace)))
    assert run is not None
    return run.wait(PATIENCE_S)


def test_first_the_changes_then_the_run_then_what_came_of_it(workspace: Workspace) -> None:
    page = open_page(workspace)
    assert page.text_input(key="run-output").value == str(output_of(workspace))
    assert page.code[0].value.startswith("spimpack package --manifest=")
    assert "run-start" not in keys(page)
    page = press(page, "run-look")
    assert [(metric.label, metric.value) for metric in page.metric] == [("new", "3")]
    assert "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ims" in list(
        page.dataframe[0].value["In the dataset"]
    )
    assert not output_of(workspace).exists()
    page = press(page, "run-start")
    assert wait(workspace) == 0
    page.run()
    assert page.success[0].value.startswith("Every image is in the dataset.")
    assert any(f"Packaged {output_of(workspace)}: 3 new" in code.value for code in page.code)
    assert (output_of(workspace) / "dataset_description.json").exists()
    page = press(page, "run-look")
    assert any("Nothing would change" in success.value for success in page.success)


def test_what_validation_says_is_shown_and_nothing_can_be_run(workspace: Workspace) -> None:
    workspace.rows[0]["subject"] = "0-1"
    workspace.write()
    page = press(open_page(workspace), "run-look")
    assert "run-start" not in keys(page)
    assert "[value.label]" in said(page)


def test_a_conflict_is_shown_and_can_be_overwritten(workspace: Workspace) -> None:
    output_of(workspace).mkdir()
    (output_of(workspace) / "participants.tsv").write_text("mine")
    page = press(open_page(workspace), "run-look")
    assert "run-start" not in keys(page)
    assert "[conflict.foreign]" in said(page)
    page.toggle(key="run-overwrite").set_value(True).run()
    assert any("are lost" in caption.value for caption in page.caption)
    page = press(page, "run-look")
    assert "run-start" in keys(page)


def test_edits_are_saved_first(workspace: Workspace) -> None:
    page = press(open_page(workspace), "run-look")
    assert "run-start" in keys(page)
    page.session_state["edit"] = True
    page.run()
    assert "Save your edits first" in page.warning[0].value
    assert page.button(key="run-look").disabled
    assert "run-start" not in keys(page)


def test_inputs_that_are_saved_anew_are_looked_at_anew(workspace: Workspace) -> None:
    page = press(open_page(workspace), "run-look")
    workspace.rows.pop()
    workspace.participants.pop()
    workspace.write()
    page.run()
    assert "run-start" not in keys(page)
    assert press(page, "run-look").metric[0].value == "2"


@pytest.mark.parametrize("path", ["/etc", "../../out", "out/../../../x", "~", "a\0b"])
def test_an_output_outside_the_roots_is_refused(path: str, workspace: Workspace) -> None:
    page = open_page(workspace)
    page.text_input(key="run-output").input(path).run()
    assert not page.exception
    assert "is outside the folders" in page.error[0].value
    assert "run-look" not in keys(page)


def test_an_output_is_relative_to_the_manifest(workspace: Workspace) -> None:
    page = open_page(workspace)
    page.text_input(key="run-output").input("other name/bids").run()
    assert f"'--output-dir={workspace.root}/other name/bids'" in page.code[0].value


def test_options_are_those_of_the_command_line(workspace: Workspace) -> None:
    page = open_page(workspace)
    page.selectbox(key="run-backend").select("copy").run()
    assert page.toggle(key="run-relative").disabled
    assert page.toggle(key="run-sources").disabled
    page.selectbox(key="run-backend").select("ome-tiff").run()
    page.toggle(key="run-sources").set_value(True).run()
    assert page.code[0].value.partition("--backend=")[2] == (
        "ome-tiff --keep-source-links --bids-validator"
    )
    page.selectbox(key="run-backend").select("symlink-tree").run()
    page.toggle(key="run-relative").set_value(True).run()
    page.toggle(key="run-validates").set_value(False).run()
    page.number_input(key="run-workers").set_value(2).run()
    assert page.code[0].value.endswith("--backend=symlink-tree --workers=2 --relative-symlinks")


def test_a_folder_is_browsed_for(workspace: Workspace) -> None:
    page = open_page(workspace)
    next(button for button in page.button if button.label == "Browse").click().run()
    assert not page.exception
    page = press(page, f"run-browse-enter-{workspace.root / 'raw'}")
    page = press(page, "run-browse-this")
    assert page.text_input(key="run-output").value == str(workspace.root / "raw")
    assert "run-browse-this" not in keys(page)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Twenty images, each of which takes a while."""
    workspace = slow_workspace(tmp_path / "study")
    command = [sys.executable, "-c", SLOW]
    monkeypatch.setattr(request.RunRequest, "command", lambda self: [*command, *self.arguments()])
    yield workspace
    end_run(workspace)


def test_a_run_is_found_again_and_stopped(slow: Workspace) -> None:
    page = press(press(open_page(slow), "run-look"), "run-start")
    assert "run-stop" in keys(page)
    assert "run-look" not in keys(page)
    again = open_page(slow)  # another tab, or the page reloaded
    assert "run-stop" in keys(again)
    run = RUNS.find(str(output_of(slow)))
    deadline = time.monotonic() + PATIENCE_S
    while not run.progress().done:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    press(again, "run-stop")
    assert wait(slow)
    page.run()
    assert "Stopped. Finished parts are kept" in page.warning[0].value
    page = press(page, "run-look")
    counts = {metric.label: int(metric.value) for metric in page.metric}
    assert 0 < counts["new"] <= 20


def test_two_tabs_start_one_run(slow: Workspace) -> None:
    page = press(open_page(slow), "run-look")
    other = press(open_page(slow), "run-look")
    page = press(page, "run-start")
    first = RUNS.find(str(output_of(slow)))
    other = press(other, "run-start")
    assert "run-stop" in keys(other)
    assert RUNS.find(str(output_of(slow))) is first
    assert "run-stop" in keys(page.run())


def test_a_missing_validator_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (page_module, run_options):
        monkeypatch.setattr(module, "why_no_validator", lambda: "it is not installed")
    page = open_page(workspace)
    assert page.toggle(key="run-validates").disabled
    assert not page.toggle(key="run-validates").value
    assert any("it is not installed" in caption.value for caption in page.caption)


def test_i15_5_settings_and_switches_of_a_run(workspace: Workspace) -> None:
    page = open_page(workspace)
    page.selectbox(key="run-backend").select("ome-zarr").run()
    page.selectbox(key="run-setting-ome-zarr-codec").select("blosc").run()
    for key in ("run-previews", "run-strict", "run-checksum"):
        page.toggle(key=key).set_value(True).run()
    page.toggle(key="run-validates").set_value(False).run()
    page.multiselect(key="run-subjects").set_value(["02"]).run()
    assert not page.exception
    assert page.code[0].value.partition("--backend=")[2] == (
        "ome-zarr:codec=blosc --subject 02 --previews --strict --checksum"
    )


def test_i15_5_settings_are_those_of_the_manifest(workspace: Workspace) -> None:
    manifest = workspace.manifest
    text = manifest.read_text()[:-1]
    settings = '"settings": {"codec": "blosc", "ngff": "0.4"}'
    manifest.write_text(f'{text}, "backend": "ome-zarr", {settings}, "strict": true}}')
    page = open_page(workspace)
    assert page.selectbox(key="run-setting-ome-zarr-codec").value == "blosc"
    assert page.selectbox(key="run-setting-ome-zarr-ngff").value == "0.4"
    assert page.toggle(key="run-strict").value
    assert "--backend" not in page.code[0].value
    page.toggle(key="run-strict").set_value(False).run()
    assert page.code[0].value.endswith("--bids-validator --no-strict")


def test_i15_5_choices_are_kept_in_the_manifest(workspace: Workspace) -> None:
    before = "# mine\ndataset_description: {Name: a, BIDSVersion: 1.10.0}\nscans_tsv: scans.tsv\n"
    workspace.manifest.write_text(before + "checksum: true  # slow\n")
    page = open_page(workspace)
    page.selectbox(key="run-backend").select("ome-zarr").run()
    page.selectbox(key="run-setting-ome-zarr-codec").select("blosc").run()
    page.toggle(key="run-previews").set_value(True).run()
    keep = next(b for b in page.button if b.label == "Keep these choices in the manifest")
    keep.click().run()
    assert not page.exception
    editor = page.session_state["editor"]
    assert editor.files.text(editor.manifest) == (
        f"{before}checksum: true  # slow\nbackend: ome-zarr\nsettings:\n  codec: blosc\n"
        "previews: true\n"
    )
    assert workspace.manifest.read_text() == before + "checksum: true  # slow\n"
    editor.undo()
    assert editor.is_saved  # it was one edit


def test_i15_5_a_backend_that_the_manifest_names_by_mistake(workspace: Workspace) -> None:
    workspace.manifest.write_text(f'{workspace.manifest.read_text()[:-1]}, "backend": "omezarr"}}')
    page = open_page(workspace)
    assert page.selectbox(key="run-backend").value == "symlink"
    assert page.code[0].value.partition("--backend=")[2].startswith("symlink")


def test_i15_6_the_report_opens_on_a_page_of_its_own(workspace: Workspace) -> None:
    page = open_page(workspace)
    page.session_state["report"] = True
    page.run()
    assert "There is no dataset in" in page.info[0].value
    page.session_state["report"] = False
    page.run()
    page = press(press(page, "run-look"), "run-start")
    assert wait(workspace) == 0
    page.run()
    links = [link.proto.label for link in page.get("page_link")]
    assert "Show report" in links
    page.session_state["report"] = True
    page.run()
    assert not page.exception
    (frame,) = page.get("iframe")
    assert "Complete: every output is in place" in frame.proto.srcdoc
    assert "sub-01_sample-brain_acq-4x_SPIM.ims" in frame.proto.srcdoc
    assert not re.search(r"https?://(?!127)|<script|<link", frame.proto.srcdoc)
    page.text_input(key="report-filter").set_value("sub-02").run()
    (frame,) = page.get("iframe")
    assert frame.proto.srcdoc.count("<tr><td>sub-") == 1


def test_i15_6_a_report_outside_the_roots_is_refused(workspace: Workspace) -> None:
    page = open_page(workspace)
    page.text_input(key="run-output").input("/etc").run()
    page.session_state["report"] = True
    page.run()
    assert "is outside the folders" in str(page.exception[0].value)
