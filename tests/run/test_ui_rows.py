"""Rows of a table on the pages: a filter, ticks, one column set in many rows, and their check."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from test_ui_pages import open_page, press, rows_of, space, well  # noqa: F401 - a fixture

from spimpack_tasks.ui.run_options import SWITCHES


def shown(page):
    return list(page.dataframe[0].value["subject"])


def set_filter(page, text="", *, problems=False):
    page.text_input(key="scans-filter-text").set_value(text).run()
    return well(page.toggle(key="scans-filter-problems").set_value(problems).run())


def break_row(space, text="raw/b.ome.zarr", to="raw/none.ome.zarr"):  # noqa: F811
    path = space.root / "scans.tsv"
    path.write_text(path.read_text().replace(text, to))


def test_i15_5_rows_are_filtered_by_a_text_in_any_column(space):  # noqa: F811
    page = open_page(space, "scans")
    assert shown(page) == ["01", "02", "03"]
    assert shown(set_filter(page, "RAT")) == ["03"]
    assert shown(set_filter(page, "raw/b")) == ["02"]
    assert shown(set_filter(page, "nowhere")) == []
    assert shown(set_filter(page)) == ["01", "02", "03"]


def test_i15_5_rows_with_problems_stay_while_they_are_put_right(space):  # noqa: F811
    break_row(space)
    page = set_filter(open_page(space, "scans"), problems=True)
    assert shown(page) == ["02"]
    page.session_state["editor"].set_cells({(1, "spim_path"): "raw/b.ome.zarr"})
    well(page.run())
    assert shown(page) == ["02"]
    assert shown(set_filter(page)) == ["01", "02", "03"]
    assert shown(set_filter(page, problems=True)) == []


def test_i15_5_a_problem_of_a_row_that_the_filter_hides_leads_to_it(space):  # noqa: F811
    break_row(space)
    page = set_filter(open_page(space, "scans"), "rat")
    (button,) = [b for b in page.button if b.label.startswith("scans\\.tsv\\:3\\:")]
    well(button.click().run())
    assert shown(page) == ["01", "02", "03"]
    assert any("**Row 2** of 3" in each.value for each in page.markdown)


def test_i15_5_one_column_is_set_in_all_ticked_rows(space):  # noqa: F811
    page = press(set_filter(open_page(space, "scans"), "mouse"), "Tick all 2")
    page.selectbox(key="scans-set-column").set_value("orientation_string_xyz").run()
    assert any("RPI in 2" in each.value for each in page.caption)
    page.selectbox(key="scans-set-orientation_string_xyz").set_value("LPS").run()
    press(page, "Set it in 2 rows")
    assert [row["orientation_string_xyz"] for row in rows_of(page)] == ["LPS", "LPS", "RPI"]
    press(page, "Remove")
    assert [row["subject"] for row in rows_of(page)] == ["03"]


def test_i15_5_a_column_that_is_not_there_is_set(space):  # noqa: F811
    page = press(open_page(space, "scans"), "Tick all 3")
    page.selectbox(key="scans-set-column").set_value("Magnification").run()
    page.text_input(key="scans-set-Magnification").set_value(" 4 ").run()
    press(page, "Set it in 3 rows")
    assert [row["Magnification"] for row in rows_of(page)] == ["4", "4", "4"]
    page.session_state["editor"].undo()
    assert "Magnification" not in rows_of(page)[0]  # it was one edit


def test_i15_5_only_empty_cells_are_set(space):  # noqa: F811
    break_row(space, "\trat", "\t")
    page = press(open_page(space, "scans"), "Tick all 3")
    page.toggle(key="scans-set-fills").set_value(True).run()
    page.selectbox(key="scans-set-column").set_value("Species").run()
    page.text_input(key="scans-set-Species").set_value("vole").run()
    press(page, "Set it in 1 row")
    assert [row["Species"] for row in rows_of(page)] == ["mouse", "mouse", "vole"]


def test_i15_5_rows_that_are_hidden_are_not_ticked(space):  # noqa: F811
    page = press(open_page(space, "scans"), "Tick all 3")
    set_filter(page, "rat")
    set_filter(page)
    assert list(page.dataframe[0].value["✓"]) == [False, False, True]
    press(page, "Tick none")
    assert list(page.dataframe[0].value["✓"]) == [False, False, False]


def test_i15_5_participants_are_set_together(space):  # noqa: F811
    page = press(open_page(space, "participants"), "Tick all 3")
    page.selectbox(key="participants-set-column").set_value("sex").run()
    assert page.selectbox(key="participants-set-sex").options == ["male", "female", "other"]
    page.selectbox(key="participants-set-sex").set_value("female").run()
    press(page, "Set it in 3 rows")
    editor = page.session_state["editor"]
    lines = editor.files.text(editor.participants_table).splitlines()
    assert [line.split("\t")[2] for line in lines[1:]] == ["female", "female", "female"]


def planes_in_place_of(space):  # noqa: F811
    """Let the last image be a folder of planes, which BIDS holds only when it is converted."""
    folder = space.root / "raw" / "planes"
    folder.mkdir()
    for number in range(3):
        tifffile.imwrite(folder / f"Z{number}.tif", np.full((8, 9), number, "uint16"))
    break_row(space, "raw/c.ome.tif", "raw/planes")


def codes(page):
    found = (text.value.replace("\\", "").rpartition("[")[2] for text in page.markdown)
    return {code.rstrip("]") for code in found}


def test_i15_5_problems_are_those_of_the_backend_in_the_manifest(space):  # noqa: F811
    planes_in_place_of(space)
    assert "backend.format" in codes(open_page(space, "scans"))
    space.manifest.write_text(space.manifest.read_text() + "backend: ome-zarr\n")
    assert "backend.format" not in codes(open_page(space, "scans"))


def test_i15_5_problems_are_those_of_the_backend_on_the_page_run(space):  # noqa: F811
    planes_in_place_of(space)
    page = open_page(space, "scans")
    fields = {"manifest": str(space.manifest), "run-output": "bids", "run-backend": "ome-tiff"}
    page.session_state["run-kept"] = fields | dict.fromkeys(SWITCHES.values(), False)
    well(page.run())
    assert "backend.format" not in codes(page)
    page.session_state["run-kept"] |= {"run-backend": "copy"}
    assert "backend.format" in codes(well(page.run()))


def test_i15_5_equal_problems_are_one_line_with_their_rows(space):  # noqa: F811
    break_row(space, "RPI", "")
    page = open_page(space, "scans")
    said = [text.value.replace("\\", "") for text in page.markdown]
    (line,) = [text for text in said if "orientation_string_xyz" in text]
    assert "(3 times: lines 2-4)" in line
    assert any("3 errors" in box.label for box in page.expander)


@pytest.mark.parametrize("output", ["/etc", "../..", "a\0b"], ids=ascii)
def test_i15_5_an_output_outside_the_roots_does_not_end_the_check(space, output):  # noqa: F811
    page = open_page(space, "scans")
    fields = {"manifest": str(space.manifest), "run-output": output, "run-backend": "symlink"}
    page.session_state["run-kept"] = fields | dict.fromkeys(SWITCHES.values(), False)
    assert well(page.run()).success
    assert not page.error
