"""Equal problems are one line with their places; many of a kind are cut; errors come first."""

from __future__ import annotations

import pytest

from spimpack_tasks.errors import Place, Problem, Report, Severity

EMPTY = ("value.empty", "subject", "is empty", "give the subject")


def problem(
    line: int, text: tuple[str, ...] = EMPTY, *, file: str = "scans.tsv", **more
) -> Problem:
    code, key, message, hint = text
    return Problem(code, Place(file, line, 1), key, message, hint, **more)


def missing(line: int) -> Problem:
    text = ("source.missing", "spim_path", f"'{line}.ims' does not exist", "mend the path")
    return problem(line, text)


WARNED = ("column.working", "", "notes is not published", "")
ONE = "scans.tsv:{}:1: subject: is empty; give the subject [value.empty]"
LOST = "scans.tsv:{0}:1: spim_path: '{0}.ims' does not exist; mend the path [source.missing]"
CUT = (
    "scans.tsv: spim_path: 257 more like this in lines 5-261; --verbose shows each [source.missing]"
)
CASES = {
    "none": ([], ["0 errors"]),
    "one": ([problem(2)], [ONE.format(2), "1 error"]),
    "equal ones": (
        [problem(line) for line in (261, *range(2, 261))],
        [f"{ONE.format(2)} (260 times: lines 2-261)", "260 errors"],
    ),
    "gaps": (
        [problem(line) for line in (2, 3, 5, 9, 10, 11)],
        [f"{ONE.format(2)} (6 times: lines 2-3, 5, 9-11)", "6 errors"],
    ),
    "many gaps": (
        [problem(line) for line in range(2, 40, 2)],
        [f"{ONE.format(2)} (19 times: lines 2, 4, 6, 8, 10, …, 38)", "19 errors"],
    ),
    "twice in a line": (
        [problem(4), problem(4)],
        [f"{ONE.format(4)} (2 times)", "2 errors"],
    ),
    "other files are apart": (
        [problem(2), problem(2, file="more.tsv")],
        [ONE.format(2).replace("scans", "more"), ONE.format(2), "2 errors"],
    ),
    "three that differ": (
        [missing(line) for line in (4, 3, 2)],
        [*map(LOST.format, (2, 3, 4)), "3 errors"],
    ),
    "four that differ": (
        [missing(line) for line in range(2, 6)],
        [*map(LOST.format, (2, 3, 4, 5)), "4 errors"],
    ),
    "many that differ": (
        [missing(line) for line in range(2, 262)],
        [
            *map(LOST.format, (2, 3, 4)),
            CUT,
            "260 errors",
        ],
    ),
    "errors come first": (
        [problem(1, WARNED, severity=Severity.WARNING), missing(7)],
        [
            LOST.format(7),
            "scans.tsv:1:1: warning: notes is not published [column.working]",
            "1 error, 1 warning",
        ],
    ),
    "notes come last": (
        [
            problem(1, ("dataset.mixed-stains", "", "differ", "name them alike"), severity=s)
            for s in (Severity.NOTE, Severity.WARNING)
        ],
        [
            "scans.tsv:1:1: warning: differ; name them alike [dataset.mixed-stains]",
            "scans.tsv:1:1: note: differ; name them alike [dataset.mixed-stains]",
            "0 errors, 1 warning, 1 note",
        ],
    ),
}


@pytest.mark.parametrize(("problems", "expected"), CASES.values(), ids=CASES)
def test_problems_are_grouped(problems, expected):
    assert Report(problems).lines() == expected


def test_each_problem_has_a_line_on_demand():
    report = Report([*map(missing, range(2, 262)), problem(1, WARNED, severity=Severity.WARNING)])
    *lines, warning, count = report.lines(verbose=True)
    assert lines == [LOST.format(line) for line in range(2, 262)]
    assert warning.startswith("scans.tsv:1:1: warning: ")
    assert count == "260 errors, 1 warning"


def test_a_control_character_does_not_reach_the_terminal():
    texts = [("source.missing", "a\x1bb", f"{n}\x1b is missing", "") for n in range(6)]
    report = Report([problem(2, text) for text in texts])
    assert not any("\x1b" in line for line in report.lines())
