"""Import of spreadsheets: what is read, which columns are suggested, what is added and changed."""

from __future__ import annotations

import pytest
from cases.bad_imports import CASES, IMPORT_CODES
from spreadsheets import old_workbook, workbook

from spimpack_tasks.editing.mapping import merge_rows, suggest_mapping
from spimpack_tasks.errors import MissingExtraError, Report, Severity
from spimpack_tasks.files import spreadsheets as importing
from spimpack_tasks.files.spreadsheets import Sheet, read_sheet


def read(name: str, data: bytes, sheet: str = "") -> Sheet:
    report = Report()
    read = read_sheet(name, data, report, sheet)
    assert not report.problems, report.lines()
    assert read is not None
    return read


TEXTS = {
    "commas": ("csv", b"id,age\n01,3\n"),
    "semicolons": ("csv", b"id;age\n01;3\n"),
    "tabs in a csv": ("csv", b"id\tage\n01\t3\n"),
    "tabs": ("tsv", b"id\tage\n01\t3\n"),
    "upper case ending": ("TSV", b"id\tage\n01\t3\n"),
    "byte order mark": ("csv", b"\xef\xbb\xbfid,age\n01,3\n"),
    "UTF-16 of a spreadsheet": ("tsv", "id\tage\n01\t3\n".encode("utf-16")),
    "line ends of Windows": ("csv", b"id,age\r\n01,3\r\n"),
    "no last line end": ("csv", b"id,age\n01,3"),
    "blank lines": ("csv", b"\n,\nid,age\n\n01,3\n,\n"),
    "blanks around": ("csv", b"id , age\n 01,3 \n"),
    "quotes": ("csv", b'"id","age"\n"01","3"\n'),
    "column without name and cells": ("csv", b"id,,age,\n01,,3,\n"),
}


@pytest.mark.parametrize(("ending", "data"), TEXTS.values(), ids=TEXTS)
def test_a_text_is_read(ending: str, data: bytes) -> None:
    name = f"mice.{ending}"
    assert read(name, data) == Sheet(name, ("id", "age"), (("01", "3"),))


CELLS = {
    "text with zeros": ("01", "01"),
    "whole number": (3.0, "3"),
    "large number": (123456789012.0, "123456789012"),
    "very large number": (1e20, "1e+20"),
    "decimals": (12.5, "12.5"),
    "decimals that no binary number has": (0.1 + 0.2, "0.3"),
    "negative": (-2.0, "-2"),
    "day": ("date:46024", "2026-01-02"),
    "time of a day": ("date:46024.5", "2026-01-02T12:00:00"),
    "true": (True, "TRUE"),
    "text that says so": ("true", "true"),
    "formula": ("=1+1", "=1+1"),
    "n/a": ("n/a", "n/a"),
    "empty": (None, ""),
    "blanks": ("  ", ""),
    "lines": ("a\nb\r\nc", "a b c"),
    "tab": ("a\tb", "a\tb"),
    "other letters": ("Mäuse µ", "Mäuse µ"),
}


@pytest.mark.parametrize(("value", "text"), CELLS.values(), ids=CELLS)
def test_a_cell_of_a_workbook_is_what_a_person_sees(value: object, text: str) -> None:
    sheet = read("mice.xlsx", workbook([["id", "x"], ["01", value], ["02", None]]))
    assert sheet.rows == (("01", text), ("02", ""))


def test_cells_of_a_csv_stay_as_they_are() -> None:
    data = b'id,x\n01,"a, ""b"""\n1e5,"c\nd"\n"3,5",007\n'
    assert read("x.csv", data).rows == (("01", 'a, "b"'), ("1e5", "c d"), ("3,5", "007"))


def test_an_old_workbook_is_read() -> None:
    rows = (("01", "3", "2026-01-02"), ("02", "2.5", ""))
    columns = ("Mouse", "Age", "Born")
    assert read("mice.xls", old_workbook()) == Sheet("mice.xls", columns, rows, ("Mice",))


def test_a_table_may_stand_anywhere_in_its_sheet() -> None:
    rows = [[], [None, "id", "age"], [None, "01", 3], [], [None, "02"]]
    assert read("mice.xlsx", workbook(rows)).rows == (("01", "3"), ("02", ""))


def test_the_first_sheet_that_holds_something_is_read() -> None:
    data = workbook([["id"], ["01"]], "Notes", "Mice", first_is_empty=True)
    assert read("mice.xlsx", data).rows == (("01",),)


def test_a_sheet_is_chosen_by_name() -> None:
    data = workbook([["id"], ["01"]], "One & only", "Empty")
    assert read("mice.xlsx", data).all_sheets == ("One & only", "Empty")
    assert read("mice.xlsx", data, "One & only").rows == (("01",),)
    report = Report()
    assert read_sheet("mice.xlsx", data, report, "Empty") is None
    assert read_sheet("mice.xlsx", data, report, "gone") is None
    assert [p.code for p in report.problems] == ["table.empty", "import.workbook"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_bad_file_is_refused(case) -> None:
    report = Report()
    sheet = read_sheet(case.name, case.data, report)
    assert [p.code for p in report.problems] == [case.code]
    assert case.says in str(report.problems[0])
    # Rows that are whole are read, whatever another one is like.
    assert (sheet is not None) == (case.code == "table.ragged-row")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"spimpack_tasks\[spreadsheets\]"):
        read_sheet("mice.xlsx", workbook([["id"]]), Report())
    assert read("mice.csv", b"id\n01\n").rows == (("01",),)


