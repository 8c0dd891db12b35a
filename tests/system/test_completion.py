"""Completion: the scripts are run by the shells that they are for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from spimpack_tasks.cli.main import main
from spimpack_tasks.cli.parser import COMMANDS
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.backends.registry import BACKENDS

FORMATS = {"text", "json"}
FOLDERS = {"a folder", "images"}
FILES = {*FOLDERS, "manifest.yml"}

CASES = {
    "commands": (["spimpack", ""], {*COMMANDS, "--help", "--version"}),
    "a command begun": (["spimpack", "va"], {"validate"}),
    "options": (["spimpack", "status", "--str"], {"--strict"}),
    "options of another": (["spimpack", "report", "--o"], {"--overwrite"}),
    "values": (["spimpack", "plan", "--format", ""], FORMATS),
    "a value begun": (["spimpack", "plan", "--format", "j"], {"json"}),
    "a value after =": (["spimpack", "plan", "--format", "=", "j"], {"json"}),
    "no value after =": (["spimpack", "plan", "--format", "="], FORMATS),
    "backends": (["spimpack", "package", "--strict", "--backend", ""], set(BACKENDS)),
    "files": (["spimpack", "plan", "--manifest", ""], FILES),
    "folders": (["spimpack", "plan", "--output-dir", ""], FOLDERS),
    "a folder with a blank": (["spimpack", "verify", "a"], {"a folder"}),
    "a place": (["spimpack", "completion", ""], {"bash", "zsh", "fish"}),
    "text": (["spimpack", "package", "--workers", ""], set()),
    "nothing to add": (["spimpack", "plan", ""], set()),
    "no such command": (["spimpack", "pack", "--"], set()),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    (tmp_path / "manifest.yml").touch()
    return tmp_path


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == ExitCode.OK
    return capsys.readouterr().out


@pytest.mark.parametrize("name", CASES)
def test_bash_completes(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, wanted = CASES[name]
    (folder.parent / "spimpack.bash").write_text(script("bash", capsys))
    code = (
        "set -eu; source ../spimpack.bash; complete -p spimpack >/dev/null; set +e\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _spimpack\n'
        'for reply in ${COMPREPLY[@]+"${COMPREPLY[@]}"}; do echo "$reply"; done'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "bash", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert set(done.stdout.splitlines()) == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for command in COMMANDS:
        assert command in text
    for option in ("--backend", "--relative-symlinks") if shell != "fish" else ("-l backend",):
        assert option in text
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(text)
    done = subprocess.run([program, "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_completes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("fish is not installed")
    path = folder.parent / "spimpack.fish"
    path.write_text(script("fish", capsys))
    for line, wanted in {
        "spimpack ver": {"verify"},
        "spimpack plan --format ": FORMATS,
        "spimpack package --backend sym": {"symlink", "symlink-tree"},
        "spimpack status --str": {"--strict"},
        "spimpack verify im": {"images/"},
        "spimpack plan --manifest man": {"manifest.yml"},
    }.items():
        code = f"source {path}; complete -C '{line}'"
        done = subprocess.run(
            [fish, "--no-config", "-c", code],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert {reply.partition("\t")[0] for reply in done.stdout.splitlines()} == wanted, line
