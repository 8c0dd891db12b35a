"""The order of names by their numbers."""

from __future__ import annotations

import random

import pytest

from spimpack_tasks.files.natural_order import find_fall, natural, sort_numbered

ORDERS = {
    "numbers": ["t1", "t2", "t10"],
    "without a number": ["stack.ome.tif", "stack1.ome.tif", "stack2.ome.tif", "stack10.ome.tif"],
    "decimals and whole numbers": ["z0.tif", "z0.25.tif", "z0.5.tif", "z0.75.tif", "z1.tif"],
    "decimals of other lengths": ["t0.5h", "t1h", "t1.5h", "t2h", "t10h"],
    "signs": [f"z{z}.ome.tif" for z in (-10, -5, 0, 5, 10)],
    "signs without zero": [f"z{z}.ome.tif" for z in (-15, -5, 5, 15)],
    "plus and minus": ["z-0010", "z-0005", "z+0000", "z+0005", "z+0010"],
    "hyphens before all": ["img-1", "img-2", "img-10"],
    "dates": ["2024-01-05", "2024-01-10", "2024-02-01"],
    "folders": ["TAG_2/a_1.tif", "TAG_2/a_10.tif", "TAG_10/a_1.tif"],
    "words": ["Feb", "Jan", "Mar"],
    "leading zeros": ["p007", "p8", "p0009"],
    "points between numbers that agree": ["v1.1", "v1.2", "v2.1"],
}


@pytest.mark.parametrize("name", ORDERS)
def test_numbers_put_names_in_order(name):
    names = ORDERS[name]
    for seed in range(5):
        given = random.Random(seed).sample(names, len(names))
        assert sort_numbered(given) == (names, "")


UNCLEAR = {
    "decimals or two numbers": ["z0.05", "z0.1", "z0.15", "z0.2"],
    "versions or decimals": ["v1.9", "v1.10"],
    "some hyphens": ["a-1", "a-2", "a4"],
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_an_unclear_order_is_told(name):
    assert "may be" in sort_numbered(UNCLEAR[name])[1]


def test_names_that_sort_alike_keep_an_order():
    assert sorted(["a01", "a1", "a001"], key=natural) == ["a001", "a01", "a1"]


@pytest.mark.parametrize(
    ("names", "fall"),
    [
        (["t1", "t2"], None),
        (["t10", "t2"], ("t10", "t2")),
        (["pre", "post"], None),
        (["Jan", "Feb", "Mar"], None),
        (["z0", "z0.25", "z0.5", "z1"], None),
        (["z0.5", "z0.25", "z1", "z0"], ("z0.5", "z0.25")),
        (["z-5", "z0", "z5"], None),
        (["b_1", "b_2", "a_1"], None),
    ],
)
def test_neighbours_that_fall_are_found(names, fall):
    assert find_fall(names) == fall
