"""Rules of the settings of a stream that a JSON Schema cannot state; all problems come at once."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.errors import InputError, Problem, Report
from spimpack_tasks.files.atomic import PART
from spimpack_tasks.files.yaml_marks import Document
from spimpack_tasks.manifest.schema_check import dotted, schema_problems
from spimpack_tasks.model.quantities import UM_PER_UNIT
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.streams.bids import find_faults
from spimpack_tasks.streams.values import Channel, Position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.files.yaml_marks import Path
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.values import Dimension

SECONDS = {
    "": 1.0,
    "second": 1.0,
    "millisecond": 1e-3,
    "microsecond": 1e-6,
    "nanosecond": 1e-9,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}
"""Seconds in one unit of time of OME-Zarr; a unit that is not given is a second."""
CODECS = {
    "ome-tiff": ("none", "zlib", "zstd"),
    "ome-zarr": ("none", "gzip", "blosc", "lz4"),
}
"""Codecs of each family of formats."""
TIFF_ENDINGS = (".tif", ".tiff", ".btf")
_TIFF_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")
_ORDERS = ("ome", "acquisition")
_MOST_POSITIONS = 100_000
"""Positions of a stream: each is a folder or file, and file systems get slow with more in one."""
_MOST_FRAMES = 2**40
"""Frames of an OME-Zarr: a petabyte of the smallest, while numbers stay exact everywhere."""
_MOST_TIFF_PLANES = 10_000_000
"""Planes of an OME-TIFF: each has a directory of some hundred bytes, which readers load first."""
_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 does not have, and DEL."""


class Finding(NamedTuple):
    """A rule that is broken."""

    code: str
    path: Path
    message: str
    hint: str = ""


