"""Fields for the publication block of the manifest, in tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from spimpack_tasks.editing.terms import words_of_tables
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.ui.problem_table import show_problem_table
from spimpack_tasks.ui.term_fields import TERMS, show_terms

if TYPE_CHECKING:
    from typing import Any

    from spimpack_tasks.packaging.prepared_run import PreparedRun
    from spimpack_tasks.ui.schema_fields import BlockFields

_TEXTS = ("title", "version", "publisher", "published", "language", "keywords")
_ABSTRACT = "description"
_ABSTRACT_LINES = 4
"""Lines of the field of an abstract, of which portals take some hundred words."""
_TABS = {"People": ("contributors",), "Grants": ("funders",)}
"""Further tabs with their keys; keys of no tab are on the last one."""


def show_block_fields(fields: BlockFields, prepared: PreparedRun) -> None:
    """Show the fields, and the problems with their content.

    Parameters
    ----------
    fields
        Of the block.
    prepared
        The check of the manifest with the edits that are not saved.
    """
    schema = load_schema(fields.block)
    known = schema["properties"]
    st.caption(schema["description"])
    placed = {*_TEXTS, _ABSTRACT, TERMS, *(key for keys in _TABS.values() for key in keys)}
    texts, *further, terms, rest = st.tabs(["Texts", *_TABS, "Terms", "Experiments and works"])
    with texts:
        _show_texts(fields, known)
    for tab, keys in zip(further, _TABS.values(), strict=True):
        with tab:
            for key in keys:
                fields.show((key,), known[key])
    with terms:
        st.caption(known[TERMS]["description"])
        show_terms(fields, known[TERMS], words_of_tables(fields.editor, prepared.dataset))
    with rest:
        for key in (key for key in known if key not in placed):
            _show_any(fields, key, known[key])
    problems = [p for p in prepared.report.sorted() if p.key.startswith(fields.block)]
    if problems:
        show_problem_table(problems)


def _show_texts(fields: BlockFields, known: dict[str, Any]) -> None:
    left, right = st.columns(2)
    for position, key in enumerate(_TEXTS):
        with (left, right)[position % 2]:
            fields.show((key,), known[key])
    fields.show((_ABSTRACT,), known[_ABSTRACT], lines=_ABSTRACT_LINES)


def _show_any(fields: BlockFields, key: str, schema: dict[str, Any]) -> None:
    """Show a field, or those of the keys of a mapping beside each other."""
    inner = schema.get("properties", {})
    if not inner:
        fields.show((key,), schema)
        return
    columns = st.columns(max(2, len(inner)))
    for column, (name, each) in zip(columns, inner.items(), strict=False):
        with column:
            fields.show((key, name), each, lines=2 if each.get("type") == "string" else 1)
