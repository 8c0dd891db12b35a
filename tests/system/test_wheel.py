"""The wheel: built, installed where nothing else is, and used from another directory."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from example_inputs import place_example

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(command, folder, home):
    """Run a command that sees nothing of this Python's environment, and return what it did."""
    hidden = {"VIRTUAL_ENV", "PYTHONPATH", "LUIGI_CONFIG_PATH"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {"HOME": str(home)}
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An empty home."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, home):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    done = run(build, folder, home)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def programs(tmp_path_factory, home, wheel):
    """The folder of programs of a new environment that holds the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    programs = folder / "bin"
    for command in (
        [sys.executable, "-m", "venv", folder],
        [programs / "pip", "install", "--quiet", wheel],
        [programs / "pip", "check"],
    ):
        done = run(command, folder, home)
        assert done.returncode == 0, done.stdout + done.stderr
    return programs


@pytest.fixture
def example(tmp_path):
    """A folder with the example manifest and its images."""
    place_example(tmp_path)
    return tmp_path


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    ours = {str(p.relative_to(ROOT)) for p in ROOT.glob("spimpack_tasks/**/*.py")}
    ours |= {str(p.relative_to(ROOT)) for p in ROOT.glob("spimpack_tasks/schemas/*.json")}
    ours |= {"spimpack_tasks/packaging/path_templates.json", "spimpack_tasks/py.typed"}
    ours |= {"spimpack_tasks/VERSION"}
    ours |= {"spimpack_tasks/report/style.css"}
    ours |= {
        "spimpack_tasks/ui/icon.svg",
        "spimpack_tasks/qc/page.css",
        "spimpack_tasks/qc/page.js",
    }
    layouts = ("mesospim", "mind", "smartspim")
    ours |= {f"spimpack_tasks/scanning/layouts/{name}.yml" for name in layouts}
    ours |= {f"spimpack_tasks/demo/example/{p.name}" for p in ROOT.glob("configs/example/*")}
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert sum(name.endswith("/licenses/LICENSE") for name in names) == 1


def test_spimpack_works(programs, example, home):
    done = run([programs / "spimpack", "validate", "--manifest", "manifest.yml"], example, home)
    assert (done.returncode, done.stdout) == (0, "5 images: 0 errors\n"), done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_luigi_works(programs, example, home, workers):
    command = [programs / "luigi", "--module", "spimpack_tasks", "PackageDataset"]
    options = ["--manifest", "manifest.yml", "--output-dir", "bids", "--backend", "symlink"]
    options += ["--local-scheduler", "--workers", workers]
    done = run([*command, *options], example, home)
    assert done.returncode == 0, done.stderr
    assert len(list((example / "bids").glob("sub-*/ses-*/micr/*.ome.zarr"))) == 5


def test_the_demo_names_the_extra_that_it_needs(programs, tmp_path, home):
    done = run([programs / "spimpack", "demo", "demo"], tmp_path, home)
    assert done.returncode == 2
    assert "pip install 'spimpack_tasks[images]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_i20_24_the_alignment_fits_beside_libraries_that_the_public_package_refuses(
    tmp_path, home, wheel
):
    """It caps zarr below 3 and pandas below 3."""
    programs = tmp_path / "environment" / "bin"
    beside = ("zarr>=3", "pandas>=3", "numpy>=2.4")
    for command in (
        [sys.executable, "-m", "venv", programs.parent],
        [programs / "pip", "install", "--quiet", f"{wheel}[alignment]", *beside],
        [programs / "pip", "check"],
        [programs / "python", "-c", "import SimpleITK, spimpack_tasks.alignment.warps"],
        [programs / "spimpack", "align", "--help"],
    ):
        done = run(command, tmp_path, home)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "--data-root" in done.stdout
