"""Every number at the top of a module says why it is so large, beside it or in a decision."""

import ast
import re

import pytest
from markdown_blocks import ROOT

PACKAGE = ROOT / "spimpack_tasks"
DECISIONS = ROOT / "docs" / "explanation" / "decisions"
KINDS = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Name, ast.Load)
NOT_YET: set[str] = set()
"""Names of numbers that nothing explains yet. Take those out that you explain."""


def is_number(value):
    """Tell whether an expression is made of numbers and names alone, with one number at least."""
    parts = list(ast.walk(value))
    numbers = [part for part in parts if isinstance(part, ast.Constant)]
    return all(isinstance(part, KINDS) for part in parts) and any(
        type(number.value) in (int, float) for number in numbers
    )


def unexplained(text):
    """Yield the names of numbers at the top of a module with no comment and no docstring."""
    lines, body = text.split("\n"), ast.parse(text).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if not isinstance(target, ast.Name) or not is_number(node.value):
            continue
        docstring = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        comment = "#" in lines[node.lineno - 1] or lines[node.lineno - 2].lstrip().startswith("#")
        if not docstring and not comment:
            yield target.id


def decided():
    """Return the names that pages of decisions mention."""
    pages = (path.read_text(encoding="utf-8") for path in DECISIONS.glob("*.md"))
    return {name for page in pages for name in re.findall(r"`([A-Z_]+)`", page)}


def test_numbers_have_a_reason():
    found = {
        name: str(path.relative_to(ROOT))
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in unexplained(path.read_text(encoding="utf-8"))
    }
    missing = {name: path for name, path in found.items() if name not in decided() | NOT_YET}
    assert not missing, "write a sentence below the number, or name it in a decision"
    assert set(found) >= NOT_YET, "take out the names that are explained now"


def test_decisions_name_numbers_that_there_are():
    names = {
        target.id
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    variables = {"SPIMPACK_LIMIT_FACTOR"}
    assert decided() - names - variables == set()


def test_every_decision_is_listed():
    index = (DECISIONS / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in DECISIONS.glob("*.md")} - {"index.md"}
    assert set(re.findall(r"\]\((\d[^)]*)\)", index)) == pages
    for name in pages:
        headings = re.findall(r"^## (.*)$", (DECISIONS / name).read_text(), re.MULTILINE)
        assert headings == ["Context", "Options", "Measured", "Decision", "Consequences"], name


CASES = {
    "bare": ("A = 3\n", ["A"]),
    "product": ("A = 16 * 2**20\n", ["A"]),
    "annotated": ("A: int = 3\n", ["A"]),
    "docstring": ('A = 3\n"""Some."""\n', []),
    "docstring of another": ('A = 3\nB = 4\n"""Some."""\n', ["A"]),
    "comment behind": ("A = 3  # some\n", []),
    "comment above": ("# some\nA = 3\n", []),
    "text": ('A = "a"\n', []),
    "truth value": ("A = True\n", []),
    "table": ("A = {1: 2}\n", []),
}


@pytest.mark.parametrize(("text", "names"), CASES.values(), ids=list(CASES))
def test_what_is_unexplained(text, names):
    assert list(unexplained("\n" + text)) == names
