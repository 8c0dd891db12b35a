"""The imports of the package as a graph: those that stand in the code, and those named by texts."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "spimpack_tasks"
DEFERRED = re.compile(rf"{PACKAGE}(?:\.\w+)+(?=:\w)")
"""A function that is named by a text, such as `spimpack_tasks.volumes.convert:is_result`."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes except those that only a type checker looks at."""
    for child in ast.iter_child_nodes(node):
        if is_for_types(child):
            continue
        yield child
        yield from walk(child)


def imported_by(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    for node in walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield name if name in modules else name.rpartition(".")[0]


def named_by(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that texts of a module name; texts put together count as a whole."""
    constants = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in walk(tree):
        text = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else str(constants.get(ast.unparse(part.value), "any"))
                for part in node.values
                if isinstance(part, ast.Constant | ast.FormattedValue)
            )
        if found := DEFERRED.match(text):
            yield found[0]


@cache
def read_graph(*, with_texts: bool = False) -> dict[str, frozenset[str]]:
    """Return for each module those of the package that it imports."""
    trees = {
        name_of(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    }
    graph = {}
    for name, tree in trees.items():
        found = {*imported_by(tree, set(trees)), *(named_by(tree) if with_texts else ())}
        graph[name] = frozenset(found & trees.keys() - {name})
    return graph


def longest_chain(graph: dict[str, frozenset[str]]) -> list[str]:
    """Return the longest chain of imports; the graph must have no circle."""
    known: dict[str, list[str]] = {}

    def chain_of(name: str) -> list[str]:
        if name not in known:
            longest = max(map(chain_of, graph[name]), key=len, default=[])
            known[name] = [name, *longest]
        return known[name]

    return max(map(chain_of, graph), key=len)


def find_circles(graph: dict[str, frozenset[str]]) -> list[set[str]]:
    """Return the groups of modules that import one another in a circle (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(group) > 1:
                circles.append(group)

    for name in graph:
        if name not in index:
            visit(name)
    return circles


def read_layers() -> dict[str, int]:
    """Return the layer of each child of the package, 0 for the lowest."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {
        child.strip(): number
        for number, layer in enumerate(reversed(layers))
        for child in layer.split("|")
    }
