"""What a schema finds wrong, in the user's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spimpack_tasks.manifest.schema_check import (
    dotted,
    explain,
    first_sentence,
    is_surely_valid,
    make_validator,
    property_validator,
    shown_value,
)
from spimpack_tasks.schemas import load_schema

EXPLAINED = {
    # schema, value, as it was written: code, message and hint
    "a number for a text": (
        {"type": "string"},
        7,
        "007",
        ("value.type", "must be text, not 007", "put quotes around it"),
    ),
    "a list for a text": (
        {"type": "string"},
        [7],
        "",
        ("value.type", "must be text, not [7]", ""),
    ),
    "a text for a number": (
        {"type": "number"},
        "a",
        "a",
        ("value.type", "must be a number, not a", ""),
    ),
    "a text for a list": (
        {"type": "array"},
        "a, b",
        "",
        ("value.type", "must be a list, not 'a, b'", "write [a, b]"),
    ),
    "a text for a list or a number": (
        {"type": ["array", "number"]},
        "a",
        "",
        ("value.type", "must be a list or a number, not 'a'", ""),
    ),
    "nothing": ({"type": "string"}, None, "~", ("value.empty", "is empty; it must be text", "")),
    "blanks": ({"enum": ["a"]}, "  ", "", ("value.empty", "is empty", "")),
    "a choice": (
        {"enum": ["left", "right"]},
        "lef",
        "",
        ("value.choice", "'lef' is not allowed", "did you mean 'left'?"),
    ),
    "no choice": (
        {"enum": ["left", "right"]},
        3.0,
        "3.00",
        ("value.choice", "3.00 is not allowed", "one of: left, right"),
    ),
    "nothing of choices": (
        {"enum": ["left", "right"]},
        None,
        "",
        ("value.empty", "is empty", "one of: left, right"),
    ),
    "a form with an example": (
        {"pattern": "^[0-9]+$", "examples": ["01"]},
        "a",
        "",
        ("value.form", "'a' is not well formed", "write it like '01'"),
    ),
    "a form": (
        {"pattern": "^[0-9]+$"},
        "a",
        "",
        ("value.form", "'a' is not well formed", "it must match ^[0-9]+$"),
    ),
    "too few": (
        {"minItems": 3},
        [1, 2],
        "",
        ("value.range", "must have 3 items or more, not 2", ""),
    ),
    "too many": (
        {"maxItems": 1},
        [1, 2],
        "",
        ("value.range", "must have 1 items or fewer, not 2", ""),
    ),
    "too low": (
        {"exclusiveMinimum": 0},
        -1.5,
        "",
        ("value.range", "must be greater than 0, not -1.5", ""),
    ),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_is_wrong_is_explained(name):
    schema, value, written, expected = EXPLAINED[name]
    (error,) = make_validator(schema).iter_errors(value)
    assert explain(error, written) == expected


@pytest.mark.parametrize(
    ("description", "hint"),
    [
        ("Name of the dataset. More of it.", "name of the dataset"),
        ("Name of the dataset.", "name of the dataset"),
        ("BIDS version. More.", "BIDS version"),
        ("raw, or derivative.", "raw, or derivative"),
        ("A", "A"),
    ],
)
def test_the_first_sentence_is_a_hint(description, hint):
    assert first_sentence(description) == hint


@pytest.mark.parametrize("length", [78, 79, 1000])
def test_a_value_is_no_longer_than_a_line(length):
    text = "a" * length
    shown = shown_value(text)
    assert len(shown) <= 80
    assert (shown == repr(text)) == (length == 78)
    assert shown.endswith("'" if length == 78 else "a...")


def test_paths_are_read_as_in_a_program():
    assert dotted(("datasets", 0, "assets", 12, "subject")) == "datasets[0].assets[12].subject"
    assert dotted(()) == ""


SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text(max_size=2)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@given(st.sampled_from([*load_schema("sidecar")["properties"], "unlisted"]), VALUES)
def test_what_is_surely_valid_is_valid(key, value):
    if is_surely_valid(load_schema("sidecar")["properties"].get(key, {}), value):
        assert property_validator("sidecar", key).is_valid(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PixelSize", [1.8, 1.8, 4]),
        ("Manufacturer", "Miltenyi"),
        ("Magnification", 4),
        ("NumericalAperture", 0.5),
        ("SampleStaining", ["Abeta"]),
        ("SampleStaining", "Abeta"),
        ("unlisted", {"any": None}),
    ],
)
def test_usual_values_are_surely_valid(key, value):
    assert is_surely_valid(load_schema("sidecar")["properties"].get(key, {}), value)