MAPPINGS = {
    "names of ours": ("participants", "participant_id age sex", "participant_id age sex"),
    "letter case and signs": ("participants", "Participant-ID AGE", "participant_id age"),
    "mouse id": ("participants", "MouseID Gender", "participant_id sex"),
    "unknown stays": ("participants", "Subject Cage", "participant_id Cage"),
    "known to our table": ("participants", "animal litter-number", "participant_id Litter_Number"),
    "two hints": ("participants", "mouse id age", "participant_id - age"),
    "hint before the name itself": ("participants", "id participant_id", "- participant_id"),
    "scans": ("scans", "Mouse Channels file ses", "subject sample_staining spim_path session"),
}


@pytest.mark.parametrize(("table", "columns", "targets"), MAPPINGS.values(), ids=MAPPINGS)
def test_a_mapping_is_suggested(table: str, columns: str, targets: str) -> None:
    names = columns.split()
    wanted = [target.replace("-", "") for target in targets.split()]
    mapping = suggest_mapping(names, table, ["Litter_Number"])
    assert list(mapping.items()) == list(zip(names, wanted, strict=True))


PRESENT = [
    {"participant_id": "sub-01", "age": "3", "sex": "F"},
    {"participant_id": "02", "age": "", "sex": "M"},
]
MAPPING = {"Mouse": "participant_id", "Age": "age", "Sex": "sex", "Note": ""}


def merge(*rows: str, mapping=MAPPING, table: str = "participants", present=PRESENT):
    report = Report()
    cells = tuple(tuple(row.split(",")) for row in rows)
    sheet = Sheet("mice.csv", ("Mouse", "Age", "Sex", "Note"), cells)
    return merge_rows(sheet, mapping, table, present, report), report


ADDED = {"participant_id": "03", "age": "5", "sex": "M"}
MERGES = {
    "new": ("03,5,M,x", (ADDED,), {}, 0),
    "equal": ("01,3,F,x", (), {}, 1),
    "equal, as ours writes it": ("sub-02,,M,x", (), {}, 1),
    "changed": ("sub-01,4,F,x", (), {0: {"age": "4"}}, 0),
    "filled in": ("02,4,,x", (), {1: {"age": "4"}}, 0),
    "empty cells keep": ("01,,,x", (), {}, 1),
}


@pytest.mark.parametrize(("row", "new", "changed", "equal"), MERGES.values(), ids=MERGES)
def test_rows_are_merged(row: str, new: tuple, changed: dict, equal: int) -> None:
    merged, report = merge(row)
    assert not report.problems
    assert (merged.new, merged.changed, merged.equal) == (new, changed, equal)


def test_the_numbers_are_told() -> None:
    merged, _ = merge("03,5,M,x", "01,4,,x", "02,,,x")
    assert merged.in_words() == "1 new row, 1 changed, 1 equal"


def test_scans_are_told_apart_by_their_image() -> None:
    mapping = {"Mouse": "subject", "Age": "", "Sex": "", "Note": "spim_path"}
    present = [{"subject": "01", "spim_path": "a.ims"}]
    merged, report = merge(
        "02,,,a.ims", "01,,,b.ims", mapping=mapping, table="scans", present=present
    )
    assert not report.problems
    assert merged.changed == {0: {"subject": "02"}}
    assert merged.new == ({"subject": "01", "spim_path": "b.ims"},)


WARNINGS = {
    "no key": (",5,M,x", "import.row", "row 1 has no participant_id; it is left out"),
    "blank key": ("sub-,5,M,x", "import.row", "row 1 has no participant_id"),
    "twice": ("03,5,M,x sub-03,6,M,x", "import.row", "row 2 is a second row of sub-03"),
    "zeros lost": ("1,5,M,x", "import.zeros", "1 is new, and 01 is there; a spreadsheet drops"),
}


@pytest.mark.parametrize(("rows", "code", "says"), WARNINGS.values(), ids=WARNINGS)
def test_a_doubtful_row_is_told_of(rows: str, code: str, says: str) -> None:
    _, report = merge(*rows.split())
    assert [(p.code, p.severity) for p in report.problems] == [(code, Severity.WARNING)]
    assert says in str(report.problems[0])
    assert code in IMPORT_CODES


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (MAPPING | {"Mouse": ""}, "participant_id: is chosen for no column"),
        (MAPPING | {"Note": "age"}, "age: is chosen for two columns"),
    ],
    ids=["no key", "two of one"],
)
def test_an_unclear_mapping_is_refused(mapping: dict[str, str], says: str) -> None:
    merged, report = merge("03,5,M,x", mapping=mapping)
    assert not merged.new
    assert [(p.code, p.severity) for p in report.problems] == [("import.mapping", Severity.ERROR)]
    assert says in str(report.problems[0])
