"""The page that scans a folder: what it would take, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_ui_pages import press, rows_of, space, well  # noqa: F401 - a fixture
from tiny_images import write_tiny_image

pytest.importorskip("streamlit", reason="needs the extra ui")
from streamlit.testing.v1 import AppTest


def show(root: str, manifest: str) -> None:
    import streamlit as st

    from spimpack_tasks.editing.editor import open_manifest
    from spimpack_tasks.ui import session
    from spimpack_tasks.ui.views import scan

    names = ("start", "scan", "scans")
    pages = {name: st.Page(lambda: None, title=name, url_path=name) for name in names}
    st.session_state["pages"] = pages
    st.navigation(list(pages.values()), position="hidden")
    if manifest and "editor" not in st.session_state:
        st.session_state["editor"] = open_manifest(manifest, (root,))
    session.show_notice()
    scan.show_scan((root,), st.session_state.get("editor"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("M1/week4.ims", "M2/week4.ims", "M2/week8.ome.tif"):
        write_tiny_image(tmp_path / "root" / "raw" / name)
    (tmp_path / "root" / "raw" / "notes.txt").write_text("x")
    return tmp_path / "root"


def open_page(root: Path, manifest: str = "") -> AppTest:
    return well(AppTest.from_function(show, args=(str(root), manifest), default_timeout=60).run())


def fill(page: AppTest, **texts: str) -> AppTest:
    for name, text in texts.items():
        fields = [*page.text_input, *page.text_area]
        next(field for field in fields if field.key == f"scan-{name}").set_value(text).run()
    return well(page)


def said(page: AppTest) -> str:
    shown = [*page.info, *page.error, *page.warning]
    return "\n".join(each.value for each in shown).replace("\\", "")


def test_i15_5_a_folder_becomes_a_manifest(tree: Path) -> None:
    page = fill(open_page(tree), root=str(tree / "raw"), directory=str(tree / "study"))
    assert list(page.dataframe[0].value["Path"]) == [
        "M1/week4.ims",
        "M2/week4.ims",
        "M2/week8.ome.tif",
    ]
    assert "subject" not in page.dataframe[0].value
    page = fill(page, patterns="{subject}/week{session}", defaults="sample=brain\n\n")
    table = page.dataframe[0].value
    assert list(table["subject"]) == ["M1", "M2", "M2"]
    assert list(table["session"]) == ["4", "4", "8"]
    assert list(table["sample"]) == ["brain"] * 3
    assert page.dataframe[1].value.values.tolist() == [["notes.txt", "is of no known format"]]
    assert not (tree / "study").exists()
    page = fill(page, name="Mice", license="CC0")
    press(page, "Write manifest\\.yml and its tables into study")
    assert page.session_state["editor"].manifest == str(tree / "study" / "manifest.yml")
    text = (tree / "study" / "manifest.yml").read_text()
    assert '"{subject}/week{session}"' in text
    assert 'Name: "Mice"' in text
    assert [row["subject"] for row in rows_of(page)] == ["M1", "M2", "M2"]


def test_i15_5_rules_that_do_not_fit_are_named_and_nothing_is_written(tree: Path) -> None:
    page = fill(open_page(tree), root=str(tree / "raw"), directory=str(tree / "study"))
    page = fill(page, patterns="{subjct}/*")
    assert "did you mean 'subject'" in said(page)
    page = fill(page, patterns="{subject}/*", defaults="sample=brain")
    assert "makes sub-M2_sample-brain" in said(page)
    assert len(page.dataframe[0].value) == 3
    (button,) = [b for b in page.button if b.label.startswith("Write")]
    assert button.disabled
    (tree / "study").mkdir()
    (tree / "study" / "manifest.yml").write_text("mine")
    page = fill(page, patterns="{subject}/week{session}")
    press(page, "Write manifest\\.yml and its tables into study")
    assert "is there already" in said(page)
    assert (tree / "study" / "manifest.yml").read_text() == "mine"


def test_i15_5_the_scanned_folder_is_only_looked_at(tree: Path) -> None:
    page = fill(open_page(tree), root=str(tree / "raw"), directory=str(tree / "raw" / "M1"))
    assert "lies in the scanned folder" in said(page)


@pytest.mark.parametrize("folder", ["/etc", "../..", "~"])
def test_i15_5_a_folder_outside_the_roots_is_refused(tree: Path, folder: str) -> None:
    assert "outside the folders" in said(fill(open_page(tree), root=folder))
    page = fill(open_page(tree), root=str(tree / "raw"), directory=folder)
    assert "outside the folders" in said(page)


def test_i15_5_a_link_that_leads_out_is_named_and_not_read(tree: Path) -> None:
    write_tiny_image(tree.parent / "elsewhere" / "secret.ims")
    (tree / "raw" / "M1" / "week9.ims").symlink_to(tree.parent / "elsewhere" / "secret.ims")
    page = fill(open_page(tree), root=str(tree / "raw"), directory=str(tree / "study"))
    page = fill(page, patterns="{subject}/week{session}", defaults="sample=brain")
    assert "leads out of the folders" in said(page)
    assert next(b for b in page.button if b.label.startswith("Write")).disabled
    page = fill(page, excludes="week9*")
    assert not next(b for b in page.button if b.label.startswith("Write")).disabled


def test_i15_5_new_images_are_added_to_the_open_manifest(tree: Path) -> None:
    page = fill(open_page(tree), root=str(tree / "raw"), directory=str(tree / "study"))
    rules = {"patterns": "{subject}/week{session}", "defaults": "sample=brain"}
    press(fill(page, **rules), "Write manifest\\.yml and its tables into study")
    table = tree / "study" / "scans.tsv"
    before = table.read_text()
    write_tiny_image(tree / "raw" / "M3" / "week4.ims")
    page = open_page(tree, str(tree / "study" / "manifest.yml"))
    assert page.text_area(key="scan-patterns").value == "{subject}/week{session}"
    assert list(page.dataframe[0].value[""]) == ["in the table"] * 3 + ["new"]
    page = fill(page, defaults="sample=liver")
    press(page, "Add 1 new image to manifest\\.yml")
    assert [(r["subject"], r["sample"]) for r in rows_of(page)][2:] == [
        ("M2", "brain"),
        ("M3", "liver"),
    ]
    editor = page.session_state["editor"]
    assert editor.data["scan"]["default"] == ["sample=liver"]
    assert "sub-M3" in editor.files.text(editor.participants_table)
    assert table.read_text() == before
    assert editor.files.text(str(table)).startswith(before)


def test_i15_5_a_scan_that_is_refused_edits_nothing(space) -> None:  # noqa: F811
    space.add_source("01.ims")
    page = open_page(space.root, str(space.manifest))
    page = fill(page, root=str(space.root / "raw"), patterns="{subject}")
    page = fill(page, settings="sample=brain\nacquisition=4x")
    press(page, "Add 1 new image to manifest\\.yml")
    assert "which the table has for 'raw/a.ims'" in said(page)
    assert page.session_state["editor"].is_saved
