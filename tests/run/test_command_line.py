"""The command line: paths without options, and what is said of a line that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspace import small_workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.cli.parser import COMMANDS, build_parser
from spimpack_tasks.errors import ExitCode


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """A folder with `manifest.yml`, which is the working directory."""
    space = small_workspace(tmp_path)
    space.write()
    monkeypatch.chdir(space.root)
    return space.root


FORMS = {
    "paths": "manifest.yml bids",
    "options": "--manifest manifest.yml --output-dir bids",
    "manifest as an option": "bids --manifest manifest.yml",
    "directory as an option": "--output-dir bids manifest.yml",
    "an option between them": "manifest.yml --backend symlink bids",
    "a flag between them": "manifest.yml --strict bids",
}


@pytest.mark.parametrize("line", FORMS.values(), ids=FORMS)
def test_manifest_and_directory_need_no_option(line, study, capsys):
    for command in ("package", "status"):
        assert main([command, *line.split()]) == ExitCode.OK
        assert capsys.readouterr().err == ""
    assert (study / "bids/sub-01/micr").is_dir()
    assert not (study / "manifest.yml/.spimpack").exists()


EXAMPLE = "spimpack package manifest.yml bids"
WRONG = {
    "nothing": (
        "package",
        f"spimpack: give the manifest and the directory of the dataset, such as: {EXAMPLE}\n",
    ),
    "no directory": (
        "package manifest.yml",
        f"spimpack: give the directory of the dataset, such as: {EXAMPLE}\n",
    ),
    "no manifest": (
        "validate",
        "spimpack: give the manifest, such as: spimpack validate manifest.yml bids\n",
    ),
    "too many": (
        "package a b c",
        (
            "spimpack: 'c' is one path too many: manifest and directory are given already "
            f"(put a path with spaces into quotes), such as: {EXAMPLE}\n"
        ),
    ),
    "both ways": (
        "package a b --manifest m.yml",
        (
            "spimpack: 'b' is one path too many: manifest and directory are given already "
            f"(put a path with spaces into quotes), such as: {EXAMPLE}\n"
        ),
    ),
    "unknown option": (
        "package manifest.yml bids --ouput-dir=x",
        (
            "spimpack package: there is no argument --ouput-dir; did you mean '--output-dir'?\n"
            f"example: {EXAMPLE}\nhelp: spimpack package --help\n"
        ),
    ),
    "wrong value": (
        "package manifest.yml bids --workers 0",
        (
            "spimpack package: argument --workers: '0' is not a whole number above 0\n"
            f"example: {EXAMPLE}\nhelp: spimpack package --help\n"
        ),
    ),
    "unknown command": (
        "reprot bids",
        (
            "spimpack: there is no command 'reprot'; did you mean 'report'?\n"
            f"example: {EXAMPLE}\nhelp: spimpack --help\n"
        ),
    ),
    "the dataset alone": (
        "status raw",
        (
            "spimpack: 'raw' is a directory; give the manifest before it, such as: "
            "spimpack status manifest.yml bids\n"
        ),
    ),
    "an option cut short": (
        "package manifest.yml bids --over",
        (
            "spimpack package: there is no argument --over; did you mean '--overwrite'?\n"
            f"example: {EXAMPLE}\nhelp: spimpack package --help\n"
        ),
    ),
    "swapped": (
        "package bids manifest.yml",
        (
            "spimpack: the manifest comes first, then the directory of the dataset, such as: "
            f"{EXAMPLE}\n"
        ),
    ),
    "unknown option of the program": (
        "--versoin",
        (
            "spimpack: there is no option --versoin; did you mean '--version'?\n"
            f"example: {EXAMPLE}\nhelp: spimpack --help\n"
        ),
    ),
    "no command": (
        "",
        f"spimpack: give a command\nexample: {EXAMPLE}\nhelp: spimpack --help\n",
    ),
    "a directory that is no demo": (
        "demo raw",
        "spimpack: raw is not empty and holds no demo; choose another directory\n",
    ),
    "no dataset": (
        "report nosuch",
        "spimpack: nosuch does not exist; give the directory of the dataset\n",
    ),
    "a file": (
        "report manifest.yml",
        "spimpack: manifest.yml is not a directory; give the directory of the dataset\n",
    ),
}


@pytest.mark.parametrize(("line", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_line_is_told_with_one_that_is_right(line, told, study, capsys):
    before = sorted(study.rglob("*"))
    try:
        code = main(line.split())
    except SystemExit as end:
        code = end.code
    assert code == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == told
    assert sorted(study.rglob("*")) == before


def test_i15_7_the_study_of_the_pages(tmp_path, monkeypatch, capsys):
    assert main(["demo", "--inputs", str(tmp_path / "study")]) == ExitCode.OK
    monkeypatch.chdir(tmp_path / "study")
    assert main(["package", "manifest.yml", "bids"]) == ExitCode.OK
    assert "Packaged bids: 5 new" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    assert main(["demo", "--inputs", str(tmp_path / "study")]) == ExitCode.OK
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


@pytest.mark.parametrize(("line", "usage"), [("help", "spimpack"), ("help plan", "spimpack plan")])
def test_help_is_a_word_as_well(line, usage, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert end.value.code == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"usage: {usage} ")


def test_a_directory_in_place_of_its_manifest(study, capsys):
    assert main(["validate", str(study)]) == ExitCode.BAD_INPUT
    shown = capsys.readouterr()
    assert f"is a directory; did you mean '{study}/manifest.yml'?" in shown.out + shown.err


YAML = {
    "a quotation mark": ('Name: "a\n  License: CC0\n', "2:9", "quotation mark opens here"),
    "a list": ("Name: [a\n  License: CC0\n", "3:10", "close the list with ]"),
    "a colon": ("Name: a: b\n", "2:10", "put a value with a colon in quotation marks"),
    "a tab": ("Name: a\n\tLicense: CC0\n", "3:1", "indent with spaces"),
}


@pytest.mark.parametrize(("text", "place", "told"), YAML.values(), ids=YAML)
def test_mistakes_of_yaml_come_with_a_remedy(text, place, told, study, capsys):
    (study / "manifest.yml").write_text(f"dataset_description:\n  {text}")
    assert main(["validate", "manifest.yml"]) == ExitCode.BAD_INPUT
    shown = capsys.readouterr()
    assert f"manifest.yml:{place}: " in shown.err + shown.out
    assert told in shown.err + shown.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_example_is_a_line_that_can_be_read(command):
    """Only the arguments are read, nothing is done."""
    program, *words = COMMANDS[command].example.split()
    assert program == "spimpack"
    assert build_parser().parse_args(words).command == command


@pytest.mark.usefixtures("study")
def test_a_licence_is_chosen_by_the_user(capsys):
    images = ["--scan", "raw", "--pattern", "{subject}.*", "--set", "sample=brain"]
    assert main(["init", "first", *images]) == ExitCode.OK
    assert '\n  License: ""\n' in Path("first/manifest.yml").read_text()
    main(["validate", "first/manifest.yml"])
    assert (
        "dataset_description.License: is empty; licence of the data, such as CC0"
        in capsys.readouterr().out
    )
    assert main(["init", "second", *images, "--name", "A: b", "--license", "CC0"]) == ExitCode.OK
    text = Path("second/manifest.yml").read_text()
    assert '\n  Name: "A: b"\n' in text
    assert '\n  License: "CC0"\n' in text
    main(["init", "third", "--license", "CC0"])
    assert '\n  License: "CC0"\n' in Path("third/manifest.yml").read_text()


def plan(capsys) -> tuple[int, list[str], str]:
    capsys.readouterr()
    code = main(["plan", "manifest.yml", "bids", "--exit-code"])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err


def test_a_script_asks_what_a_run_would_change(study, capsys):
    code, paths, said = plan(capsys)
    assert code == 1
    assert "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ims" in paths
    assert "dataset_description.json" in paths
    assert "3 new" in said
    main(["package", "manifest.yml", "bids"])
    assert {*paths} <= {str(path.relative_to("bids")) for path in Path("bids").rglob("*")}
    code, paths, said = plan(capsys)
    assert (code, paths) == (0, [])
    assert "3 unchanged" in said
    table = study / "scans.tsv"
    table.write_text(table.read_text().replace("RPI", "LPI", 1))
    code, paths, _ = plan(capsys)
    assert code == 1
    assert paths == ["sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ims"]
    main(["package", "manifest.yml", "bids"])
    Path("bids/samples.tsv").write_text("mine")
    code, paths, said = plan(capsys)
    assert (code, paths) == (2, [])
    assert "conflict.altered" in said
    table.write_text(table.read_text().replace("LPI", "XPI", 1))
    code, paths, said = plan(capsys)
    assert (code, paths) == (2, [])
    assert "1 error" in said


def test_a_run_says_what_it_has_done(study, capsys):
    inputs = ["manifest.yml", "bids"]
    main(["package", *inputs])
    (study / "bids/sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.json").unlink()
    capsys.readouterr()
    assert main(["package", *inputs]) == ExitCode.OK
    assert capsys.readouterr().out == "Packaged bids: 1 restored, 2 unchanged\n"
    (study / "bids/sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.json").write_text("mine")
    assert main(["package", *inputs, "--overwrite"]) == ExitCode.OK
    assert capsys.readouterr().out == "Packaged bids: 2 unchanged, 1 replaced\n"
