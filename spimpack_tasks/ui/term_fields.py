"""Fields for the terms of the words in the tables, by the kind of the words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.editing.terms import value_of_term, with_part, words_with_terms
from spimpack_tasks.ui.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.editing.terms import Word
    from spimpack_tasks.ui.schema_fields import BlockFields

TERMS = "terms"
FURTHER = {"strains": "genetic_type", "stains": "target"}
"""A further part of the terms of some kinds that a portal asks for."""


def show_terms(fields: BlockFields, schema: dict[str, Any], words: Mapping[str, list[str]]) -> None:
    """Show a field for the identifier of each word of the tables.

    Parameters
    ----------
    fields
        Of the publication block.
    schema
        That of all terms.
    words
        Those of the tables, by kind.
    """
    for kind, inner in schema["properties"].items():
        if kind not in words:
            fields.show((TERMS, kind), inner)
            continue
        st.markdown(f"**{kind.capitalize()}**")
        st.caption(inner["description"])
        known = words_with_terms(words[kind], fields.value((TERMS, kind)))
        if not known:
            st.caption("The tables have no such word.")
        parts = ["id", FURTHER[kind]] if kind in FURTHER else ["id"]
        shown = [(word, part) for word in known for part in parts]
        for some in zip(shown[::2], [*shown[1::2], None], strict=False):
            for column, each in zip(st.columns(2), some, strict=True):
                if each:
                    with column:
                        _show_part(fields, kind, inner, *each)


def _show_part(
    fields: BlockFields, kind: str, schema: dict[str, Any], word: Word, part: str
) -> None:
    """Show the field of a part of a term."""
    path, inner = (TERMS, kind, word.text), schema["additionalProperties"]["properties"][part]

    def change(text: str) -> None:
        fields.set(path, with_part(fields.value(path), part, text))

    name = plain(word.text) if part == "id" else f"{plain(word.text)}: {part.replace('_', ' ')}"
    label = name if word.is_used else f"{name} (not in the tables)"
    text = value_of_term(fields.value(path), part)
    example = next(iter(schema["examples"][0].values())) if part == "id" else ""
    shown = f"such as {example}" if example else ""
    fields.show_text((*path, part), inner, text, change, label=label, placeholder=shown)
