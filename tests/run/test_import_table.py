"""Import of a table in a page: from the upload to the rows that are taken over."""

from __future__ import annotations

import pytest
from spreadsheets import workbook

pytest.importorskip("streamlit", reason="needs the extra ui")
from streamlit.testing.v1 import AppTest

ROWS = [["Mouse", "Sex", "Cage"], ["01", "F", 7], ["03", "M", 8]]


def show() -> None:
    import streamlit as st

    from spimpack_tasks.ui.import_table import import_rows

    present = [{"participant_id": "sub-01", "sex": "M"}, {"participant_id": "sub-02"}]
    merge = import_rows("participants", ["participant_id", "sex"], present)
    st.session_state.setdefault("got", []).append(merge)


def upload(name: str, data: bytes) -> AppTest:
    page = AppTest.from_function(show, default_timeout=30).run()
    assert not page.exception
    assert not page.button
    page.file_uploader[0].upload(name, data).run()
    assert not page.exception
    return page


def take(page: AppTest):
    page.button(key="import-participants-take").click().run()
    assert not page.exception
    return page.session_state["got"][-1]


def test_a_workbook_is_taken_over() -> None:
    page = upload("mice.xlsx", workbook(ROWS))
    assert [box.label for box in page.selectbox] == ["Mouse", "Sex", "Cage"]
    assert [box.value for box in page.selectbox] == ["participant_id", "sex", "Cage"]
    assert page.markdown[0].value == "**1 new row, 1 changed, 0 equal**"
    merge = take(page)
    assert merge.new == ({"participant_id": "03", "sex": "M", "Cage": "8"},)
    assert merge.changed == {0: {"sex": "F", "Cage": "7"}}
    page.run()
    assert page.session_state["got"][-1] is None


def test_columns_can_be_chosen_otherwise() -> None:
    page = upload("mice.xlsx", workbook(ROWS))
    page.selectbox[2].select("(leave out)").run()
    assert take(page).new == ({"participant_id": "03", "sex": "M"},)


def test_an_unclear_choice_cannot_be_taken_over() -> None:
    page = upload("mice.xlsx", workbook(ROWS))
    page.selectbox[2].select("sex").run()
    assert "is chosen for two columns" in page.error[0].value
    assert page.button(key="import-participants-take").disabled


def test_a_sheet_can_be_chosen() -> None:
    page = upload("mice.xlsx", workbook(ROWS, "Notes", "Mice"))
    assert page.selectbox[0].label == "Sheet"
    page.selectbox[0].select("Mice").run()
    assert "has no header" in page.error[0].value
    assert page.button(key="import-participants-take").disabled


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("mice.csv", b"id,name\n01,M\xfcller\n", "is not UTF-8 text"),
        ("mice.xlsx", b"no workbook", "is no workbook"),
    ],
    ids=["encoding", "no workbook"],
)
def test_a_bad_file_is_said(name: str, data: bytes, says: str) -> None:
    page = upload(name, data)
    assert says in page.error[0].value.replace("\\", "")
    assert page.button(key="import-participants-take").disabled


def test_nothing_new_cannot_be_taken_over() -> None:
    page = upload("mice.csv", b"subject,sex\nsub-01,M\n")
    assert page.markdown[0].value == "**0 new rows, 0 changed, 1 equal**"
    assert page.button(key="import-participants-take").disabled
