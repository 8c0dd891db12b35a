"""Backends of other packages that are not as they must be, and those that have bugs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from markdown_blocks import environment_of_tests
from workspace import Workspace

MODULE = """
from spimpack_tasks import CopyAssets, LinkAssets, MakeAssets


class Good(CopyAssets):
    name = "good"

    @classmethod
    def matches(cls, output, path):
        return super().matches(output, path)

    @classmethod
    def resume(cls, output, path, advance):
        return super().resume(output, path, advance)


class WithoutName(CopyAssets):
    pass


class WithoutMake(LinkAssets):
    name = "lab"


class WithoutResume(MakeAssets):
    name = "lab"

    @classmethod
    def matches(cls, output, path):
        return True


class BugInMake(LinkAssets):
    name = "lab"

    @classmethod
    def make(cls, output, path):
        raise TypeError(f"of {output.asset}")

    @classmethod
    def matches(cls, output, path):
        return True


class BugInResume(MakeAssets):
    name = "lab"

    @classmethod
    def resume(cls, output, path, advance):
        {}["of " + output.asset]

    @classmethod
    def matches(cls, output, path):
        return True


a_number = 3
"""
PLACES = {
    "e8-missing-module": ("lab", "lab_gone:Lab", "cannot be imported from lab_gone:Lab"),
    "e8-missing-attribute": ("lab", "lab_plugin:Gone", "cannot be imported from lab_plugin:Gone"),
    "e8-module-that-raises": ("lab", "lab_raises:Lab", "ZeroDivisionError"),
    "e8-no-python": ("lab", "lab_text:Lab", "SyntaxError"),
    "e8-no-class": ("lab", "lab_plugin:a_number", "is not a subclass of LinkAssets"),
    "e8-no-backend": ("lab", "pathlib:Path", "is not a subclass of LinkAssets"),
    "e8-module-alone": ("lab", "lab_plugin", "is not a subclass of LinkAssets"),
    "e8-other-name": ("lab", "lab_plugin:Good", "is 'good'"),
    "e8-inherited-name": ("lab", "lab_plugin:WithoutName", "is 'copy'"),
    "e8-no-make": ("lab", "lab_plugin:WithoutMake", "has no make and no matches"),
    "e8-no-resume": ("lab", "lab_plugin:WithoutResume", "has no resume"),
    "e8-name-of-ours": ("symlink", "lab_plugin:Good", "brings another one of that name"),
    "e8-name-of-ours-made-slowly": ("copy", "lab_plugin:Good", "brings another one of that name"),
}
COMMANDS = {
    "validate": "spimpack validate",
    "package": "spimpack package",
    "plan": "spimpack plan",
    "luigi-1": "luigi --module spimpack_tasks PackageDataset --local-scheduler",
    "luigi-2": "luigi --module spimpack_tasks PackageDataset --local-scheduler --workers 2",
}


def install(folder: Path, *entries: str, name: str = "lab-plugin") -> dict[str, str]:
    """Do what `pip install` does with a backend, and return the environment that sees it."""
    information = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = ["[spimpack_tasks.backends]", *entries]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / "lab_plugin.py").write_text(MODULE)
    (folder / "lab_raises.py").write_text("1 / 0\n")
    (folder / "lab_text.py").write_text("no python at all\n")
    return {"PYTHONPATH": str(folder)}


def study(folder: Path, images: int = 1) -> Workspace:
    workspace = Workspace(folder)
    for number in range(images):
        workspace.add_row(f"{number}.ims", subject=f"{number:02}")
    workspace.write()
    return workspace


def run(command: str, workspace: Workspace, environment: dict[str, str], backend: str):
    arguments = ["--manifest", str(workspace.manifest), "--output-dir", "out", "--backend", backend]
    return subprocess.run(
        [*command.split(), *arguments],
        cwd=workspace.root,
        env=environment_of_tests() | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(("name", "value", "said"), PLACES.values(), ids=PLACES)
def test_a_backend_that_cannot_be_used(name: str, value: str, said: str, tmp_path: Path) -> None:
    environment = install(tmp_path / "lib", f"{name} = {value}")
    refused(COMMANDS["package"], name, said, environment, study(tmp_path / "study"))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_e8_each_command_says_it(command: str, tmp_path: Path) -> None:
    environment = install(tmp_path / "lib", "lab = lab_plugin:Gone")
    refused(command, "lab", "cannot be imported", environment, study(tmp_path / "study"))


def test_e8_two_packages_with_one_name(tmp_path: Path) -> None:
    environment = install(tmp_path / "lib", "lab = lab_plugin:Good")
    install(tmp_path / "lib", "lab = lab_plugin:BugInMake", name="other-plugin")
    said = "more than one package: lab-plugin and other-plugin"
    refused(COMMANDS["package"], "lab", said, environment, study(tmp_path / "study"))


def refused(
    command: str, name: str, said: str, environment: dict[str, str], workspace: Workspace
) -> None:
    done = run(command, workspace, environment, name)
    shown = done.stdout + done.stderr
    assert done.returncode == 2, shown
    (line,) = (each for each in shown.splitlines() if "[backend.broken]" in each)
    assert f"'{name}'" in line
    assert said in line
    assert "Traceback" not in shown
    assert not workspace.out.exists()


def test_e8_a_good_one_beside_is_used(tmp_path: Path) -> None:
    entries = ("good = lab_plugin:Good", "lab = lab_plugin:Gone")
    environment = install(tmp_path / "lib", *entries)
    workspace = study(tmp_path / "study")
    assert run(COMMANDS["package"], workspace, environment, "good").returncode == 0
    assert run(COMMANDS["package"], workspace, environment, "good").returncode == 0
    assert len(list(workspace.out.rglob("*_SPIM.ims"))) == 1


@pytest.mark.parametrize("kind", ["BugInMake", "BugInResume"])
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("command", ["package", "luigi-1"])
def test_e8_a_bug_in_each_image(command: str, workers: str, kind: str, tmp_path: Path) -> None:
    environment = install(tmp_path / "lib", f"lab = lab_plugin:{kind}")
    workspace = study(tmp_path / "study", images=8)
    done = run(f"{COMMANDS[command]} --workers {workers}", workspace, environment, "lab")
    shown = done.stdout + done.stderr
    assert done.returncode == 4, shown
    # Two workers may come upon it at one moment.
    assert 1 <= shown.count("Traceback") <= int(workers), shown
    line = re.compile(r"^.*(sub-\d\d)_.*bug in the backend lab, \w+Error", re.MULTILINE)
    images = set(line.findall(shown))
    assert len(images) == 8, shown
    assert "lab_plugin.py:" in shown
    if command == "package":
        assert "8 failed" in shown
