"""Nothing changed: trees, plans, state, reports and images that were converted, byte by byte.

What a run left once stands in tests/golden/goldens, a line for each path;
tests/support/goldens.py tells how it is compared, and how it is written anew. Only the command
line is used.
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


PLAN = "out/.spimpack/plan/0123456789abcdef/00.json"
CHUNK, LEVEL = "out/a.ome.zarr/0/c/0/0/0", "out/a.ome.zarr 0"
SEEN = {
    "files": {
        "out/a.json": "file 644 aa",
        "out/a.ome.zarr/zarr.json": "file 644 bb",
        "out/b.ims": "link ../raw/b.ims",
        "raw/c.ome.tif": "file 644 cc",
        CHUNK: "file 644 dd",
        PLAN: "file 644 ee",
    },
    "libraries": {"zarr": "3.1"},
    "reports": [{"command": "status", "exit code": 0, "lines": ["{}"]}],
    "voxels": {LEVEL: "<u2 (1, 1, 1) ff"},
}
CHANGES = {
    # What changes; with the libraries of the golden, and with others.
    "a-text": ("files", "out/a.json", "file 644 00", True),
    "a-mode": ("files", "out/a.json", "file 600 aa", True),
    "metadata": ("files", "out/a.ome.zarr/zarr.json", "file 644 00", True),
    "a-link": ("files", "out/b.ims", "link /raw/b.ims", True),
    "a-kind": ("files", "out/b.ims", "directory 755", True),
    "a-new-file": ("files", "out/d.json", "file 644 00", True),
    "a-source": ("files", "raw/c.ome.tif", "file 644 00", False),
    "a-chunk": ("files", CHUNK, "file 644 00", False),
    "a-plan": ("files", PLAN, "file 644 00", False),
    "voxels": ("voxels", LEVEL, "<u2 (1, 1, 1) 00", True),
}


@pytest.mark.parametrize("is_same", [True, False], ids=["same-libraries", "other-libraries"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_named(change, is_same):
    part, path, what, is_told_always = CHANGES[change]
    now = SEEN | {part: SEEN[part] | {path: what}}
    if not is_same:
        now |= {"libraries": {"zarr": "3.2"}}
    told = " ".join(compare(SEEN, now))
    if is_same or is_told_always:
        assert path in told
    else:
        assert not told


def test_another_exit_code_is_named():
    now = SEEN | {"libraries": {}, "reports": [SEEN["reports"][0] | {"exit code": 4}]}
    assert "report of status" in " ".join(compare(SEEN, now))


def test_other_libraries_make_another_plan():
    plan = PLAN.replace("0123456789abcdef", "f" * 16)
    files = {plan if path == PLAN else path: what for path, what in SEEN["files"].items()}
    assert not compare(SEEN, SEEN | {"libraries": {}, "files": files})


def test_every_golden_has_a_case():
    assert {path.stem for path in GOLDENS.glob("*.json")} == set(CASES)
