"""The page of the orientation: what it shows of a row's image, and what it writes back."""

import os
import sys

import pytest

from spimpack_tasks.demo.images import DemoImage, write_imaris, write_ome_zarr
from spimpack_tasks.editing.editor import open_manifest
from spimpack_tasks.editing.orientation_edit import (
    StainRefusedError,
    cells_for,
    first_code,
    first_stains,
)
from spimpack_tasks.qc import volume as volumes
from spimpack_tasks.volumes.header import Header

testing = pytest.importorskip("streamlit.testing.v1", reason="the extra ui is not installed")

IMAGE = DemoImage(("YoPro", "Abeta"), (6, 20, 30), (4.0, 1.8, 1.8), levels=1)
TABLE = """\
subject\tsample\tspim_path\torientation_string_xyz\tsample_staining
01\tbrain\ta.ims\tRPI\tautof;NeuN
02\tbrain\tb.ome.zarr\t\t
03\tbrain\tgone.ims\tRPI\tYoPro
04\tbrain\t\tRPI\tYoPro
05\tbrain\t/etc/hosts.tif\tRPI\tYoPro
"""


def script():
    import streamlit as st

    from spimpack_tasks.errors import SpimpackError
    from spimpack_tasks.ui.session import show_notice
    from spimpack_tasks.ui.views import orientation

    show_notice()
    try:
        orientation.show(st.session_state["editor"])
    except SpimpackError as error:
        st.error(str(error))


@pytest.fixture
def editor(tmp_path):
    write_imaris(tmp_path / "a.ims", IMAGE)
    write_ome_zarr(tmp_path / "b.ome.zarr", IMAGE, ngff="0.4")
    (tmp_path / "scans.tsv").write_text(TABLE)
    (tmp_path / "manifest.yml").write_text("scans_tsv: scans.tsv\n")
    return open_manifest(str(tmp_path / "manifest.yml"), (str(tmp_path),))


@pytest.fixture
def page(editor):
    import streamlit as st

    st.cache_resource.clear()
    app = testing.AppTest.from_function(script, default_timeout=20)
    app.session_state["editor"] = editor
    return app.run()


def choose_row(page, number):
    return page.selectbox(key="orient-row").select_index(number).run()


def no_trouble(page):
    return not page.exception and not page.error


def test_the_row_is_shown_with_its_code_and_stains(page):
    assert no_trouble(page)
    assert page.selectbox(key="orient-code-0").value == "RPI"
    assert [field.value for field in page.text_input] == ["autof", "NeuN"]
    assert (
        "x runs to the right, y to the posterior, z to the inferior side" in page.markdown[0].value
    )
    labels = [slider.label for slider in page.slider if "%" not in slider.label]
    assert labels[:3] == [
        "Axial: inferior to superior",
        "Coronal: posterior to anterior",
        "Sagittal: left to right",
    ]
    assert len(pictures(page)) == 3


def pictures(page):
    """Return what stands for the content of each picture: its address in Streamlit's store."""
    return [image.proto.imgs[0].url for image in page.get("image")]


def test_an_empty_row_begins_with_what_the_header_says(page):
    choose_row(page, 1)
    assert no_trouble(page)
    assert page.selectbox(key="orient-code-1").value == "RAS"
    assert [field.value for field in page.text_input] == ["YoPro", "Abeta"]


def test_what_looks_right_is_written_into_the_row(page, editor):
    page.selectbox(key="orient-code-0").select("LAS").run()
    assert editor.is_saved
    page.text_input(key="orient-stain-0-1").input("Iba1").run()
    page.button(key="orient-right").click().run()
    assert no_trouble(page)
    cells = editor.rows[0].cells
    assert (cells["orientation_string_xyz"], cells["sample_staining"]) == ("LAS", "autof;Iba1")
    assert "orientation_string_xyz is LAS" in page.info[0].value.replace("\\", "")
    assert editor.rows[1:] == open_manifest(editor.manifest, editor.roots).rows[1:]
    editor.undo()
    assert editor.is_saved


