"""Validation from the command line and by Luigi: exit codes, the report, and when it runs again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import luigi
import pytest
from cases.broken_datasets import edit_json
from test_luigid import luigid  # noqa: F401 - a fixture
from workspace import Workspace, small_workspace

from spimpack_tasks import PackageAndValidate, ValidateDataset
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, Severity
from spimpack_tasks.validation.bids_validator import PROGRAM
from spimpack_tasks.validation.report import read_report
from spimpack_tasks.validation.result import Finding, ValidationResult
from spimpack_tasks.validation.validate import DatasetChangedError, find_report, validate
from spimpack_tasks.version import PROJECT_URL

BIN = Path(sys.executable).parent
REPORT = ".spimpack/validation.json"
SIDECAR = "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.json"
PLAIN = {k: v for k, v in os.environ.items() if k != "LUIGI_CONFIG_PATH"}


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    made = small_workspace(tmp_path)
    made.write()
    return made


@pytest.fixture
def dataset(workspace) -> Path:
    """A valid dataset that was just packaged, and never validated."""
    assert workspace.run().exit_code is ExitCode.OK
    return workspace.out


@pytest.fixture
def foreign(dataset) -> Path:
    """A valid dataset that was made by someone else."""
    shutil.rmtree(dataset / ".spimpack")
    return dataset


@pytest.fixture
def stand_in(tmp_path):
    """A PATH with a stand-in for the official validator; a Python that has none beside it."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "python").symlink_to(sys.executable)

    def write(script: str | None) -> dict[str, str]:
        if script is not None:
            (place / PROGRAM).write_text(f"#!/bin/sh\n{script}\n")
            (place / PROGRAM).chmod(0o755)
        return {"PATH": f"{place}:/usr/bin:/bin"}

    return write


def break_(dataset: Path) -> None:
    (dataset / "notes.txt").write_text("x")


def mend(dataset: Path) -> None:
    (dataset / "notes.txt").unlink()


def start_luigi(task: str, *arguments: str | Path, **environment: str):
    command = [BIN / "luigi", "--module", "spimpack_tasks", task, *arguments, "--local-scheduler"]
    return subprocess.run(
        command, env=PLAIN | environment, capture_output=True, text=True, check=False
    )


def inputs_of(workspace: Workspace) -> list[str]:
    return ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]


