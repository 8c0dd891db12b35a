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
from study import Study
from workspace import Workspace, small_workspace

HEAVY = frozenset(
    {"bids", "dask", "h5py", "imagecodecs", "jsonschema", "luigi", "nibabel", "numpy", "pandas"}
    | {"PIL", "rich", "streamlit", "tifffile", "yaml", "zarr", "zarrnii"}
)
"""Packages that take longer to import than Python takes to start."""

PROGRAM = shutil.which("spimpack", path=os.path.dirname(sys.executable)) or ""
AT_EXIT = """\
import atexit, json, os, sys
atexit.register(lambda: open(os.environ["MODULES"], "w").write(json.dumps([*sys.modules])))
"""


def modules_of(folder: Path, *command: str) -> set[str]:
    """Return the modules that a command, a process of its own, has imported at its end."""
    path = folder / "modules.json"
    start = folder / "start"
    start.mkdir(exist_ok=True)
    (start / "sitecustomize.py").write_text(AT_EXIT)
    environment = os.environ | {"MODULES": str(path), "PYTHONPATH": str(start)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    modules: list[str] = json.loads(path.read_text())
    path.unlink()
    return set(modules)


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} & HEAVY
