"""What a field of a form shows of a value of dataset_description, and what is typed into it.

Lists are edited as lines; what is no list of texts is edited as JSON.
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
    """Return the value that the text of a field stands for, `None` where it is empty.

    Raises
    ------
    SpimpackError
        A value that is no list of texts is not written as JSON.
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
