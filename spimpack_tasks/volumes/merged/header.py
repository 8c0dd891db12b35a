"""The header of a merged image: facts that its files share, and a record of each file.

A fact on which the files do not agree is unknown, unless the policy `spacing` takes it from the
first. The time step is that within the files. That between files of one time point each is known
where the times at which they were acquired have equal distances.
"""

from __future__ import annotations

import os
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.model.axes import ALL_AXES
from spimpack_tasks.model.displays import Display
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.formats import format_named
from spimpack_tasks.volumes.header import Header
from spimpack_tasks.volumes.merged.layout import (
    count_of_times,
    describe_gap,
    lay_out,
    refusal,
)
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.scenes import CODE as SCENE_CODE
from spimpack_tasks.volumes.volume import displays_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.volumes.merged.layout import Layout
    from spimpack_tasks.volumes.merged.request import Merge

GAP = "source.gap"
"""Code of the problem that a number is missing among those of files along time."""


def read_headers(merge: Merge) -> list[Header]:
    """Return the header of each file.

    Raises
    ------
    HeaderError
        Some cannot be read; the message names them.
    """
    found: list[Header] = []
    told, hints = [], []
    for path, form in merge.members:
        try:
            found.append(read_header(path, format_named(form), merge.selection))
        except HeaderError as error:
            if error.code == SCENE_CODE:
                told.append(error.message)
                hints.append("convert its images by themselves: a merge takes files of one image")
            else:
                told.append(error.message)
                hints.append(error.hint)
    if told:
        raise refusal(merge, told, "; ".join(filter(None, dict.fromkeys(hints))))
    return found


def read_merged_header(merge: Merge) -> Header:
    """Return the header of a merged image.

    Raises
    ------
    HeaderError
        A file cannot be read, or they cannot be merged as is asked for.
    """
    headers = read_headers(merge)
    layout = lay_out(merge, headers)
    first = headers[0]
    axes = {*"zyx", merge.axis.lower(), *(axis for h in headers for axis in h.axes)}
    kept = [axis for axis in ALL_AXES if axis in axes]
    sizes = dict(zip(ALL_AXES, layout.shape, strict=True))
    names, displays = _channels(merge, headers, sizes["c"])
    others = [path for path, _ in merge.members[1:]]
    others += [path for header in headers for path in header.files_needed]
    return Header(
        axes=tuple(kept),
        shapes=(tuple(sizes[axis] for axis in kept),),
        dtype=layout.dtype,
        spacing_um_xyz=first.spacing_um_xyz,
        time_step_s=_time_step(merge, headers),
        channel_count=sizes["c"],
        channel_names=names,
        displays=displays,
        display_doubts=_told(merge, headers, "display_doubts"),
        acquired_at=first.acquired_at,
        instrument=_shared_facts(headers),
        orientation_xyz=first.orientation_xyz,
        doubts=_told(merge, headers, "doubts"),
        remarks=tuple(_remarks(merge, headers, layout)),
        other_files=tuple(dict.fromkeys(others)),
        left_out=(*_told(merge, headers, "left_out"), *_told(merge, headers, "extras")),
        origin_um_xyz=first.origin_um_xyz,
        merged=_record(merge, headers, layout),
    )


def _time_step(merge: Merge, headers: Sequence[Header]) -> float | None:
    """Return the time step within the files, or that between files of one time point each.

    A file of one time point may have a time step all the same, which is that of no two of them.
    """
    if merge.axis != "T":
        return headers[0].time_step_s
    inner = next((header for header in headers if count_of_times(header) > 1), None)
    if inner is not None:
        return inner.time_step_s
    starts = [header.acquired_at for header in headers]
    return _step_of([text for text in starts if text]) if all(starts) else None


def _step_of(starts: Sequence[str]) -> float | None:
    """Return the seconds between times, `None` where they are not the same between all of them."""
    try:
        times = [*map(datetime.fromisoformat, starts)]
        steps = {(after - before).total_seconds() for before, after in pairwise(times)}
    except (TypeError, ValueError):  # some have an offset from UTC, or are no dates
        return None
    return steps.pop() if len(steps) == 1 and min(steps) > 0 else None


