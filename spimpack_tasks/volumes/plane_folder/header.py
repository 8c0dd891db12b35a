"""Headers of folders of numbered planes: each plane is looked at, and must be like the first.

Facts on what files are planes: `plane_names`. The size of a pixel is that of the first plane, where
it is a TIFF that tells it; how far planes are apart, no plane tells.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.files.plane_names import UnclearPlanesError, list_planes, sort_planes
from spimpack_tasks.volumes.errors import HeaderError, UnreadableHeaderError
from spimpack_tasks.volumes.header import UNKNOWN_SPACING, Header
from spimpack_tasks.volumes.plane_folder.files import inspect_plane
from spimpack_tasks.volumes.tiff.header import read_header as read_tiff_header

if TYPE_CHECKING:
    from spimpack_tasks.volumes.header import SpacingXYZ
    from spimpack_tasks.volumes.plane_folder.files import Page

_MOST_NAMED = 5
"""Planes named in a message; the others are counted."""


class Planes(NamedTuple):
    """The planes of a folder by their names, and the first of them by its content."""

    names: list[str]
    """By t, c and z, the last the fastest."""
    counts: tuple[int, int, int]
    """Number of t, c and z."""
    page: Page

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes along t, c, z, y, x."""
        return *self.counts, self.page.height, self.page.width


def find_planes(path: str) -> Planes:
    """Return the planes of a folder; none but the first is opened.

    Raises
    ------
    HeaderError
        It holds no planes, or such that do not make one image.
    """
    try:
        found = list_planes(path)
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    except ValueError as error:  # a name that no folder can have
        raise HeaderError(path, f"cannot be read: {error}") from error
    if not found:
        raise HeaderError(path, "holds no planes")
    try:
        names, counts = sort_planes(found)
    except UnclearPlanesError as error:
        raise HeaderError(path, error.what, error.hint) from error
    return Planes(names, counts, inspect_plane(f"{path}/{names[0]}"))


def read_header(path: str) -> Header:
    """Return the header of a folder of planes."""
    planes = find_planes(path)
    first = planes.names[0]
    _check_planes(path, planes)
    spacing, doubts = _spacing(f"{path}/{first}")
    return Header(
        axes=("t", "c", "z", "y", "x"),
        shapes=(planes.shape,),
        dtype=planes.page.dtype,
        spacing_um_xyz=spacing,
        channel_count=planes.counts[1],
        doubts=doubts,
    )


def _check_planes(path: str, planes: Planes) -> None:
    """Refuse planes that cannot be read, or are unlike the first; the first few are named."""
    first, *others = planes.names
    wrong: dict[str, str] = {}
    for name in others:
        try:
            page = inspect_plane(f"{path}/{name}")
        except HeaderError as error:
            wrong[name] = error.message.removeprefix(f"{f'{path}/{name}'!r} ")
        else:
            if page != planes.page:
                wrong[name] = f"has {page}, but {first!r} has {planes.page}"
    if wrong:
        (name, what), *more = wrong.items()
        if more:
            named = ", ".join(repr(each) for each, _ in more[:_MOST_NAMED])
            what += f"; wrong as well: {named}{', …' if more[_MOST_NAMED:] else ''}"
        raise HeaderError(f"{path}/{name}", what, "check that the folder is complete")


def _spacing(path: str) -> tuple[SpacingXYZ, tuple[str, ...]]:
    """Return the distance of pixels, and why a distance in the file is impossible."""
    if path.lower().endswith((".tif", ".tiff")):
        with suppress(HeaderError):  # the header of one plane is only a help
            header = read_tiff_header(path)
            return header.spacing_um_xyz, header.doubts
    return UNKNOWN_SPACING, ()


def looks_like_plane(path: str) -> bool:
    """Tell whether a file holds one plane, and is no image of several by itself."""
    try:
        inspect_plane(path)
    except HeaderError:
        return False
    return True
