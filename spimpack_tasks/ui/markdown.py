"""Texts of the user's in places where Streamlit reads Markdown."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Escape a text so that Streamlit's Markdown shows it literally."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", text)
