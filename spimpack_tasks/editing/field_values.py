"""Converts values of dataset_description to the text of a form's fields, and back.

Lists of texts are edited as lines, lists of mappings as rows of texts, and the rest as JSON.
"""

from __future__ import annotations

import json
from typing import Any

from spimpack_tasks.errors import SpimpackError


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


def columns_of(schema: dict[str, Any], value: Any) -> list[str]:
    """Return the keys that each item of a list of mappings can be given as text.

    Nothing where the value is no such list, so that it is edited as JSON.
    """
    items = schema.get("items", {})
    is_list = value is None or (isinstance(value, list) and all(isinstance(v, dict) for v in value))
    if items.get("type") != "object" or not is_list:
        return []
    return [key for key, inner in items["properties"].items() if inner.get("type") == "string"]


def with_item(
    items: list[dict[str, Any]], number: int, key: str, text: str
) -> list[dict[str, Any]]:
    """Return a list of mappings with one text changed; `number` may be that of a new item.

    An empty text takes the key out, and a mapping that has none left is taken out as well.
    """
    changed = [dict(item) for item in items]
    if number == len(changed):
        changed.append({})
    if text.strip():
        changed[number][key] = text.strip()
    else:
        changed[number].pop(key, None)
    return [item for item in changed if item]
