"""Reading text, tables and YAML: places, limits, and what is refused."""

import codecs
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spimpack_tasks.errors import Place, Report
from spimpack_tasks.files import atomic
from spimpack_tasks.files.atomic import (
    Durability,
    replace_together,
    replacing,
    write_at,
    write_together,
)
from spimpack_tasks.files.filesystems import device_of, file_system_of, nearest_directory
from spimpack_tasks.files.input_files import digest_of, have_digests
from spimpack_tasks.files.pages import write_page_at
from spimpack_tasks.files.text import read_bytes, read_text
from spimpack_tasks.files.tsv import compose_tsv, fits_cell, parse_tsv
from spimpack_tasks.files.yaml_marks import load_yaml

CELL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"'), min_size=1, max_size=8
).filter(str.strip)
ANY_CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=8)


def tables(cells):
    """Make headers with rows of equal width."""
    return st.integers(2, 5).flatmap(
        lambda width: st.tuples(
            st.lists(CELL, min_size=width, max_size=width, unique_by=str.strip),
            st.lists(st.lists(cells, min_size=width, max_size=width), max_size=5),
        )
    )


def parsed(text):
    report = Report()
    table = parse_tsv(text, "t.tsv", report)
    return table, [(problem.code, str(problem.place)) for problem in report.problems]


@given(tables(ANY_CELL.filter(fits_cell)))
def test_a_table_is_read_as_it_was_composed(table):
    header, rows = table
    read, problems = parsed(compose_tsv([header, *rows]))
    assert not problems
    # A row of nothing but blanks is passed over.
    said = [row for row in rows if compose_tsv([row]).strip()]
    assert [list(row.cells) for row in (read.header, *read.rows)] == [header, *said]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "\udcff"], ids=ascii)
def test_a_table_cannot_hold_every_text(text):
    assert not fits_cell(text)


@given(tables(CELL), st.sampled_from(["\n", "\r\n", "\r"]))
def test_each_cell_stands_where_its_place_says(table, end):
    header, rows = table
    text = end.join("\t".join(cells) for cells in (header, *rows)) + end
    lines = text.split(end)
    found, problems = parsed(text)
    assert problems == []
    assert found.columns == tuple(name.strip() for name in header)
    assert [list(row.cells) for row in found.rows] == rows
    for row, cells in zip(found.rows, rows, strict=True):
        for index, cell in enumerate(cells):
            place = found.place(row, index)
            assert lines[place.line - 1][place.column - 1 :].startswith(cell)
            assert place.column == 1 or lines[place.line - 1][place.column - 2] == "\t"


@given(tables(ANY_CELL))
@example((["a", "b"], [['"', "\t"], ['x"y', ""]]))
def test_any_cell_can_be_said_in_quotes(table):
    header, rows = table
    lines = ["\t".join(header)]
    lines += ["\t".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    found, problems = parsed("\n".join(lines))
    assert problems == []
    assert [list(row.cells) for row in found.rows] == rows


@given(st.text(max_size=60))
@example('a\tb\n"')
@example("\t\n\t")
def test_no_text_is_too_strange_for_a_table(text):
    parsed(text)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a\tb\n1\t2\n", []),
        ("\n\na\tb\n\n1\t2\n\n", []),
        (
            "a\tb\n1\n1\t2\t3\n",
            [("table.ragged-row", "t.tsv:2:1"), ("table.ragged-row", "t.tsv:3:1")],
        ),
        ("a\t\tb\n", [("table.blank-header", "t.tsv:1:3")]),
        ("a\tb\ta\n", [("table.duplicate-header", "t.tsv:1:5")]),
        ("a\ta \n", [("table.duplicate-header", "t.tsv:1:3")]),
        ('a\tb\n"1\t2\n3\t4\n', [("table.quote", "t.tsv:2:1")]),
        ('a\tb\n"' + "x" * 200_000 + '"\t2\n', [("table.quote", "t.tsv:2:1")]),
        ("", [("table.empty", "t.tsv")]),
        (" \n\t\n", [("table.empty", "t.tsv")]),
        ("a,b\n1,2\n", [("table.separator", "t.tsv:1:1")]),
        ("a\n1\n", []),
    ],
)
def test_tables_say_what_is_wrong(text, problems):
    assert parsed(text)[1] == problems


def test_a_table_knows_whether_rows_were_left_out():
    assert parsed("a\tb\n1\t2\n")[0].is_whole
    assert not parsed("a\tb\n1\n")[0].is_whole
    assert not parsed('a\tb\n"1\t2\n')[0].is_whole


def read(path, limit=100):
    report = Report()
    text = read_text(str(path), name="x", blame=Place("by", 3), limit=limit, report=report)
    return text, [(problem.code, str(problem.place)) for problem in report.problems]


