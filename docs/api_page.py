"""The page on `spimpack_tasks.api`, made of signatures and docstrings.

`generate.py` writes it. Functions have docstrings in the style of numpy, and fields have a text
below them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spimpack_tasks import api, errors, streams
from spimpack_tasks.packaging.changes import Change
from spimpack_tasks.packaging.outcome import Outcome
from spimpack_tasks.verification.verify import Deviation
from spimpack_tasks.volumes.conversion import Request
from spimpack_tasks.volumes.examine import Source
from spimpack_tasks.volumes.volume import Level
from spimpack_tasks.volumes.writer import VolumeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

RELATED = (Level, VolumeWriter, Request, Source, Change, Outcome, Deviation, errors.InputError)
"""Types of what the functions take and return that are not in the module itself."""

WIDTH = 80
"""Columns of a signature in one line, which a page of the site shows without a scroll bar."""


def api_lines() -> Iterator[str]:
    """Yield the page on the names for Python users."""
    yield from ("# Python interface", "", *_paragraphs(str(api.__doc__)))
    yield "[How to use it from Python](../how-to/use-from-python.md) has examples that run."
    yield "A `Path` is a `str` or an `os.PathLike[str]`."
    functions = [name for name in api.__all__ if not isinstance(getattr(api, name), type)]
    yield from ("", "## Functions")
    for name in functions:
        yield from ("", *_function(name, inspect.unwrap(getattr(api, name))))
    yield from ("", "## Types")
    for name in api.__all__:
        if name not in functions:
            yield from ("", *_class(getattr(api, name)))
    yield from ("", "## Types of arguments and results", "")
    yield "These come from the functions, or are given to them. Import them only for annotations."
    for cls in RELATED:
        yield from ("", *_class(cls))


def stream_name_lines() -> Iterator[str]:
    """Yield the part of a page on the names of `spimpack_tasks.streams`."""
    yield from ("## Names in Python", "", "All are in `spimpack_tasks.streams`.")
    for name in streams.__all__:
        thing = getattr(streams, name)
        if isinstance(thing, type) and not issubclass(thing, Exception):
            yield from ("", *_class(thing))
        elif not isinstance(thing, type):
            yield from ("", *_function(name, thing, "streams"))
    yield from ("", "## Errors", "")
    for name in streams.__all__:
        thing = getattr(streams, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            yield f"- `{name}`: {_paragraphs(str(thing.__doc__))[0]}"


@dataclass
class Docstring:
    """A docstring in the style of numpy."""

    text: str
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Names with their texts, by the heading above them."""


def parse_docstring(docstring: str) -> Docstring:
    """Return the parts of a docstring."""
    lines = inspect.cleandoc(docstring).splitlines()
    starts = [n for n, line in enumerate(lines) if n and line and not line.strip("-")]
    ends = [*(n - 1 for n in starts), len(lines)][1:]
    found = Docstring("\n".join(lines[: starts[0] - 1] if starts else lines).strip())
    for start, end in zip(starts, ends, strict=True):
        found.sections[lines[start - 1]] = _items(lines[start + 1 : end])
    return found


def _items(lines: list[str]) -> list[tuple[str, str]]:
    """Return names, which are not indented, with the text below each."""
    items: list[tuple[str, str]] = []
    for line in filter(None, lines):
        if line.startswith(" "):
            name, text = items.pop()
            items.append((name, f"{text} {line.strip()}".strip()))
        else:
            items.append((line, ""))
    return items


def _function(name: str, function: Any, module: str = "api") -> Iterator[str]:
    node = _node(function)
    parts = parse_docstring(str(function.__doc__))
    yield from (f"### {name}", "", "```python", f"{module}.{_signature(node)}", "```", "")
    yield from _paragraphs(parts.text)
    for heading, items in parts.sections.items():
        yield from ("", f"{heading}:", "")
        yield from (f"- `{names}`: {text}" for names, text in items)


def _signature(node: ast.FunctionDef) -> str:
    """Return a signature, with one argument in a line if it is long."""
    returns = ast.unparse(node.returns) if node.returns else "None"
    if any(ast.unparse(each) == "contextmanager" for each in node.decorator_list):
        returns = returns.replace("Iterator[", "ContextManager[")
    arguments = list(_each_argument(node.args))
    line = f"{node.name}({', '.join(arguments)}) -> {returns}"
    if len(line) <= WIDTH:
        return line
    lines = "\n".join(f"    {each}," for each in arguments)
    return f"{node.name}(\n{lines}\n) -> {returns}"


def _each_argument(arguments: ast.arguments) -> Iterator[str]:
    plain: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
    yield from map(_argument, arguments.args, [*plain, *arguments.defaults])
    if arguments.kwonlyargs:
        yield "*"
    yield from map(_argument, arguments.kwonlyargs, arguments.kw_defaults)
    if arguments.kwarg:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else "")


def _class(cls: type) -> Iterator[str]:
    node = _node(cls)
    yield from (f"### {cls.__name__}", "", *_paragraphs(str(cls.__doc__)))
    if rows := list(_fields(node)):
        yield from ("", "| Field | Type | Meaning |", "| --- | --- | --- |", *rows)
    methods = [
        each
        for each in node.body
        if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")
    ]
    if methods:
        yield ""
    for method in methods:
        first, _, _ = parse_docstring(ast.get_docstring(method) or "").text.partition("\n\n")
        yield f"- `{_member(method)}`: {' '.join(first.split())}"


def _member(method: ast.FunctionDef) -> str:
    if any(ast.unparse(each) == "property" for each in method.decorator_list):
        return method.name
    names = [each.arg for each in (*method.args.args, *method.args.kwonlyargs)]
    return f"{method.name}({', '.join(names[1:])})"


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for member, below in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, ast.AnnAssign) and not ast.unparse(member.target).startswith("_"):
            yield _row((f"`{ast.unparse(member.target)}`", f"`{_type(member)}`", _text(below)))


def _type(member: ast.AnnAssign) -> str:
    """Return the type of a field, with its default if that is a value to write."""
    annotation = ast.unparse(member.annotation)
    is_value = isinstance(member.value, ast.Constant | ast.Tuple)
    return (
        f"{annotation} = {ast.unparse(member.value)}" if is_value and member.value else annotation
    )


def _text(node: ast.stmt | None) -> str:
    """Return the text of a docstring below a field."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _node(thing: Any) -> Any:
    """Return the syntax of a function or class."""
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


def _paragraphs(docstring: str) -> list[str]:
    return inspect.cleandoc(docstring).splitlines()
