"""The page of dataset_description and of the sidecar keys that all images share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.fields import text_field
from spimpack_tasks.ui.problems import show_problems
from spimpack_tasks.ui.run_options import check
from spimpack_tasks.ui.schema_fields import BlockFields

if TYPE_CHECKING:
    from spimpack_tasks.editing.editor import ManifestEditor

TITLE = "Description"
ICON = ":material/description:"


def show(editor: ManifestEditor) -> None:
    """Show the fields of dataset_description, those that are needed first."""
    schema = load_schema("manifest")["properties"]["dataset_description"]
    data = editor.data.get("dataset_description")
    given = data if isinstance(data, dict) else {}
    fields, known = BlockFields(editor, "dataset_description", "description"), schema["properties"]
    left, right = st.columns(2)
    for position, name in enumerate(schema["required"]):
        with (left, right)[position % 2]:
            fields.show((name,), known[name], required=True)
    optional = [name for name in known if name not in schema["required"]]
    used = [name for name in optional if name in given or name == "Authors"]
    for name in used:
        fields.show((name,), known[name])
    with st.expander("More about the dataset", icon=":material/add:"):
        for name in optional:
            if name not in used:
                fields.show((name,), known[name])
    _show_shared(editor)
    prepared = check(editor)
    show_problems(editor, prepared.report, len(editor.rows))


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
