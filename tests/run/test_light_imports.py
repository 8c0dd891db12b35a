"""What each command imports: only what its work needs, so that nobody waits for the rest.

Imports are counted, and not timed: a count is the same on every machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import small_workspace

HEAVY = frozenset(
    {"bids", "dask", "h5py", "imagecodecs", "jsonschema", "luigi", "nibabel", "numpy", "pandas"}
    | {"PIL", "SimpleITK", "streamlit", "tifffile", "yaml", "zarr", "zarrnii"}
)
"""Packages that take longer to import than Python takes to start."""
PROGRAM = shutil.which("spimpack", path=os.path.dirname(sys.executable)) or ""
MODULE = (sys.executable, "-P", "-m", "spimpack_tasks.cli.main")
AT_EXIT = """\
import atexit, json, os, sys
atexit.register(lambda: open(os.environ["MODULES"], "w").write(json.dumps([*sys.modules])))
"""
INPUTS = "--manifest study/manifest.yml"
BOTH = f"{INPUTS} --output-dir study/out"
COMMANDS: dict[str, tuple[set[str], int]] = {
    "--help": (set(), 130),
    "--version": (set(), 130),
    "package --help": (set(), 290),
    "completion bash": (set(), 590),
    f"package {BOTH}": (set(), 260),
    f"validate {INPUTS} --output-dir study/out": ({"yaml", "jsonschema"}, 400),
    f"validate {INPUTS}": ({"yaml", "jsonschema", "numpy", "h5py"}, 600),
    f"plan {BOTH}": ({"yaml", "jsonschema"}, 400),
    f"plan --dot {BOTH}": ({"yaml", "jsonschema"}, 415),
    f"status {BOTH}": ({"yaml", "jsonschema"}, 415),
    "verify study/out": (set(), 290),
    "report study/out": (set(), 355),
    "doctor": (set(), 280),
    "init new": (set(), 235),
    "init scanned --scan study/raw": ({"numpy", "h5py"}, 410),
    "stitch --help": (set(), 290),
    "run --help": (set(), 290),
    "align --help": (set(), 290),
    "convert study/raw/a.ims made.ome.zarr": ({"numpy", "h5py"}, 440),
    "convert study/raw/c.ome.tif from_tiff.ome.zarr": ({"numpy", "tifffile", "imagecodecs"}, 485),
    "convert study/raw/c.ome.tif made.ome.tif": ({"numpy", "tifffile", "imagecodecs"}, 400),
    "convert study/raw/packed.ozx unpacked.ome.zarr": (set(), 280),
}
"""The heavy packages that a command may import, and the number of all modules that it may have; a
tenth above what it had when this was written."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a packaged study in it."""
    folder = tmp_path_factory.mktemp("light")
    workspace = small_workspace(folder / "study")
    workspace.add_source("packed.ozx")
    workspace.run()
    (folder / "start").mkdir()
    (folder / "start" / "sitecustomize.py").write_text(AT_EXIT)
    return folder


