"""Words and units of an imported table, its header row, and numbers that cannot be."""

from __future__ import annotations

import pytest
from spreadsheets import workbook
from test_import_table import take, upload

from spimpack_tasks.editing.import_values import (
    convert_cells,
    implausible_cells,
    quantity_of,
    split_unit,
    suggest_values,
)
from spimpack_tasks.editing.mapping import suggest_mapping
from spimpack_tasks.errors import Report
from spimpack_tasks.files.spreadsheets import Sheet, read_sheet

UNITS = {
    "Age (weeks)": ("age", "weeks"),
    "age_in_months": ("age", "months"),
    "Age [d]": ("age", "days"),
    "Body weight / kg": ("body weight", "kg"),
    "Age": ("Age", ""),
    "time in weeks": ("time in weeks", ""),
    "weeks": ("weeks", ""),
}


@pytest.mark.parametrize("header", UNITS)
def test_i15_5_a_header_may_name_its_unit(header: str) -> None:
    assert split_unit(header) == UNITS[header]


def test_i15_5_a_column_with_a_unit_is_found() -> None:
    assert suggest_mapping(["Mouse", "Age (weeks)"], "participants") == {
        "Mouse": "participant_id",
        "Age (weeks)": "age",
    }


# A year is 365.25 days: 52.5 weeks are 367.5 days, 1.0062 years.
AGES = [
    ("weeks", "12", "0.23"),
    ("weeks", "52,5", "1.0062"),
    ("months", "6", "0.5"),
    ("days", "365.25", "1"),
    ("days", "60", "0.1643"),
    ("years", "01.50", "01.50"),
    ("weeks", "", ""),
]


@pytest.mark.parametrize(("unit", "text", "wanted"), AGES)
def test_i15_5_ages_become_years(unit: str, text: str, wanted: str) -> None:
    report = Report()
    sheet = Sheet("mice.csv", ("Mouse", "Age"), (("01", text),))
    quantity = quantity_of("age")
    assert quantity is not None
    assert convert_cells(sheet, {}, {"Age": (quantity, unit)}, report).rows == (("01", wanted),)
    assert not report.problems


@pytest.mark.parametrize("text", ["P60", "12 w", "nan", "1e999999", "-1e99"])
def test_i15_5_a_cell_that_is_no_number_stays(text: str) -> None:
    report = Report()
    sheet = Sheet("mice.csv", ("Age",), ((text,),))
    quantity = quantity_of("age")
    assert quantity is not None
    assert convert_cells(sheet, {}, {"Age": (quantity, "weeks")}, report).rows == ((text,),)
    assert [problem.code for problem in report.problems] == ["import.number"]


WORDS = {
    "m w": {"m": "male", "w": "female"},
    "M F": {},
    "Männlich weiblich ?": {"Männlich": "male", "weiblich": "female", "?": "?"},
    "♂ ♀": {"♂": "male", "♀": "female"},
}


@pytest.mark.parametrize("values", WORDS)
def test_i15_5_words_for_sexes(values: str) -> None:
    assert suggest_values("participants", "sex", values.split()) == WORDS[values]


PLAUSIBLE = {
    "a mouse of 12 years": (("Mouse", "Age"), ("01", "12"), True),
    "a mouse of 2 years": (("Mouse", "Age"), ("01", "2.5"), False),
    "a human of 40 years": (("Subject", "Age"), ("01", "40"), False),
    "nobody of 200 years": (("Subject", "Age"), ("01", "200"), True),
    "an age below zero": (("Subject", "Age"), ("01", "-1"), True),
    "a mouse of 25 kg": (("MouseID", "Weight"), ("01", "25000"), True),
    "a mouse of 25 g": (("MouseID", "Weight"), ("01", "25"), False),
    "by its species": (("Subject", "Age", "Species"), ("01", "12", "Mus musculus"), True),
    "by its species here": (("Subject", "Age"), ("02", "12"), True),
    "no number": (("Mouse", "Age"), ("01", "old"), False),
}


@pytest.mark.parametrize(("columns", "cells", "is_told"), PLAUSIBLE.values(), ids=PLAUSIBLE)
def test_i15_5_implausible_numbers_are_named(columns, cells, is_told) -> None:
    mapping = suggest_mapping(columns, "participants")
    present = [{"participant_id": "sub-02", "species": "mouse"}]
    sheet = Sheet("mice.csv", columns, (cells,))
    problems = list(implausible_cells(sheet, mapping, present, "participant_id"))
    assert [problem.code for problem in problems] == ["import.implausible"] * is_told


HEADED = b"Mice of lab 3\n,,\nlast change; 2024\nMouse,Sex,Age\n01,m,12\n"


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"], ids=ascii)
def test_i15_5_the_header_of_a_text_may_stand_in_another_row(ends: bytes) -> None:
    report = Report()
    sheet = read_sheet("mice.csv", HEADED.replace(b"\n", ends), report, header=4)
    assert not report.problems
    assert sheet is not None
    assert (sheet.columns, sheet.rows) == (("Mouse", "Sex", "Age"), (("01", "m", "12"),))
    assert sheet.lines == (4, 5)


def test_i15_5_a_header_behind_the_end_is_named() -> None:
    report = Report()
    assert read_sheet("mice.csv", HEADED, report, header=99) is None
    assert [problem.code for problem in report.problems] == ["table.empty"]


TITLED = [["Mice of lab 3", "", ""], ["", "", ""], ["Mouse", "Sex", "Age (weeks)"]]


def test_i15_5_a_workbook_with_a_title_is_imported_in_our_words_and_units() -> None:
    rows = [*TITLED, ["01", "w", 12], ["03", "m", 120], ["04", "m", 600]]
    page = upload("mice.xlsx", workbook(rows))
    assert "has no name" in page.error[0].value
    page.number_input(key="import-participants-header").set_value(3).run()
    assert not page.exception
    assert not page.error
    (unit,) = [box for box in page.selectbox if box.label.startswith("Unit of")]
    assert unit.value == "weeks"
    assert any("is no plausible age of a mouse" in each.value for each in page.warning)
    assert [box.label for box in page.text_input] == ["w", "m"]
    merge = take(page)
    assert merge.changed == {0: {"sex": "female", "age": "0.23"}}
    assert merge.new[0] == {"participant_id": "03", "sex": "male", "age": "2.2998"}


def test_i15_5_other_words_can_be_chosen() -> None:
    page = upload("mice.csv", b"mouse,genotype\n01,ko\n03,wt\n")
    page.multiselect(key="import-participants-mice.csv-words").set_value(["genotype"]).run()
    field = next(box for box in page.text_input if box.label == "ko")
    field.set_value("APP-/-").run()
    assert take(page).changed == {0: {"genotype": "APP-/-"}}
