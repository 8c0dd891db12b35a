"""Validation from the command line and by Luigi: exit codes, the report, and when it runs again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_luigid import luigid, run  # noqa: F401 - a fixture
from workspace import Workspace, small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.validation.bids_validator import PROGRAM
from spimpack_tasks.validation.report import read_report
from spimpack_tasks.validation.validate import find_report

BIN = Path(sys.executable).parent
REPORT = ".spimpack/validation.json"
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
    assert any(line.startswith("warning: 39 x SIDECAR_KEY_RECOMMENDED: BodyPart") for line in rest)
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
