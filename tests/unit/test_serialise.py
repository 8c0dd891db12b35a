"""Our JSON is that of the standard library, byte by byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spimpack_tasks.manifest.serialise import describe_column, json_text

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS
VALUES = st.recursive(
    SCALARS | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_texts_are_those_of_the_standard_library(value):
    assert json_text(value) == json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("value", [{1: "a", None: {True: [1]}}, {"a": [{}, [], {"b": ()}]}])
def test_unusual_containers_are_written_as_well(value):
    assert json_text(value) == json.dumps(value, indent=2) + "\n"


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": -float("inf")}])
def test_numbers_that_json_does_not_have_are_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(value)


AGES = [
    ({}, "Age of the participant in years."),
    ({"Units": "year"}, "Age of the participant in years."),
    ({"Units": "week"}, "Age of the participant."),
]
OURS = {"age": {"description": "Age of the participant in years."}, "sex": {"description": "Sex."}}


@pytest.mark.parametrize(("own", "text"), AGES, ids=str)
def test_an_age_in_other_units_is_not_said_to_be_in_years(own, text):
    assert describe_column("age", {"age": own}, OURS) == {**own, "Description": text}


def test_other_columns_with_units_keep_their_description():
    own = {"Units": "week"}
    assert describe_column("sex", {"sex": own}, OURS) == {**own, "Description": "Sex."}
