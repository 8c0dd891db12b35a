"""Wherever and however it is run, the same dataset comes out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_blocks import ROOT
from workspace import Workspace, small_workspace

SPIMPACK = Path(sys.executable).with_name("spimpack")


def vanish(cwd: Path) -> None:
    """Work in a directory that is deleted."""
    gone = cwd / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


ENVIRONMENTS: dict[str, tuple[dict[str, str], Callable[[Path], object]]] = {
    "C locale": ({"LC_ALL": "C"}, os.chdir),
    "ASCII terminal": ({"PYTHONIOENCODING": "ascii"}, os.chdir),
    "private umask": ({}, lambda _: os.umask(0o077)),
    "deleted directory": ({}, vanish),
    "closed input": ({}, lambda _: os.close(0)),
    "no home": ({"HOME": "/nonexistent"}, lambda _: None),
    "another hash seed": ({"PYTHONHASHSEED": "1"}, lambda _: None),
    "another time zone": ({"TZ": "Asia/Kathmandu"}, lambda _: None),
}


def workspace_with_strange_names(root: Path) -> Workspace:
    workspace = small_workspace(root)
    for number, name in enumerate(("Maus müde.ims", "脑 [1]*.ome.zarr", "a b'c\".ome.tif")):
        workspace.add_source(name)
        workspace.rows[number]["spim_path"] = f"raw/{name}"
    workspace.rows[0]["Comment"] = "Gewebe übersät"
    return workspace


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_environment_does_not_matter(name: str, tmp_path: Path) -> None:
    environment, prepare = ENVIRONMENTS[name]
    workspace = workspace_with_strange_names(tmp_path / "dätä set")
    workspace.run(relative_symlinks=True)
    wanted = workspace.tree()
    out = tmp_path / "dätä set" / "second"
    command = [SPIMPACK, "package", "--manifest", workspace.manifest, "--output-dir", out]
    done = subprocess.run(
        [*command, "--relative-symlinks", "--workers", "2"],
        env={k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
        | environment,
        preexec_fn=lambda: prepare(tmp_path),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    workspace.out.rename(tmp_path / "first")
    out.rename(workspace.out)
    assert workspace.tree() == wanted


@pytest.mark.parametrize("command", ["--help", "plan --help", "--version"])
def test_help_needs_no_heavy_library(command: str) -> None:
    code = (
        "import sys; from spimpack_tasks.cli.main import main\n"
        f"try: main({command.split()!r})\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'bids', 'pandas', 'numpy', 'zarr', 'h5py', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy or code else 0)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)


PLUG_INS = ("napari", "napari-plugin-engine", "npe2")
"""Plug-ins for pytest that come with the extra `view`, by the names of their entry points."""


def install_plug_in(folder: Path, name: str) -> None:
    """Install a plug-in for pytest that warns when it is imported, as that of npe2 does."""
    record = folder / f"{name}-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    module = f"plug_in_{name.replace('-', '_')}"
    (record / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    code = "import warnings\nwarnings.warn('it is old', DeprecationWarning, stacklevel=1)\n"
    (folder / f"{module}.py").write_text(code)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLUG_INS)
def test_pytest_starts_where_napari_is_installed(name: str, tmp_path: Path) -> None:
    install_plug_in(tmp_path, name)
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]

    def collect(*arguments: str) -> int:
        done = subprocess.run(
            [*command, *arguments, "tests/unit/test_layout.py"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            check=False,
        )
        return done.returncode

    assert collect() == pytest.ExitCode.OK
    # What makes the difference is our configuration: without it the plug-in is loaded, and warns.
    assert collect("-o", "addopts=") != pytest.ExitCode.OK
