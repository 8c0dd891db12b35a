"""Where the voxels of each file lie in a merged image, and what speaks against merging.

All differences are collected, each with the names of both files. A policy may allow some of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.files.number_gaps import find_gap, numbers_of
from spimpack_tasks.model.axes import ALL_AXES
from spimpack_tasks.volumes.axis_names import CODE as AXES_CODE
from spimpack_tasks.volumes.axis_names import describe_unclear
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.merged.dtypes import promote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.merged.request import Merge

_MOST_NAMED = 6
"""Files named for one difference; the others are counted."""
_MOST_TOLD = 20
"""Faults told in one message; the others are counted."""
_UNCLEAR_HINT = "say what they are in each file, the slowest first, such as axes=ZYX"
_GAP_HINT = (
    "look for what is missing; with merge_gaps=accept, planes lie as if nothing were between"
)
_SET_HINT = "name one file of each set, which stands for all of it"
_TOLERANCE = 1e-6
"""By so much of it a size may differ: programs round in units of their own."""
_REMEDIES = {
    "shape": "with merge_shape=pad, zeros are added to the smaller ones",
    "dtype": "with merge_dtype=promote, the type is one that holds all values",
    "spacing": "with merge_spacing=first, the first file counts",
}
"""Choices that allow a difference."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of a merged image and of its parts, along t, c, z, y, x."""

    axis: int
    """Index of the axis along which files are joined."""
    sizes: tuple[Shape, ...]
    """Of each file."""
    starts: tuple[int, ...]
    """Where each file begins along the axis."""
    shape: Shape
    dtype: str


class _Fact(NamedTuple):
    """A fact in which files may differ."""

    policy: str
    """The policy that allows a difference."""
    name: str
    values: list[Any]
    """Of each file."""


def lay_out(merge: Merge, headers: Sequence[Header]) -> Layout:
    """Return where each file lies in a merged image.

    Raises
    ------
    HeaderError
        The files cannot be merged as is asked for; the message names all differences.
    """
    check_members(merge, headers)
    sizes = tuple(map(_sizes_of, headers))
    axis = ALL_AXES.index(merge.axis.lower())
    dtype = promote([header.dtype for header in headers])
    strict = {name for name in _REMEDIES if getattr(merge.policies, name) == "error"}
    strict |= set() if dtype else {"dtype"}
    facts = [*_facts_of_voxels(headers, sizes, axis), *_further_facts(merge, headers)]
    differences = [
        (fact.policy, told)
        for fact in facts
        if fact.policy in strict
        for told in _differences(merge.names, fact)
    ]
    if differences or dtype is None:
        remedies = {policy: _REMEDIES[policy] for policy, _ in differences}
        if dtype is None:
            remedies["dtype"] = "no type holds all values of these types"
        raise refusal(merge, [told for _, told in differences], "; ".join(remedies.values()))
    lengths = [size[axis] for size in sizes]
    gap = describe_gap(merge, lengths)
    if gap and merge.axis == "Z" and merge.policies.gaps == "error":
        raise refusal(merge, [gap], _GAP_HINT)
    shape = [max(along) for along in zip(*sizes, strict=True)]
    shape[axis] = sum(lengths)
    starts = tuple(sum(lengths[:number]) for number in range(len(lengths)))
    return Layout(axis, sizes, starts, tuple(shape), dtype)


def describe_gap(merge: Merge, lengths: Sequence[int]) -> str:
    """Return which number is missing among those of files that lie along time or z.

    Numbers of channels are often wavelengths, of which none is missing.

    Parameters
    ----------
    merge
        The files.
    lengths
        Size of each along the axis.
    """
    if merge.axis == "C":
        return ""
    gap = find_gap(numbers_of(merge.names), lengths, is_time=merge.axis == "T")
    if gap is None:
        return ""
    verb = "are" if gap.number > 1 else "is"
    return f"the number {gap} {verb} missing among those of {len(merge.names):,} files"


