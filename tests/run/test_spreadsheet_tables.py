"""Tables in CSV and XLSX, and paths as other systems write them."""

import os
import sys
from unicodedata import normalize

import pytest
from spreadsheets import workbook

from spimpack_tasks.editing.editor import ManifestEditor
from spimpack_tasks.editing.files import OpenFiles
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files import spreadsheets
from spimpack_tasks.files.near_paths import path_hint


def rows_of(study, table):
    if table == "participants":
        lines = study.path("participants.tsv").read_text().splitlines()
        return [line.split("\t") for line in lines]
    return [study.columns, *study.rows]


def as_csv(rows, separator):
    quoted = ([f'"{cell}"' if separator in cell else cell for cell in row] for row in rows)
    return "".join(separator.join(row) + "\r\n" for row in quoted).encode()


FORMS = {
    "comma.csv": lambda rows: as_csv(rows, ","),
    "semicolon.csv": lambda rows: as_csv(rows, ";"),
    "UTF-16.CSV": lambda rows: as_csv(rows, ",").decode().encode("utf-16"),
    "book.xlsx": workbook,
}


def convert(study, table, form):
    """Let a table be of another format."""
    name = f"{table}-{form}"
    study.write(name, FORMS[form](rows_of(study, table)))
    study.replace("manifest.yml", f"{table}_tsv: {table}.tsv", f"{table}_tsv: {name}")
    study.path(f"{table}.tsv").unlink()
    return name


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"d7-{form}")
def test_tables_of_spreadsheets_are_read_like_others(study, form):
    before = study.draft()
    for table in ("scans", "participants"):
        convert(study, table, form)
    draft = study.draft()
    assert draft.report.errors == []
    assert draft.plan_id == before.plan_id


@pytest.mark.parametrize("form", ["comma.csv", "book.xlsx"], ids=lambda form: f"d7-{form}")
def test_places_are_rows_and_keys_columns(study, form):
    study.cell(3, "orientation_string_xyz", "RPX")
    name = convert(study, "scans", form)
    (error,) = study.draft().report.errors
    assert (str(error.place), error.key) == (f"{name}:3", "orientation_string_xyz")


@pytest.mark.parametrize("form", ["comma.csv", "book.xlsx"], ids=lambda form: f"d7-{form}")
def test_an_edit_of_a_spreadsheet_is_noticed(study, form):
    name = convert(study, "participants", form)
    before = study.draft()
    assert study.draft() is before
    rows = [["participant_id", "age"], ["sub-01", "1"], ["sub-02", "2"], ["sub-03", "3"]]
    study.write(name, FORMS[form](rows))
    assert study.draft().plan_id != before.plan_id


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("s.xlsx", b"PK and so on", "import.workbook"),
        ("s.csv", b"subject,sample;path\n", "import.separator"),
        ("s.csv", b'a,b\n"x,y\n', "table.quote"),
        ("s.csv", b"subject,sample\n01\n", "table.ragged-row"),
        ("s.csv", b"\xe9,b\n", "file.encoding"),
        ("s.xlsx", None, "file.missing"),
    ],
    ids=lambda value: f"d7-{value}" if isinstance(value, str) else None,
)
def test_spreadsheets_that_cannot_be_read(study, name, content, code):
    if content is not None:
        study.write(name, content)
    study.replace("manifest.yml", "scans_tsv: scans.tsv", f"scans_tsv: {name}")
    problems = study.draft().report.errors
    assert code in [problem.code for problem in problems]
    assert "assets.none" not in [problem.code for problem in problems]


def test_d7_a_missing_library_is_named(study, monkeypatch):
    convert(study, "scans", "book.xlsx")
    monkeypatch.setattr(spreadsheets, "find_spec", lambda _: None)
    (error,) = study.draft().report.errors
    assert error.code == "table.extra"
    assert "spimpack_tasks[spreadsheets]" in error.message


def test_d7_a_table_that_is_not_named_is_hinted_at(study):
    study.write("scans.xlsx", workbook(rows_of(study, "scans")))
    study.path("scans.tsv").unlink()
    study.replace("manifest.yml", "scans_tsv: scans.tsv\n", "")
    (error,) = study.draft().report.errors
    assert (error.code, error.hint) == (
        "assets.none",
        "write scans_tsv: scans.xlsx to use the table that is there",
    )


def test_d7_the_pages_edit_no_spreadsheet(study):
    convert(study, "scans", "book.xlsx")
    root = os.path.realpath(study.folder)
    editor = ManifestEditor(os.path.join(root, "manifest.yml"), OpenFiles((root,)))
    assert not editor.check().report.errors
    with pytest.raises(SpimpackError, match="save it as tsv"):
        _ = editor.rows


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("C:\\data\\a.ims", "it is a path of Windows"),
        ("C:/data/a.ims", "it is a path of Windows"),
        ("\\\\server\\share\\a.ims", "it is a path of Windows"),
        ("raw\\two.ims", "write slashes, not backslashes"),
        ("Raw/Two.ims", "did you mean"),
        ("raw/none.ims", "check the path"),
    ],
)
def test_d7_paths_of_other_systems_have_their_hint(study, text, hint):
    study.cell(3, "spim_path", text)
    (error,) = study.draft().report.errors
    assert error.code == "source.missing"
    assert error.hint.startswith(hint)


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks know both forms")
@pytest.mark.parametrize(("there", "given"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_d7_a_path_in_the_other_unicode_form_has_its_hint(study, there, given):
    study.add_source(f"raw/{normalize(there, 'Mäuse/zwölf')}.ims")
    study.cell(3, "spim_path", f"raw/{normalize(given, 'Mäuse/zwölf')}.ims")
    (error,) = study.draft().report.errors
    assert error.code == "source.missing"
    assert f"in the Unicode form {there}" in error.hint
    table = normalize(there, "Tabelle-é.tsv")
    study.write(table, study.path("scans.tsv").read_bytes())
    study.replace("manifest.yml", ": scans.tsv", f": {normalize(given, table)}")
    (error,) = [p for p in study.draft().report.errors if p.code == "file.missing"]
    assert f"in the Unicode form {there}" in error.hint


def test_d7_a_folder_is_listed_once(tmp_path, monkeypatch):
    calls = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: calls.append(folder) or listdir(folder))
    listings: dict[str, dict[str, str]] = {}
    for number in range(5):
        assert path_hint(f"{tmp_path}/a{number}.ims", listings) == ""
    assert len(calls) == 1
