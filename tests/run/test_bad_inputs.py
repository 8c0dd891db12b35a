"""Every bad input is refused before anything is written, with its code and its place."""

import os
import subprocess
import sysconfig
from collections import Counter

import pytest
from cases.bad_inputs import BY_COMMAND, CASES, CONFLICTS
from study import fingerprint

from spimpack_tasks.errors import ConflictError, ExitCode, InputError
from spimpack_tasks.packaging.prepare import prepare_run

LUIGI = os.path.join(sysconfig.get_path("scripts"), "luigi")
BY_ID = {case.id: case for case in CASES}


def expected(case):
    return [(case.code, case.place), *case.also]


def stands_at(problem, place):
    """Tell whether a problem stands at a place, of which the last parts may be left open."""
    return (str(problem.place) + ":").startswith(place + ":")


def assert_is_reported(case, problems):
    page = "\n".join(map(str, problems))
    codes = Counter(problem.code for problem in problems)
    assert codes == Counter(code for code, _ in expected(case)), page
    for code, place in expected(case):
        assert any(p.code == code and stands_at(p, place) for p in problems), page
    assert any(p.code == case.code and case.says in str(p) for p in problems), page


def test_the_table_of_cases_is_a_table():
    assert len(BY_ID) == len(CASES) >= 100
    assert BY_ID.keys() >= set(BY_COMMAND)


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input_is_refused(case, study):
    case.spoil(study)
    before = fingerprint(study.folder)
    error = study.draft().refusal()
    assert type(error) is (ConflictError if case in CONFLICTS else InputError)
    shown = error.report.problems if study.options.get("strict") else error.report.errors
    assert_is_reported(case, shown)
    assert fingerprint(study.folder) == before


@pytest.mark.few(6)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("case", [BY_ID[name] for name in BY_COMMAND], ids=lambda case: case.id)
def test_bad_input_is_refused_by_luigi(case, study, workers):
    case.spoil(study)
    before = fingerprint(study.folder)
    run = subprocess.run(
        [
            *(LUIGI, "--module", "spimpack_tasks", "PackageDataset", "--local-scheduler"),
            *("--workers", str(workers), *study.command()),
        ],
        cwd=study.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = run.stdout + run.stderr
    assert run.returncode == (ExitCode.CONFLICT if case in CONFLICTS else ExitCode.BAD_INPUT), said
    assert "Traceback" not in said
    assert f"[{case.code}]" in said
    assert fingerprint(study.folder) == before


def test_three_mistakes_in_three_rows_give_three_messages(study):
    study.cell(2, "subject", "0-1")
    study.cell(3, "spim_path", "raw/none.ims")
    study.cell(4, "orientation_string_xyz", "RRR")
    problems = sorted(study.draft().report.errors, key=lambda problem: problem.place)
    assert [(p.place.line, p.code) for p in problems] == [
        (2, "value.label"),
        (3, "source.missing"),
        (4, "value.orientation"),
    ]


def test_all_mistakes_of_one_row_are_told(study):
    study.cell(3, "subject", "")
    study.cell(3, "spim_path", "raw/none.ims")
    study.cell(3, "orientation_string_xyz", "RRR")
    study.cell(3, "sample_staining", "a;;b")
    study.cell(3, "Magnification", "big")
    places = [p.place for p in study.draft().report.errors]
    assert [place.line for place in places] == [3] * 5
    assert len(set(places)) == 5


def test_manifest_tables_and_options_are_told_in_one_run(study):
    study.replace("manifest.yml", "License: CC0", "License: 1")
    study.replace("participants.tsv", "12.5", "old")
    study.cell(3, "sample", "a b")
    study.options["backend"] = "teleport"
    study.drop_formats()
    lines = study.draft().report.lines()
    starts = [line.split(" ", 1)[0] for line in lines]
    assert starts == [
        "command",
        "manifest.yml:5:12:",
        "participants.tsv:2:8:",
        "scans.tsv:3:4:",
        "4",
    ]
    assert lines[-1] == "4 errors"


def test_a_refused_draft_is_made_anew(study):
    study.path("raw/two.ims").rename(study.path("raw/2.ims"))
    options = study.make_options()
    assert prepare_run(options).refusal()
    study.path("raw/2.ims").rename(study.path("raw/two.ims"))
    assert prepare_run(options).refusal() is None


def test_a_report_reads_well(study):
    """The whole page of a run with a few mistakes."""
    study.drop_formats()
    study.cell(2, "sample_staining", "Abeta;;YoPro")
    study.cell(3, "spim_path", "raw/none.ims")
    study.rename("session", "sesion")
    study.replace("manifest.yml", ": raw", ": derived")
    page = "\n".join(study.draft().report.lines()).replace(str(study.folder), "FOLDER")
    assert page == (
        "manifest.yml:4:16: dataset_description.DatasetType: 'derived' is not allowed; "
        "did you mean 'derivative'? [value.choice]\n"
        "scans.tsv:1:65: sesion: is not a known column; did you mean 'session'? [column.misspelt]\n"
        "scans.tsv:2:26: sample_staining: 'Abeta;;YoPro' leaves a channel out; "
        "name every channel, in order, with one semicolon between two [value.staining]\n"
        "scans.tsv:3:10: spim_path: 'FOLDER/raw/none.ims' does not exist; "
        "check the path [source.missing]\n"
        "4 errors"
    )
