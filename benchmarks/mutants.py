"""How many small faults of the code the tests find: mutation testing with Cosmic Ray.

    pip install cosmic-ray
    nice python benchmarks/mutants.py spimpack_tasks.state --each 15

For each module a random sample of mutants (`+` becomes `-`, `<` becomes `<=`, a loop runs never)
is written, one at a time, into a copy of the checkout. The tests of that module run against it. A
mutant that they do not notice is printed: it is equal in effect, or a test is missing.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shlex
import shutil
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).parents[1]

TESTS: dict[str, list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
SETTINGS = ("-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=no")
LEAST_SECONDS = 30
FACTOR = 5
"""Tests that take so many times as long as without a mutant hang, which counts as noticed."""


def path_of(module: str, root: Path) -> Path:
    """Return the file of a module."""
    return root.joinpath(*module.split(".")).with_suffix(".py")


def tests_of(module: str, root: Path) -> list[str]:
    """Return the tests of a module as pytest takes them, from `root`."""
    found = []
    for test in TESTS[module]:
        name, colons, single = test.partition("::")
        (file,) = root.glob(f"tests/**/{name}.py")
        found.append(f"{file.relative_to(root)}{colons}{single}")
    return found


def is_check(node: ast.AST) -> bool:
    """Tell whether a node is there for the type checker, or checks what is always so."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.keyword) and node.arg == "strict"


def ignored(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where a mutant changes nothing: annotations, decorators, checks of equal lengths."""
    nodes: list[ast.AST] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            nodes += [*node.decorator_list, *([node.returns] if node.returns else [])]
        elif isinstance(node, ast.ClassDef):
            nodes += node.decorator_list
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            nodes.append(node.annotation)
        elif is_check(node):
            nodes.append(node)
    # The sign of a decorator stands before it.
    return [
        ((node.lineno, node.col_offset - 1), (node.end_lineno, node.end_col_offset))
        for node in nodes
    ]


def choose_mutants(path: Path, session: Path, each: int, seed: int) -> list[MutationSpec]:
    """Return a sample of the mutants of a file, at most one of a kind at each place."""
    with use_db(str(session)) as database:
        init([path], database, {})
        items = database.work_items
    chance = random.Random(f"{seed} {path}")
    skipped = ignored(path)
    places = defaultdict(list)
    for mutation in sorted(
        (item.mutations[0] for item in items), key=lambda m: (m.operator_name, m.occurrence)
    ):
        at = mutation.start_pos
        if not any(start <= at < end for start, end in skipped):
            places[at, mutation.operator_name.split("_")[0]].append(mutation)
    chosen = [chance.choice(mutations) for _, mutations in sorted(places.items())]
    chosen = chance.sample(chosen, min(each, len(chosen)))
    return sorted(chosen, key=lambda mutation: mutation.start_pos)


def try_module(module: str, copy: Path, each: int, seed: int) -> tuple[int, int]:
    """Try mutants of a module, print those that survive, and return how many did, of how many."""
    path = path_of(module, Path())
    command = shlex.join([sys.executable, "-m", "pytest", *SETTINGS, *tests_of(module, Path())])
    begun = time.monotonic()
    outcome, output = run_tests(command, 600)
    if outcome is not TestOutcome.SURVIVED:
        print(f"{module}: its tests fail as it is:\n{output}", flush=True)
        return 0, 0
    timeout = max(FACTOR * (time.monotonic() - begun), LEAST_SECONDS)
    mutants = choose_mutants(path, copy.with_suffix(".sqlite"), each, seed)
    survivors = 0
    for mutant in mutants:
        result = mutate_and_test([mutant], command, timeout)
        if result.test_outcome is TestOutcome.SURVIVED:
            survivors += 1
            changes = [line for line in (result.diff or "").splitlines() if line[:1] in "+-"]
            print(f"{module}:{mutant.start_pos[0]}", *changes[3:], sep="\n    ", flush=True)
    print(f"{module}: {survivors} of {len(mutants)} survived", flush=True)
    return survivors, len(mutants)


def main() -> None:
    """Try mutants of the modules that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", help="modules or packages; default: all listed")
    parser.add_argument("--each", type=int, default=15, help="mutants of a module (default: 15)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    options = parser.parse_args()
    asked = options.modules or [""]
    chosen = [
        module
        for module in TESTS
        if any(not name or module == name or module.startswith(f"{name}.") for name in asked)
    ]
    if not chosen:
        parser.error(f"no tests are listed for {', '.join(asked)}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "copy"
        hidden = shutil.ignore_patterns(".git", ".venv*", "build", "dist", ".*_cache")
        shutil.copytree(ROOT, copy, symlinks=True, ignore=hidden)
        os.chdir(copy)
        # Also what a test starts elsewhere is to be the mutant, not an installed version.
        os.environ["PYTHONPATH"] = str(copy)
        results = [try_module(module, copy, options.each, options.seed) for module in chosen]
    survived, tried = map(sum, zip(*results, strict=True))
    print(f"\n{survived} of {tried} mutants survived")


if __name__ == "__main__":
    main()
