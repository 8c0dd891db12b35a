"""The size and the shape of the package in figures, from its text and its imports.

python benchmarks/house.py            a table of this checkout
python benchmarks/house.py --json     the same as JSON
python benchmarks/house.py ROOT       of another checkout, for a table of before and after

Imports under `TYPE_CHECKING` do not count. Imports by string count where the table says so: texts
such as `spimpack_tasks.registry:load`, and f-strings that begin with a package, which stand for all
of its modules. Modules that import each other are a circle; a chain counts a circle as one module.
The package is not imported. It needs grimp, which comes with the extra `lint`.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import statistics
import sys
import tokenize
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "spimpack_tasks"
CHOICES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.IfExp,
    ast.ExceptHandler,
    ast.Assert,
    ast.comprehension,
    ast.match_case,
)
"""What makes one path through a function two."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
Imports = dict[str, set[str]]


class Source:
    """The modules below a folder, parsed."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.rglob("*.py"))
        self.texts = {path: path.read_text(encoding="utf-8") for path in paths}
        self.trees = {path: ast.parse(text) for path, text in self.texts.items()}
        self.nodes = [node for tree in self.trees.values() for node in ast.walk(tree)]
        self.functions = [node for node in self.nodes if isinstance(node, Function)]

    @property
    def lengths(self) -> list[int]:
        return [len(text.splitlines()) for text in self.texts.values()]

    def name_of(self, path: Path, folder: Path) -> str:
        parts = path.relative_to(folder.parent).with_suffix("").parts
        return ".".join(parts).removesuffix(".__init__")


def percentile(values: list[int], percent: int) -> int:
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def share(flags: list[bool]) -> float:
    return round(100 * sum(flags) / len(flags), 1)


def is_annotated(function: Function) -> bool:
    """Tell whether all parameters but `self`, and the result, have types."""
    told = function.args
    given = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
    names = [one for one in given if one and one.arg not in {"self", "cls"}]
    return bool(function.returns) and all(one.annotation for one in names)


def count_paths(function: Function) -> int:
    """Return the cyclomatic complexity: comprehensions, and each `and` and `or`, count."""
    nodes = list(ast.walk(function))
    more = sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))
    ifs = sum(len(node.ifs) for node in nodes if isinstance(node, ast.comprehension))
    return 1 + more + ifs + sum(isinstance(node, CHOICES) for node in nodes)


def is_broad(node: ast.AST) -> bool:
    """Tell whether a handler takes any exception."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    caught = ast.walk(node.type) if node.type else ()
    names = {one.id for one in caught if isinstance(one, ast.Name)}
    return node.type is None or bool(names & {"Exception", "BaseException"})


def public_definitions(tree: ast.Module) -> list[Function | ast.ClassDef]:
    """Return functions and classes of a module that have no underscore in front."""
    kinds = (*Function.__args__, ast.ClassDef)
    return [one for one in tree.body if isinstance(one, kinds) and not one.name.startswith("_")]


def documented(tree: ast.Module) -> Iterator[bool]:
    """Yield whether a module, its public definitions and their public methods have docstrings."""
    yield ast.get_docstring(tree) is not None
    for node in public_definitions(tree):
        yield ast.get_docstring(node) is not None
        if isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, Function)]
            shown = [one for one in methods if not one.name.startswith("_")]
            yield from (ast.get_docstring(one) is not None for one in shown)


