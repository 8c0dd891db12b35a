"""Several sources as one, which every consumer reads as an image."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import Source, examine_source
from spimpack_tasks.volumes.merged.form import find_format
from spimpack_tasks.volumes.merged.request import (
    Merge,
    Policies,
    check_choices,
    is_merge,
    merge_of_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def merge_sources(
    sources: Sequence[Source], axis: str, policies: Policies | None = None, axes: str = ""
) -> Source:
    """Return several sources as one, which every consumer reads as an image.

    Parameters
    ----------
    sources
        The files; by the policy `order` they are sorted, or stay as they are.
    axis
        One of `AXES`.
    policies
        How files are merged that differ; strictly if not given.
    axes
        Names of the axes of each file as they are stored, where the files do not say them.

    Raises
    ------
    SourceRefusedError
        A file is given twice.
    ValueError
        The axis or a policy is none of those that there are, or there is no file.
    """
    chosen = policies or Policies()
    check_choices(axis, chosen)
    ordered = [*sources]
    if not ordered:
        message = "there is no file to merge"
        raise ValueError(message)
    if chosen.order == "natural":
        ordered.sort(key=lambda source: natural(source.path))
    paths = [source.path for source in ordered]
    again = sorted({path for path in paths if paths.count(path) > 1})
    if again:
        message = f"{again[0]!r} is given twice, and one image has its voxels once"
        raise SourceRefusedError("source.merge", message, "name each file once")
    members = tuple((source.path, source.format.text) for source in ordered)
    form = find_format(Merge(axis, members, chosen, axes.lower()).text)
    size = sum(source.size for source in ordered)
    return replace(ordered[0], format=form, extension="", size=size)


def members_of(source: Source) -> list[str]:
    """Return the paths of all files that a source is merged of, or its own."""
    if not is_merge(source.format.key):
        return [source.path]
    return [path for path, _ in merge_of_text(source.format.key).members]


def examine_merge(
    paths: Sequence[str], axis: str, policies: Policies | None = None, axes: str = ""
) -> Source:
    """Look at files that are to be merged, and return them as one source.

    Parameters
    ----------
    paths
        Of the files; their names tell the formats.
    axis, policies, axes
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
    return merge_sources(sources, axis, policies, axes)
