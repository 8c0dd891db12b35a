"""Reads the header of an image of any format."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from spimpack_tasks.deferred import Deferred
from spimpack_tasks.files.limits import LARGEST_IMAGE, MOST_CHANNELS, REMEDY, allowed, as_size
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.errors import HeaderError, reading
from spimpack_tasks.volumes.formats import Format, format_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.header import Header

# Few images need these.
_settle_axes = Deferred("spimpack_tasks.volumes.axis_names:settle_axes")
_with_axes = Deferred("spimpack_tasks.volumes.axis_names:with_axes")
_pick_scene = Deferred("spimpack_tasks.volumes.scenes:pick_scene")


def read_header(path: str, form: Format | str, selection: Selection = WHOLE) -> Header:
    """Read the header of a source in milliseconds; memory does not grow with the image.

    Parameters
    ----------
    path
        The file or directory; its name need not tell the format.
    form
        The format, or its name.
    selection
        Which image of the file, and the names of its axes where the file does not say them.

    Raises
    ------
    HeaderError
        The source is damaged or cannot be read, it holds several images of which none is chosen, or
        it is not what was chosen.
    MissingExtraError
        A library that this format needs is not installed.
    """
    known = form if isinstance(form, Format) else format_named(form)
    with reading(path):
        header: Header = _reader_of(known)(path, *scene_argument(path, known, selection))
        _check_sizes(path, header)
    if selection.axes:
        axes = _settle_axes(path, header.axes, header.shapes[0], selection.axes)
        named: Header = _with_axes(header, header.shapes, axes)
        return named
    return header


def scene_argument(path: str, form: Format, selection: Selection) -> tuple[str, ...]:
    """Return what the functions of a format take besides the path.

    Raises
    ------
    HeaderError
        Files of the format hold one image, and another was chosen.
    """
    if form.has_scenes:
        return (selection.scene,)
    if selection.scene:
        _pick_scene(path, (), selection.scene)
    return ()


def _reader_of(form: Format) -> Callable[[str], Any]:
    if form.header is None:
        message = f"{form.name} has no header that is read"
        raise ValueError(message)
    return form.header


def _check_sizes(path: str, header: Header) -> None:
    """Refuse an image that is larger than any is."""
    channels = dict(zip(header.axes, header.shapes[0], strict=True)).get("c", 1)
    if channels > MOST_CHANNELS and channels > allowed(MOST_CHANNELS):
        what = f"has {channels:,} channels; at the most {allowed(MOST_CHANNELS):,} are read"
        raise HeaderError(path, what, REMEDY)
    itemsize = header.itemsize
    for shape in header.shapes:
        size = math.prod(shape) * itemsize
        if size > LARGEST_IMAGE and size > (most := allowed(LARGEST_IMAGE)):
            shown = " x ".join(map(str, shape))
            what = f"has a level of {shown} voxels, which are {as_size(size)}; at the most "
            raise HeaderError(path, f"{what}{as_size(most)} are read", REMEDY)
