"""The verdict of the official validator, and what is said when there is none."""

import json
import re
import sys
from pathlib import Path

import pytest

from spimpack_tasks.errors import MissingExtraError, Severity
from spimpack_tasks.validation.bids_validator import (
    PROGRAM,
    ValidatorFailedError,
    run_bids_validator,
)
from spimpack_tasks.validation.result import Finding, ValidationResult


@pytest.fixture
def dataset(tmp_path):
    """The smallest dataset with one SPIM image that has no errors."""
    root = tmp_path / "data set"
    micr = root / "sub-01" / "micr"
    image = micr / "sub-01_sample-A_SPIM.ome.zarr"
    image.mkdir(parents=True)
    (image / "zarr.json").write_text("{}\n")
    sidecar = {"PixelSize": [2.6, 2.6, 4.0], "PixelSizeUnits": "um"}
    (micr / "sub-01_sample-A_SPIM.json").write_text(json.dumps(sidecar))
    description = {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    samples = "sample_id\tparticipant_id\tsample_type\nsample-A\tsub-01\ttissue\n"
    (root / "samples.tsv").write_text(samples)
    return root


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a stand-in for the validator beside `sys.executable`, with nothing else on the PATH."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))

    def write(script):
        program = place / PROGRAM
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return write


def test_valid_dataset_has_no_errors(dataset, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("BIDS_SCHEMA", "file:///there/is/no/such/schema.json")
    verdict = run_bids_validator(dataset)
    assert verdict.errors == ()
    assert {w.code for w in verdict.warnings} >= {"README_FILE_MISSING", "SIDECAR_KEY_RECOMMENDED"}
    versions = (verdict.validator_version, verdict.schema_version)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    head = "bids-validator {} (BIDS schema {})".format(*versions)
    assert verdict.lines() == [f"{head}: 0 errors, {len(verdict.warnings)} warnings"]


def test_breaks_are_named_with_their_place(dataset, monkeypatch):
    sidecar = dataset / "sub-01" / "micr" / "sub-01_sample-A_SPIM.json"
    sidecar.write_text('{"PixelSize": "2.6", "PixelSizeUnits": "um"}')
    with (dataset / "samples.tsv").open("a") as table:
        table.write("sample-B\tsub-01\tshoe\n")
    monkeypatch.chdir(dataset.parent)
    verdict = run_bids_validator(Path(dataset.name))
    assert sorted((e.code, e.sub_code, e.location, e.line) for e in verdict.errors) == [
        (
            "JSON_SCHEMA_VALIDATION_ERROR",
            "PixelSize",
            "sub-01/micr/sub-01_sample-A_SPIM.json",
            0,
        ),
        ("TSV_VALUE_INCORRECT_TYPE", "sample_type", "samples.tsv", 3),
    ]
    line = next(line for line in verdict.lines() if line.startswith("sub-01/"))
    assert line.startswith("sub-01/micr/sub-01_sample-A_SPIM.json: must be array")
    assert line.endswith("[JSON_SCHEMA_VALIDATION_ERROR PixelSize]")


def test_page_leaves_out_errors_past_the_limit():
    message = "is wrong\n\nin many words"
    findings = [Finding("BAD", "", Severity.ERROR, "a.tsv", message, line) for line in range(1, 4)]
    findings.append(Finding("NONE", "", Severity.ERROR, "", ""))
    findings.append(Finding("HINT", "key", Severity.WARNING, "a.json", "could be better"))
    verdict = ValidationResult(tuple(findings), "3.0.2", "1.2.7")
    head = "bids-validator 3.0.2 (BIDS schema 1.2.7): 4 errors, 1 warning"
    errors = [f"a.tsv:{line}: is wrong in many words [BAD]" for line in range(1, 4)]
    assert verdict.lines() == [head, *errors, "dataset [NONE]"]
    assert verdict.lines(max_errors=3) == [head, *errors, "... and 1 more error"]


@pytest.mark.usefixtures("install")  # an empty place, which hides the real one
def test_missing_validator_says_what_to_install(dataset):
    with pytest.raises(MissingExtraError, match=r"bids-validator-deno .*spimpack_tasks\[bids\]"):
        run_bids_validator(dataset)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("exit 0", "did not answer in its JSON", id="nothing"),
        pytest.param("echo '[1]'", "did not answer in its JSON", id="other-json"),
        pytest.param("echo Oh no >&2; exit 1", "failed with exit code 1", id="crash"),
    ],
)
def test_no_verdict_is_an_error_with_the_command(dataset, install, script, said):
    program = install(script)
    with pytest.raises(ValidatorFailedError) as caught:
        run_bids_validator(dataset)
    command = f"{program} {dataset} --format json --max-rows -1"
    stderr = ["Oh no"] if "Oh no" in script else []
    assert str(caught.value).splitlines() == [f"the BIDS validator {said}: {command}", *stderr]


def test_a_program_that_cannot_run_is_an_error(dataset, install):
    install("").write_bytes(b"\0\0\0\0")
    with pytest.raises(ValidatorFailedError, match="cannot be run"):
        run_bids_validator(dataset)


def test_validator_on_the_path_is_used_when_none_is_beside_python(
    dataset, install, tmp_path, monkeypatch
):
    answer = {"issues": {"issues": [], "codeMessages": {}}, "summary": {"schemaVersion": "1.2.7"}}
    program = install(f"test \"$1\" = --version && echo v 9.9.9 || echo '{json.dumps(answer)}'")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    monkeypatch.setenv("PATH", str(program.parent))
    assert run_bids_validator(dataset) == ValidationResult((), "9.9.9", "1.2.7")


def test_the_version_is_the_validators_own_in_a_git_checkout(monkeypatch, dataset):
    monkeypatch.chdir(Path(__file__).parent)
    assert run_bids_validator(dataset).validator_version[0].isdigit()
    assert "." in run_bids_validator(dataset).validator_version
