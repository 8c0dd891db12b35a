"""Fields for a block of the manifest, such as dataset_description, by its JSON schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.editing.field_values import (
    choices_of,
    item_fields,
    listed_names,
    value_as_text,
    value_from_text,
    with_item,
)
from spimpack_tasks.ui.fields import choice_field, choices_field, text_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.editing.field_values import ItemField

MOST_IN_A_ROW = 4
"""Fields beside each other that can be read."""
_IN_A_ROW = 3
"""Fields in each row of an item that has more of them."""


@dataclass(frozen=True, slots=True)
class BlockFields:
    """The fields of one block; what is typed becomes an edit of the manifest."""

    editor: ManifestEditor
    block: str
    """Key of the manifest."""
    prefix: str
    """Begin of the keys of all fields, which are unique on a page."""

    def value(self, path: tuple[str, ...]) -> Any:
        """Return the value at a path in the block, `None` where there is none."""
        found: Any = self.editor.data
        for key in (self.block, *path):
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def set(self, path: tuple[str, ...], value: Any) -> None:
        """Put a value into the block; `None` takes it out, with mappings that become empty."""
        while value is None and path and self._is_alone(path):
            path = path[:-1]
        self.editor.set_value((self.block, *path), value)

    def _is_alone(self, path: tuple[str, ...]) -> bool:
        around = self.value(path[:-1])
        return isinstance(around, dict) and around.keys() <= {path[-1]}

    def show(
        self,
        path: tuple[str, ...],
        schema: dict[str, Any],
        *,
        required: bool = False,
        lines: int = 1,
    ) -> None:
        """Show the field of a value, or those of each item of a list.

        Parameters
        ----------
        path
            Keys in the block.
        schema
            That of the value.
        required
            Whether the key stays in the manifest when its field is empty.
        lines
            Least number of lines of a text.
        """

        def change(text: str) -> None:
            value = value_from_text(schema, text)
            empty = "" if required else None
            self.set(path, empty if value is None else value)

        value, name = self.value(path), ": ".join(path)
        fields = item_fields(schema, value)
        if fields:
            self._show_items(path, schema, fields)
            return
        text = value_as_text(schema, value)
        lines = max(2, text.count("\n") + 1) if listed_names(schema) else lines
        label, example = f"{name} *" if required else name, _example(schema)
        self.show_text(path, schema, text, change, label=label, lines=lines, placeholder=example)

    def show_text(
        self,
        path: tuple[str, ...],
        schema: dict[str, Any],
        text: str,
        change: Callable[[str], None],
        **looks: Any,
    ) -> None:
        """Show the field of a text, or a choice where the schema has a list of texts."""
        key, about = "-".join((self.prefix, *path)), schema["description"]
        shown = {"key": key, "value": text, "change": change, "help": about}
        if "enum" in schema:
            choice_field(label=looks["label"], options=schema["enum"], **shown)
        else:
            text_field(**shown, **looks)

    def _show_items(
        self, path: tuple[str, ...], schema: dict[str, Any], fields: list[ItemField]
    ) -> None:
        """Show the fields of each item of a list, and empty ones for one more.

        Items with few fields are rows of a table, others have a frame each.
        """
        count = len(self.value(path) or [])
        if len(fields) <= MOST_IN_A_ROW:
            for number in range(count + 1):
                self._show_row(path, fields, number, schema)
            return
        st.caption(schema["description"])
        for number in range(count + 1):
            with st.container(border=True):
                if number == count:
                    st.caption("One more")
                for first in range(0, len(fields), _IN_A_ROW):
                    self._show_row(path, fields[first : first + _IN_A_ROW], number)

    def _show_row(
        self,
        path: tuple[str, ...],
        fields: list[ItemField],
        number: int,
        table: dict[str, Any] | None = None,
    ) -> None:
        """Show some fields of an item beside each other.

        Those of a table, which is given as the schema of its list, have labels in the first row.
        """
        has_labels = table is None or number == 0
        columns = st.columns(len(fields))
        for column, field in zip(columns, fields, strict=True):
            about = field.schema.get("description")
            label = field.label
            if table and number == 0:
                label = f"{path[-1]}: {label}"
                about = table["description"] if field is fields[0] else about
            looks: dict[str, Any] = {
                "label": label,
                "help": about,
                "label_visibility": "visible" if has_labels else "collapsed",
                "placeholder": _example(field.schema) if has_labels else "",
            }
            with column:
                self._show_item_field(path, field, number, looks)

    def _show_item_field(
        self, path: tuple[str, ...], field: ItemField, number: int, looks: dict[str, Any]
    ) -> None:
        items = self.value(path) or []
        value = field.value_in(items[number]) if number < len(items) else None

        def change(new: Any) -> None:
            self.set(path, with_item(self.value(path) or [], number, field.path, new) or None)

        key = "-".join((self.prefix, *path, str(number), *field.path))
        if choices := choices_of(field.schema):
            given = value if isinstance(value, list) else []
            looks["placeholder"] = ""
            choices_field(key=key, values=given, options=choices, change=change, **looks)
            return
        text = value_as_text(field.schema, value)
        if "enum" in field.schema:
            options = field.schema["enum"]
            choice_field(key=key, value=text, options=options, change=change, **looks)
            return
        if looks["label_visibility"] == "collapsed" and number == len(items):
            looks["placeholder"] = "one more"
        text_field(key=key, value=text, change=change, **looks)


def _example(schema: dict[str, Any]) -> str:
    if schema.get("examples"):
        return f"such as {schema['examples'][0]}"
    return "one per line" if listed_names(schema) else ""
