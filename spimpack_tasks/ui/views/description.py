"""The page of dataset_description and of the sidecar keys that all images share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.editing.field_values import (
    columns_of,
    listed_names,
    value_as_text,
    value_from_text,
    with_item,
)
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.fields import choice_field, text_field
from spimpack_tasks.ui.problems import show_problems
from spimpack_tasks.ui.run_options import check

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor

TITLE = "Description"
ICON = ":material/description:"


def show(editor: ManifestEditor) -> None:
    """Show the fields of dataset_description, those that are needed first."""
    schema = load_schema("manifest")["properties"]["dataset_description"]
    data = editor.data.get("dataset_description")
    given = data if isinstance(data, dict) else {}
    left, right = st.columns(2)
    for position, name in enumerate(schema["required"]):
        with (left, right)[position % 2]:
            _show_field(editor, name, schema["properties"][name], given, required=True)
    optional = [name for name in schema["properties"] if name not in schema["required"]]
    used = [name for name in optional if name in given or name == "Authors"]
    for name in used:
        _show_field(editor, name, schema["properties"][name], given, required=False)
    with st.expander("More about the dataset", icon=":material/add:"):
        for name in optional:
            if name not in used:
                _show_field(editor, name, schema["properties"][name], given, required=False)
    _show_shared(editor)
    prepared = check(editor)
    show_problems(editor, prepared.report, len(editor.rows))


def _show_field(
    editor: ManifestEditor,
    name: str,
    schema: dict[str, Any],
    given: dict[str, Any],
    *,
    required: bool,
) -> None:
    def change(text: str) -> None:
        value = value_from_text(schema, text)
        empty = "" if required else None
        editor.set_value(("dataset_description", name), empty if value is None else value)

    columns = columns_of(schema, given.get(name))
    if columns:
        _show_items(editor, name, schema, columns)
        return
    label, key = f"{name} *" if required else name, f"description-{name}"
    text = value_as_text(schema, given.get(name))
    if "enum" in schema:
        choice_field(label, key, text, schema["enum"], change, help=schema["description"])
    else:
        lines = max(2, text.count("\n") + 1) if listed_names(schema) else 1
        looks = {"help": schema["description"], "placeholder": _example(schema)}
        text_field(label, key, text, change, lines=lines, **looks)


def _show_items(editor: ManifestEditor, name: str, schema: dict[str, Any], keys: list[str]) -> None:
    """Show a row of fields for each item of a list, and an empty one for one more."""
    items = editor.data.get("dataset_description", {}).get(name) or []
    for number in range(len(items) + 1):
        item = items[number] if number < len(items) else {}
        for column, key in zip(st.columns(len(keys)), keys, strict=True):

            def change(text: str, number: int = number, key: str = key) -> None:
                new = with_item(items, number, key, text)
                editor.set_value(("dataset_description", name), new or None)

            with column:
                text_field(
                    f"{name}: {key}" if number == 0 else key,
                    f"description-{name}-{number}-{key}",
                    item.get(key, ""),
                    change,
                    help=schema["description"] if number == 0 and key == keys[0] else None,
                    label_visibility="visible" if number == 0 else "collapsed",
                    placeholder="one more" if number and number == len(items) else "",
                )


def _example(schema: dict[str, Any]) -> str:
    if schema.get("examples"):
        return f"such as {schema['examples'][0]}"
    return "one per line" if listed_names(schema) else ""


def _show_shared(editor: ManifestEditor) -> None:
    shared = editor.data.get("sidecar_defaults")
    known = load_schema("sidecar")["properties"]
    with st.expander("What all images share", icon=":material/share:", expanded=bool(shared)):
        st.caption(load_schema("manifest")["properties"]["sidecar_defaults"]["description"])
        given = shared if isinstance(shared, dict) else {}
        columns = st.columns(2)
        for position, (name, value) in enumerate(given.items()):
            with columns[position % 2]:
                _show_shared_key(editor, name, value)
        new = st.selectbox(
            "Add a key",
            [name for name in known if name not in given],
            index=None,
            key="shared-new",
            accept_new_options=True,
        )
        if new and new not in given:
            _show_shared_key(editor, new, None)


def _show_shared_key(editor: ManifestEditor, name: str, value: Any) -> None:
    def change(text: str) -> None:
        editor.set_value(("sidecar_defaults", name), text.strip() or None)

    about = load_schema("sidecar")["properties"].get(name, {}).get("description", "")
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    text_field(name, f"shared-{name}", text, change, help=about)
