"""What stitching needs: packages of PyPI, and neither a GPU nor libraries of the system."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENT = re.compile(r"\A([A-Za-z0-9_.-]+)(?:\[([a-z,0-9]+)\])?[<>=!~0-9a-z.,]*\Z")
"""A name with versions, and never an address."""
OTHERS = {"dask", "multiview_stitcher", "zarrnii"}
"""Of `align multiview` and `destripe zarrnii`, which users install themselves."""


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def required(extra):
    """Return the names that an extra asks for, with those of its own extras and of the package."""
    names = set()
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]:
        found = REQUIREMENT.match(line)
        assert found, f"{line} is no package of an index"
        if found[1] == PROJECT["name"]:
            names.update(*(required(each) for each in found[2].split(",")))
        else:
            names.add(normalised(found[1]))
    return names


def imported(path):
    """Return the libraries that a module imports, also inside of functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module":
            names |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {PROJECT["name"]}


def test_i19_28_all_that_stitching_needs_is_on_the_index():
    names = required("stitch")
    assert {"numpy", "numba", "pywavelets", "tifffile", "zarr"} <= names
    assert not names & {"cupy", "torch", "pyopencl", "glymur", "dask"}
    assert PROJECT["requires-python"] == ">=3.11"


@pytest.mark.few(10)
@pytest.mark.parametrize(
    "path", sorted((ROOT / "spimpack_tasks/stitching").rglob("*.py")), ids=lambda path: path.stem
)
def test_i19_28_stitching_imports_what_its_extra_brings(path):
    of_module, names = packages_distributions(), required("stitch")
    for module in imported(path) - OTHERS:
        packages = {normalised(each) for each in of_module[module]}
        assert packages & names, f"{module} is of {packages}"
