"""The structure of the code, as rules. The layers stand in pyproject.toml, for import-linter."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import luigi
import pytest
from import_graph import find_circles, longest_chain, read_graph, read_layers

import spimpack_tasks
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.tasks.planning import DatasetTask
from spimpack_tasks.packaging.tasks.writing import LinkAssets

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "spimpack_tasks"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = [
    "bids",
    "dask",
    "h5py",
    "numpy",
    "pandas",
    "rich",
    "streamlit",
    "tifffile",
    "yaml",
    "zarr",
    "zarrnii",
]
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60
VAGUE_NAMES = re.compile(r"(\A|_)(utils?|helpers?|common|core|managers?|misc)(\Z|_)")


def name_of(path):
    return str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")


each_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def test_imports_follow_the_layers():
    lint_imports = shutil.which("lint-imports", path=os.path.dirname(sys.executable))
    if not lint_imports:
        pytest.skip("import-linter is not installed; CI has it")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


MOST_IMPORTS_IN_A_CHAIN = 12


def test_chains_of_imports_are_short():
    chain = longest_chain(read_graph())
    assert len(chain) <= MOST_IMPORTS_IN_A_CHAIN, chain


@pytest.mark.parametrize("with_texts", [False, True], ids=["in the code", "named by texts as well"])
def test_imports_go_round_in_no_circle(with_texts):
    assert find_circles(read_graph(with_texts=with_texts)) == []


def test_modules_that_texts_name_lie_in_no_higher_layer():
    """import-linter does not see what a registry names by a text, such as `module:function`."""
    layers = read_layers()
    graph, seen = read_graph(with_texts=True), read_graph()
    named = [(a, b) for a, others in graph.items() for b in others - seen[a]]
    assert named
    upwards = [(a, b) for a, b in named if layers[child_of(b)] > layers[child_of(a)]]
    assert not upwards


def child_of(module):
    return module.split(".")[1]


@each_module
def test_a_module_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_OF_A_MODULE


@each_module
def test_functions_are_short(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LINES_OF_A_FUNCTION
    ]
    assert not long


@each_module
def test_a_module_has_a_name_that_says_what_it_knows(path):
    assert not VAGUE_NAMES.search(path.stem)
    assert not VAGUE_NAMES.search(path.parent.name)


@pytest.mark.parametrize(
    "path", [p for p in MODULES if name_of(p).split(".")[1:2] in (["model"], ["errors"])], ids=str
)
def test_model_and_errors_need_only_the_standard_library(path):
    allowed = sys.stdlib_module_names | {"spimpack_tasks"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        assert {name.partition(".")[0] for name in names} <= allowed


def modules_after(code):
    """Return the names of the modules that are loaded after some code, in a fresh process."""
    code += "\nimport sys; print('\\n'.join(['modules:', *sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.partition("modules:")[2].split())


def top_level(modules):
    return {name.partition(".")[0] for name in modules}


def test_the_import_loads_no_heavy_library():
    luigi_alone = modules_after("import luigi, luigi.cmdline")
    ours = modules_after("import spimpack_tasks")
    assert not top_level(ours) & set(HEAVY)
    assert {name for name in ours if name.startswith("jsonschema")} <= luigi_alone


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["package", "--help"]], ids=str)
def test_help_loads_no_heavy_library(arguments):
    luigi_alone = modules_after("import luigi, luigi.cmdline")
    ours = modules_after(
        "from spimpack_tasks.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass"
    )
    assert not top_level(ours) & set(HEAVY)
    assert {name for name in ours if name.startswith("jsonschema")} <= luigi_alone


def task_classes():
    for path in MODULES:
        if path.parent.name in {"tasks", "backends"}:
            for name, value in vars(import_module(name_of(path))).items():
                if inspect.isclass(value) and issubclass(value, luigi.Task):
                    yield name, value


def test_public_tasks_are_exported():
    # The bases have no meaning on their own: nothing says what they would write.
    bases = {"CheckedTask", "DatasetTask", "WriteOutputs", "AssetTask", "ChecksumTask"}
    public = {name for name, cls in task_classes() if cls.__module__.startswith("spimpack_tasks")}
    assert public - bases <= set(spimpack_tasks.__all__)
    assert {"PackageDataset", "ValidateManifest", "BuildPaths"} <= public
    for name in spimpack_tasks.__all__:
        assert hasattr(spimpack_tasks, name)


def test_every_parameter_is_described():
    for _, cls in task_classes():
        if issubclass(cls, DatasetTask):
            for name, parameter in cls.get_params():
                assert parameter.description, f"{cls.__name__}.{name}"


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_is_found_by_its_name(name):
    task = LinkAssets.by_backend[name]
    assert task.definition is BACKENDS[name]
    assert task.__doc__
    assert getattr(spimpack_tasks, BACKENDS[name].task) is task