def count_comments(text: str) -> int:
    """Return the number of lines with nothing but a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(one.type == tokenize.COMMENT and one.line.lstrip()[0] == "#" for one in tokens)


def direct_imports(root: Path) -> Imports:
    """Return the modules that each module imports, without those for types alone."""
    sys.path.insert(0, str(root))
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    return {one: set(graph.find_modules_directly_imported_by(one)) for one in graph.modules}


def started_apart(tree: ast.Module) -> set[ast.expr]:
    """Return the texts behind a `-m`, which another process imports."""
    lists = [one.elts for one in ast.walk(tree) if isinstance(one, ast.List | ast.Tuple)]
    pairs = [pair for elements in lists for pair in pairwise(elements)]
    return {two for one, two in pairs if isinstance(one, ast.Constant) and one.value == "-m"}


def string_imports(source: Source, folder: Path, modules: set[str]) -> Imports:
    """Return the modules that each module names in a text."""
    found: Imports = {}
    for path, tree in source.trees.items():
        nodes = [one for one in ast.walk(tree) if isinstance(one, ast.Constant)]
        apart = started_apart(tree)
        whole = {str(one.value).partition(":")[0] for one in nodes if one not in apart} & modules
        heads = {
            str(one.values[0].value)
            for one in ast.walk(tree)
            if isinstance(one, ast.JoinedStr) and isinstance(one.values[0], ast.Constant)
        }
        packages = tuple(head for head in heads if re.fullmatch(rf"{PACKAGE}(\.\w+)*\.", head))
        begun = {one for one in modules if packages and one.startswith(packages)}
        name = source.name_of(path, folder)
        found[name] = (whole | begun) - {name, PACKAGE}
    return found


def find_circles(imports: Imports) -> list[set[str]]:
    """Return the sets of modules that import each other, in the order in which chains end."""
    order: list[str] = []
    seen: set[str] = set()
    for start in sorted(imports):
        _walk(start, imports, seen, order)
    backwards: Imports = {one: set() for one in imports}
    for one, others in imports.items():
        for other in others:
            backwards[other].add(one)
    seen, circles = set(), []
    for start in reversed(order):
        circle: list[str] = []
        _walk(start, backwards, seen, circle)
        circles += [set(circle)] if circle else []
    return circles[::-1]


def _walk(start: str, imports: Imports, seen: set[str], order: list[str]) -> None:
    """Append all that can be reached and was not seen, each behind what it leads to."""
    todo = [] if start in seen else [(start, iter(sorted(imports[start])))]
    seen.add(start)
    while todo:
        name, others = todo[-1]
        following = next((one for one in others if one not in seen), None)
        if following is None:
            order.append(name)
            todo.pop()
        else:
            seen.add(following)
            todo.append((following, iter(sorted(imports[following]))))


def longest_chain(imports: Imports) -> list[str]:
    """Return the modules of the longest chain of imports, a circle as one."""
    chains: dict[str, list[str]] = {}
    for circle in find_circles(imports):
        beyond = {other for one in circle for other in imports[one]} - circle
        best = max((chains[other] for other in sorted(beyond)), key=len, default=[])
        name = min(circle) if len(circle) == 1 else f"circle of {len(circle)} at {min(circle)}"
        chains |= {one: [name, *best] for one in circle}
    return max((chains[one] for one in sorted(chains)), key=len)


def measure_text(source: Source) -> dict[str, object]:
    sizes = [(one.end_lineno or 0) - one.lineno + 1 for one in source.functions]
    paths = [count_paths(one) for one in source.functions]
    lines = sum(source.lengths)
    comments = sum(map(count_comments, source.texts.values()))
    trees = list(source.trees.values())
    return {
        "lines": lines,
        "modules": len(source.texts),
        "packages": sum(path.name == "__init__.py" for path in source.texts),
        "module, median lines": statistics.median(source.lengths),
        "module, most lines": max(source.lengths),
        "function, median lines": percentile(sizes, 50),
        "function, 95 % below": percentile(sizes, 95),
        "function, most lines": max(sizes),
        "annotated %": share([is_annotated(one) for one in source.functions]),
        "documented %": share([flag for tree in trees for flag in documented(tree)]),
        "broad excepts": sum(map(is_broad, source.nodes)),
        "complexity, 95 % below": percentile(paths, 95),
        "complexity, most": max(paths),
        "functions above complexity 10": sum(one > 10 for one in paths),
        "comment %": round(100 * comments / lines, 1),
        "public names": sum(len(public_definitions(tree)) for tree in trees),
    }


def measure_imports(source: Source, root: Path) -> dict[str, object]:
    plain = direct_imports(root)
    named = string_imports(source, root / PACKAGE, set(plain))
    both = {one: others | named.get(one, set()) for one, others in plain.items()}
    found: dict[str, object] = {}
    for title, imports in (("", plain), (", strings included", both)):
        circles = [circle for circle in find_circles(imports) if len(circle) > 1]
        found[f"longest chain{title}"] = len(longest_chain(imports))
        found[f"circles{title}"] = len(circles)
        found[f"modules in circles{title}"] = sum(map(len, circles))
    fan_out = statistics.mean(len(others) for others in plain.values())
    return found | {"imports of a module": round(fan_out, 1), "chain": longest_chain(both)}


def measure_tests(tests: Source, lines: int) -> dict[str, object]:
    named = [one for one in tests.functions if one.name.startswith("test_")]
    marks = [ast.unparse(mark) for one in named for mark in one.decorator_list]
    return {
        "lines of tests / lines": round(sum(tests.lengths) / lines, 2),
        "tests": len(named),
        "parametrize": sum("parametrize" in mark for mark in marks),
        "given": sum(mark.startswith("given") for mark in marks),
    }


def measure(root: Path) -> dict[str, object]:
    source, tests = Source(root / PACKAGE), Source(root / "tests")
    return {
        **measure_text(source),
        **measure_imports(source, root),
        **measure_tests(tests, sum(source.lengths)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.root.resolve())
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    chain = figures.pop("chain")
    print("| what | figure |\n| --- | --- |")
    for name, figure in figures.items():
        print(f"| {name} | {figure:,} |")
    print("\nThe longest chain, strings included:\n")
    print("\n".join(f"    {name}" for name in chain))


if __name__ == "__main__":
    main()