def modules_of(folder: Path, *command: str) -> set[str]:
    """Return the modules that a command, a process of its own, has imported at its end."""
    path = folder / "modules.json"
    places = [str(folder / "start"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"MODULES": str(path), "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    modules: list[str] = json.loads(path.read_text())
    path.unlink()
    return set(modules)


def heavy(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} & HEAVY


@pytest.mark.few(10)
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_imports_only_what_it_needs(line: str, folder: Path) -> None:
    allowed, most = COMMANDS[line]
    modules = modules_of(folder, PROGRAM, *line.split())
    assert heavy(modules) <= allowed
    assert len(modules) <= most


def test_a_refused_run_imports_no_luigi(folder: Path) -> None:
    command = [*MODULE, "package", *INPUTS.split(), "--output-dir", "out", "--backend", "none"]
    code = f"import sys; sys.argv = {command[4:]!r}; sys.orig_argv = {command!r}\n"
    code += "from spimpack_tasks.cli.main import main\ncode = main(sys.argv)\n"
    code += "sys.exit(0 if code == 2 else f'exit code {code}')"
    assert "luigi" not in modules_of(folder, sys.executable, "-c", code)


def test_a_run_with_work_imports_luigi_and_all_tasks(folder: Path) -> None:
    modules = modules_of(folder, *MODULE, *f"package {INPUTS} --output-dir another".split())
    assert {"luigi", "spimpack_tasks.all_tasks", "spimpack_tasks.qc.tasks.page"} <= modules


def test_a_command_is_the_only_one_that_is_imported(folder: Path) -> None:
    modules = modules_of(folder, PROGRAM, "verify", "study/out")
    commands = {name for name in modules if name.startswith("spimpack_tasks.cli.")}
    assert commands == {
        f"spimpack_tasks.cli.{name}"
        for name in ("arguments", "main", "parser", "progress_line", "verify")
    }


ALL_TASKS = {"luigi", "spimpack_tasks.all_tasks"}
ASKED = "from spimpack_tasks import PackageDataset, __version__"
KNOWN = """
from luigi.task_register import Register
assert {"PackageDataset", "CopyAssets", "ValidateDataset"} <= set(Register.task_names())
"""
REFUSED = """
import spimpack_tasks
assert not hasattr(spimpack_tasks, "nothing") and not hasattr(spimpack_tasks, "Nothing")
assert "PackageDataset" in spimpack_tasks.__all__
"""


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "code",
    [
        f"import spimpack_tasks{KNOWN}",
        f"import luigi, spimpack_tasks{KNOWN}",
        f"import sys; sys.argv.clear(); import spimpack_tasks{KNOWN}",
        f"import spimpack_tasks.api{KNOWN}",
        f"{ASKED}{KNOWN}",
        f"from spimpack_tasks import *{KNOWN}",
        REFUSED,
    ],
)
def test_any_program_gets_all_tasks_by_an_import(code: str, folder: Path) -> None:
    assert modules_of(folder, sys.executable, "-c", code) >= ALL_TASKS


@pytest.mark.parametrize(
    "code", [f"{ASKED}{KNOWN}", f"from spimpack_tasks import *{KNOWN}", REFUSED]
)
def test_our_command_gets_them_when_it_asks_for_one(code: str, folder: Path) -> None:
    path = folder / "spimpack"
    before = "import sys; from spimpack_tasks import cli; assert 'luigi' not in sys.modules\n"
    path.write_text(before + code)
    assert modules_of(folder, sys.executable, str(path)) >= ALL_TASKS


def test_a_program_of_our_name_that_has_luigi_gets_them_at_once(folder: Path) -> None:
    path = folder / "spimpack"
    path.write_text(f"import luigi, spimpack_tasks{KNOWN}")
    assert modules_of(folder, sys.executable, str(path)) >= ALL_TASKS


LUIGI = shutil.which("luigi", path=os.path.dirname(sys.executable)) or ""
STAGES = {
    "ConvertImage": {"ConvertImage"},
    "IngestDataset": {"IngestDataset", "RegisterAssets", "PruneAssets"},
    "PackageAndValidate": {"PackageAndValidate", "OmeZarrAssets", "WriteScans", "ValidateDataset"},
    "PackageDataset": {"PackageDataset", "SymlinkAssets", "OmeTiffAssets", "WriteScans"},
    "PrepareAlignment": {"PrepareAlignment", "WarpToCCF", "ProbeTrack"},
    "PublishDataset": {"PublishDataset", "SendImages", "CommitInventory"},
    "StitchChannel": {"StitchChannel", "StitchSlab", "AlignTiles"},
    "ValidateDataset": {"ValidateDataset"},
    "WriteFrames": {"WriteFrames"},
    "WriteQcReport": {"WriteQcReport"},
}
"""Tasks that users name, with some that they lead to."""
HAS_TASKS = """\
import atexit
from luigi.task_register import Register
atexit.register(lambda: print(*Register.task_names()))
"""


@pytest.mark.few(3)
@pytest.mark.parametrize("task", STAGES)
def test_luigi_gets_the_tasks_of_one_stage_if_it_needs_no_others(task: str, folder: Path) -> None:
    path = folder / "luigi"
    line = [LUIGI, "--module", "spimpack_tasks", task, "--help"]
    path.write_text(f"import sys; sys.argv = {line}\nimport luigi, spimpack_tasks\n{HAS_TASKS}")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert STAGES[task] <= set(done.stdout.split())
    assert "spimpack_tasks.all_tasks" not in modules_of(folder, *line)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "line",
    [
        "--module spimpack_tasks ProcessStudy --help",
        "--module spimpack_tasks WriteScans --help",
        "--module spimpack_tasks --help-all",
        "--module spimpack_tasks PackageDataset --help-all",
        "--module spimpack_tasks PackageDataset --StitchChannel-threads 2 --help",
        "--module spimpack_tasks PackageDataset --CopyAssets-unit=a --help",
        "--module=spimpack_tasks PackageDataset --help",
        "PackageDataset --module spimpack_tasks --help",
        "--module spimpack_tasks --workers 2 PackageDataset --help",
        "--module a_flow PackageDataset --help",
    ],
)
def test_luigi_gets_all_tasks_wherever_it_may_need_them(line: str, folder: Path) -> None:
    (folder / "start" / "a_flow.py").write_text("from spimpack_tasks import PackageDataset\n")
    assert modules_of(folder, LUIGI, *line.split()) >= ALL_TASKS


def test_a_part_of_the_tasks_is_completed_when_another_one_is_asked_for(folder: Path) -> None:
    line = [LUIGI, "--module", "spimpack_tasks", "PackageDataset"]
    code = f"import sys, luigi; sys.argv = {line}\nimport spimpack_tasks\n"
    code += "assert 'spimpack_tasks.all_tasks' not in sys.modules\n"
    code += "from spimpack_tasks import StitchChannel"
    assert modules_of(folder, sys.executable, "-c", code) >= ALL_TASKS


WORKERS = """
import sys
from spimpack_tasks import {task} as Task
from spimpack_tasks.targets import MadeByStep

class Asked(Task):
    is_there = False
    def output(self): return MadeByStep(lambda: self.is_there)

task = Asked(**{arguments})
before = set(sys.modules)
assert "{library}" not in before
task.is_there = True
assert task.complete() and task.process_resources() == {{}}
assert "{library}" not in sys.modules, "nothing is to be done"
task.is_there = False
assert not task.complete() and task.process_resources() == {{}}
"""


@pytest.mark.parametrize(
    ("task", "arguments", "library"),
    [
        ("StitchChannel", {"tiles": "tiles.json", "image": "made.ome.zarr"}, "numba"),
        ("PrepareAlignment", {"data_root": "in", "results_root": "out"}, "SimpleITK"),
    ],
)
def test_workers_inherit_what_they_work_with(
    task: str, arguments: dict[str, str], library: str, folder: Path
) -> None:
    # Luigi asks for the resources of a task in the process that forks its workers.
    pytest.importorskip(library)
    code = WORKERS.format(task=task, arguments=arguments, library=library)
    assert library in modules_of(folder, sys.executable, "-c", code)