def test_text_is_read_without_its_mark(tmp_path):
    path = tmp_path / "x"
    path.write_bytes("\ufeffé\r\n".encode())
    assert read(path) == ("é\r\n", [])


def test_what_cannot_be_read_is_told(tmp_path):
    path = tmp_path / "x"
    assert read(path) == (None, [("file.missing", "by:3")])
    path.write_bytes(b"a\nb\n\xff")
    assert read(path) == (None, [("file.encoding", "x:3")])
    path.write_bytes(b"a" * 101)
    assert read(path) == (None, [("file.too-large", "by:3")])
    assert read(tmp_path) == (None, [("file.not-a-file", "by:3")])
    assert read(tmp_path / ("n" * 300)) == (None, [("file.unreadable", "by:3")])
    assert read(f"{tmp_path}/a\0b") == (None, [("file.unreadable", "by:3")])
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe") == (None, [("file.not-a-file", "by:3")])


def loaded(text):
    report = Report()
    document = load_yaml(text, "m.yml", report)
    return document, [(problem.code, str(problem.place)) for problem in report.problems]


def test_yaml_keys_and_values_have_places():
    document, problems = loaded("a:\n  - b: 1\n    c: [x, y]\n")
    assert problems == []
    assert document.data == {"a": [{"b": 1, "c": ["x", "y"]}]}
    assert str(document.key_place(("a",))) == "m.yml:1:1"
    assert str(document.place(("a", 0, "c", 1))) == "m.yml:3:12"
    assert str(document.key_place(("a", 0, "c"))) == "m.yml:3:5"
    assert str(document.key_place(("a", 0))) == "m.yml:2:5"
    assert str(document.place(("a", 0, "none", "below"))) == "m.yml:2:5"
    assert str(document.place(("none",))) == "m.yml:1:1"


@pytest.mark.parametrize("written", ["01", "1_000", "12:30", "0x1F", "yes", "~", "1.10", "Null"])
def test_what_yaml_takes_for_no_text_is_known_as_written(written):
    document, _ = loaded(f"a: {written}\nb: '{written}'\n")
    assert not isinstance(document.data["a"], str)
    assert document.written(("a",)) == written
    assert document.data["b"] == written
    assert document.written(("b",)) == ""


@pytest.mark.parametrize("text", ["2026-03-31", "2026-03-31T14:05:00Z", "=", "1" * 5000])
def test_dates_and_the_like_stay_text(text):
    assert loaded(f"a: {text}\n")[0].data == {"a": text}


def test_yaml_goes_on_after_a_problem():
    text = "a: 1\na: 2\nb: .inf\n3: c\nd:\n  e: 1\n  e: {f: .nan}\n"
    document, problems = loaded(text)
    assert problems == [
        ("yaml.duplicate-key", "m.yml:2:1"),
        ("yaml.not-finite", "m.yml:3:4"),
        ("yaml.key-type", "m.yml:4:1"),
        ("yaml.duplicate-key", "m.yml:7:3"),
        ("yaml.not-finite", "m.yml:7:10"),
    ]
    assert document.data == {"a": 1, "b": None, "d": {"e": 1}}
    assert str(document.place(("a",))) == "m.yml:1:4"


def test_aliases_and_merge_keys_are_followed():
    document, problems = loaded(
        "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{z: 1}, *a]}\n"
    )
    assert problems == []
    assert document.data["b"] == {"x": 1, "y": 2}
    assert document.data["c"] == {"x": 1, "y": 3}
    assert document.data["d"] == {"z": 1, "x": 1, "y": 2}


def test_a_merge_key_in_quotes_is_a_key():
    assert loaded("a: {'<<': 1}\n")[0].data == {"a": {"<<": 1}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: &a b\n*a : c\n*a : d\n", "yaml.duplicate-key"),
        ("a: &a [b]\n*a : c\n", "yaml.key-type"),
        ("[" * 20_000, "yaml.depth"),
        ("{a: " * 20_000, "yaml.depth"),
        ("- " * 20_000, "yaml.depth"),
        ("ä: 1\nb: " + "[" * 20_000, "yaml.depth"),
        ("a:\n  b: [1, {c: " + "[" * 2_000 + "]" * 2_000 + "}]\n", "yaml.depth"),
        ("[" * 40, "yaml.syntax"),
        ("a: [" + "'[[[[', " * 500 + "}", "yaml.syntax"),
        ("a: '" + "[" * 2_000, "yaml.syntax"),
        ("a: &a [*a]\n", "yaml.alias"),
        ("a: !!python/name:os.system\n", "yaml.tag"),
        ("a: !!set {b}\n", "yaml.tag"),
        ("a: b\n--- \nc: d\n", "yaml.documents"),
        ("a: 'b\n", "yaml.syntax"),
        ("a: \x00", "yaml.syntax"),
        ("? {a: b}\n: c\n", "yaml.key-type"),
        ("<<: 3\n", "yaml.merge"),
    ],
)
def test_yaml_is_refused_without_risk(text, code):
    began = time.process_time()
    assert [found for found, _ in loaded(text)[1]] == [code]
    assert time.process_time() - began < 2


