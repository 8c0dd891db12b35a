"""Where the planes of an OME-TIFF are: in which directory of which file of its set.

Facts: the OME-TIFF specification 6.0 (`TiffData`). Without `TiffData` the directories of the file
are the planes, in the order of `DimensionOrder`. `IFD`, `FirstZ`, `FirstC` and `FirstT` are 0 where
they are left out; `PlaneCount` is 1 beside `IFD`, and else the number of directories of the file.

A name in OME-XML is never followed out of the folder of the image.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.files.limits import REMEDY, allowed
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.tiff.ome_xml import MOST_PLANES, FileOfPlanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.volumes.tiff.ome_xml import Attributes, OmeXml

    CountPages = Callable[[str], int]
    """Returns the number of directories of a file."""


@dataclass(frozen=True, slots=True)
class OmePlanes:
    """The planes of one image, wherever they are."""

    axes: tuple[str, ...]
    """Those that planes are told apart by, the slowest first."""
    sizes: tuple[int, ...]
    files: tuple[str, ...]
    """Absolute paths."""
    places: tuple[tuple[int, int] | None, ...]
    """For each plane the number of its file and of its directory, `None` where it has none."""
    absent: tuple[str, ...] = ()
    """Names of files of the set that are not there."""
    caveat: str = ""
    """The reason why the planes are not those of the image."""


def beside(path: str, name: str) -> str:
    """Return the path of a file that OME-XML names.

    Raises
    ------
    HeaderError
        It would lie outside the folder of the file at `path`, or leads there.
    """
    folder = os.path.dirname(path)
    found = os.path.join(folder, name)
    try:
        real, root = os.path.realpath(found), os.path.realpath(folder)
    except ValueError:  # a name that no file can have
        real = root = ""
    if not root or os.path.commonpath([real, root]) != root:
        what = f"names the file {name[:200]!r}, which is not in its folder, and is not opened"
        raise HeaderError(path, what, "put the files of an image into one folder")
    return found


def find_files(path: str, found: OmeXml, uuid: str) -> dict[FileOfPlanes, str]:
    """Return the path of each file that an image lies in.

    Parameters
    ----------
    path
        The file that was asked for.
    found
        The image in the OME-XML.
    uuid
        The identity of the file.

    Raises
    ------
    HeaderError
        A file lies elsewhere, or has no name.
    """
    here = FileOfPlanes(os.path.basename(path), uuid)
    names = {file.uuid: file.name for file in found.image.files if file.uuid and file.name}
    paths = {}
    for file in found.image.files or {FileOfPlanes(): None}:
        name = file.name or names.get(file.uuid, "")
        if file.is_same(here):
            paths[file] = path
        elif name:
            paths[file] = beside(path, name)
        else:
            raise HeaderError(path, f"has planes in a file without a name, {file.uuid[:100]!r}")
    if found.images == 1 and len(set(paths.values())) == 1:
        [only] = set(paths.values())
        if only != path and not os.path.exists(only):  # it was given another name
            return dict.fromkeys(paths, path)
    return paths


def locate_planes(
    path: str, found: OmeXml, uuid: str, sizes: dict[str, int], count: CountPages
) -> OmePlanes:
    """Return where the planes of an image are.

    Parameters
    ----------
    path
        The file that was asked for.
    found
        The image in the OME-XML, with planes.
    uuid
        The identity of the file.
    sizes
        Of the axes that planes are told apart by, the slowest first.
    count
        Returns the number of directories of a file.

    Raises
    ------
    HeaderError
        What is said contradicts itself, or leads elsewhere.
    """
    total = math.prod(sizes.values())
    most = allowed(MOST_PLANES)
    if total > most:
        what = f"has OME-XML of {total:,} planes; at the most {most:,} are read"
        raise HeaderError(path, what, REMEDY)
    paths = find_files(path, found, uuid)
    files = tuple(dict.fromkeys(paths.values()))
    absent = {file for file in files if not os.path.exists(file)}
    numbers = {file: number for number, file in enumerate(files)}
    places: list[tuple[int, int] | None] = [None] * total
    named = 0
    for piece in _list_pieces(path, found, paths, absent, count):
        first = _number_plane(path, piece.data, sizes)
        if first + piece.planes > total:
            last = first + piece.planes
            raise HeaderError(path, f"has OME-XML of {total} planes, but names {last}")
        named += piece.planes
        if named > most:
            raise HeaderError(path, f"has OME-XML that names more than {most:,} planes", REMEDY)
        owner, directory = numbers[piece.file], _number(path, piece.data, "IFD", 0)
        for number in range(piece.planes):
            place = (owner, directory + number)
            if places[first + number] not in {None, place}:
                raise HeaderError(path, f"has OME-XML that names plane {first + number} twice")
            places[first + number] = place
    return OmePlanes(
        tuple(sizes),
        tuple(sizes.values()),
        files,
        tuple(place if place and files[place[0]] not in absent else None for place in places),
        tuple(sorted(map(os.path.basename, absent))),
    )


class _Piece(NamedTuple):
    """Planes that follow one another in one file."""

    data: Attributes
    file: str
    planes: int


def _list_pieces(
    path: str, found: OmeXml, paths: dict[FileOfPlanes, str], absent: set[str], count: CountPages
) -> Iterator[_Piece]:
    if not found.image.tiff_data:
        if found.images > 1:
            what = f"has OME-XML of {found.images} images that does not say which pages are whose"
            raise HeaderError(path, what)
        yield _Piece({}, path, count(path))
    for data, named in found.image.tiff_data:
        file = paths[named]
        told = next((word for word in ("PlaneCount", "NumPlanes") if word in data), "")
        if told:
            planes = _number(path, data, told, 1)
        elif "IFD" in data:
            planes = 1
        else:
            planes = 0 if file in absent else count(file)
        yield _Piece(data, file, planes)


def _number_plane(path: str, data: Attributes, sizes: dict[str, int]) -> int:
    """Return the number of the first plane of a piece."""
    number = 0
    for axis, size in sizes.items():
        index = _number(path, data, f"First{axis.upper()}", 0)
        if index >= size:
            what = f"has OME-XML with a plane at {axis} = {index}, of a size of {size}"
            raise HeaderError(path, what)
        number = number * size + index
    return number


def _number(path: str, data: Attributes, word: str, default: int) -> int:
    text = data.get(word, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise HeaderError(path, f"has OME-XML with a {word} of {text[:20]!r}")
    return int(text)
