"""Finds merges: as the format of an image, by which every consumer reads it, and as a source."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import Source, examine_source
from spimpack_tasks.volumes.formats import Format, format_named
from spimpack_tasks.volumes.merged.header import read_merged_header
from spimpack_tasks.volumes.merged.levels import open_merged
from spimpack_tasks.volumes.merged.request import (
    Merge,
    Policies,
    check_choices,
    is_merge,
    merge_of_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        header=lambda _: read_merged_header(merge),
        levels=lambda _: open_merged(merge),
        key=text,
    )


def merge_sources(sources: Sequence[Source], axis: str, policies: Policies | None = None) -> Source:
    """Return several sources as one, which every consumer reads as an image.

    Parameters
    ----------
    sources
        The files; by the policy `order` they are sorted, or stay as they are.
    axis
        One of `AXES`.
    policies
        How files are merged that differ; strictly if not given.

    Raises
    ------
    SourceRefusedError
        A file is given twice.
    ValueError
        The axis or a policy is none of those that there are, or there is no file.
    """
    chosen = policies or Policies()
    check_choices(axis, chosen)
    if not sources:
        message = "there is no file to merge"
        raise ValueError(message)
    ordered = [*sources]
    if chosen.order == "natural":
        ordered.sort(key=lambda source: natural(source.path))
    paths = [source.path for source in ordered]
    again = sorted({path for path in paths if paths.count(path) > 1})
    if again:
        message = f"{again[0]!r} is given twice, and one image has its voxels once"
        raise SourceRefusedError("source.merge", message, "name each file once")
    members = tuple((source.path, source.format.text) for source in ordered)
    form = find_format(Merge(axis, members, chosen).text)
    size = sum(source.size for source in ordered)
    return replace(ordered[0], format=form, extension="", size=size)


def is_merged(form: Format) -> bool:
    """Tell whether a format is that of a merge."""
    return is_merge(form.key)


def members_of(source: Source) -> list[str]:
    """Return the paths of all files that a source is merged of, or its own."""
    if not is_merged(source.format):
        return [source.path]
    return [path for path, _ in merge_of_text(source.format.key).members]


def examine_merge(paths: Sequence[str], axis: str, policies: Policies | None = None) -> Source:
    """Look at files that are to be merged, and return them as one source.

    Parameters
    ----------
    paths
        Of the files; their names tell the formats.
    axis, policies
        As of `merge_sources`.

    Raises
    ------
    SourceRefusedError
        A file cannot be read, or is given twice; the message names all files that cannot be read.
    ValueError
        The axis or a policy is none of those that there are, or there is no file.
    """
    sources, told = [], []
    for path in paths:
        try:
            sources.append(examine_source(os.path.realpath(path), path))
        except SourceRefusedError as error:
            told.append(error)
    if len(told) == 1:
        raise told[0]
    if told:
        shown = "; ".join(error.message for error in told)
        raise SourceRefusedError(told[0].code, shown, told[0].hint)
    return merge_sources(sources, axis, policies)
