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
CODE = "source.axes"
"""Code of the problem that it is not certain what an axis is."""
HINT = 'say it: --axes ZYX (convert: --source-axes ZYX), axes="ZYX" in Python, or the column axes'


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


def check_axes(path: str, shape: Sequence[int], axes: str) -> None:
    """Refuse names of axes, in lower case, that do not fit an image as it is stored.

    Raises
    ------
    HeaderError
        The names are no axes, or of another number.
    """
    shown = " x ".join(map(str, shape))
    if len(axes) != len(shape):
        what = f"has {len(shape)} axes of {shown}, which {axes.upper()!r} does not name"
    elif set(axes) - set(ALL_AXES) or len(set(axes)) != len(axes) or not set("yx") <= set(axes):
        what = f"of {shown} cannot have the axes {axes.upper()!r}"
    else:
        return
    hint = "name what the sizes are, such as ZYX: each of T, C, Z, Y and X once at the most"
    raise HeaderError(path, what, hint, code=CODE)


def with_axes(header: Header, shapes: Sequence[tuple[int, ...]], axes: str) -> Header:
    """Return a header by other names of its axes; facts about axes that moved are unknown then."""
    sizes = dict(zip(axes, shapes[0], strict=True))
    before = header.axes if len(header.axes) == len(axes) else ()
    kept = {axis for axis, old in zip(axes, before, strict=False) if axis == old}
    x, y, z = (
        size if axis in kept else None
        for axis, size in zip("xyz", header.spacing_um_xyz, strict=True)
    )
    has_channels = sizes.get("c", 1) == header.channel_count and ("c" in kept or "c" not in axes)
    return replace(
        header,
        axes=tuple(axes),
        shapes=tuple(shapes),
        spacing_um_xyz=(x, y, z),
        time_step_s=header.time_step_s if "t" in kept else None,
        channel_count=sizes.get("c", 1),
        channel_names=header.channel_names if has_channels else (),
        displays=header.displays if has_channels else (),
    )
