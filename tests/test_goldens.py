"""Nothing changed: trees, plans, state, reports and images that were converted, byte by byte.

What a run left once stands in tests/golden/goldens, a line for each path; tests/goldens.py tells
how it is compared, and how it is written anew. Only the command line is used.
"""

from __future__ import annotations

import pytest
from golden_cases import CASES
from goldens import GOLDENS, compare, play, read_golden

NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if case.is_slow else [])
    for name, case in CASES.items()
]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changed(name):
    differences = compare(read_golden(name), play(name))
    assert not differences, "\n".join(["", *differences])


@pytest.mark.parametrize("name", ["ome-zarr", "copy"])
def test_two_workers_leave_the_same(name):
    differences = compare(read_golden(name), play(name, workers=2))
    assert not differences, "\n".join(["", *differences])


def test_every_golden_has_a_case():
    assert {path.stem for path in GOLDENS.glob("*.json")} == set(CASES)
