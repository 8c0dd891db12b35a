"""The browser of files in a page: what it offers, and what it returns."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_images import write_tiny_image

pytest.importorskip("streamlit", reason="needs the extra ui")
from streamlit.testing.v1 import AppTest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("mouse 2/left.ims", "mouse 10/right.ims", "a_b*.ims"):
        write_tiny_image(root / name)
    (root / "manifest.yml").write_text("x")
    (root / "notes.txt").write_text("x")
    (tmp_path / "secret").mkdir()
    (root / "out").symlink_to(tmp_path / "secret")
    return root


def show(root: str, wanted: str, start: str) -> None:
    import streamlit as st

    from spimpack_tasks.ui import file_browser

    chosen = file_browser.browse("b", [root], getattr(file_browser, wanted), start)
    st.session_state.setdefault("got", []).append(chosen)


def open_browser(root: Path, wanted: str, start: str = "") -> AppTest:
    page = AppTest.from_function(show, args=(str(root), wanted, start)).run()
    assert not page.exception
    return page


def offered(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def got(page: AppTest) -> list[str]:
    return page.session_state["got"][-1]


def press(page: AppTest, label: str) -> AppTest:
    page = next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def test_folders_are_entered_and_left(root: Path) -> None:
    page = open_browser(root, "IMAGE")
    top = offered(page)[0]
    assert offered(page)[1:] == ["mouse 2", "mouse 10", r"a\_b\*\.ims"]
    page = press(page, "mouse 2")
    assert offered(page)[1:] == ["mouse 2", r"left\.ims"]
    assert got(page) == []
    page = press(page, top)
    assert "mouse 10" in offered(page)


def test_an_image_is_chosen_by_one_click(root: Path) -> None:
    page = press(press(open_browser(root, "IMAGE"), "mouse 10"), r"right\.ims")
    assert got(page) == [str(root / "mouse 10" / "right.ims")]
    assert got(page.run()) == []


def test_several_images_are_chosen(root: Path) -> None:
    write_tiny_image(root / "mouse 2" / "right.ims")
    page = press(open_browser(root, "IMAGES"), "mouse 2")
    assert page.button(key="b-done").disabled
    page.checkbox[1].check().run()
    assert page.button(key="b-done").label == "Choose 1 image"
    page.button(key="b-all").click().run()
    page.button(key="b-done").click().run()
    assert got(page) == [str(root / "mouse 2" / name) for name in ("left.ims", "right.ims")]


def test_files_are_chosen_by_their_ending(root: Path) -> None:
    page = open_browser(root, "MANIFEST")
    assert r"notes\.txt" not in offered(page)
    assert got(press(page, r"manifest\.yml")) == [str(root / "manifest.yml")]


def test_a_folder_is_chosen(root: Path) -> None:
    page = press(open_browser(root, "FOLDER"), "mouse 2")
    assert got(press(page, "Choose the folder mouse 2")) == [str(root / "mouse 2")]


def test_names_are_searched(root: Path) -> None:
    page = open_browser(root, "IMAGE")
    page.text_input(key="b-part").input("MOUSE 1").run()
    assert offered(page)[1:] == ["mouse 10"]
    page = press(page, "mouse 10")
    assert page.text_input(key="b-part").value == ""
    assert r"right\.ims" in offered(page)


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        ("{root}/mouse 2", r"left\.ims"),
        ("{root}/mouse 2/left.ims", r"left\.ims"),
        ("  /{root}//mouse 2/ ", r"left\.ims"),
    ],
    ids=["folder", "image", "blanks and slashes"],
)
def test_a_path_is_typed(typed: str, seen: str, root: Path) -> None:
    page = open_browser(root, "IMAGE")
    page.text_input(key="b-part").input(typed.format(root=root)).run()
    assert seen in offered(page)
    assert page.text_input(key="b-part").value == ""


@pytest.mark.parametrize("typed", ["/etc", "/etc/passwd", "/not/there", "{root}/../secret", "~"])
def test_a_path_outside_is_refused_in_the_same_words(typed: str, root: Path) -> None:
    page = open_browser(root, "IMAGE")
    page.text_input(key="b-part").input(typed.format(root=root)).run()
    assert "is outside the folders that may be used here" in page.error[0].value
    assert offered(page) == []
    assert "mouse 2" in offered(page.run())


@pytest.mark.parametrize(
    ("start", "seen"),
    [
        ("mouse 2", r"left\.ims"),
        ("mouse 2/left.ims", r"left\.ims"),
        ("mouse 2/not/there", r"left\.ims"),
        ("../secret", "mouse 10"),
        ("out", "mouse 10"),
    ],
    ids=lambda text: text.replace("\\", ""),
)
def test_it_starts_where_it_may(start: str, seen: str, root: Path) -> None:
    assert seen in offered(open_browser(root, "IMAGE", start=f"{root}/{start}"))


def test_what_leads_out_is_shown_and_cannot_be_entered(root: Path) -> None:
    page = open_browser(root, "IMAGE")
    assert "out" not in offered(page)
    assert any("out: leads out of the folders" in caption.value for caption in page.caption)


def test_a_folder_outside_is_refused_whatever_a_browser_sends(root: Path) -> None:
    page = open_browser(root, "IMAGE")
    page.session_state["b-folder"] = str(root.parent / "secret")
    page.run()
    assert "is outside the folders" in page.error[0].value.replace("\\", "")
    assert "mouse 10" in offered(page.run())
