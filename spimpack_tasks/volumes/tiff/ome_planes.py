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
from spimpack_tasks.volumes.tiff.ome_xml import MOST_PLANES, THIS_FILE, FileOfPlanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from spimpack_tasks.volumes.tiff.ome_xml import Attributes, OmeXml

    CountPages = Callable[[str], int]
    """Returns the number of directories of a file."""


_MOST_ASKED = 8
"""Names that are looked for one by one: that costs less than listing any but a small folder."""


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
    uuids: tuple[tuple[str, ...], ...] = ()
    """By which each file is named, in the order of the files; empty ones for none."""
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
        A file lies elsewhere, or has no name, or its names contradict each other.
    """
    if found.image.files.keys() <= {THIS_FILE}:
        return {THIS_FILE: path}
    here = FileOfPlanes(os.path.basename(path), uuid)
    files = [*found.image.files]
    names = {file.uuid: file.name for file in files if file.uuid and file.name}
    _refuse_contradiction(path, here, files)
    folder = os.path.dirname(path)
    there = _find_names(folder, {file.name for file in files} | {*names.values()})
    paths = {}
    for file in files:
        name = file.name or names.get(file.uuid, "")
        # Two files may have one UUID; their names still tell them apart.
        if file.is_same(here) and (not name or _is_named(here, name) or name not in there):
            paths[file] = path
        elif name and name not in there and not {"/", "\0"} & {*name} and name not in {".", ".."}:
            paths[file] = os.path.join(folder, name)  # not there, so it leads nowhere else
        elif name:
            paths[file] = beside(path, name)
        else:
            raise HeaderError(path, f"has planes in a file without a name, {file.uuid[:100]!r}")
    if found.images == 1 and len(set(paths.values())) == 1:
        [only] = set(paths.values())
        if only != path and not os.path.exists(only):  # it was given another name
            return dict.fromkeys(paths, path)
        if only != path:
            what = f"names {os.path.basename(only)!r} as its file, which is there and another one"
            raise HeaderError(path, what, "give it its name back, or put it into another folder")
    return paths


def _find_names(folder: str, names: set[str]) -> set[str]:
    """Return which of some names of files a folder has.

    A set may name half a million files, and then one look at the folder is the least. But a folder
    may also hold half a million images that name one file each, or none.
    """
    plain = {name for name in names if name and not {"/", "\0"} & {*name}}
    if len(plain) > _MOST_ASKED:
        return plain.intersection(os.listdir(folder))
    return {name for name in plain if os.path.lexists(os.path.join(folder, name))}


def _is_named(here: FileOfPlanes, name: str) -> bool:
    return name.casefold() == here.name.casefold()


def _refuse_contradiction(path: str, here: FileOfPlanes, files: Sequence[FileOfPlanes]) -> None:
    """Refuse a set in which a file has the name of one member and the UUID of another.

    A single file may have been given another name or another UUID: there is nothing to mix up.
    """
    if len({file.name.casefold() for file in files}) < 2 or not here.uuid:
        return
    named = [file for file in files if file.name and _is_named(here, file.name)]
    wrong = [file for file in named if file.uuid and file.uuid != here.uuid]
    if wrong and len(wrong) == len(named):
        others = [file.name for file in files if file.uuid == here.uuid and file not in named]
        which = f"that of {others[0]!r}" if others else "none of its set"
        what = f"has the name of one file of its set, and a UUID that is {which}"
        raise HeaderError(path, what, "put the files that were written together into one folder")


def check_member(path: str, other: str, uuids: Iterable[str], own: str) -> None:
    """Refuse another file of a set that is not the one that was written with it.

    Parameters
    ----------
    path
        The file that was asked for.
    other
        The other one.
    uuids
        The UUIDs by which the set names it, empty ones for none.
    own
        The UUID that it gives itself, empty for none.

    Raises
    ------
    HeaderError
        It gives itself a UUID, and the set names it by another one.
    """
    known = {uuid for uuid in uuids if uuid}
    if own and known and own not in known:
        what = f"names {os.path.basename(other)!r}, and the file of that name is of another image"
        raise HeaderError(path, what, "put the files that were written together into one folder")


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
        _uuids_of(paths),
    )


def _uuids_of(paths: dict[FileOfPlanes, str]) -> tuple[tuple[str, ...], ...]:
    """Return the UUIDs by which each file is named, in the order of the files."""
    found: dict[str, list[str]] = {}
    for file, name in paths.items():
        found.setdefault(name, []).append(file.uuid)
    return tuple(map(tuple, found.values()))


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