def looks(root: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of all that is below a folder."""
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns)
        for path in root.rglob("*")
        if "tmp" not in path.parts and "locks" not in path.parts
    }


def test_a26_the_command_prints_and_keeps_what_was_found(dataset, capsys):
    assert main(["bids-validate", str(dataset)]) == ExitCode.OK
    head, *rest = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{dataset}: valid BIDS, ")
    assert rest[-1] == f"the whole report: {dataset / REPORT}"
    assert any(re.match(r"warning: \d+ x SIDECAR_KEY_RECOMMENDED: BodyPart", x) for x in rest)
    break_(dataset)
    assert main(["bids-validate", str(dataset), "--format", "json"]) == ExitCode.INVALID
    printed = capsys.readouterr().out
    assert printed == (dataset / REPORT).read_text()
    report = json.loads(printed)
    assert report["validator"]["name"] == PROGRAM
    assert report["validator"]["version"][0].isdigit()
    assert report["validator"]["schema"][0].isdigit()
    assert (report["mode"], report["errors"]) == ("shadow", 1)
    assert {"code": "NOT_INCLUDED", "severity": "error", "count": 1} in report["codes"]
    (finding,) = (f for f in report["findings"] if f["severity"] == "error")
    assert (finding["code"], finding["location"]) == ("NOT_INCLUDED", "notes.txt")
    assert len(report["findings"]) == report["errors"] + report["warnings"]


def test_warnings_are_errors_if_asked(dataset):
    assert main(["bids-validate", str(dataset)]) == ExitCode.OK
    assert main(["bids-validate", str(dataset), "--strict"]) == ExitCode.INVALID


def test_full_mode_finds_the_same(dataset, capsys):
    break_(dataset)
    for further in ([], ["--full"]):
        assert main(["bids-validate", str(dataset), "--format", "json", *further]) == 8
    first, second = (json.loads(text + "}") for text in capsys.readouterr().out.split("\n}\n")[:2])
    assert first["findings"] == second["findings"]
    assert (first["mode"], second["mode"]) == ("shadow", "full")
    assert first["fingerprint"] != second["fingerprint"]


def test_equal_datasets_have_equal_reports(dataset):
    main(["bids-validate", str(dataset)])
    before = looks(dataset)
    main(["bids-validate", str(dataset)])
    assert looks(dataset) == before


def test_a_dataset_of_others_gets_no_file(foreign, capsys, tmp_path):
    before = looks(foreign)
    assert main(["bids-validate", str(foreign)]) == ExitCode.OK
    assert looks(foreign) == before
    assert "for all of it: --format json" in capsys.readouterr().out
    report = tmp_path / "report.json"
    assert main(["bids-validate", str(foreign), "--report", str(report)]) == ExitCode.OK
    assert main(["bids-validate", str(foreign), "--report", str(report)]) == ExitCode.OK
    assert looks(foreign) == before
    assert read_report(str(report)) == find_report(str(foreign), path=str(report)) is not None
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".json") == [
        "report.json"
    ]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("out/report.json", "would be a part of the dataset", id="inside"),
        pytest.param("manifest.yml", "is there already, and is no report", id="in-use"),
    ],
)
def test_a_report_does_no_harm(dataset, tmp_path, place, said, capsys):
    before = looks(tmp_path)
    code = main(["bids-validate", str(dataset), "--report", str(tmp_path / place)])
    assert code == ExitCode.BAD_INPUT
    assert said in capsys.readouterr().err
    assert looks(tmp_path) == before


def test_a_state_directory_that_cannot_be_written_is_done_without(dataset, capsys):
    shutil.rmtree(dataset / ".spimpack" / "locks")
    (dataset / ".spimpack" / "locks").write_text("in the way")
    assert main(["bids-validate", str(dataset)]) == ExitCode.OK
    printed = capsys.readouterr()
    assert "valid BIDS" in printed.out
    assert printed.err.startswith("spimpack: the report was not kept: ")


@pytest.mark.parametrize("command", [["bids-validate"], ["bids-validate", "--full"]], ids=str)
def test_what_is_no_directory_is_told(command, tmp_path, capsys):
    assert main([*command, str(tmp_path / "none")]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.endswith(
        "none is no directory; give the directory of a BIDS dataset\n"
    )


def test_a26_neither_home_nor_environment_is_needed(dataset):
    done = subprocess.run(
        [BIN / "spimpack", "bids-validate", dataset],
        env={"BIDS_SCHEMA": "file:///there/is/no/such/schema.json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ": valid BIDS, " in done.stdout


@pytest.fixture
def in_memory():
    """A folder below /dev, where the validator's runtime reads nothing."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("needs /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_temporary_files_are_not_put_where_the_validator_cannot_read(dataset, in_memory):
    done = subprocess.run(
        [BIN / "spimpack", "bids-validate", dataset],
        env={**PLAIN, "TMPDIR": str(in_memory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ": valid BIDS, " in done.stdout
    assert list(in_memory.iterdir()) == []


def test_a_dataset_in_memory_gets_its_verdict(dataset, in_memory, capsys):
    place = in_memory / "bids"
    shutil.copytree(dataset, place, symlinks=True)
    assert main(["bids-validate", str(place)]) == ExitCode.OK
    edit_json(SIDECAR, SampleStaining=5)(place)
    assert main(["bids-validate", str(place)]) == ExitCode.INVALID
    capsys.readouterr()
    assert main(["bids-validate", str(place), "--full"]) == ExitCode.FAILED
    message = f"the BIDS validator cannot read below /dev: {place}; leave out --full"
    assert message in capsys.readouterr().err


NO_VERDICT = [
    pytest.param(None, ExitCode.BAD_INPUT, "is not installed", id="a26-missing"),
    pytest.param("echo Oh no >&2; exit 1", ExitCode.FAILED, "exit code 1", id="a26-crash"),
    pytest.param(
        '[ "$1" = --version ] && echo v 3.0.2',
        ExitCode.FAILED,
        "failed with exit code 1",
        id="a26-crash-after-version",
    ),
    pytest.param(
        '[ "$1" = --version ] && echo v 3.0.2; exit 0',
        ExitCode.FAILED,
        "did not answer in its JSON",
        id="a26-empty",
    ),
    pytest.param(
        "echo '{'; exit 16", ExitCode.FAILED, "failed with exit code 16", id="a26-no-json"
    ),
]


@pytest.mark.few(2)
@pytest.mark.parametrize(("script", "code", "said"), NO_VERDICT)
def test_without_verdict_the_command_fails(script, code, said, dataset, stand_in):
    environment = PLAIN | stand_in(script)
    command = [
        Path(environment["PATH"].partition(":")[0]) / "python",
        "-c",
        "import sys; from spimpack_tasks.cli.main import main; sys.exit(main())",
        "bids-validate",
        dataset,
    ]
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (dataset / REPORT).exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a26_the_task_fails_where_the_dataset_is_not_valid(dataset, workers):
    task = ["ValidateDataset", "--dataset", dataset, "--workers", workers]
    assert start_luigi(*task).returncode == ExitCode.OK
    assert "1 complete ones" in start_luigi(*task).stderr
    break_(dataset)
    done = start_luigi(*task)
    assert done.returncode == ExitCode.INVALID
    assert "notes.txt: " in done.stderr
    assert "[NOT_INCLUDED]" in done.stderr
    assert "Traceback" not in done.stderr
    assert read_report(str(dataset / REPORT)).verdict.errors[0].location == "notes.txt"
    assert start_luigi(*task).returncode == ExitCode.INVALID
    mend(dataset)
    assert start_luigi(*task).returncode == ExitCode.OK


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param([], 2, "no directory is given", id="no-dataset"),
        pytest.param(["--dataset", "none"], 2, "none is no directory", id="nothing-there"),
        pytest.param(["--dataset", "out"], 2, "give a file for it with --report", id="no-place"),
        pytest.param(["--dataset", "out", "--report", "r.json"], 0, "", id="report"),
        pytest.param(["--dataset", "out", "--report", "r.json", "--strict"], 8, "", id="strict"),
    ],
)
def test_the_task_says_what_it_needs(arguments, code, said, foreign, monkeypatch):
    monkeypatch.chdir(foreign.parent)
    done = start_luigi("ValidateDataset", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (foreign / ".spimpack").exists()


CHANGES = [
    pytest.param(edit_json(SIDECAR, PixelSizeUnits="nm"), id="edit"),
    pytest.param(break_, id="new-file"),
    pytest.param(lambda root: (root / "README.md").unlink(), id="file-gone"),
    pytest.param(lambda root: os.utime(root / "samples.tsv", (1, 1)), id="touch"),
    pytest.param(lambda root: shutil.rmtree(root.parent / "raw"), id="targets-gone"),
    pytest.param(lambda root: (root.parent / "raw" / "c.ome.tif").write_bytes(b"II*"), id="source"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_report_is_about_one_state_of_the_dataset(change, dataset):
    (dataset / SIDECAR).write_text('{"PixelSize": [1.8, 1.8, 4], "PixelSizeUnits": "um"}')
    validate(str(dataset)).write(str(dataset))
    assert find_report(str(dataset)) is not None
    assert ValidateDataset(dataset=str(dataset)).complete()
    assert not ValidateDataset(dataset=str(dataset), full=True).complete()
    task = ValidateDataset(dataset=str(dataset))
    change(dataset)
    assert find_report(str(dataset)) is None
    assert not task.complete()
    assert ValidateDataset(dataset=str(dataset)).task_id != task.task_id


def test_a_file_that_is_no_report_is_none(dataset, tmp_path):
    for text in ("", "[]", "{}", '{"about": "validation of a BIDS dataset"}'):
        (tmp_path / "report.json").write_text(text)
        assert read_report(str(tmp_path / "report.json")) is None
        assert find_report(str(dataset), path=str(tmp_path / "report.json")) is None


def test_a_dataset_that_does_not_keep_still_has_no_verdict(dataset, tmp_path, monkeypatch):
    """A stand-in for the official validator writes into the dataset while it is at work."""
    place = tmp_path / "bin"
    place.mkdir()
    answer = {"issues": {"issues": [], "codeMessages": {}}, "summary": {"schemaVersion": "1"}}
    (place / PROGRAM).write_text(
        f"#!/bin/sh\n[ $1 = --version ] && echo v 1 || {{ echo x > '{dataset}/new'; "
        f"echo '{json.dumps(answer)}'; }}\n"
    )
    (place / PROGRAM).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    with pytest.raises(DatasetChangedError, match="validate it again"):
        validate(str(dataset))


def test_a23_a_target_that_vanishes_after_packaging_is_found(workspace, capsys):
    command = ["package", *inputs_of(workspace), "--bids-validator"]
    assert main(command) == ExitCode.OK
    shutil.rmtree(workspace.root / "raw" / "b.ome.zarr")
    (workspace.root / "raw" / "a.ims").unlink()
    capsys.readouterr()
    assert main(["bids-validate", str(workspace.out)]) == ExitCode.INVALID
    printed = capsys.readouterr().out
    assert "[SYMLINK_BROKEN]" in printed
    assert "_SPIM.ims: The image is a link" in printed
    assert "[SPIMPACK_LINK_BROKEN]" in printed


@pytest.mark.parametrize("workers", ["1", "2"])
def test_packaging_and_validation_in_one_command(workspace, workers, capsys):
    command = ["package", *inputs_of(workspace), "--bids-validator", "--workers", workers]
    assert main(command) == ExitCode.OK
    packaged, validated, *_ = capsys.readouterr().out.splitlines()
    assert packaged == f"Packaged {workspace.out}: 3 new"
    assert validated.startswith(f"{workspace.out}: valid BIDS, ")
    before = looks(workspace.out)
    assert main(command) == ExitCode.OK
    assert looks(workspace.out) == before
    assert capsys.readouterr().out.startswith("Nothing to do: 3 unchanged")
    break_(workspace.out)
    assert main(command) == ExitCode.INVALID
    assert "notes.txt: " in capsys.readouterr().out
    assert main(command[:-3]) == ExitCode.OK, "without --bids-validator nothing is validated"


def test_what_could_not_be_packaged_is_not_validated(workspace, capsys):
    workspace.rows[0]["subject"] = "a-b"
    workspace.write()
    assert main(["package", *inputs_of(workspace), "--bids-validator"]) == ExitCode.BAD_INPUT
    assert "[value.label]" in capsys.readouterr().err


def test_a26_a_missing_validator_is_told_before_anything_is_packaged(
    workspace, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    command = ["package", *inputs_of(workspace), "--bids-validator"]
    assert main(command) == ExitCode.BAD_INPUT
    assert f"{PROGRAM} is not installed" in capsys.readouterr().err
    task = PackageAndValidate(manifest=str(workspace.manifest), output_dir=str(workspace.out))
    assert not task.complete()
    assert task.requires() == []
    assert task.verdict() is ExitCode.BAD_INPUT
    assert not luigi.build([task], local_scheduler=True, log_level="CRITICAL")
    assert not workspace.out.exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_packaging_and_validation_by_the_stock_luigi_command(workspace, workers):
    task = ["PackageAndValidate", *inputs_of(workspace), "--workers", workers]
    assert start_luigi(*task).returncode == ExitCode.OK
    before = looks(workspace.out)
    assert start_luigi(*task).returncode == ExitCode.OK
    assert looks(workspace.out) == before
    break_(workspace.out)
    done = start_luigi(*task)
    assert done.returncode == ExitCode.INVALID, done.stderr
    assert "[NOT_INCLUDED]" in done.stderr
    assert "Traceback" not in done.stderr
    assert start_luigi("PackageDataset", *task[1:]).returncode == ExitCode.OK
    mend(workspace.out)
    assert start_luigi(*task).returncode == ExitCode.OK
    workspace.rows[0]["subject"] = "a-b"
    workspace.write()
    done = start_luigi(*task)
    assert done.returncode == ExitCode.BAD_INPUT
    assert done.stderr.count("[value.label]") == 1


@pytest.mark.slow
def test_validation_through_luigid(luigid, workspace):  # noqa: F811 - the fixture
    where = ["--scheduler-host", "127.0.0.1", "--scheduler-port", str(luigid.port), "--no-lock"]

    def ask(task: str, *arguments: str) -> int:
        command = [BIN / "luigi", "--module", "spimpack_tasks", task, *arguments, *where]
        done = subprocess.run(
            command,
            env=luigid.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode

    for workers in ("1", "2"):
        both = ["PackageAndValidate", *inputs_of(workspace), "--workers", workers]
        alone = ["ValidateDataset", "--dataset", str(workspace.out), "--workers", workers]
        assert ask(*both) == ExitCode.OK
        break_(workspace.out)
        assert ask(*alone) == ExitCode.INVALID
        for _ in range(4):
            assert ask(*both) == ExitCode.INVALID
        mend(workspace.out)
        assert ask(*alone) == ExitCode.OK
        assert ask(*both) == ExitCode.OK


def finding(code: str, number: int, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(code, f"Key{number}", severity, f"sub-{number:02}/x.json", "is not good", 0)


def test_the_page_is_short_and_says_where_the_rest_is():
    findings = [finding("BAD", number, Severity.ERROR) for number in range(30)]
    findings += [finding(f"HINT_{number % 20:02}", number) for number in range(40)]
    page = ValidationResult(tuple(findings), "3.0.2", "1.2.7").page()
    assert page[0] == (
        "not valid BIDS: 30 errors, 40 warnings (bids-validator 3.0.2, BIDS schema 1.2.7)"
    )
    assert page[1] == "sub-00/x.json: is not good [BAD Key0]"
    assert page[13] == "... and 18 more kinds of errors"
    assert page[14] == "warning: 2 x HINT_00: Key0, Key20"
    assert page[22:] == [
        "... and warnings of 12 more codes",
        f"how to reach zero warnings: {PROJECT_URL}, page 'Reach zero warnings'",
    ]
    assert len(page) < 25


def test_errors_of_one_kind_are_one_line():
    what = ("SIDECAR_KEY_REQUIRED", "PixelSize", Severity.ERROR)
    findings = [Finding(*what, f"sub-{n:02}/x.json", "The size of a pixel.") for n in range(11)]
    page = ValidationResult(tuple(findings), "3.0.2", "1.2.7").page()
    assert page[1:] == [
        (
            "sub-00/x.json: PixelSize is missing. The size of a pixel. "
            "[SIDECAR_KEY_REQUIRED PixelSize] and 10 more like it"
        )
    ]


def test_the_page_of_a_clean_dataset_is_one_line():
    verdict = ValidationResult((), "3.0.2", "1.2.7")
    assert verdict.page() == ["valid BIDS, 0 warnings (bids-validator 3.0.2, BIDS schema 1.2.7)"]
    assert verdict.is_valid(strict=True)


def test_findings_cannot_command_a_terminal():
    text = str(Finding("BAD", "", Severity.ERROR, "a\x1b[31m.txt", "no"))
    assert text == r"a\x1b[31m.txt: no [BAD]"


@pytest.mark.parametrize("task", [ValidateDataset, PackageAndValidate])
def test_every_parameter_is_described(task):
    assert all(parameter.description for _, parameter in task.get_params())
