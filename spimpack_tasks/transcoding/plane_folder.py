"""A folder of numbered planes: which file is which plane, and what a file holds.

Names are told apart by their numbers alone. If one of the numbers counts, it counts planes; if
several do, the letters before them must say what they count: `Z`, `C` or `ch`, `T`. A number that
is missing, and a plane unlike the others, are errors.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from spimpack_tasks.errors import count_of
from spimpack_tasks.readers.base import (
    UNKNOWN_SPACING,
    HeaderError,
    SpacingXYZ,
    UnreadableHeaderError,
    load_library,
    read_header,
)
from spimpack_tasks.transcoding.plane_files import ENDINGS, Page, inspect_plane, read_plane

if TYPE_CHECKING:
    from spimpack_tasks.sources.base import Voxels
    from spimpack_tasks.transcoding.layout import Shape

_NUMBER = re.compile("([0-9]+)")
_COUNTED = {
    "t": re.compile(r"(?:.*[^a-z])?(?:t|time|timepoint)[ _-]*", re.DOTALL),
    "c": re.compile(r"(?:.*[^a-z])?(?:c|ch|chan|channel)[ _-]*", re.DOTALL),
    "z": re.compile(r"(?:.*[^a-z])?(?:z|slice|plane)[ _-]*", re.DOTALL),
}
"""What stands before a number that counts time points, channels or planes."""


@dataclass(frozen=True, slots=True)
class PlaneFolder:
    """Files that are the planes of one image."""

    path: str
    files: tuple[str, ...]
    """Names, by t, c and z, the last the fastest."""
    counts: tuple[int, int, int]
    """Number of t, c and z."""
    page: Page
    spacing_um_xyz: SpacingXYZ

    @property
    def shape(self) -> Shape:
        """Sizes along t, c, z, y, x."""
        return *self.counts, self.page.height, self.page.width

    @property
    def dtype(self) -> str:
        """As numpy names it."""
        return self.page.dtype

    def read(self, time: int, channel: int, planes: slice) -> Voxels:
        """Return planes of a time point and a channel, along z, y, x.

        Raises
        ------
        DamagedChunkError
            A file cannot be read or decoded.
        """
        numpy = load_library("numpy")
        _, channels, depth = self.counts
        first = (time * channels + channel) * depth
        names = self.files[first + planes.start : first + planes.stop]
        voxels: Voxels = numpy.stack([read_plane(f"{self.path}/{n}", self.page) for n in names])
        return voxels


def open_plane_folder(path: str) -> PlaneFolder:
    """Look at every plane of a folder; other files and folders in it do not matter.

    Raises
    ------
    HeaderError
        It holds no planes, or such that do not make one image.
    """
    try:
        names = [entry.name for entry in os.scandir(path) if entry.is_file()]
    except OSError as error:
        raise UnreadableHeaderError(path, error) from error
    planes = [n for n in names if n.lower().endswith(ENDINGS) and not n.startswith(".")]
    if not planes:
        hint = "name an OME-Zarr, or a folder with the planes of one image"
        raise HeaderError(path, f"holds no planes ({', '.join(ENDINGS)})", hint)
    files, counts = sort_planes(path, planes)
    first = f"{path}/{files[0]}"
    page = inspect_plane(first)
    for name in files[1:]:
        other = inspect_plane(f"{path}/{name}")
        if other != page:
            raise HeaderError(f"{path}/{name}", f"has {other}, but {files[0]!r} has {page}")
    spacing = UNKNOWN_SPACING
    if first.lower().endswith((".tif", ".tiff")):
        with suppress(HeaderError):  # what is said of the image is only a help
            spacing = read_header(first, "TIFF").spacing_um_xyz
    return PlaneFolder(path, tuple(files), counts, page, spacing)


def sort_planes(path: str, names: list[str]) -> tuple[list[str], tuple[int, int, int]]:
    """Return the names by time point, channel and plane, and the number of each.

    Raises
    ------
    HeaderError
        The names do not say which file is which plane, or a number is missing.
    """
    names = sorted(names)
    parts = {name: _NUMBER.split(name) for name in names}
    texts = [part.lower() for part in parts[names[0]][::2]]
    for name in names:
        if [part.lower() for part in parts[name][::2]] != texts:
            what = f"holds planes whose names differ in more than numbers: {names[0]!r}, {name!r}"
            raise HeaderError(path, what, "put the planes of one image into a folder of their own")
    numbers = {name: [int(n) for n in parts[name][1::2]] for name in names}
    varying = [
        i for i in range(len(texts) - 1) if len({found[i] for found in numbers.values()}) > 1
    ]
    places = _name_counters(path, names, texts, varying)
    by_place: dict[tuple[int, ...], str] = {}
    for name in names:
        place = tuple(numbers[name][places[axis]] if axis in places else 0 for axis in "tcz")
        if place in by_place:
            raise HeaderError(path, f"has the same numbers in {by_place[place]!r} and {name!r}")
        by_place[place] = name
    return _in_order(path, by_place, parts[names[0]], places)


def _name_counters(
    path: str, names: list[str], texts: list[str], varying: list[int]
) -> dict[str, int]:
    """Return which number of a name counts t, c or z."""
    if not varying:
        if len(names) > 1:
            raise HeaderError(path, f"holds planes that no number tells apart: {names[:2]}")
        return {}
    if len(varying) == 1:
        return {"z": varying[0]}
    places: dict[str, int] = {}
    unnamed = []
    for i in varying:
        axis = next((a for a, before in _COUNTED.items() if before.fullmatch(texts[i])), "")
        if axis and axis not in places:
            places[axis] = i
        else:
            unnamed.append(i)
    if len(unnamed) == 1 and "z" not in places:
        places["z"] = unnamed.pop()
    if unnamed or "z" not in places:
        what = f"has several numbers that count, and does not say what: {names[0]!r}, {names[-1]!r}"
        raise HeaderError(path, what, "name the planes such as 'C0_Z0001.tif'")
    return places


def _in_order(
    path: str,
    by_place: dict[tuple[int, ...], str],
    parts: list[str],
    places: dict[str, int],
) -> tuple[list[str], tuple[int, int, int]]:
    """Return names in order; every combination of numbers must be there."""
    seen = [sorted({place[axis] for place in by_place}) for axis in range(3)]
    # A channel between two others may never have been there; a plane or a time point was.
    times, planes = (range(seen[axis][0], seen[axis][-1] + 1) for axis in (0, 2))
    channels = seen[1]
    lacking: list[str] = []
    total = len(times) * len(channels) * len(planes) - len(by_place)
    if total:
        wanted = (place for place in product(times, channels, planes) if place not in by_place)
        for place, _ in zip(wanted, range(5), strict=False):
            lacking.append(_name_like(parts, dict(zip("tcz", place, strict=True)), places))
        more = ", …" if total > len(lacking) else ""
        what = f"lacks {count_of(total, 'plane')}: {', '.join(lacking)}{more}"
        raise HeaderError(path, what, "check that the folder is complete")
    names = [by_place[place] for place in product(times, channels, planes)]
    return names, (len(times), len(channels), len(planes))


def _name_like(parts: list[str], numbers: dict[str, int], places: dict[str, int]) -> str:
    """Return the name that a plane would have."""
    parts = list(parts)
    for axis, i in places.items():
        old = parts[2 * i + 1]
        width = len(old) if old.startswith("0") else 1
        parts[2 * i + 1] = str(numbers[axis]).zfill(width)
    return "".join(parts)
