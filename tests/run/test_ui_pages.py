"""The pages on which a manifest is opened, edited and saved."""

from __future__ import annotations

import json
import os
import sys

import pytest
from spreadsheets import workbook
from workspace import small_workspace

pytest.importorskip("streamlit", reason="needs the extra ui")
from streamlit.testing.v1 import AppTest

import spimpack_tasks
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import prepare_run

VIEWS = ("description", "scans", "orientation", "participants", "save", "publish")
APP = os.path.join(os.path.dirname(spimpack_tasks.__file__), "ui", "app.py")


def show(manifest: str, root: str, name: str) -> None:
    from importlib import import_module

    import streamlit as st

    from spimpack_tasks.editing.editor import open_manifest
    from spimpack_tasks.ui import jumps, session
    from spimpack_tasks.ui.shell import show_page

    names = ("description", "scans", "participants", "save", "run")
    pages = {each: st.Page(lambda: None, title=each, url_path=each) for each in names}
    st.session_state["pages"] = pages
    st.navigation(list(pages.values()), position="hidden")
    editor = st.session_state.setdefault("editor", open_manifest(manifest, (root,)))
    if "pick" in st.session_state:
        jumps.jump_to(*st.session_state.pop("pick"))
    session.show_notice()
    show_page(import_module(f"spimpack_tasks.ui.views.{name}"), editor)


