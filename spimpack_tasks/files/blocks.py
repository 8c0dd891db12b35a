"""A marked block of lines in a file that also holds the user's own lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGIN = "# >>> written by spimpack_tasks; put your own lines outside of this block"
END = "# <<< spimpack_tasks"


def make_block(lines: Iterable[str]) -> str:
    """Return a block of lines, with its marks."""
    return "\n".join([BEGIN, *lines, END]) + "\n"


def find_block(text: str) -> str:
    """Return the block in a text, empty where it holds none."""
    start = text.find(BEGIN)
    end = text.find(END, start)
    if start < 0 or end < 0:
        return ""
    return text[start : end + len(END)] + "\n"


def replace_block(text: str, block: str) -> str:
    """Return a text with its block replaced, or the block added at the end.

    An empty block takes the old one out; the user's lines stay as they are.
    """
    old = find_block(text)
    if old:
        # A block at the very end may lack its last line end.
        text = text if old in text else text + "\n"
        return text.replace(old, block, 1)
    gap = "\n" if block and text and not text.endswith("\n") else ""
    return text + gap + block
