"""Several sources as one, which every consumer reads as an image."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.files.natural_order import sort_numbered
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import Source, examine_source
from spimpack_tasks.volumes.merged.form import find_format
from spimpack_tasks.volumes.merged.order import order_of_arguments
from spimpack_tasks.volumes.merged.request import (
    Merge,
    Policies,
    UnknownChoiceError,
    check_choices,
    is_merge,
    merge_of_text,
    names_below,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def merge_sources(
    sources: Sequence[Source],
    axis: str,
    policies: Policies | None = None,
    axes: str = "",
    names: Sequence[str] = (),
) -> Source:
    """Return several sources as one, which every consumer reads as an image.

    Parameters
    ----------
    sources
        The files; they stay as they are, or are sorted where the policy `order` says so.
    axis
        One of `AXES`.
    policies
        How files are merged that differ; strictly if not given.
    axes
        Names of the axes of each file as they are stored, where the files do not say them.
    names
        Absolute paths as they are given, by which files are sorted, and which records have; by
        default those of the sources. A link stands for its own name: where it leads to, such as a
        digest, tells nothing of the order.

    Raises
    ------
    SourceRefusedError
        A file is given twice, or it is unclear what order their numbers mean.
    UnknownChoiceError
        The axis or a policy is none of those that there are, or there is no file.
    """
    chosen = policies or Policies()
    check_choices(axis, chosen)
    if not sources:
        message = "there is no file to merge"
        raise UnknownChoiceError(message)
    named = list(zip(names or [source.path for source in sources], sources, strict=True))
    numbered, doubt = sort_numbered([name for name, _ in named])
    places = {name: place for place, name in enumerate(numbered)}
    by_numbers = sorted(named, key=lambda each: places[each[0]])
    if chosen.order == "natural" and doubt:
        hint = "give the files in their order, with merge_order=table"
        raise SourceRefusedError("source.merge", doubt, hint)
    if chosen.order == "natural":
        named = by_numbers
    # An image is the same, and is not made again, whichever word its files got their order by.
    chosen = replace(chosen, order="natural" if named == by_numbers else "table")
    ordered = [source for _, source in named]
    paths = [source.path for source in ordered]
    again = sorted({path for path in paths if paths.count(path) > 1})
    if again:
        message = f"{again[0]!r} is given twice, and one image has its voxels once"
        raise SourceRefusedError("source.merge", message, "name each file once")
    members = tuple((source.path, source.format.text) for source in ordered)
    written = _written([name for name, _ in named], paths)
    form = find_format(Merge(axis, members, chosen, axes.lower(), written).text)
    size = sum(source.size for source in ordered)
    return replace(ordered[0], format=form, extension="", size=size)


def _written(given: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """Return the paths as they are given, nothing where links change no name below their folder."""
    wholes = tuple(map(os.path.normpath, given))
    names = names_below(wholes)
    return () if names == names_below(paths) or len({*names}) < len(names) else wholes


def members_of(source: Source) -> list[str]:
    """Return the paths of all files that a source is merged of, or its own."""
    if not is_merge(source.format.key):
        return [source.path]
    return [path for path, _ in merge_of_text(source.format.key).members]


def written_paths(source: Source) -> tuple[str, ...]:
    """Return the paths of all files that a source is merged of, or its own, as they are given."""
    return merge_of_text(source.format.key).paths if is_merge(source.format.key) else (source.path,)


def examine_merge(
    paths: Sequence[str], axis: str, policies: Policies | None = None, axes: str = ""
) -> Source:
    """Look at files that are to be merged, and return them as one source.

    Without a policy `order`, channels stay as they are given, and other files as `order` finds it.

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
        Or the order is unclear.
    UnknownChoiceError
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
    chosen = policies or Policies()
    if not chosen.order and axis != "C":
        chosen = replace(chosen, order=order_of_arguments(paths))
    return merge_sources(sources, axis, chosen, axes, paths)