def test_a_stain_that_is_two_is_refused(page, editor):
    page.text_input(key="orient-stain-0-0").input("a;b").run()
    page.button(key="orient-right").click().run()
    assert "is more than one stain" in page.error[0].value
    assert editor.is_saved


def test_sliders_channels_and_candidates_change_the_pictures(page):
    before = pictures(page)
    page.slider(key="orient-slice-0-2").set_value(20).run()
    moved = pictures(page)
    assert moved[0] != before[0]
    assert moved[1:] == before[1:]
    page.checkbox(key="orient-0-1-on").uncheck().run()
    assert not set(pictures(page)) & set(moved)
    page.color_picker(key="orient-0-0-colour").set_value("#ff0000").run()
    page.slider(key="orient-0-0-contrast").set_range(300, 800).run()
    page.multiselect(key="orient-compare-0").set_value(["LPS", "SAR"]).run()
    assert no_trouble(page)
    assert len(pictures(page)) == 6
    page.button(key="orient-take-0-SAR").click().run()
    assert no_trouble(page)
    assert page.selectbox(key="orient-code-0").value == "SAR"
    assert page.button(key="orient-take-0-SAR").disabled


def test_an_image_is_read_once_until_it_changes(page, editor, tmp_path, monkeypatch):
    read = []
    really = volumes.open_volume

    def watched(path, *rest, **named):
        read.append(path)
        return really(path, *rest, **named)

    monkeypatch.setattr(volumes, "open_volume", watched)
    page.slider(key="orient-slice-0-0").set_value(90).run()
    page.selectbox(key="orient-code-0").select("PIR").run()
    assert not read
    os.utime(tmp_path / "a.ims")
    page.run()
    assert len(read) == 1
    assert editor.is_saved


TROUBLE = {
    "missing": (2, "does not exist"),
    "outside": (4, "outside the folders that may be used here"),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_what_cannot_be_shown_is_said(case, page):
    number, says = TROUBLE[case]
    choose_row(page, number)
    assert not page.exception
    assert says in page.error[0].value


def test_a_row_without_an_image_is_told(page):
    choose_row(page, 3)
    assert no_trouble(page)
    assert "names no image" in page.info[0].value


def test_a_table_without_rows_is_told(page, editor):
    editor.remove_rows(range(len(editor.rows)))
    page.run()
    assert no_trouble(page)
    assert "no row yet" in page.info[0].value


def test_a_missing_library_is_told(page, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    page.run()
    assert not page.exception
    assert "pip install 'spimpack_tasks[images]'" in page.error[0].value


HEADER = Header(("c", "z", "y", "x"), ((2, 3, 4, 5),), "uint8", channel_count=2)
CHANNELS = ("autof", "")


def test_the_code_begins_with_that_of_the_row_then_of_the_header():
    known = Header(("z", "y", "x"), ((3, 4, 5),), "uint8", orientation_xyz="LPS")
    assert first_code({"orientation_string_xyz": " rpi"}, known) == "RPI"
    assert first_code({"orientation_string_xyz": "XYZ"}, known) == "LPS"
    assert first_code({}, HEADER) == "RAS"


STAINS = {
    "of the row": ("A;B", (), ["A", "B"]),
    "the row has fewer": ("A", ("x", "y"), ["A", "y"]),
    "the row has more": ("A;B;C", (), ["A", "B", "C"]),
    "of the header": ("", ("x", ""), ["x", ""]),
    "of nobody": ("", (), ["", ""]),
}


@pytest.mark.parametrize("case", STAINS)
def test_there_is_a_stain_for_each_channel(case):
    text, names, expected = STAINS[case]
    header = Header(HEADER.axes, HEADER.shapes, "uint8", channel_count=2, channel_names=names)
    assert first_stains({"sample_staining": text}, header) == expected


def test_the_cells_of_a_verdict():
    assert cells_for("RPI", [" A ", "B", ""]) == {
        "orientation_string_xyz": "RPI",
        "sample_staining": "A;B",
    }
    assert cells_for("RPI", ["", ""]) == {"orientation_string_xyz": "RPI"}
    for stains in (["", "B"], ["A;B"], ["A,B"]):
        with pytest.raises(StainRefusedError):
            cells_for("RPI", stains)
