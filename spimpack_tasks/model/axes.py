"""Chooses the axes of a converted image: those of its source, or all five on request.

Within this package all images have five axes. An axis of one time point or channel that the source
lacks is left out of file names and metadata, so the order of the voxels stays the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.header import Header

ALL_AXES = "tczyx"
CHOICES = ("source", ALL_AXES)
"""The choices; the first is the default."""
PLANES = "folder of planes"
_SPACE = "zyx"


def choose_axes(
    header: Header, source_format: str, asked: str = "", shape_tczyx: Sequence[int] = ()
) -> str:
    """Return the axes of the image that is made, a part of `ALL_AXES` in that order.

    Imaris and OME-TIFF name an axis of time in any case, and NIfTI before that of channels. So one
    time point makes an axis only where the source is an OME-Zarr, which need not have named it. Of
    folders of planes, which are given all axes, the same holds for channels.

    Parameters
    ----------
    header
        Of the source.
    source_format
        Name of its format.
    asked
        `ALL_AXES`, or nothing.
    shape_tczyx
        Sizes of the voxels that are read, if known. A header that counts pages does not tell them.
    """
    if asked == ALL_AXES:
        return ALL_AXES
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    has = {
        "t": sizes.get("t", 1) > 1 or ("t" in sizes and source_format.endswith("OME-Zarr")),
        "c": sizes.get("c", 1) > 1 or ("c" in sizes and not source_format.endswith(PLANES)),
    }
    for axis, size in zip(ALL_AXES, shape_tczyx, strict=False):
        has[axis] = has.get(axis, False) or size > 1
    return "".join(axis for axis in ALL_AXES if axis in _SPACE or has[axis])


def of_axes(axes: str, values: Sequence[int]) -> Shape:
    """Return those of five values, along all axes, that belong to some of them."""
    return tuple(value for axis, value in zip(ALL_AXES, values, strict=True) if axis in axes)


def in_all_axes(axes: str, values: Sequence[int]) -> Shape:
    """Return values along some axes as five, with 0 along those that are absent."""
    found = dict(zip(axes, values, strict=True))
    return tuple(found.get(axis, 0) for axis in ALL_AXES)
