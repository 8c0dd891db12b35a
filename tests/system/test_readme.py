"""The README: its commands are those that CI runs, its tables are those of the program."""

import os
import re
import runpy
import subprocess

import pytest
from markdown_blocks import ROOT, read_blocks

from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.volumes.formats import FORMATS

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def command(name):
    """Return the command in a block with a name."""
    (found,) = (b.text for b in read_blocks(README) if b.kind == "sh" and b.rest == [name])
    return found


@pytest.mark.parametrize("name", ["test", "demo"])
def test_ci_runs_the_command_of_the_readme(name):
    shown = subprocess.run(
        [ROOT / ".ci" / "run", "--show", name], capture_output=True, text=True, check=True
    )
    assert shown.stdout == command(name)
    assert len(shown.stdout.splitlines()) == 1, "one command line"


def test_ci_runs_the_tests_of_the_readme_first():
    steps = re.findall(r'^step "(.*)"$', (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert steps[0] == "README: set up and pass the tests"


def test_exit_codes_are_those_of_the_program():
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert "\n".join(generate["exit_code_table"]()) in TEXT


def test_backends_are_those_of_the_program():
    assert re.findall(r"^\| `([a-z-]+)` \| a ", TEXT, re.MULTILINE) == list(BACKENDS)


def test_required_keys_and_columns_are_those_of_the_schemas():
    description = load_schema("manifest")["properties"]["dataset_description"]
    names = [*description["required"], *load_schema("scans")["required"]]
    assert all(f"`{name}`" in TEXT for name in names)


def test_formats_are_those_of_the_program():
    (row,) = re.findall(r"^\| images \|.*$", TEXT, re.MULTILINE)
    known = {ending for form in FORMATS for ending in form.endings}
    assert set(re.findall(r"`(\.[a-z.]+)`", row)) <= known


@pytest.mark.slow
def test_the_demo_runs_in_a_fresh_clone_with_an_empty_home(tmp_path):
    home, clone = tmp_path / "home", tmp_path / "clone"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command("demo")],
        cwd=clone,
        env=environment | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Open the page, with pictures: {clone}/demo/study.html" in done.stdout
    assert re.search(r"^made +publish store ", done.stdout, re.MULTILINE)
    done = subprocess.run(
        [clone / ".venv" / "bin" / "spimpack", "demo", "images"],
        cwd=clone,
        env=environment | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Packaged images/bids: 4 new" in done.stdout
    assert re.search(r"^bids-validator .*: 0 errors, 0 warnings$", done.stdout, re.MULTILINE)
    for path in ("sub-01/sub-01_scans.tsv", "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ome.zarr"):
        assert (clone / "images" / "bids" / path).exists()
        assert path.rpartition("/")[2] in TEXT


def test_i15_9_nox_runs_the_commands_of_the_gate():
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    calls = re.findall(r"session\.run\((.*)\)", text)
    commands = [" ".join(re.findall(r'"([^"]*)"', call)) for call in calls]
    of_readme = re.search(r"python (-m pytest .*)", command("test"))[1]
    known = [*gate, ".ci/run", f"python {of_readme} --dist loadgroup"]
    assert len(commands) == 7
    assert [each for each in commands if each not in known] == []