def refusal(
    merge: Merge, told: Sequence[str], hint: str = "", code: str = "source.content"
) -> HeaderError:
    """Return the error that names why files cannot be merged."""
    more = len(told) - _MOST_TOLD
    listed = "; ".join(told[:_MOST_TOLD]) + (f"; and {more:,} more" if more > 0 else "")
    what = f"cannot be merged with the others along {merge.axis}: {listed}"
    return HeaderError(merge.paths[0], what, hint, code=code)


def check_members(merge: Merge, headers: Sequence[Header]) -> None:
    """Refuse files of which it is not certain which image they are.

    Raises
    ------
    HeaderError
        A file has several images, or axes that are not known, or holds another one's voxels too.
    """
    names = {path: name for (path, _), name in zip(merge.members, merge.names, strict=True)}
    told, hints = [], []
    for name, header in zip(merge.names, headers, strict=True):
        unclear = describe_unclear(header.axes, header.shapes[0])
        overlaps = [*_overlaps(header, names)]
        told += [f"{name!r} {fault}" for fault in (unclear, *overlaps) if fault]
        hints += [_UNCLEAR_HINT] if unclear else []
        hints += [_SET_HINT] if overlaps else []
    if told:
        code = AXES_CODE if {*hints} == {_UNCLEAR_HINT} else "source.content"
        raise refusal(merge, told, "; ".join(dict.fromkeys(hints)), code)


def _overlaps(header: Header, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the files that a file brings with it, as those of a set do, and that are merged too."""
    for path in header.files_needed:
        if path in names:
            yield f"is an image together with {names[path]!r}, which would be merged twice"


def _sizes_of(header: Header) -> Shape:
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    return tuple(sizes.get(axis, 1) for axis in ALL_AXES)


def count_of_times(header: Header) -> int:
    """Return the number of time points of a file."""
    return dict(zip(header.axes, header.shapes[0], strict=True)).get("t", 1)


def _facts_of_voxels(
    headers: Sequence[Header], sizes: Sequence[Shape], merged: int
) -> Iterator[_Fact]:
    """Yield sizes along all other axes, and the types of voxels."""
    for axis, values in enumerate(zip(*sizes, strict=True)):
        if axis != merged:
            yield _Fact("shape", f"size along {ALL_AXES[axis]}", [*values])
    yield _Fact("dtype", "type of voxels", [header.dtype for header in headers])


def _further_facts(merge: Merge, headers: Sequence[Header]) -> Iterator[_Fact]:
    """Yield the sizes of voxels, and what else is one for the whole image."""
    for number, axis in enumerate("xyz"):
        spacing = [header.spacing_um_xyz[number] for header in headers]
        yield _Fact("spacing", f"voxel size along {axis} (um)", spacing)
        origin = [header.origin_um_xyz[number] for header in headers]
        if axis != merge.axis.lower():  # the parts of a stack lie one behind the other
            yield _Fact("spacing", f"position along {axis} (um)", origin)
    if has_time_step(merge, headers):
        yield _Fact("spacing", "time step (s)", [header.time_step_s for header in headers])
    orientations = [header.orientation_xyz for header in headers]
    yield _Fact("spacing", "orientation", orientations)
    if merge.axis != "C":
        names = [", ".join(header.channel_names) or None for header in headers]
        yield _Fact("spacing", "list of channels", names)


def has_time_step(merge: Merge, headers: Sequence[Header]) -> bool:
    """Tell whether the files can tell a time step: one of one time point has none to join."""
    return merge.axis != "T" or any(count_of_times(header) > 1 for header in headers)


def _differences(names: Sequence[str], fact: _Fact) -> Iterator[str]:
    """Yield which files differ from the first; those that say the same are told together."""
    wanted = fact.values[0]
    groups: dict[str, list[str]] = {}
    for name, value in zip(names, fact.values, strict=True):
        if not _is_same(value, wanted):
            groups.setdefault(_shown(value), []).append(name)
    for value, others in groups.items():
        listed = ", ".join(map(repr, others[:_MOST_NAMED]))
        more = len(others) - _MOST_NAMED
        listed += f" and {more:,} more" if more > 0 else ""
        yield f"the {fact.name} is {value} in {listed}, but {_shown(wanted)} in {names[0]!r}"


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_TOLERANCE)
    return bool(one == other)


def _shown(value: Any) -> str:
    return "unknown" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
