"""The order of merged files where nobody says it."""

from __future__ import annotations

import pytest

from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.merged.order import order_of_arguments

LISTS = {
    "by number": (["t1", "t2", "t10"], "table"),
    "by letters": (["t_1", "t_10", "t_2"], "natural"),
    "by letters, without signs": (["T-1", "T_10", "t-2"], "natural"),
    "numbers fall": (["t3", "t2", "t1"], "table"),
    "words": (["pre", "post"], "table"),
    "words of two groups": (["pre_1", "pre_2", "post_1"], "table"),
    "a shell's groups": (["b_1", "b_10", "b_2", "a_1"], "refused"),
    "folders by letters": (["TP_1/x", "TP_10/x", "TP_2/x"], "natural"),
    "a shell's groups of folders": (["b_1/x", "b_10/x", "b_2/x", "a_1/x"], "refused"),
    "a shell's groups of equal words": (
        ["d2/b_1", "d2/b_10", "d2/b_2", "d10/b_1", "d10/b_2"],
        "refused",
    ),
    "no sort": (["t10", "t9", "t11"], "table"),
    "one": (["t10"], "natural"),
}


@pytest.mark.parametrize("name", LISTS)
def test_o31_an_order_that_was_written_on_purpose_stays(name):
    names, order = LISTS[name]
    paths = [f"/data/{each}.tif" for each in names]
    if order == "refused":
        with pytest.raises(SourceRefusedError, match=r"b_10.* comes before .*b_2") as raised:
            order_of_arguments(paths)
        assert "merge_order=natural" in raised.value.hint
    else:
        assert order_of_arguments(paths) == order
