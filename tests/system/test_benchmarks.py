"""The benchmarks run, small as they can be; what they say of speed is not judged here."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec

import pytest
from markdown_blocks import ROOT

CASES = {
    "scale": (["--assets", "4"], "| 4 | one cell edited | `spimpack package` |"),
    "system_calls": (["--assets", "4", "8"], "| system calls an image | fresh |"),
    "slow_disk": (["--assets", "4", "--ms", "0.1"], "| fresh | `spimpack package` |"),
    "commands": (["--assets", "4", "8", "--rounds", "1"], "| `init --scan` |"),
    "stages": (["--assets", "4"], "| writing sidecars, links and receipts |"),
    "headers": (["4"], "OME-Zarr"),
    "validation": (["100", "3"], "one store, mirror"),
    "copying": (["10", "20"], "cp"),
    "import_cost": ([], "ratio"),
    "converting": (
        ["--depth", "40", "--side", "200", "--rounds", "1", "--chunks", "2500"],
        "| index of 2,500 chunks |",
    ),
    "reading": (["--depth", "40", "--side", "128", "--rounds", "1", "--crops", "2"], "| `lz4` |"),
    "pages": (["4"], "| 4 |"),
    "merging": (["--files", "2", "--megabytes", "4"], "CPU: "),
    "microscopes": (["--planes", "4", "--side", "64", "--rounds", "1"], "| RAW |"),
    "publishing": (["--small", "20", "--large", "1"], "requests with nothing to do: {'LIST': 1"),
    "second_copies": (["--planes", "70", "--side", "160", "--rounds", "1"], "| a plane y |"),
    "split_image": (["--planes", "64", "--side", "64", "--rounds", "1"], "| 64 |"),
    "streams": (
        ["--runs", "1", "--case", "frame chunks, none"],
        "| frame chunks, none | ours with pyramid |",
    ),
    "stitching": (
        ["--frames", "20", "--rows", "40", "--columns", "30", "--runs", "1"],
        "| fuse two tiles, cubic |",
    ),
    "studies": (["--brains", "2", "--frames", "4"], "| 2 | 3 |"),
    "alignment": (["--step-um", "200", "--factor", "1"], "WarpToImage labels"),
    "house": ([], "| longest chain, strings included |"),
    "previews": (["2"], "| NIfTI | the only level"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_benchmark_runs(name, tmp_path):
    if name == "house":
        pytest.importorskip("grimp")
    if name == "split_image" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one processor")
    if name == "slow_disk" and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    if name == "system_calls" and shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    arguments, expected = CASES[name]
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *arguments]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout


def test_every_benchmark_is_run():
    support = {"converting_peers", "floors", "imaris_file", "measuring", "mutants"}
    support |= {"plain_tasks", "scale_inputs"}
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - support == set(CASES)


def test_modules_and_tests_of_the_mutants_exist():
    table = tomllib.loads((ROOT / "benchmarks" / "mutants.toml").read_text())
    assert [module for module in table if find_spec(module) is None] == []
    for test in {test for tests in table.values() for test in tests}:
        name, _, single = test.partition("::")
        (file,) = ROOT.glob(f"tests/**/{name}.py")
        functions = ast.walk(ast.parse(file.read_text()))
        names = {node.name for node in functions if isinstance(node, ast.FunctionDef)}
        assert not single or single in names, test
