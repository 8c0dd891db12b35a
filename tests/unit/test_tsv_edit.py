"""Editing a table changes what was asked for, and no other byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spimpack_tasks.errors import Report
from spimpack_tasks.files.tsv import parse_tsv
from spimpack_tasks.files.tsv_edit import TsvText

TABLE = 'a\tb\tc\n1\t2\t3\n\n"x\ty"\t5" lens\t6\nragged\n7\t8\t9\n'


def edited(text, do):
    table = TsvText(text, ["a", "b"])
    do(table)
    return table.text


CASES = {
    "nothing": (TABLE, lambda t: t.set_cells({}), TABLE),
    "the same text": (TABLE, lambda t: t.set_cells({(0, "a"): "1"}), TABLE),
    "one cell": (
        TABLE,
        lambda t: t.set_cells({(2, "b"): "z"}),
        TABLE.replace("7\t8\t9", "7\tz\t9"),
    ),
    "a cell with a tab beside a quote": (
        TABLE,
        lambda t: t.set_cells({(1, "c"): "6\t7"}),
        TABLE.replace('"x\ty"\t5" lens\t6', '"x\ty"\t"5"" lens"\t"6\t7"'),
    ),
    "a cell emptied": ("a\tb\n1\t2\n", lambda t: t.set_cells({(0, "a"): ""}), "a\tb\n\t2\n"),
    "a line end in a cell": (
        "a\tb\n1\t2\n",
        lambda t: t.set_cells({(0, "b"): "x\r\ny"}),
        "a\tb\n1\tx y\n",
    ),
    "a column that is not there": (
        "a\tb\n1\t2\n3\t4\n",
        lambda t: t.set_cells({(1, "c"): "5"}),
        "a\tb\tc\n1\t2\t\n3\t4\t5\n",
    ),
    "an empty text for a column that is not there": (
        "a\tb\n1\t2\n",
        lambda t: t.set_cells({(0, "c"): ""}),
        "a\tb\n1\t2\n",
    ),
    "CRLF, no last line end": (
        "a\tb\r\n1\t2",
        lambda t: t.add_rows([{"b": "3"}]),
        "a\tb\r\n1\t2\r\n\t3",
    ),
    "a row behind another": (
        "a\tb\n1\t2\n3\t4\n",
        lambda t: t.add_rows([{"a": "x"}, {"a": "y"}], 0),
        "a\tb\n1\t2\nx\t\ny\t\n3\t4\n",
    ),
    "a row behind a blank line at the end": (
        "a\tb\n1\t2\n\n",
        lambda t: t.add_rows([{"a": "x"}]),
        "a\tb\n1\t2\nx\t\n\n",
    ),
    "a row with a new column": (
        "a\tb\n1\t2\n",
        lambda t: t.add_rows([{"a": "x", "c": "z"}]),
        "a\tb\tc\n1\t2\t\nx\t\tz\n",
    ),
    "the first row of an empty file": ("", lambda t: t.add_rows([{"b": "1"}]), "a\tb\n\t1\n"),
    "rows removed": (
        TABLE,
        lambda t: t.remove_rows([0, 2]),
        'a\tb\tc\n\n"x\ty"\t5" lens\t6\nragged\n',
    ),
    "a column removed": (
        "a\tb\tc\n1\t2\t3\n",
        lambda t: t.remove_column("b"),
        "a\tc\n1\t3\n",
    ),
    "the same column twice": (
        "a\tb\n1\t2\n",
        lambda t: t.add_columns(["c", "c", "a"]),
        "a\tb\tc\n1\t2\t\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_edit(name):
    before, do, after = CASES[name]
    assert edited(before, do) == after


TEXTS = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r\n"), max_size=8
)


@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=5),
    row=st.integers(0, 4),
    column=st.sampled_from("abc"),
    text=TEXTS,
)
def test_what_is_typed_is_what_is_read(rows, row, column, text):
    table = TsvText("", ["a", "b", "c"])
    # A row in which nothing stands is a blank line.
    table.add_rows(dict(zip("abc", (f"#{cells[0]}", *cells[1:]), strict=True)) for cells in rows)
    row = min(row, len(rows) - 1)
    table.set_cells({(row, column): f"#{text}"})
    wanted = [[f"#{cells[0]}", *cells[1:]] for cells in rows]
    wanted[row]["abc".index(column)] = f"#{text}"
    report = Report()
    found = parse_tsv(table.text, "", report)
    assert [list(r.cells) for r in found.rows] == wanted
    assert not report.problems
