"""Edits a YAML document, and leaves every other line unchanged, comments included.

A value is replaced in its place. A value in braces is written again as a whole. A new key replaces
the commented line of the same key, such as `spimpack init` writes. After each edit the text is
parsed again, and must hold exactly the requested values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import Report, SpimpackError
from spimpack_tasks.files.yaml_marks import load_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence


class EditRefusedError(SpimpackError):
    """The form of a document prevents the edit; the message names a remedy."""


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

    mapping: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    end = len(text)
    if mapping is None:
        return text + _block({path[0]: wanted[path[0]]}, 0)
    for depth, key in enumerate(path):
        if mapping.flow_style:
            return _set_flow(text, path[:depth], mapping, wanted)
        entry = _find(text, mapping, key, end)
        is_last = depth == len(path) - 1
        if entry is None and value is None:
            return text  # it comes from elsewhere, by a merge key
        if entry is None:
            return _add(text, mapping, end, key, _at(wanted, path[: depth + 1]))
        if is_last or not isinstance(entry.value, yaml.MappingNode) or not entry.value.value:
            new = value if is_last else _at(wanted, path[: depth + 1])
            return _remove(text, entry) if new is None else _replace(text, entry, new)
        mapping, end = entry.value, entry.region_end
    return text


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key of a mapping with its value; places are indices into the text."""

    key: Any
    value: Any
    end: int
    """End of the value, without comments and blank lines after it."""
    region_end: int
    """Start of the next key in this mapping or an enclosing one."""


def _find(text: str, mapping: Any, name: str, end: int) -> _Entry | None:
    starts = [key.start_mark.index for key, _ in mapping.value]
    for (key, value), next_start in zip(mapping.value, [*starts[1:], end], strict=True):
        if key.value == name:
            return _Entry(key, value, _end(text, key, value, next_start), next_start)
    return None


def _end(text: str, key: Any, value: Any, region_end: int) -> int:
    """Return where a value ends, without the comments and blank lines behind it."""
    leaf = _last_leaf(value)
    end: int = key.end_mark.index + 1
    if end <= leaf.end_mark.index <= region_end:
        # A block of lines ends where the next thing begins.
        end = max(end, len(text[: leaf.end_mark.index].rstrip()))
    # The value of an alias lies elsewhere, so the lines themselves are examined.
    last = end
    for line in re.finditer(r"[^\r\n]+", text[end:region_end]):
        content = re.sub(r"(^|\s)#.*", "", line.group()).rstrip()
        if content:
            last = end + line.start() + len(content)
    return last


def _last_leaf(node: Any) -> Any:
    """Return the event that ends a value: a scalar, or a closing brace or bracket."""
    import yaml

    while not isinstance(node, yaml.ScalarNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _set_flow(text: str, path: tuple[str, ...], node: Any, wanted: dict[str, Any]) -> str:
    """Write a mapping in braces again; JSON is YAML."""
    data = _at(wanted, path)
    has_lines = node.start_mark.line != node.end_mark.line
    written = json.dumps(data, ensure_ascii=False, indent=2 if has_lines and not path else None)
    return text[: node.start_mark.index] + written + text[node.end_mark.index :]


def _replace(text: str, entry: _Entry, value: Any) -> str:
    start = entry.key.start_mark
    written = _block({entry.key.value: value}, start.column).strip("\n")
    return text[: start.index] + _with_ends(written, text) + text[entry.end :]


def _remove(text: str, entry: _Entry) -> str:
    start = text.rfind("\n", 0, entry.key.start_mark.index) + 1
    return text[:start] + text[_line_end(text, entry.end) :]


def _add(text: str, mapping: Any, region_end: int, key: str, value: Any) -> str:
    """Add a key to a mapping: in place of its commented line, or behind the last key."""
    column = mapping.value[0][0].start_mark.column
    written = _with_ends(_block({key: value}, column, first=True), text)
    comment = re.compile(rf"^[ ]{{{column}}}#[ ]?{re.escape(key)}:.*(\r?\n|\Z)", re.MULTILINE)
    found = comment.search(text, mapping.start_mark.index, region_end)
    if found:
        return text[: found.start()] + written + text[found.end() :]
    last_key, last_value = mapping.value[-1]
    at = _line_end(text, _end(text, last_key, last_value, region_end))
    if at and text[at - 1] != "\n":
        written = ("\r\n" if "\r\n" in text else "\n") + written.rstrip("\r\n")
    return text[:at] + written + text[at:]


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
