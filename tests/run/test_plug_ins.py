"""Backends of other packages that are not as they must be, and those that have bugs."""

from __future__ import annotations

import re
import shutil
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


from dataclasses import replace

from spimpack_tasks.packaging.backends.base import Backend
from spimpack_tasks.packaging.backends.copy import COPY
from spimpack_tasks.packaging.backends.symlink import SYMLINK

LAB = replace(SYMLINK, name="lab", summary="links of the lab", version=3)


class Record(LinkAssets):
    definition = LAB


class RecordOfOtherName(LinkAssets):
    definition = SYMLINK


class SlowRecordOfLightTask(LinkAssets):
    definition = replace(COPY, name="lab")


class LightRecordOfSlowTask(MakeAssets):
    definition = LAB


def has_bug(asset, *_):
    {}["of " + asset.key]


def has_bug_in_output(output, *_):
    {}["of " + output.asset]


class BugInExtension(LinkAssets):
    definition = replace(LAB, extension_of=has_bug)


class BugInRecipe(LinkAssets):
    definition = replace(LAB, recipe=has_bug)


class BugInConversion(LinkAssets):
    definition = replace(LAB, makes="XYZ", describe_conversion=has_bug)


class BugInLeastSize(LinkAssets):
    definition = replace(LAB, makes="XYZ", least_size=has_bug)


class BugInMatches(LinkAssets):
    definition = replace(LAB, matches=has_bug_in_output)


class BugInRecordMake(LinkAssets):
    definition = replace(LAB, make=has_bug_in_output)
"""
REFUSED = """
from spimpack_tasks import LinkAssets
from spimpack_tasks.packaging.backends.base import Backend


class Lab(LinkAssets):
    definition = Backend(name="lab", summary="", matches=lambda *_: True)
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
    "record-other-name": ("lab", "lab_plugin:RecordOfOtherName", "is 'symlink'"),
    "record-slow-of-light": (
        "lab",
        "lab_plugin:SlowRecordOfLightTask",
        "must be a subclass of MakeAssets",
    ),
    "record-light-of-slow": (
        "lab",
        "lab_plugin:LightRecordOfSlowTask",
        "must be a subclass of LinkAssets",
    ),
    "record-that-is-refused": ("lab", "lab_refused:Lab", "has neither make nor resume"),
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
    (folder / "lab_refused.py").write_text(REFUSED)
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


@pytest.mark.few(5)
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


@pytest.mark.few(3)
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


def test_o59_a_record_is_a_backend_as_those_of_the_program(tmp_path: Path) -> None:
    """In each list of backends, and by each command."""
    environment = install(tmp_path / "lib", "lab = lab_plugin:Record")
    workspace = study(tmp_path / "study", images=2)
    assert run(COMMANDS["package"], workspace, environment, "lab").returncode == 0
    again = run(COMMANDS["package"], workspace, environment, "lab")
    assert again.stdout.startswith("Nothing to do: 2 unchanged")
    assert run(COMMANDS["luigi-2"], workspace, environment, "lab").returncode == 0
    by_task = "luigi --module lab_plugin Record --local-scheduler"
    done = run(by_task, workspace, environment, "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    for command in ("spimpack package --help", "spimpack completion bash", LUIGI_HELP):
        shown = subprocess.run(
            command.split(),
            env=environment_of_tests() | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert re.search(r"ome-tiff(,| or)?\s+lab\b", shown), command


LUIGI_HELP = "luigi --module spimpack_tasks PackageDataset --help"


def test_a_class_with_class_methods_warns_its_author(tmp_path: Path) -> None:
    environment = install(tmp_path / "lib", "good = lab_plugin:Good")
    code = "from spimpack_tasks.packaging.backends.registry import require_choice as f; f('good')"
    for option, count in (("default", 1), ("error", 0)):  # nobody's run stops for that
        done = subprocess.run(
            ["python", "-W", f"{option}:Good is a backend", "-c", code],
            env=environment_of_tests() | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("Good is a backend by its class methods") == count


PLANNING_BUGS = {
    "extension": ("BugInExtension", ["validate", "plan", "package", "luigi-1", "luigi-2"]),
    "recipe": ("BugInRecipe", ["plan", "package", "luigi-1", "luigi-2"]),
    "conversion": ("BugInConversion", ["plan", "package", "luigi-1", "luigi-2"]),
    "least-size": ("BugInLeastSize", ["plan", "package", "luigi-1", "luigi-2"]),
}


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        pytest.param(kind, command, id=f"{name}-{command}")
        for name, (kind, commands) in PLANNING_BUGS.items()
        for command in commands
    ],
)
def test_a_bug_in_planning_is_one_traceback_and_a_count(
    kind: str, command: str, tmp_path: Path
) -> None:
    environment = install(tmp_path / "lib", f"lab = lab_plugin:{kind}")
    workspace = study(tmp_path / "study", images=8)
    done = run(COMMANDS[command], workspace, environment, "lab")
    assert_told_once(done, 8)
    assert not workspace.out.exists()


def assert_told_once(done: subprocess.CompletedProcess[str], count: int) -> None:
    shown = done.stdout + done.stderr
    assert done.returncode == 2, shown
    assert shown.count("Traceback") == 1, shown
    (line,) = (each for each in shown.splitlines() if "[backend.bug]" in each)
    assert "bug in the backend lab, KeyError in lab_plugin.py:" in line
    assert f"(of sub-00_sample-brain_SPIM and {count - 1} more images)" in line


@pytest.mark.few(2)
@pytest.mark.parametrize("command", ["plan", "package", "luigi-1", "luigi-2"])
def test_a_bug_in_matches_is_one_traceback_and_a_count(command: str, tmp_path: Path) -> None:
    """It is asked where the state is lost."""
    good = install(tmp_path / "good", "lab = lab_plugin:Record")
    workspace = study(tmp_path / "study", images=8)
    assert run(COMMANDS["package"], workspace, good, "lab").returncode == 0
    shutil.rmtree(workspace.out / ".spimpack")
    before = workspace.tree()
    bad = install(tmp_path / "bad", "lab = lab_plugin:BugInMatches")
    assert_told_once(run(COMMANDS[command], workspace, bad, "lab"), 8)
    assert workspace.tree() == before


@pytest.mark.parametrize("command", ["package", "luigi-1", "luigi-2"])
def test_a_bug_in_make_of_a_record(command: str, tmp_path: Path) -> None:
    environment = install(tmp_path / "lib", "lab = lab_plugin:BugInRecordMake")
    done = run(COMMANDS[command], study(tmp_path / "study", images=8), environment, "lab")
    assert done.returncode == 4, done.stdout + done.stderr
    assert 1 <= (done.stdout + done.stderr).count("Traceback") <= 2