@pytest.mark.parametrize("width", [2, 10, 200])
def test_an_alias_bomb_is_defused(width):
    lines = [f"a0: &a0 [{', '.join('x' * width)}]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, 20)
    ]
    began = time.process_time()
    assert [code for code, _ in loaded("\n".join(lines))[1]] == ["yaml.alias"]
    assert time.process_time() - began < 2


@given(st.text(max_size=60))
@example("a: &x\nb: *x")
@example("? a")
@example("<<: [1]")
def test_no_text_is_too_strange_for_yaml(text):
    loaded(text)


MOUNTS = """\
22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:26 / /mnt/usb\\040stick rw,nosuid shared:1 - vfat /dev/sdb1 rw
31 22 0:27 / /mnt/usb rw - exfat /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("/data", "ext4"),
        ("/mnt/usb stick/a", "vfat"),
        ("/mnt/usb/a", "exfat"),
        ("/mnt/usb2", "ext4"),
        ("/", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_innermost_mount(tmp_path, path, system):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS)
    assert file_system_of(path, str(mountinfo)) == system


def test_an_unknown_system_is_empty(tmp_path):
    assert file_system_of("/", str(tmp_path / "none")) == ""


def test_the_nearest_directory_is_found(tmp_path):
    (tmp_path / "file").touch()
    assert nearest_directory(str(tmp_path / "a/b")) == str(tmp_path)
    assert nearest_directory(str(tmp_path / "file/b")) is None
    assert device_of(str(tmp_path)) == tmp_path.stat().st_dev
    assert device_of(str(tmp_path / "none")) is None


def test_files_are_written_together_or_not_at_all(tmp_path):
    (tmp_path / "b").write_text("mine")
    with pytest.raises(FileExistsError):
        write_together(str(tmp_path), {"a": "1", "b": "2", "c": "3"})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("b", "mine")]
    write_together(str(tmp_path), {"a": "1", "c": "3"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    assert (tmp_path / "a").read_text() == "1"


WAYS_TO_WRITE = {
    "a file": lambda path, text: write_at(str(path), text.encode()),
    "several files": lambda path, text: replace_together({str(path): text.encode()}),
    "a page": lambda path, text: write_page_at(str(path), text.splitlines()),
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
def test_what_a_killed_process_of_the_same_id_left_is_in_nobodys_way(tmp_path, way):
    """In a container, each process may have the id of the one before."""
    left = tmp_path / f".a.{os.getpid()}"
    left.write_text("half")
    WAYS_TO_WRITE[way](tmp_path / "a", "whole\n")
    assert (tmp_path / "a").read_text() == "whole\n"


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
def test_threads_that_write_one_file_do_not_meet(tmp_path, way):
    texts = [f"{number}\n" * 1000 for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: WAYS_TO_WRITE[way](tmp_path / "a", text), texts))
    assert (tmp_path / "a").read_text() in texts
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("step", ["write_new", "move_into_place"])
def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch, step):
    (tmp_path / "a").write_text("before")

    def fail(*paths):
        if step == "write_new":
            with open(paths[0], "wb") as file:
                file.write(b"ha")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, step, fail)
    with pytest.raises(OSError, match="No space"):
        write_at(str(tmp_path / "a"), b"whole")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "before")]


@pytest.mark.parametrize("durability", [Durability.WHOLE, Durability.SAFE])
def test_s3_of_a_file_that_cannot_get_its_name_nothing_is_left(tmp_path, durability):
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"), replacing(f"{tmp_path}/a", durability) as aside:
        aside.file.write(b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("content", [b"", b"a", "a\tmüde\r\n".encode(), b"x" * (3 * 2**20 + 5)])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_file_has_its_digest_until_a_byte_of_it_changes(
    name: str, content: bytes, mark: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(mark + content)
    read = read_bytes if name == "a.csv" else read_text
    found = read(str(path), name=name, blame=Place(name), limit=2**30, report=Report())
    texts = {str(path): digest_of(found)}
    assert have_digests(texts)
    path.write_bytes(mark + content + b" ")
    assert not have_digests(texts)
    path.unlink()
    assert not have_digests(texts)
    path.mkdir()
    assert not have_digests(texts)


@pytest.mark.parametrize("content", [None, b"\xff", b"a\0"])
def test_a_file_that_cannot_be_read_has_no_digest(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    if content is not None:
        path.write_bytes(content)
    assert have_digests({str(path): ""})
    path.write_text("a")
    assert not have_digests({str(path): ""})
