"""Tables that are not imported: each case is a file, the code and a text of the message."""

# One case is one row, so rows are long.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from dataclasses import dataclass

from spreadsheets import old_workbook, workbook

from spimpack_tasks.files.spreadsheets import MAX_BYTES, MAX_ROWS


@dataclass(frozen=True)
class BadImport:
    """A file by name and content, and what is to be said."""

    id: str
    name: str
    data: bytes
    code: str
    says: str


IMPORT_WARNINGS = {"import.implausible", "import.number", "import.row", "import.zeros"}
"""Codes of what does not stop an import; each has a test of its own in tests/run/test_importing.py."""

IMPORT_CODES = {"import.mapping", *IMPORT_WARNINGS}
"""Codes of what is found when columns have been chosen; tests/run/test_importing.py has the cases."""


CASES = [
    BadImport("other-ending", "mice.docx", b"x", "import.format", "save it as xlsx, xls, csv, tsv"),
    BadImport("no-ending", "mice", b"x", "import.format", "is of no known format"),
    BadImport("too-large", "mice.csv", b"a,b\n" * (MAX_BYTES // 4 + 1), "file.too-large", "larger than 16 MiB"),
    BadImport("cell-in-the-last-corner", "mice.xlsx", workbook([["id"]], corner=True), "import.workbook", "takes too much memory or time; remove cells"),
    BadImport("many-rows", "mice.csv", b"a,b\n" * (MAX_ROWS + 2), "file.too-large", "more than 100,000 rows"),
    BadImport("many-columns", "mice.csv", ",".join(map(str, range(1001))).encode(), "file.too-large", "or 1,000 columns"),
    BadImport("latin-1", "mice.csv", "id,name\n01,Müller\n".encode("latin-1"), "file.encoding", "mice.csv:2: is not UTF-8 text"),
    BadImport("utf-16-cut-off", "mice.csv", "id,name\n".encode("utf-16")[:-1], "file.encoding", "is not UTF-16 text"),
    BadImport("nul", "mice.tsv", b"id\tname\n01\t\0\n", "file.encoding", "mice.tsv:2: holds NUL"),
    BadImport("two-separators", "mice.csv", b"id;age, weeks\n01;2\n", "import.separator", "has commas and semicolons in its header"),
    BadImport("open-quote", "mice.csv", b'id,name\n01,"x\n02,y\n', "table.quote", "unexpected end of data"),
    BadImport("text-behind-a-quote", "mice.csv", b'id,name\n01,"x"y\n', "table.quote", "mice.csv:2: cannot be read"),
    BadImport("empty-csv", "mice.csv", b"", "table.empty", "has no header"),
    BadImport("blank-csv", "mice.csv", b"\n ,\n", "table.empty", "has no header"),
    BadImport("empty-sheet", "mice.xlsx", workbook([]), "table.empty", "has no header"),
    BadImport("ragged", "mice.csv", b"id,age\n\n01\n02,3\n", "table.ragged-row", "mice.csv:3: has 1 cell, the header 2"),
    BadImport("two-of-a-name", "mice.xlsx", workbook([["id", "id "]]), "table.duplicate-header", "id: is the name of two columns"),
    BadImport("no-name", "mice.xlsx", workbook([["id", ""], ["01", "x"]]), "table.blank-header", "mice.xlsx:1: column 2 has no name"),
    BadImport("no-workbook", "mice.xlsx", b"PK\3\4 and so on", "import.workbook", "is no workbook, or a damaged one"),
    BadImport("text-as-workbook", "mice.xls", b"id\tage\n", "import.workbook", "save it again as xlsx"),
    BadImport("cut-off", "mice.xlsx", workbook([["id"]])[:-30], "import.workbook", "is no workbook, or a damaged one"),
    BadImport("cut-off-xls", "mice.xls", old_workbook()[:1024], "import.workbook", "is no workbook, or a damaged one"),
    BadImport("empty-xlsx", "mice.xlsx", b"", "import.workbook", "is no workbook, or a damaged one"),
]
