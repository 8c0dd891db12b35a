"""Editing a manifest changes the value that was asked for, and no other line."""

from __future__ import annotations

import difflib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.files.yaml_edit import EditRefusedError, set_value
from spimpack_tasks.manifest.template import compose_manifest

MANIFEST = """\
# first
dataset_description:  # about
  Name: 'old'  # the name
  Authors:
    - A   # one
    - B

    # behind the authors
  License: |
    several
    lines

# shared
sidecar_defaults: {Species: mouse, A: [1, 2]}
datasets:
- &first
  dataset_id: x
- *first
"""

CASES = {
    "a text": (
        ("dataset_description", "Name"),
        "new: one",
        ["-  Name: 'old'  # the name", "+  Name: 'new: one'  # the name"],
    ),
    "a list": (
        ("dataset_description", "Authors"),
        ["C"],
        ["-    - A   # one", "-    - B", "+  - C"],
    ),
    "a text of several lines": (
        ("dataset_description", "License"),
        "CC0",
        ["-  License: |", "-    several", "-    lines", "+  License: CC0"],
    ),
    "a key added": (
        ("dataset_description", "DatasetType"),
        "raw",
        ["+  DatasetType: raw"],
    ),
    "a key taken out": (
        ("dataset_description", "Authors"),
        None,
        ["-  Authors:", "-    - A   # one", "-    - B"],
    ),
    "a key in braces": (
        ("sidecar_defaults", "Species"),
        "rat",
        [
            "-sidecar_defaults: {Species: mouse, A: [1, 2]}",
            '+sidecar_defaults: {"Species": "rat", "A": [1, 2]}',
        ],
    ),
    "a key at the top": (("scans_tsv",), "s.tsv", ["+scans_tsv: s.tsv"]),
    "what is there": (("dataset_description", "Name"), "old", []),
    "what is not there taken out": (("dataset_description", "Nothing"), None, []),
    "an alias and its anchor": (
        ("datasets",),
        None,
        ["-datasets:", "-- &first", "-  dataset_id: x", "-- *first"],
    ),
}


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_edit(name, end):
    path, value, wanted = CASES[name]
    text = MANIFEST.replace("\n", end)
    after = set_value(text, path, value)
    assert after.count("\n") == after.count(end)
    assert changed_lines(text, after) == wanted
    data = yaml.safe_load(after)
    for key in path[:-1]:
        data = data[key]
    assert data.get(path[-1]) == value


OTHER_TEXTS = {
    "empty": ("", "a: 1\n"),
    "comment only": ("# c\n", "# c\na: 1\n"),
    "no last line end": ("b: 2", "b: 2\na: 1"),
    "JSON": ('{"b": 2}', '{"b": 2, "a": 1}'),
    "JSON of several lines": ('{\n  "b": 2\n}\n', '{\n  "b": 2,\n  "a": 1\n}\n'),
    "a key without value": ("a:\nb: 2\n", "a: 1\nb: 2\n"),
    "commented key": ("b: 2\n# a: 5\nc: 3\n", "b: 2\na: 1\nc: 3\n"),
}


@pytest.mark.parametrize("name", OTHER_TEXTS)
def test_other_texts(name):
    before, after = OTHER_TEXTS[name]
    assert set_value(before, ("a",), 1) == after


REFUSED = {
    "an anchor that is used": ("a: &x 1\nb: *x\n", ("a",)),
    "a merged key": ("a: &x {k: 1}\nb:\n  <<: *x\n", ("b", "k")),
    "a list": ("- a\n", ("a",)),
    "a syntax error": ("a: [\n", ("a",)),
    "a key given twice": ("a: 1\na: 2\n", ("a",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    text, path = REFUSED[name]
    with pytest.raises(EditRefusedError) as error:
        set_value(text, path, None)
    assert isinstance(error.value, SpimpackError)
    assert "text editor" in str(error.value)


def test_optional_lines_of_the_template_give_way():
    text = compose_manifest()
    after = set_value(text, ("dataset_description", "Funding"), ["x"])
    assert changed_lines(text, after) == ["-  # Funding: []", "+  Funding:", "+  - x"]


VALUES = st.recursive(
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)
    | st.integers()
    | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcXYZ", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(value=VALUES, key=st.sampled_from(["Name", "Authors", "License", "New"]))
def test_any_value_is_read_as_it_was_given(value, key):
    after = set_value(MANIFEST, ("dataset_description", key), value)
    assert yaml.safe_load(after)["dataset_description"][key] == value
    for line in ("# first", "# shared", "    # behind the authors"):
        assert line in after.splitlines()
