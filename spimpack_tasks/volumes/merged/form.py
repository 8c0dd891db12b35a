"""Finds the format that a plan names: one of the table, or that of a merge.

A merge is a format of its own, bound to its files. So every consumer reads a merged image as any
other.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.volumes.formats import Format, format_named
from spimpack_tasks.volumes.merged.request import Merge, is_merge, merge_of_text

_read_header = Deferred("spimpack_tasks.volumes.merged.header:read_merged_header")
_open_levels = Deferred("spimpack_tasks.volumes.merged.levels:open_merged")

_KEPT_MERGES = 1024
"""Merges whose records are kept; each is asked for some ten times in a run."""


def find_format(text: str) -> Format:
    """Return the format that a plan names: one of the table, or that of a merge.

    Raises
    ------
    ValueError
        There is none.
    """
    return _form_of_merge(text) if is_merge(text) else format_named(text)


@lru_cache(_KEPT_MERGES)
def _form_of_merge(text: str) -> Format:
    merge = merge_of_text(text)
    names = {name for _, name in merge.members}
    return Format(
        name=f"merged {names.pop()}" if len(names) == 1 else "merged files",
        extensions=MappingProxyType({}),
        valid_in_bids=False,
        needs_header=True,
        header=lambda _: _read_header(merge),
        levels=lambda _: _open_levels(merge),
        original=lambda _: _read_originals(merge),
        key=text,
    )


def _read_originals(merge: Merge) -> dict[str, str]:
    """Return the metadata of all files as texts, by what they are and the name of the file."""
    found: dict[str, str] = {}
    for (path, form), name in zip(merge.members, merge.names, strict=True):
        read = format_named(form).original
        texts: dict[str, str] = read(path) if read is not None else {}
        found |= {f"{key} of {name}": text for key, text in texts.items()}
    return found
