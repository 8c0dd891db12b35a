"""Texts of the user's in places where Streamlit reads Markdown."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Return a text so that Markdown, with Streamlit's own additions, shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", text)
