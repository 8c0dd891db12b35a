"""Edits of a YAML document that leave every other line of it as it is, comments included.

A value is replaced where it stands. What is written in braces is written anew as a whole, and a
commented line of the same key, as `spimpack init` leaves them, gives way to a key that is added.
After each edit the text is read again: it must hold just what was asked for.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Report, SpimpackError
from spimpack_tasks.files.yaml_marks import load_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence


class EditRefusedError(SpimpackError):
    """A document is written in a way that cannot be edited here; the message says what to do."""


def set_value(text: str, path: Sequence[str], value: Any) -> str:
    """Return the document with `value` under the keys of `path`; `None` takes the key out.

    Raises
    ------
    EditRefusedError
        The document is no mapping, or is written in a way that this cannot follow.
    """
    before = _read(text)
    wanted = _with(before, tuple(path), value)
    if wanted == before:
        return text
    edited = _set(text, tuple(path), value, wanted)
    if _read(edited) != wanted:
        message = (
            f"{'.'.join(path)} cannot be changed here because of how the file is written; "
            "change it in a text editor"
        )
        raise EditRefusedError(message)
    return edited


def _read(text: str) -> dict[str, Any]:
    report = Report()
    data = load_yaml(text, "", report).data
    if report.errors or not isinstance(data, dict | None):
        message = "the manifest has mistakes that must be put right in a text editor first"
        raise EditRefusedError(message)
    return data or {}


def _with(data: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a copy of the data with one value changed."""
    head, *rest = path
    if rest:
        inner = data.get(head)
        value = _with(inner if isinstance(inner, dict) else {}, tuple(rest), value)
    return {key: v for key, v in {**data, head: value}.items() if key != head or v is not None}


def _set(text: str, path: tuple[str, ...], value: Any, wanted: dict[str, Any]) -> str:
    import yaml

    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return text + _block({path[0]: wanted[path[0]]}, 0)
    mapping, end = root, len(text)
    for depth, key in enumerate(path):
        if mapping.flow_style:
            return _set_flow(text, path[:depth], mapping, wanted)
        found = next((pair for pair in mapping.value if pair[0].value == key), None)
        inner = None if found is None else found[1]
        last = depth == len(path) - 1
        if not last and isinstance(inner, yaml.MappingNode) and inner.value:
            end = _start_of_next(mapping, key, end)
            mapping = inner
            continue
        new = value if last else _at(wanted, path[: depth + 1])
        if found is None:
            return _add(text, mapping, end, key, new)
        return _remove(text, found) if new is None else _replace(text, found, new)
    return text


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def _set_flow(text: str, path: tuple[str, ...], node: Any, wanted: dict[str, Any]) -> str:
    """Write a mapping in braces anew; JSON is YAML."""
    data = _at(wanted, path)
    has_lines = node.start_mark.line != node.end_mark.line
    written = json.dumps(data, ensure_ascii=False, indent=2 if has_lines and not path else None)
    return text[: node.start_mark.index] + written + text[node.end_mark.index :]


def _start_of_next(mapping: Any, key: str, end: int) -> int:
    """Return where the key after `key` begins, `end` where it is the last."""
    keys = [pair[0] for pair in mapping.value]
    position = next(i for i, node in enumerate(keys) if node.value == key)
    return keys[position + 1].start_mark.index if position + 1 < len(keys) else end


def _replace(text: str, pair: tuple[Any, Any], value: Any) -> str:
    key, old = pair
    start, end = key.start_mark.index, _end(text, old)
    written = _block({key.value: value}, key.start_mark.column).strip("\n")
    # After a list or a text of several lines there may be a comment of its last line only.
    return text[:start] + _with_ends(written, text) + text[end:]


def _remove(text: str, pair: tuple[Any, Any]) -> str:
    start = text.rfind("\n", 0, pair[0].start_mark.index) + 1
    return text[:start] + text[_line_end(text, _end(text, pair[1])) :]


def _add(text: str, mapping: Any, region_end: int, key: str, value: Any) -> str:
    """Add a key to a mapping: in place of its commented line, or behind the last key."""
    column = mapping.value[0][0].start_mark.column
    written = _with_ends(_block({key: value}, column, first=True), text)
    comment = re.compile(rf"^[ ]{{{column}}}#[ ]?{re.escape(key)}:.*(\r?\n|\Z)", re.MULTILINE)
    found = comment.search(text, mapping.start_mark.index, region_end)
    if found:
        return text[: found.start()] + written + text[found.end() :]
    at = _line_end(text, _end(text, mapping.value[-1][1]))
    if at and text[at - 1] != "\n":
        written = ("\r\n" if "\r\n" in text else "\n") + written.rstrip("\r\n")
    return text[:at] + written + text[at:]


def _end(text: str, node: Any) -> int:
    """Return where a value ends, without the comments and blank lines behind it."""
    import yaml

    children = [] if isinstance(node, yaml.ScalarNode) or node.flow_style else node.value
    if children:
        last = children[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    while end > node.start_mark.index and text[end - 1].isspace():
        end -= 1
    return end


def _line_end(text: str, index: int) -> int:
    """Return where the line after `index` begins."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _block(data: dict[str, Any], column: int, *, first: bool = False) -> str:
    """Return a mapping as YAML lines; the first one is indented only if asked for."""
    import yaml

    lines = yaml.safe_dump(
        data, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000
    ).splitlines()
    indent = " " * column
    text = "\n".join(indent + line if line else line for line in lines) + "\n"
    return text if first else text[column:]


def _with_ends(written: str, text: str) -> str:
    """Return lines with the line ends that the document has."""
    return written.replace("\n", "\r\n") if "\r\n" in text else written