def value_problems(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with single values of settings, wherever they come from."""
    named = set()
    for problem in schema_problems(document, load_schema("stream")):
        named.add(problem.key)
        yield _of_subject(problem) if problem.key == "bids" else problem
    for path, value in _walk((), document.data):
        if dotted(path) in named:
            continue
        if isinstance(value, float) and not isfinite(value):
            what = f"{value} is not a number"
            yield Problem("value.type", document.place(path), dotted(path), what, "leave it out")
        if isinstance(value, str) and _UNPRINTABLE.search(value):
            what = f"{value!r} has a character that metadata and names of files cannot have"
            yield Problem("value.form", document.place(path), dotted(path), what, "take it out")


def _of_subject(problem: Problem) -> Problem:
    """Return the problem of a place without a subject, which may have two names, in plain words."""
    if problem.code != "value.range":
        return problem
    what, hint = "is missing", "BIDS label of the subject, as in sub-01"
    return Problem("key.missing", problem.place, "bids.subject", what, hint)


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield all values with their places."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _walk((*path, str(key)), each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _walk((*path, number), each)
    else:
        yield path, value


def check_values(data: dict[str, Any], source: Document | None) -> None:
    """Refuse settings with values of a wrong type or range.

    Parameters
    ----------
    data
        The settings as JSON has them.
    source
        The file they were read from, whose values were checked; `None` for those of a program.

    Raises
    ------
    InputError
        There are some.
    """
    if source is None:
        report = Report()
        report.extend(value_problems(_document_of(data)))
        if report.errors:
            raise InputError(report)


def _document_of(data: dict[str, Any]) -> Document:
    return Document("AcquisitionSettings", data, {(): (0, 0)})


def check_settings(settings: AcquisitionSettings, source: Document | None) -> None:
    """Refuse settings whose values do not fit each other.

    Parameters
    ----------
    settings
        The settings, which have passed `check_values`.
    source
        The file they were read from; `None` for those of a program.

    Raises
    ------
    InputError
        There are some.
    """
    report = Report()
    document = source or _document_of({})
    for code, path, message, hint in _findings(settings):
        report.add(Problem(code, document.place(path), dotted(path), message, hint))
    if report.errors:
        raise InputError(report)


def _findings(settings: AcquisitionSettings) -> Iterator[Finding]:
    rules = (
        *(_axes, _ends, _numbers, _coords, _units, _positions),
        *(_storage, _format, _path, _chunks, _bids),
    )
    return chain.from_iterable(rule(settings) for rule in rules)


def _of(settings: AcquisitionSettings) -> Iterator[tuple[Path, Dimension]]:
    for number, dimension in enumerate(settings.dimensions):
        yield ("dimensions", number), dimension


def _axes(settings: AcquisitionSettings) -> Iterator[Finding]:
    """Each axis is one of t, c, z, y, x and positions, and there once; y and x are the last."""
    axes = Counter(each.axis for each in settings.dimensions)
    names = Counter(each.name for each in settings.dimensions)
    for path, each in _of(settings):
        if not each.axis:
            what = f"the axis {each.name!r} is not one of time, channel, position, z, y and x"
            yield Finding("stream.axis", (*path, "name"), what, "give its type, or rename it")
        elif axes[each.axis] > 1 or names[each.name] > 1:
            what = f"{each.name!r} is one of several axes of its name or type"
            yield Finding("stream.axis", (*path, "name"), what, "keep one")
    if [each.axis for each in settings.dimensions[-2:]] != ["y", "x"]:
        what = "the last two axes are not y and x, which a frame has"
        yield Finding("stream.frame", ("dimensions",), what, "put y and x last")


def _ends(settings: AcquisitionSettings) -> Iterator[Finding]:
    for path, each in _of(settings):
        if each.count is None and (path[-1] != 0 or each.axis not in ("t", "c", "z")):
            what = f"the axis {each.name!r} has no end, which only a first axis t, c or z may have"
            yield Finding("stream.end", path, what, "give its count")


def _numbers(settings: AcquisitionSettings) -> Iterator[Finding]:
    """An image has no more planes, and an acquisition no more positions, than can be handled."""
    for path, each in _of(settings):
        if each.axis == "p" and (each.count or 0) > _MOST_POSITIONS:
            what = f"{each.count:,} positions are more than {_MOST_POSITIONS:,}"
            yield Finding("stream.size", (*path, "count"), what, "split the acquisition")
    most = _MOST_TIFF_PLANES if settings.format == "ome-tiff" else _MOST_FRAMES
    if (settings.num_frames or 0) > most:
        what = f"{settings.num_frames:,} frames are more than {most:,}, the most of its format"
        yield Finding("stream.size", ("dimensions",), what, "leave out the count of the first axis")


def _coords(settings: AcquisitionSettings) -> Iterator[Finding]:
    for path, each in _of(settings):
        if each.coords and len(each.coords) != each.count:
            what = f"{each.name!r} has {each.count} steps, but {len(each.coords)} coordinates"
            yield Finding("stream.coords", (*path, "coords"), what, "leave the count out")
        wanted = {"channel": Channel, "position": Position}.get(each.type)
        seen = set()
        for number, coord in enumerate(each.coords):
            place = (*path, "coords", number)
            if wanted and not isinstance(coord, wanted):
                yield Finding("stream.coords", place, f"has keys that no {each.type} has")
                continue
            is_place = isinstance(coord, Position)
            key = (*coord.well, coord.grid_row, coord.grid_column) if is_place else ()
            name = (coord.name if wanted else coord, *key)
            if wanted and name in seen:
                what = f"the name {coord.name!r} is given twice"
                yield Finding("stream.coords", place, what, "give each its own name")
            seen.add(name)


def _units(settings: AcquisitionSettings) -> Iterator[Finding]:
    known = {"space": {*UM_PER_UNIT}, "time": {*SECONDS}}
    for path, each in _of(settings):
        if each.unit and each.unit not in known.get(each.type, set()):
            what = f"{each.unit!r} is not a unit of {each.type or 'this axis'}"
            example = {"space": "micrometer", "time": "second"}.get(each.type)
            hint = f"write a name of OME-Zarr, such as {example}" if example else "leave it out"
            yield Finding("stream.unit", (*path, "unit"), what, hint)


def _positions(settings: AcquisitionSettings) -> Iterator[Finding]:
    """Positions of a plate have a row and a column of it."""
    path = next((at for at, each in _of(settings) if each.axis == "p"), ())
    dimension = settings.along("p")
    coords = dimension.coords if dimension else ()
    places = [each for each in coords if isinstance(each, Position)]
    plate = settings.plate
    for number, each in enumerate(places):
        at = (*path, "coords", number)
        if bool(each.plate_row) != bool(each.plate_column):
            what = f"position {each.name!r} has a row or a column of a plate, not both"
            yield Finding("stream.plate", at, what, "give both or neither")
        elif plate and each.plate_row not in plate.row_names:
            what = f"position {each.name!r} is in row {each.plate_row!r}, which the plate has not"
            yield Finding("stream.plate", at, what)
        elif plate and each.plate_column not in plate.column_names:
            what = f"position {each.name!r} has no column of the plate, but {each.plate_column!r}"
            yield Finding("stream.plate", at, what)
        if (each.grid_row is None) != (each.grid_column is None):
            what = f"position {each.name!r} has a row or a column of a grid, not both"
            yield Finding("stream.grid", at, what, "give both or neither")
    if plate and not places:
        what = "a plate needs positions with rows and columns"
        yield Finding("stream.plate", ("plate",), what, "add an axis of positions")


def _storage(settings: AcquisitionSettings) -> Iterator[Finding]:
    """An OME-Zarr stores time, channel, z; an OME-TIFF orders planes as its user likes."""
    names = [each.name for each in settings.array_dimensions]
    order, path = settings.storage_order, ("storage_order",)
    if isinstance(order, str):
        if order not in _ORDERS:
            hint = f"write {', '.join(_ORDERS)}, or a list of the names of axes"
            yield Finding("stream.order", path, f"{order!r} is not an order of axes", hint)
            return
        order = tuple(names)
    if sorted(order) != sorted(names) or list(order[-2:]) != names[-2:]:
        hint = f"name {', '.join(names)}, with {' and '.join(names[-2:])} last"
        yield Finding("stream.order", path, f"{list(order)} does not name all axes once", hint)
    elif settings.storage_order != "ome" and settings.format != "ome-tiff":
        axes = {each.name: each.axis for each in settings.array_dimensions}
        stored = "".join(axes[name] for name in order)
        if [*stored] != sorted(stored, key="tczyx".find):
            what = f"an OME-Zarr has its axes in the order t, c, z, y, x, not {', '.join(stored)}"
            yield Finding("stream.order", path, what, "write ome, or choose ome-tiff")


def _format(settings: AcquisitionSettings) -> Iterator[Finding]:
    is_tiff = settings.format == "ome-tiff"
    codecs = CODECS["ome-tiff" if is_tiff else "ome-zarr"]
    if settings.compression not in codecs:
        what = f"{settings.compression!r} is not a codec of {settings.format}"
        yield Finding("stream.codec", ("compression",), what, f"one of: {', '.join(codecs)}")
    if is_tiff and settings.dtype not in _TIFF_TYPES:
        what = f"an OME-TIFF has no voxels of type {settings.dtype}"
        yield Finding("stream.dtype", ("dtype",), what, f"one of: {', '.join(_TIFF_TYPES)}")


def _path(settings: AcquisitionSettings) -> Iterator[Finding]:
    """The image is a file or folder on a disk, whose name has the ending of its format."""
    path, is_tiff = settings.root_path, settings.format == "ome-tiff"
    if _ADDRESS.match(path):
        hint = "write to a disk, and publish the image afterwards: spimpack publish"
        yield Finding("stream.path", ("root_path",), f"{path!r} is not a path on a disk", hint)
    elif path.startswith("~"):
        what = f"there is no home folder for {path!r}"
        yield Finding("stream.path", ("root_path",), what, f"write ./{path} if it is a name")
    elif path.rstrip("/").endswith(PART):
        what = f"{path!r} is the name of an unfinished stream"
        hint = f"leave the ending {PART} out; spimpack stream finish or resume takes one up"
        yield Finding("stream.path", ("root_path",), what, hint)
    ending = ".ome.tif" if is_tiff else ".zarr"
    other = (".zarr",) if is_tiff else TIFF_ENDINGS
    if settings.root_path.rstrip("/").lower().endswith(other):
        what = f"{settings.root_path!r} is not the name of an image in the format {settings.format}"
        yield Finding("stream.path", ("root_path",), what, f"end it in {ending}")


def _bids(settings: AcquisitionSettings) -> Iterator[Finding]:
    place = settings.bids
    if place is None:
        return
    many = settings.along("p") is not None
    for key, message, hint in find_faults(place, settings.positions, settings.channels, many=many):
        yield Finding("stream.bids", ("bids", key), message, hint)
    if settings.is_unbounded and settings.dimensions[0].axis == "c":
        yield Finding("stream.bids", ("bids",), "channels without an end have no names")


def _chunks(settings: AcquisitionSettings) -> Iterator[Finding]:
    is_tiff = settings.format == "ome-tiff"
    for path, each in _of(settings):
        if (is_tiff or each.axis == "p") and (each.chunk_size or each.shard_size_chunks):
            what = "positions have no chunks" if each.axis == "p" else "an OME-TIFF has no chunks"
            key = "chunk_size" if each.chunk_size else "shard_size_chunks"
            yield Finding("stream.chunk", (*path, key), what, "leave it out")
