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

import import_graph
import luigi
import pytest

import spimpack_tasks
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.packaging.tasks.planning import DatasetTask
from spimpack_tasks.packaging.tasks.writing import LinkAssets

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "spimpack_tasks"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = [
    "bids",
    "dask",
    "h5py",
    "numpy",
    "pandas",
    "SimpleITK",
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


def test_the_page_has_the_layers_of_the_code():
    """Each row of the page is a layer, from the top to the bottom."""
    page = (ROOT / "docs" / "explanation" / "design.md").read_text(encoding="utf-8")
    table = page.partition("| Layer | Knows |")[2].partition("\n\n")[0]
    rows = [set(re.findall(r"`(\w+)`", line.split("|")[1])) for line in table.splitlines()[2:]]
    by_layer: dict[int, set[str]] = {}
    for module, layer in import_graph.read_layers().items():
        by_layer.setdefault(layer, set()).add(module)
    assert rows == [by_layer[layer] for layer in sorted(by_layer, reverse=True)]


LONGEST_CHAIN = 12
"""Modules of the longest chain of imports, from the top to the bottom."""


def test_s10_no_chain_of_imports_is_long():
    chain = import_graph.longest_chain(import_graph.read_graph())
    assert len(chain) <= LONGEST_CHAIN, chain


def test_s10_no_modules_import_one_another():
    """Functions that are named by texts count as imports, such as those of formats."""
    assert import_graph.find_circles(import_graph.read_graph(with_texts=True)) == []


def test_s10_texts_name_no_function_of_a_layer_above():
    layers, plain = import_graph.read_layers(), import_graph.read_graph()
    named = {
        (name, other)
        for name, others in import_graph.read_graph(with_texts=True).items()
        for other in others - plain[name]
    }
    assert ("spimpack_tasks.volumes.formats", "spimpack_tasks.volumes.nifti.header") in named
    above = [
        (name, other)
        for name, other in named
        if layers[other.split(".")[1]] > layers[name.split(".")[1]]
    ]
    assert not above


def test_s10_all_functions_that_texts_name_are_there():
    found = {
        f"{name}:{other}"
        for name, others in import_graph.read_graph(with_texts=True).items()
        for other in others - import_graph.read_graph()[name]
    }
    assert found
    for path in MODULES:
        for text in re.findall(r"\"(spimpack_tasks(?:\.\w+)+:\w+)\"", path.read_text("utf-8")):
            assert callable(Deferred(text).load()), text


def test_s10_the_circles_of_a_graph_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"d"}}
    assert import_graph.find_circles({k: frozenset(v) for k, v in graph.items()}) == [
        {"a", "b", "c"}
    ]


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
    bases = {"CheckedTask", "DatasetTask", "WriteOutputs", "AssetTask", "ChecksumTask", "SlowTask"}
    bases |= {
        "IdentifiedTask",
        "StepTask",
        "PublicationTask",
        "SendObjects",
        "IngestTask",
        "StitchTask",
        "StudyTask",
    }
    bases |= {"AlignmentTask", "FoundBrainTask", "JoiningTask", "RegisteredTask", "TrackTask"}
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