def _channels(
    merge: Merge, headers: Sequence[Header], count: int
) -> tuple[tuple[str, ...], tuple[Display, ...]]:
    """Return names and displays of all channels."""
    if merge.axis != "C":
        # Where smaller files are filled up, the one with most channels names them all.
        most = max(headers, key=lambda header: header.channel_count)
        names, displays = headers[0].channel_names, displays_of(headers[0])
        is_filled = headers[0].channel_count < count
        return (most.channel_names, displays_of(most)) if is_filled else (names, displays)
    names = tuple(name for header in headers for name in _padded(header.channel_names, header, ""))
    shown = [_padded(displays_of(header), header, Display()) for header in headers]
    displays = tuple(display for each in shown for display in each)
    is_known = any(display != Display() for display in displays)
    return _distinct(merge, names) if any(names) else (), displays if is_known else ()


def _padded(values: Sequence[Any], header: Header, nothing: Any) -> list[Any]:
    return [*values, *[nothing] * (header.channel_count - len(values))]


def _distinct(merge: Merge, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of channels, with a number where one comes again.

    Raises
    ------
    HeaderError
        One comes again, and that is refused.
    """
    again = sorted({name for name in names if name and names.count(name) > 1})
    if again and merge.policies.channels == "error":
        told = [f"the channel {name!r} comes {names.count(name)} times" for name in again]
        hint = "with merge_channels=number, they become for example "
        raise refusal(merge, told, f"{hint}{again[0]!r} and '{again[0]} 2'")
    given: list[str] = []
    for name in names:
        new, number = name, 1
        while new and (new in given or (number > 1 and new in names)):
            number += 1
            new = f"{name} {number}"
        given.append(new)
    return tuple(given)


def _shared_facts(headers: Sequence[Header]) -> dict[str, str | float]:
    """Return the facts about the microscope in which all files agree."""
    first = headers[0].instrument
    agreed = all(header.instrument == first for header in headers)
    if agreed:
        return dict(first)
    return {k: v for k, v in first.items() if all(h.instrument.get(k) == v for h in headers)}


def _told(merge: Merge, headers: Sequence[Header], field: str) -> tuple[str, ...]:
    """Return remarks of the files, each with the name of its file."""
    names = zip(merge.names, headers, strict=True)
    return tuple(f"{text} (of {name})" for name, h in names for text in getattr(h, field))


def _remarks(merge: Merge, headers: Sequence[Header], layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield remarks of the files, equal ones once, and one on their numbers."""
    files: dict[tuple[str, str], list[str]] = {}
    for name, header in zip(merge.names, headers, strict=True):
        for remark in header.remarks:
            files.setdefault(remark, []).append(name)
    for (code, text), names in files.items():
        more = f" and {len(names) - 1:,} more" if names[1:] else ""
        yield code, f"{text} (of {names[0]}{more})"
    gap = describe_gap(merge, [size[layout.axis] for size in layout.sizes])
    if gap and merge.policies.gaps == "error":
        yield GAP, gap


def _record(merge: Merge, headers: Sequence[Header], layout: Layout) -> dict[str, Any]:
    """Return how the files were merged, JSON-ready."""
    policies = merge.policies
    files = []
    for (path, _), name, header, sizes in zip(
        merge.members, merge.names, headers, layout.sizes, strict=True
    ):
        told = {
            "path": name,
            "stamp": stamp_text(path),
            "bytes": os.stat(path).st_size,
            "axes": "".join(header.axes).upper(),
            "shape": list(header.shapes[0]),
            "dtype": header.dtype,
        }
        wanted = {axis.upper(): n for axis, n in zip(ALL_AXES, layout.shape, strict=True)}
        padded = {
            axis: [n, wanted[axis]]
            for axis, n in zip(ALL_AXES.upper(), sizes, strict=True)
            if n != wanted[axis] and axis != merge.axis
        }
        files.append(told | ({"padded": padded} if padded else {}))
    return {"axis": merge.axis, **policies.as_dict(), "files": files}
