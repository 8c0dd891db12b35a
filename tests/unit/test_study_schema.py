"""The schema of studies offers the options of each stage, with their descriptions."""

from __future__ import annotations

import pytest

from spimpack_tasks.alignment.choices import OPTIONS as ALIGNMENT_OPTIONS
from spimpack_tasks.manifest.products import STAGES
from spimpack_tasks.packaging.options import OPEN_FLAGS
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.stitching.options import OPTIONS as STITCH_OPTIONS

ITEMS = load_schema("study")["properties"]["stages"]["properties"]


def test_the_stages_are_those_of_the_program_in_their_order():
    assert tuple(ITEMS) == STAGES


@pytest.mark.parametrize(
    ("stage", "options"), [("stitch", STITCH_OPTIONS), ("align", ALIGNMENT_OPTIONS)]
)
def test_each_option_of_a_stage_can_be_given(stage, options):
    given = ITEMS[stage]["additionalProperties"]["properties"]
    assert options.keys() <= given.keys()
    for name, option in options.items():
        kind = "number" if isinstance(option.default, float) else "string"
        assert given[name]["type"] == kind
        assert given[name].get("enum", []) == list(option.choices)
        assert option.text[1:].rstrip(".") in given[name]["description"]


def test_each_open_choice_of_a_run_can_be_given():
    assert set(OPEN_FLAGS) <= ITEMS["package"]["properties"].keys()
