"""How one output stands, by what is on the disk, what is on record and what the plan wants.

Texts are called by letters: A was written and recorded, B is what a killed run announced, C is what
somebody else wrote.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from spimpack_tasks.files.blocks import make_block
from spimpack_tasks.files.evidence import evidence_of
from spimpack_tasks.model.plan import Kind, Output, Step
from spimpack_tasks.state.receipts import Receipt
from spimpack_tasks.state.sweep import Status, inspect

TEXTS = {letter: letter * 3 for letter in "ABCD"}
BLOCKS = {letter: make_block([letter * 3]) for letter in "ABCD"}


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def planned(kind: Kind, letter: str) -> Output:
    text = BLOCKS[letter] if kind is Kind.BLOCK else TEXTS[letter]
    if kind is Kind.IMAGE:
        return Output("x", Step.ASSETS, kind, letter, target=text, source="/raw/x")
    return Output("x", Step.DESCRIPTION, kind, letter, text=text)


def put(path: Path, kind: Kind, letter: str) -> str:
    """Put what a letter stands for to a path; return its evidence."""
    if kind in {Kind.IMAGE, Kind.LINK}:
        path.symlink_to(TEXTS[letter])
    elif kind is Kind.BLOCK:
        path.write_text(f"mine\n{BLOCKS[letter]}")
        return digest(BLOCKS[letter])
    else:
        path.write_text(TEXTS[letter])
    return evidence_of(str(path))


def matches(output: Output, path: str) -> bool:
    return evidence_of(path) == f"link {output.target}"


CASES = {
    # on the disk, on record, announced, planned: how it stands
    "nothing was ever there": ("-", "-", "-", "A", Status.NEW),
    "as written": ("A", "A", "-", "A", Status.RIGHT),
    "the plan is another": ("A", "A", "-", "B", Status.CHANGED),
    "taken away": ("-", "A", "-", "A", Status.MISSING),
    "taken away, and the plan is another": ("-", "A", "-", "B", Status.MISSING),
    "somebody's own": ("C", "-", "-", "A", Status.FOREIGN),
    "as planned, by somebody": ("A", "-", "-", "A", Status.EQUAL),
    "somebody changed it": ("C", "A", "-", "A", Status.ALTERED),
    "somebody changed it, and the plan is another": ("C", "A", "-", "B", Status.ALTERED),
    "somebody changed it to what is planned": ("B", "A", "-", "B", Status.EQUAL),
    "killed before the name": ("A", "A", "B", "B", Status.CHANGED),
    "killed before the name, and undone": ("A", "A", "B", "A", Status.RIGHT),
    "killed before the record": ("B", "A", "B", "B", Status.EQUAL),
    "killed before the record, and undone": ("B", "A", "B", "A", Status.CHANGED),
    "killed before the record, and edited again": ("B", "A", "B", "D", Status.CHANGED),
    "killed before the first name": ("-", "", "B", "B", Status.MISSING),
    "killed before the first record": ("B", "", "B", "B", Status.EQUAL),
    "killed before the first record, and edited": ("B", "", "B", "D", Status.CHANGED),
    "killed before the record, then changed by somebody": ("C", "A", "B", "B", Status.ALTERED),
}


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.IMAGE, Kind.LINK, Kind.BLOCK])
@pytest.mark.parametrize("name", CASES)
def test_how_an_output_stands(name: str, kind: Kind, tmp_path: Path) -> None:
    there, recorded, announced, wanted, expected = CASES[name]
    evidence = {"": "", "-": ""}
    for letter in "ABCD":
        aside = tmp_path / letter
        evidence[letter] = put(aside, kind, letter)
        if letter == there:
            aside.rename(tmp_path / "x")  # which changes no evidence
    receipt = None
    if recorded != "-":
        text = BLOCKS if kind is Kind.BLOCK else TEXTS
        sha256_of = digest(text[recorded]) if recorded and kind is not Kind.IMAGE else ""
        receipt = Receipt(kind, recorded, evidence[recorded], sha256_of)
        if announced != "-":
            coming = {"next_fingerprint": announced, "next_evidence": evidence[announced]}
            receipt = receipt._replace(**coming)
    if kind is Kind.BLOCK and expected is Status.FOREIGN:
        expected = Status.ALTERED  # its marks are ours
    found = inspect(str(tmp_path), planned(kind, wanted), receipt, matches)
    assert found is expected


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda path: path.write_text(TEXTS["A"]), Status.CHANGED),
        (lambda path: path.write_text(""), Status.CHANGED),
        (lambda path: path.write_text(TEXTS["C"]), Status.ALTERED),
    ],
    ids=["touched", "cut to nothing", "edited"],
)
def test_a_text_in_which_nothing_of_the_users_is_may_be_replaced(change, status, tmp_path):
    path = tmp_path / "x"
    receipt = Receipt(Kind.TEXT, "A", put(path, Kind.TEXT, "A"), digest(TEXTS["A"]))
    path.unlink()
    change(path)
    assert inspect(str(tmp_path), planned(Kind.TEXT, "B"), receipt, matches) is status


def test_a_seed_is_the_users_once_it_is_there(tmp_path):
    path = tmp_path / "x"
    receipt = Receipt(Kind.SEED, "A", put(path, Kind.SEED, "A"), digest(TEXTS["A"]))
    path.write_text(TEXTS["C"])
    for known in (receipt, None):
        assert inspect(str(tmp_path), planned(Kind.SEED, "A"), known, matches) is Status.RIGHT
    path.unlink()
    assert inspect(str(tmp_path), planned(Kind.SEED, "A"), receipt, matches) is Status.MISSING
    assert inspect(str(tmp_path), planned(Kind.SEED, "A"), None, matches) is Status.NEW


def test_another_readme_is_enough(tmp_path):
    output = planned(Kind.SEED, "A")._replace(path="README.md")
    assert inspect(str(tmp_path), output, None, matches) is Status.NEW
    (tmp_path / "README.rst").write_text("mine")
    assert inspect(str(tmp_path), output, None, matches) is Status.RIGHT


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_block_is_written_into_files_only(kind, tmp_path):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    assert inspect(str(tmp_path), planned(Kind.BLOCK, "A"), None, matches) is Status.FOREIGN
