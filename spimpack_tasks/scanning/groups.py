"""Joins the files of a scan that make up one image: those whose pattern captures T, C or Z.

Files with the same pattern and labels are one group, and differ in what the axis captures:
`TAG_{T}` may be the name of a folder, or part of the name of a file. They are put in the order of
its numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Problem
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.manifest.merges import AXIS_COLUMN, PREFIX, SEPARATOR
from spimpack_tasks.model.entities import stem
from spimpack_tasks.scanning.found import FoundImage
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.merged.request import POLICIES, Policies
from spimpack_tasks.volumes.merged.sources import merge_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.scanning.found import ScanResult
    from spimpack_tasks.scanning.options import ScanRequest


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


def _join(group: list[FoundImage], request: ScanRequest) -> FoundImage:
    """Return the image that the files of a group make up."""
    members = sorted(group, key=lambda image: natural(image.part))
    given = request.defaults | request.settings
    chosen = {name: given[PREFIX + name] for name in POLICIES if PREFIX + name in given}
    if sorted(members, key=lambda image: natural(image.path)) != members:
        chosen["order"] = "table"
    axis = members[0].axis
    columns = {PREFIX + name: text for name, text in chosen.items()}
    cells = {**members[0].cells, AXIS_COLUMN: axis, **columns}
    notes = list(dict.fromkeys(note for image in members for note in image.notes))
    notes += _gaps(members)
    try:
        source = merge_sources([image.source for image in members], axis, Policies(**chosen))
    except SourceRefusedError as refused:  # two names of one file
        notes.append(refused.message)
        source = members[0].source
    return replace(members[0], source=source, cells=cells, notes=notes, members=tuple(members))


def _gaps(members: list[FoundImage]) -> Iterator[str]:
    """Yield a note on numbers that are missing between the first and the last."""
    parts = [image.part for image in members]
    if all(part.isdecimal() for part in parts):
        there = set(map(int, parts))
        missing = [n for n in range(min(there), max(there)) if n not in there]
        if missing:
            more = f" and {len(missing) - 1:,} more" if missing[1:] else ""
            yield f"there is no {members[0].axis} {missing[0]}{more}"


def describe_member(image: FoundImage, number: int) -> str:
    """Return which part of an image a file is, by its number from 0."""
    member, count = image.members[number], len(image.members)
    whole = f"{number + 1} of {count} that make up {stem(image.cells)}"
    return f"{member.axis} {member.part!r}: {whole}"
