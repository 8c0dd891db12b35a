"""Joins the files of a scan that make up one image: those whose pattern captures T, C or Z.

Files with the same pattern and labels are one group, and differ in what the axis captures:
`TAG_{T}` may be the name of a folder, or part of the name of a file. They are put in the order of
its numbers.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Problem, Severity
from spimpack_tasks.files.natural_order import natural, sort_numbered
from spimpack_tasks.files.number_gaps import find_gap
from spimpack_tasks.manifest.merges import AXIS_COLUMN, PREFIX, SEPARATOR
from spimpack_tasks.model.entities import stem
from spimpack_tasks.scanning.found import FoundImage
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.merged.request import POLICIES, Policies
from spimpack_tasks.volumes.merged.sources import merge_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.errors import Report
    from spimpack_tasks.scanning.found import ScanResult
    from spimpack_tasks.scanning.options import ScanRequest


_MOST_SHOWN = 6
"""Parts of an image that a message names in their order."""


def join_groups(result: ScanResult, request: ScanRequest, report: Report) -> None:
    """Replace the files of each group by one image, at the place of its first file."""
    groups: dict[tuple[object, ...], list[FoundImage]] = {}
    for image in result.images:
        if image.axis:
            key = image.pattern, image.axis, *sorted(image.cells.items())
            groups.setdefault(key, []).append(image)
    joined: dict[str, FoundImage] = {}
    left: set[str] = set()
    for group in groups.values():
        problems = [*_problems(group, request)]
        report.extend(problems)
        if not problems:
            joined[group[0].path] = _join(group, request)
            report.extend(_warn_of_gap(joined[group[0].path], request))
            report.extend(_warn_of_order(joined[group[0].path], request))
        left.update(image.path for image in group[1:])
    result.found = [
        joined.get(one.path, one) if isinstance(one, FoundImage) else one
        for one in result.found
        if not (isinstance(one, FoundImage) and one.path in left)
    ]


def _problems(group: list[FoundImage], request: ScanRequest) -> Iterator[Problem]:
    """Yield what is wrong with a group: two files of one part, or a path that no list can hold."""
    first: dict[str | int, FoundImage] = {}
    for image in group:
        number = int(image.part) if image.part.isdecimal() else image.part
        other = first.setdefault(number, image)
        where = request.place(image.path)
        if other is not image:
            message = f"gives {image.axis} {image.part!r}, as {other.path!r} does"
            hint = "capture what tells them apart in --pattern, or leave one of them out"
            yield Problem("scan.group", where, image.axis, message, hint)
        if SEPARATOR in image.path or image.path != image.path.strip():
            message = f"is merged with others, and a list of paths cannot hold a {SEPARATOR!r}, or "
            message += "a blank at the end"
            yield Problem("scan.group", where, image.axis, message, "rename it")


def _warn_of_gap(image: FoundImage, request: ScanRequest) -> Iterator[Problem]:
    """Yield that a number is missing among those of the files of an image."""
    gap = _gap_of([*image.members])
    if gap:
        message = f"is one of {len(image.members):,} files that make up one image, and {gap}"
        hint = "look for the file that is missing, before the image is made without it"
        where, warning = request.place(image.path), Severity.WARNING
        yield Problem("scan.gap", where, image.axis, message, hint, warning)


def _order_of(group: Sequence[FoundImage]) -> tuple[list[str], str]:
    """Return what the axis captures in its order, and why that is unclear if it is."""
    return sort_numbered([image.part for image in group])


def _warn_of_order(image: FoundImage, request: ScanRequest) -> Iterator[Problem]:
    """Yield that the order along time or z is not that of numbers, or not clear."""
    parts, doubt = _order_of(image.members)
    words = [part for part in parts if not any(map(str.isdigit, part))]
    if image.axis != "C" and (doubt or words):
        shown = ", ".join(parts[:_MOST_SHOWN]) + (", ..." if parts[_MOST_SHOWN:] else "")
        reason = doubt or f"{words[0]!r} is no number"
        message = f"is one of {len(parts):,} files that make up one image, and {reason}"
        hint = f"look at the order of spim_path, which is {shown}"
        where, warning = request.place(image.path), Severity.WARNING
        yield Problem("scan.order", where, image.axis, message, hint, warning)


def _join(group: list[FoundImage], request: ScanRequest) -> FoundImage:
    """Return the image that the files of a group make up."""
    order = {part: place for place, part in enumerate(_order_of(group)[0])}
    members = sorted(group, key=lambda image: order[image.part])
    given = request.defaults | request.settings
    chosen = {name: given[PREFIX + name] for name in POLICIES if PREFIX + name in given}
    if sorted(members, key=lambda image: natural(image.path)) != members:
        chosen["order"] = "table"
    axis = members[0].axis
    columns = {PREFIX + name: text for name, text in chosen.items()}
    cells = {**members[0].cells, AXIS_COLUMN: axis, **columns}
    notes = list(dict.fromkeys(note for image in members for note in image.notes))
    gap = _gap_of(members)
    notes += [gap] if gap else []
    try:
        sources = [image.source for image in members]
        root = os.path.abspath(request.root)
        names = [os.path.join(root, image.path) for image in members]
        # A gap is a warning here; facts are read of the files all the same.
        policies = Policies(**(chosen | {"gaps": "accept"}))
        source = merge_sources(sources, axis, policies, names=names)
    except SourceRefusedError as refused:  # two names of one file
        notes.append(refused.message)
        source = members[0].source
    return replace(members[0], source=source, cells=cells, notes=notes, members=tuple(members))


def _gap_of(members: list[FoundImage]) -> str:
    """Return which numbers are missing among those that the axis captures.

    Numbers of channels are often wavelengths, of which none is missing.
    """
    parts = [image.part for image in members]
    counts = members[0].axis != "C" and all(part.isdecimal() for part in parts)
    gap = find_gap([*map(int, parts)], is_time=members[0].axis == "T") if counts else None
    return f"there is no {members[0].axis} {gap}" if gap else ""


def describe_member(image: FoundImage, number: int) -> str:
    """Return which part of an image a file is, by its number from 0."""
    member, count = image.members[number], len(image.members)
    whole = f"{number + 1} of {count} that make up {stem(image.cells)}"
    return f"{member.axis} {member.part!r}: {whole}"
