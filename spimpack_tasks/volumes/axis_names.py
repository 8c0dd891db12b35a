"""The names of axes: whether a file says them, and what follows where the user does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.model.axes import ALL_AXES
from spimpack_tasks.volumes.errors import HeaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.volumes.header import Header

PAGE = "page"
"""Name of an axis of a TIFF that does not say what its pages are."""
OTHER_AXES = "source.other-axes"
"""Code of the problem that a file says otherwise what its axes are."""
CODE = "source.axes"
"""Code of the problem that it is not certain what an axis is."""
HINT = "say what they are, the slowest first, such as axes=ZYX"


def describe_unclear(axes: Sequence[str], shape: Sequence[int]) -> str:
    """Return why it is not certain what the axes of an image are, nothing if it is.

    Parameters
    ----------
    axes
        Names in storage order; `page` where a TIFF does not say what its pages are.
    shape
        Sizes along the axes.
    """
    sizes = list(zip(axes, shape, strict=True))
    strange = [axis for axis, n in sizes if axis not in ALL_AXES and n > 1]
    if not strange:
        return ""
    shown = f"{' x '.join(str(n) for _, n in sizes)} along {', '.join(axes)}"
    if strange[0].startswith(PAGE):
        return f"does not say what its pages are: {shown}"
    return f"has an axis {strange[0]!r}, which is none of t, c, z, y and x: {shown}"


def settle_axes(path: str, stored: Sequence[str], shape: Sequence[int], axes: str) -> str:
    """Return the names of all axes of an image, in lower case, by those that a user gives.

    Axes of one index may be left out, as a description of an image leaves them out.

    Parameters
    ----------
    path
        The file or folder.
    stored, shape
        Names that the axes have so far, and sizes along them.
    axes
        What the user gives, in lower case.

    Raises
    ------
    HeaderError
        The names are no axes, or of another number.
    """
    whole = _filled_up(stored, shape, axes)
    shown = " x ".join(f"{n} {axis}" for n, axis in zip(shape, stored, strict=True))
    if len(whole) != len(shape):
        what = f"has {len(shape)} axes, {shown}, which {axes.upper()!r} does not name"
    elif set(whole) - set(ALL_AXES) or len(set(whole)) != len(whole) or not set("yx") <= set(whole):
        what = f"of {shown} cannot have the axes {axes.upper()!r}"
    else:
        return whole
    hint = "name what the sizes are, such as axes=ZYX: each of T, C, Z, Y and X once at the most"
    raise HeaderError(path, what, hint, code=CODE)


def _filled_up(stored: Sequence[str], shape: Sequence[int], axes: str) -> str:
    """Return axes with names for those of one index that a user has left out."""
    if len(axes) >= len(shape):
        return axes
    pairs = [*zip(stored, shape, strict=True)]
    several = [n > 1 for _, n in pairs]
    shown = [n > 1 or axis in "zyx" for axis, n in pairs]
    named = next((each for each in (several, shown) if sum(each) == len(axes)), None)
    if named is None:
        return axes
    given, free = iter(axes), [axis for axis in ALL_AXES if axis not in axes]
    found = []
    for (axis, _), is_named in zip(pairs, named, strict=True):
        new = next(given) if is_named else axis if axis in free else free[0]
        found.append(new)
        free = [each for each in free if each != new]
    return "".join(found)


def with_axes(header: Header, shapes: Sequence[tuple[int, ...]], axes: str) -> Header:
    """Return a header by other names of its axes; facts about axes that moved are unknown then."""
    sizes = dict(zip(axes, shapes[0], strict=True))
    before = header.axes if len(header.axes) == len(axes) else ()
    kept = {axis for axis, old in zip(axes, before, strict=False) if axis == old}
    x, y, z = (
        size if axis in kept else None
        for axis, size in zip("xyz", header.spacing_um_xyz, strict=True)
    )
    contradiction = _contradiction(header, shapes[0], axes)
    remarks = *header.remarks, *([(OTHER_AXES, contradiction)] if contradiction else ())
    has_channels = sizes.get("c", 1) == header.channel_count and ("c" in kept or "c" not in axes)
    return replace(
        header,
        axes=tuple(axes),
        shapes=tuple(shapes),
        spacing_um_xyz=(x, y, z),
        # A step of a file without an axis of time is the distance of its frames.
        time_step_s=header.time_step_s if "t" in kept or "t" not in header.axes else None,
        channel_count=sizes.get("c", 1),
        channel_names=header.channel_names if has_channels else (),
        displays=header.displays if has_channels else (),
        remarks=remarks,
    )


def _contradiction(header: Header, shape: Sequence[int], axes: str) -> str:
    """Return how a file itself names axes of several indices that a user names otherwise."""
    if header.are_axes_assumed or len(header.axes) != len(axes):
        return ""
    if describe_unclear(header.axes, header.shapes[0]):
        return ""
    pairs = [(old, new) for old, new, n in zip(header.axes, axes, shape, strict=True) if n > 1]
    said, given = (
        ("".join(names).upper() for names in zip(*pairs, strict=True)) if pairs else ("",) * 2
    )
    return f"the file says that its axes are {said}, not {given}" if said != given else ""
