"""Converts values of a block of the manifest to the text of a form's fields, and back.

Lists of texts are edited as lines, lists of mappings field by field, and the rest as JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import SpimpackError

if TYPE_CHECKING:
    from collections.abc import Iterator


def listed_names(schema: dict[str, Any]) -> bool:
    """Tell whether a key takes a list, which is shown as lines."""
    kind = schema.get("type")
    return kind in ("array", "object") or isinstance(kind, list)


def _is_list_of_texts(schema: dict[str, Any]) -> bool:
    items = schema.get("items")
    return isinstance(items, dict) and items.get("type") == "string"


def value_as_text(schema: dict[str, Any], value: Any) -> str:
    """Return the text of a field for a value, empty for `None`."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if _is_list_of_texts(schema) and isinstance(value, list):
        return "\n".join(item if isinstance(item, str) else json.dumps(item) for item in value)
    return json.dumps(value, ensure_ascii=False, indent=2)


def value_from_text(schema: dict[str, Any], text: str) -> Any:
    """Return the value of the text in a field, `None` if it is empty.

    Raises
    ------
    SpimpackError
        The value is not a list of texts, and its text is not JSON.
    """
    if not text.strip():
        return None
    if _is_list_of_texts(schema):
        items = [line.strip() for line in text.splitlines() if line.strip()]
        takes_text = "string" in schema["type"] and isinstance(schema["type"], list)
        return items[0] if takes_text and len(items) == 1 else items
    if schema.get("type") in ("array", "object"):
        try:
            return json.loads(text)
        except ValueError as error:
            example = '[{"URL": "https://..."}]' if schema["type"] == "array" else '{"name": "..."}'
            message = f"is not valid JSON ({error}); write it like {example}"
            raise SpimpackError(message) from error
    return text.strip()


class ItemField(NamedTuple):
    """A field of each item of a list of mappings."""

    path: tuple[str, ...]
    """Keys in the item; two where a mapping in it has the text."""
    schema: dict[str, Any]

    @property
    def label(self) -> str:
        """Name of the field."""
        return " ".join(self.path)

    def value_in(self, item: Any) -> Any:
        """Return the value in an item, `None` where it has none."""
        for key in self.path:
            item = item.get(key) if isinstance(item, dict) else None
        return item


def item_fields(schema: dict[str, Any], value: Any) -> list[ItemField]:
    """Return the fields that each item of a list of mappings has.

    Nothing where the value is no such list, so that it is edited as JSON.
    """
    items = schema.get("items", {})
    is_list = value is None or (isinstance(value, list) and all(isinstance(v, dict) for v in value))
    if items.get("type") != "object" or not is_list:
        return []
    return list(_fields_of(items["properties"]))


def _fields_of(properties: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[ItemField]:
    for key, inner in properties.items():
        if inner.get("type") == "object":
            yield from _fields_of(inner.get("properties", {}), (*above, key))
        elif inner.get("type") == "string" or "enum" in inner or choices_of(inner):
            yield ItemField((*above, key), inner)


def choices_of(schema: dict[str, Any]) -> list[str]:
    """Return the words of which a list may hold several; nothing for another value."""
    items = schema.get("items")
    return list(items.get("enum", ())) if isinstance(items, dict) else []


def with_item(
    items: list[dict[str, Any]], number: int, path: tuple[str, ...], value: Any
) -> list[dict[str, Any]]:
    """Return a list of mappings with one value changed; `number` may be that of a new item.

    An empty value takes its key out, and a mapping that has none left is taken out as well.
    """
    changed = [*items, *([{}] if number == len(items) else [])]
    changed[number] = _with_value(changed[number], path, value)
    return [item for item in changed if item]


def _with_value(item: Any, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    head, *rest = path
    given = dict(item) if isinstance(item, dict) else {}
    new = value.strip() if isinstance(value, str) else value
    if rest:
        new = _with_value(given.get(head), tuple(rest), value)
    return {**given, head: new} if new else {k: v for k, v in given.items() if k != head}