@pytest.fixture
def space(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    workspace = small_workspace(tmp_path / "study")
    workspace.write()
    workspace.manifest.write_text(
        "dataset_description:\n  Name: Test\n  BIDSVersion: 1.10.0\n  DatasetType: raw\n"
        "  License: CC0\nscans_tsv: scans.tsv\n"
    )
    return workspace


def open_page(space, name: str, line: int = 0) -> AppTest:
    arguments = (str(space.manifest), str(space.root), name)
    page = AppTest.from_function(show, args=arguments, default_timeout=60)
    if line:
        page.session_state["pick"] = (str(space.root / "scans.tsv"), line)
    return well(page.run())


def well(page: AppTest) -> AppTest:
    assert not page.exception, [each.value for each in page.exception]
    return page


def press(page: AppTest, label: str) -> AppTest:
    (button,) = [button for button in page.button if button.label == label]
    return well(button.click().run())


def text_of(page: AppTest, file: str) -> str:
    editor = page.session_state["editor"]
    return editor.files.text(os.path.join(editor.folder, file))


def rows_of(page: AppTest) -> list[dict[str, str]]:
    return [row.cells for row in page.session_state["editor"].rows]


# --- every page, whatever the files are

STATES = {
    "as it is": lambda root: root,
    "no tables": lambda root: [path.unlink() for path in root.glob("*.tsv")],
    "empty manifest": lambda root: (root / "manifest.yml").write_text(""),
    "a list": lambda root: (root / "manifest.yml").write_text("- a\n"),
    "no YAML": lambda root: (root / "manifest.yml").write_text("a: [\n"),
    "values of other types": lambda root: (root / "manifest.yml").write_text(
        "dataset_description:\n  Name: [a]\n  Authors: {a: 1}\n  SourceDatasets: x\n  License: 1\n"
        "sidecar_defaults: 3\nscans_tsv: 1\n"
    ),
    "comma-separated": lambda root: (root / "scans.tsv").write_text("subject,sample\n01,brain\n"),
    "an image that is not there": lambda root: (root / "raw" / "a.ims").unlink(),
    "columns of one name": lambda root: (root / "scans.tsv").write_text("a\ta\t\n1\t2\t3\n"),
    "columns of our names": lambda root: (root / "scans.tsv").write_text("!\tsubject\n1\t2\n"),
    "not text": lambda root: (root / "scans.tsv").write_bytes(b"\xff\x00"),
    "Markdown and HTML": lambda root: (root / "scans.tsv").write_text(
        "subject\tspim_path\t<b>x</b>\n[a](b)\t`c` :red[d]\t$e$ **f**\n"
    ),
    "no participants": lambda root: (root / "participants.tsv").write_text("age\n1\n"),
}


@pytest.mark.few(26)
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("state", STATES)
def test_a_page_shows_what_there_is(space, name, state):
    STATES[state](space.root)
    open_page(space, name)


@pytest.mark.parametrize("name", VIEWS)
def test_a_page_changes_nothing_by_being_shown(space, name):
    page = open_page(space, name, 3)
    well(page.run())
    assert page.session_state["editor"].is_saved


@pytest.mark.parametrize("name", ["description", "scans", "participants", "save"])
def test_problems_are_those_of_the_command_line(space, name):
    path = space.root / "scans.tsv"
    path.write_text(path.read_text().replace("RPI", "RPX").replace("\t01\t", "\t*_1\t"))
    lines = prepare_run(Options(str(space.manifest), "", writes=False)).report.lines(verbose=True)
    assert len(lines) > 3
    page = open_page(space, name)
    (toggle,) = [each for each in page.toggle if each.label == "As text"]
    well(toggle.set_value(True).run())
    assert page.code[0].value.splitlines() == lines


def test_a_problem_leads_to_its_row(space):
    path = space.root / "scans.tsv"
    path.write_text(path.read_text().replace("raw/b.ome.zarr", "raw/none.ome.zarr"))
    page = open_page(space, "scans")
    (button,) = [b for b in page.button if b.label.startswith("scans\\.tsv\\:3\\:")]
    well(button.click().run())
    assert any("**Row 2** of 3" in each.value for each in page.markdown)


# --- the description


def test_fields_of_the_description(space):
    page = open_page(space, "description")
    page.text_input(key="description-Name").set_value("Mouse: brains").run()
    page.text_area(key="description-Authors").set_value("A One\nB Two\n").run()
    page.selectbox(key="description-DatasetType").set_value("derivative").run()
    page.text_input(key="description-SourceDatasets-0-URL").set_value("bids::raw").run()
    well(page.text_input(key="description-SourceDatasets-0-DOI").set_value("10.1/x").run())
    assert text_of(page, "manifest.yml") == (
        "dataset_description:\n  Name: 'Mouse: brains'\n  BIDSVersion: 1.10.0\n"
        "  DatasetType: derivative\n  License: CC0\n  Authors:\n  - A One\n  - B Two\n"
        "  SourceDatasets:\n  - URL: bids::raw\n    DOI: 10.1/x\nscans_tsv: scans.tsv\n"
    )
    page.session_state["editor"].undo()
    well(page.run())
    assert page.text_input(key="description-SourceDatasets-0-DOI").value == ""


def test_a_field_that_is_needed_stays_when_it_is_emptied(space):
    page = open_page(space, "description")
    well(page.text_input(key="description-Name").set_value("").run())
    assert "  Name: ''\n" in text_of(page, "manifest.yml")


def test_keys_that_all_images_share(space):
    page = open_page(space, "description")
    page.selectbox(key="shared-new").set_value("InstitutionName").run()
    well(page.text_input(key="shared-InstitutionName").set_value("Robarts").run())
    assert "sidecar_defaults:\n  InstitutionName: Robarts\n" in text_of(page, "manifest.yml")


def test_a_manifest_that_cannot_be_edited_here_says_so(space):
    space.manifest.write_text("dataset_description: &x\n  Name: a\n  Name: b\n")
    page = open_page(space, "description")
    well(page.text_input(key="description-License").set_value("CC0").run())
    assert "text editor" in page.info[0].value
    assert page.session_state["editor"].is_saved


# --- the scans


def test_the_form_of_a_row(space):
    page = open_page(space, "scans", 3)
    assert any("**Row 2** of 3" in each.value for each in page.markdown)
    page.selectbox(key="cell-1-orientation_string_xyz").set_value("LPS").run()
    page.text_input(key="cell-1-subject").set_value("07").run()
    page.selectbox(key="stain-1-0").set_value("Iba1").run()
    well(page.selectbox(key="stain-1-1").set_value("NeuN").run())
    row = rows_of(page)[1]
    assert (row["orientation_string_xyz"], row["subject"]) == ("LPS", "07")
    assert row["sample_staining"] == "Iba1;NeuN"
    assert rows_of(page)[0]["sample_staining"] == "YoPro;Abeta"


def test_rows_come_and_go(space):
    page = open_page(space, "scans", 3)
    press(page, "Copy settings")
    added = rows_of(page)[2]
    assert (added["subject"], added["spim_path"], added["Species"]) == ("", "", "mouse")
    press(page, "Add row")
    assert len(rows_of(page)) == 5
    press(page, "Remove")
    assert [row["subject"] for row in rows_of(page)] == ["01", "", "03", ""]


def test_columns_come_and_go(space):
    page = open_page(space, "scans")
    page.selectbox(key="column-new").set_value("Magnification").run()
    press(page, "Add")
    assert "Magnification" in rows_of(page)[0]
    page.selectbox(key="column-gone").set_value("Species").run()
    press(page, "Remove it with its cells")
    assert "Species" not in rows_of(page)[0]


def test_empty_cells_are_filled_from_the_header(space):
    path = space.root / "scans.tsv"
    path.write_text(path.read_text().replace("1.8;1.8;4", "").replace("um", ""))
    page = open_page(space, "scans", 3)
    press(page, "Fill empty cells from the image")
    assert rows_of(page)[1]["PixelSize"] == "1.8;1.8;4"
    assert rows_of(page)[0]["PixelSize"] == ""


def test_images_are_added_from_the_browser(space):
    space.add_source("sub-09_brain.ome.zarr")
    page = press(open_page(space, "scans"), "Add images")
    press(page, "raw")
    (box,) = [box for box in page.checkbox if "sub\\-09" in box.label]
    well(box.check().run())
    press(page, "Choose 1 image")
    assert rows_of(page)[-1]["spim_path"] == "raw/sub-09_brain.ome.zarr"
    assert rows_of(page)[-1]["subject"] == "09"


def test_a_table_of_images_is_imported(space):
    page = press(open_page(space, "scans"), "Import a table")
    rows = [["spim_path", "Species"], ["raw/a.ims", "vole"], ["raw/new.ims", "rat"]]
    well(page.file_uploader[0].upload("scans.xlsx", workbook(rows)).run())
    press(page, "Take over")
    assert [row["Species"] for row in rows_of(page)] == ["vole", "mouse", "rat", "rat"]


def test_inline_images_are_moved(space):
    (space.root / "scans.tsv").unlink()
    space.manifest.write_text(
        space.manifest.read_text().replace(
            "scans_tsv: scans.tsv",
            "datasets:\n- assets:\n  - {subject: '01', sample: brain, spim_path: raw/a.ims,\n"
            "     orientation_string_xyz: RPI, sample_staining: [a, b]}",
        )
    )
    page = press(open_page(space, "scans"), "Move them into the scans table")
    assert rows_of(page)[0]["sample_staining"] == "a;b"


# --- the participants


def test_participants_are_taken_from_the_scans(space):
    (space.root / "participants.tsv").unlink()
    page = press(open_page(space, "participants"), "Add 3 subjects of the scans")
    assert text_of(page, "participants.tsv").splitlines()[1:] == [
        f"sub-{label}\t\t\t\t" for label in ("01", "02", "03")
    ]


def test_participants_without_scans_go_when_asked_to(space):
    with (space.root / "participants.tsv").open("a") as file:
        file.write("sub-99\t\n")
    page = press(open_page(space, "participants"), "Remove 1 participant without scans")
    assert "sub-99" not in text_of(page, "participants.tsv")


def test_a_table_of_participants_is_imported(space):
    page = press(open_page(space, "participants"), "Import a table")
    rows = [["Mouse", "Sex"], ["01", "F"], ["04", "M"]]
    well(page.file_uploader[0].upload("mice.xlsx", workbook(rows)).run())
    press(page, "Take over")
    lines = text_of(page, "participants.tsv").splitlines()
    assert lines[0] == "participant_id\tgenotype\tsex"
    assert lines[1] == "sub-01\twt\tF"
    assert lines[-1] == "04\t\tM"


# --- saving


def test_saving_shows_the_difference_first(space):
    page = open_page(space, "save")
    assert "All is saved" in page.success[0].value
    page.session_state["editor"].set_cells({(0, "Species"): "vole"})
    well(page.run())
    assert page.code[0].value == "line 2, Species: mouse -> vole"
    (toggle,) = [each for each in page.toggle if each.label == "Whole lines"]
    well(toggle.set_value(True).run())
    assert "+raw/a.ims" in page.code[1].value
    assert "vole" not in (space.root / "scans.tsv").read_text()
    press(page, "Save 1 file")
    assert "vole" in (space.root / "scans.tsv").read_text()
    assert "Saved scans.tsv" in page.info[0].value.replace("\\", "")


def test_what_somebody_else_changed_is_said_and_kept(space):
    page = open_page(space, "save")
    page.session_state["editor"].set_cells({(0, "Species"): "vole"})
    well(page.run())
    (space.root / "scans.tsv").write_text("theirs\n")
    press(page, "Save 1 file")
    assert "someone else" in page.error[0].value
    assert (space.root / "scans.tsv").read_text() == "theirs\n"


def test_discarding_can_be_undone(space):
    page = open_page(space, "save")
    editor = page.session_state["editor"]
    editor.set_cells({(0, "Species"): "vole"})
    well(page.run())
    press(page, "Discard all edits")
    assert editor.is_saved
    editor.undo()
    assert "vole" in text_of(page, "scans.tsv")


# --- the app as a whole


@pytest.fixture
def open_app(space, monkeypatch):
    def open_it(*arguments: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["app.py", "--root", str(space.root), *arguments])
        return well(AppTest.from_file(APP, default_timeout=60).run())

    return open_it


def test_edits_survive_a_reload(space, open_app):
    page = open_app("--manifest", str(space.manifest))
    assert page.title[0].value == "Scans"
    page.session_state["editor"].set_cells({(0, "Species"): "vole"})
    well(page.run())
    again = open_app("--manifest", str(space.manifest))
    assert "not saved are here again" in again.info[0].value
    assert "vole" in text_of(again, "scans.tsv")
    again.session_state["editor"].save()
    well(again.run())
    assert open_app("--manifest", str(space.manifest)).session_state["editor"].is_saved


def test_a_manifest_is_opened_from_the_first_page(space, open_app):
    page = open_app()
    assert page.title[0].value == "Open"
    press(page, "manifest\\.yml")
    assert page.session_state["editor"].manifest == str(space.manifest)


def test_a_manifest_is_begun_on_the_first_page(space, open_app):
    page = open_app()
    page.text_input(key="new-name").set_value("new.yml").run()
    press(page, "Choose the folder study")
    assert page.session_state["editor"].manifest == str(space.root / "new.yml")
    assert not (space.root / "new.yml").exists()


def test_a_name_that_leads_out_is_refused(open_app):
    page = open_app()
    page.text_input(key="new-name").set_value("../../evil.yml").run()
    press(page, "Choose the folder study")
    assert "outside the folders" in page.error[0].value


def test_a_manifest_that_cannot_be_opened_is_said_in_words(space, open_app):
    page = open_app("--manifest", str(space.root / "none.yml"))
    assert "does not exist" in page.error[0].value
    page = open_app("--manifest", "/etc/passwd")
    assert "outside the folders" in page.error[0].value


def test_undo_in_the_side_bar(space, open_app):
    page = open_app("--manifest", str(space.manifest))
    press(page, "Add row")
    assert len(rows_of(page)) == 4
    press(page, "Undo")
    assert len(rows_of(page)) == 3


# --- recent manifests


def recent(page: AppTest) -> dict[str, bool]:
    """Return the recent manifests, and whether each can be opened."""
    found = [b for b in page.button if (b.key or "").startswith("recent-")]
    return {b.key.removeprefix("recent-"): not b.disabled for b in found}


def test_i15_5_recent_manifests_are_offered(space, open_app, tmp_path):
    assert recent(open_app()) == {}
    other = space.root / "other.yml"
    other.write_text(space.manifest.read_text())
    for path in (other, space.manifest, other, space.manifest):
        open_app("--manifest", str(path))
    page = open_app()
    assert list(recent(page)) == [str(space.manifest), str(other)]
    (button,) = [b for b in page.button if b.key == f"recent-{other}"]
    well(button.click().run())
    assert page.session_state["editor"].manifest == str(other)
    assert page.title[0].value == "Scans"
    state = tmp_path / "state" / "spimpack"
    assert (state / "recent.json").stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700


def test_i15_5_a_recent_manifest_that_is_gone_is_marked_and_can_be_forgotten(space, open_app):
    open_app("--manifest", str(space.manifest))
    space.manifest.unlink()
    page = open_app()
    assert recent(page) == {str(space.manifest): False}
    assert any("not there any more" in each.value for each in page.caption)
    (button,) = [b for b in page.button if b.key == f"forget-{space.manifest}"]
    well(button.click().run())
    assert recent(page) == recent(open_app()) == {}


def test_i15_5_a_recent_manifest_outside_the_roots_is_not_looked_at(open_app, tmp_path):
    state = tmp_path / "state" / "spimpack"
    state.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere.yml"
    elsewhere.write_text("")
    (state / "recent.json").write_text(json.dumps([str(elsewhere), 7, "/etc/passwd"]))
    assert recent(open_app()) == {str(elsewhere): False, "/etc/passwd": False}


@pytest.mark.parametrize("text", ["", "{", "{}", "null", "\ud800"], ids=ascii)
def test_i15_5_a_damaged_list_of_manifests_counts_as_empty(space, open_app, tmp_path, text):
    state = tmp_path / "state" / "spimpack"
    state.mkdir(parents=True)
    (state / "recent.json").write_bytes(text.encode(errors="surrogatepass"))
    assert recent(open_app("--manifest", str(space.manifest))) == {}
    assert list(recent(open_app())) == [str(space.manifest)]


def test_i15_5_the_first_page_leads_to_the_scan_of_a_folder(open_app):
    page = open_app()
    assert "**From a folder of images**" in [link.proto.label for link in page.get("page_link")]
