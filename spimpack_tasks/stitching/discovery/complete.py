"""Completes the tiles that a layout has found: opens each header, and settles the geometry.

Nothing is guessed: where a distance or a turn is not known, all that is missing is told at once.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from spimpack_tasks.errors import Problem, Report, count_of
from spimpack_tasks.stitching.discovery.found import BY_LAYOUT, GEOMETRY, IMAGE, PLACE
from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import examine_source
from spimpack_tasks.volumes.formats import format_named
from spimpack_tasks.volumes.read_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.stitching.discovery.found import Found, FoundTile, TileChoices
    from spimpack_tasks.stitching.tiles import Sizes, Vector
    from spimpack_tasks.volumes.header import Header

_Value = TypeVar("_Value")
_SAME = 1e-3
"""Relative difference up to which two distances of voxels count as one."""
_AXES = "zyx"


@dataclass(frozen=True, slots=True)
class _Read:
    """A tile with the facts of its header."""

    tile: FoundTile
    shape_frc: Sizes
    dtype: str
    form: str
    channel_index: int
    spacing_um_xyz: tuple[float | None, ...]

    def __str__(self) -> str:
        """Return the sizes for people."""
        frames, rows, columns = self.shape_frc
        return f"{count_of(frames, 'frame')} of {rows} x {columns} pixels of {self.dtype}"


def complete(found: Found, choices: TileChoices, report: Report) -> TileSet | None:
    """Return the set of tiles, `None` where something is wrong; problems go to `report`.

    Parameters
    ----------
    found
        What the layout tells.
    choices
        What the user says, which counts more.
    report
        Receives all problems at once.
    """
    before = len(report.errors)
    read = [each for tile in found.tiles if (each := _read(tile, choices, report)) is not None]
    report.extend(_differing(read, may_differ=choices.sizes_may_differ))
    report.extend(_twice(found))
    geometry = _settle(found, choices, read, report)
    reversed_axes = _given(choices.reversed_axes, found.reversed_axes)
    if geometry is None or reversed_axes is None or len(report.errors) > before:
        return None
    signs = [-1.0 if axis in reversed_axes else 1.0 for axis in _AXES]
    tiles = [_tile(each, signs, found, choices) for each in read]
    return TileSet(geometry, tuple(tiles))


def _given(chosen: _Value | None, told: _Value | None) -> _Value | None:
    return told if chosen is None else chosen


def _tile(read: _Read, signs: Sequence[float], found: Found, choices: TileChoices) -> Tile:
    z, y, x = read.tile.position_um_zyx
    if choices.z_pitch_um is not None:
        layers = sorted({each.position_um_zyx[0] for each in found.tiles})
        z = layers.index(z) * choices.z_pitch_um
    place: Vector = (z * signs[0] + 0.0, y * signs[1] + 0.0, x * signs[2] + 0.0)
    tile = read.tile
    return Tile(
        name=tile.name,
        path=tile.path,
        position_um_zyx=place,
        shape_frc=read.shape_frc,
        dtype=read.dtype,
        form=read.form,
        time_index=tile.time_index,
        channel_index=read.channel_index,
    )


def _read(tile: FoundTile, choices: TileChoices, report: Report) -> _Read | None:
    """Return a tile with the facts of its header."""
    try:
        form = format_named(tile.form) if tile.form else examine_source(tile.path).format
        header = read_header(tile.path, form)
    except SourceRefusedError as error:
        report.add(Problem(IMAGE, tile.where, "", error.message, error.hint))
        return None
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    try:
        channel = _channel_of(tile, header, choices.channel)
        _check_axes(sizes, tile, header)
    except ValueError as error:
        report.add(Problem(IMAGE, tile.where, "", f"{tile.path!r} {error}"))
        return None
    return _Read(
        tile=tile,
        shape_frc=(sizes.get("z", 1), sizes["y"], sizes["x"]),
        dtype=header.dtype,
        form=form.name,
        channel_index=channel,
        spacing_um_xyz=header.spacing_um_xyz,
    )


def _check_axes(sizes: dict[str, int], tile: FoundTile, header: Header) -> None:
    strange = [axis for axis, n in sizes.items() if n > 1 and axis not in "tczyx"]
    if strange:
        message = f"does not say what its {strange[0]}s are"
        raise ValueError(message)
    if tile.time_index >= sizes.get("t", 1):
        message = f"has no time point {tile.time_index} among {sizes.get('t', 1)}"
        raise ValueError(message)
    if header.dtype not in {"uint8", "uint16", "uint32", "float32"}:
        message = f"has voxels of type {header.dtype}, which are not stitched"
        raise ValueError(message)


def _channel_of(tile: FoundTile, header: Header, chosen: str) -> int:
    """Return which channel of a file is meant; names count more than numbers."""
    count, names = header.channel_count, header.channel_names
    if tile.channel_index is not None:
        number = tile.channel_index
    elif chosen in names:
        number = names.index(chosen)
    elif count == 1:
        return 0
    elif chosen.isascii() and chosen.isdecimal():
        number = int(chosen)
    else:
        known = ", ".join(name or str(n) for n, name in enumerate(names or ("",) * count))
        message = f"has {count} channels ({known}); choose one of them by name or number"
        raise ValueError(message)
    if number >= count:
        message = f"has no channel {number}; it has {count_of(count, 'channel')}, counted from 0"
        raise ValueError(message)
    return number


def _differing(read: list[_Read], *, may_differ: bool) -> Iterator[Problem]:
    """Yield the tiles that are unlike most of the others."""
    types = Counter(each.dtype for each in read).most_common(1)
    sizes = Counter((each.shape_frc, each.dtype) for each in read).most_common(1)
    for each in read:
        is_other = each.dtype != types[0][0]
        if is_other or (not may_differ and (each.shape_frc, each.dtype) != sizes[0][0]):
            usual = next(r for r in read if (r.shape_frc, r.dtype) == sizes[0][0])
            what = f"{each.tile.path!r} has {each}, but {sizes[0][1]} of {len(read)} tiles "
            hint = "look whether its recording was broken off"
            hint += "" if is_other else ", or allow tiles of different sizes"
            verb = "has" if sizes[0][1] == 1 else "have"
            yield Problem(IMAGE, each.tile.where, "", f"{what}{verb} {usual}", hint)


def _twice(found: Found) -> Iterator[Problem]:
    """Yield tiles whose place or name another one has."""
    places: dict[Vector, FoundTile] = {}
    names: dict[str, FoundTile] = {}
    for tile in found.tiles:
        other = places.setdefault(tile.position_um_zyx, tile)
        named = names.setdefault(tile.name, tile)
        if other is not tile:
            what = f"{tile.name} lies at the same place as {other.name}"
            yield Problem(PLACE, tile.where, "", what, "keep one of them, or correct its place")
        elif named is not tile:
            what = f"{tile.name} is the name of {named.where.line_in_words()} as well"
            yield Problem(PLACE, tile.where, "", what, "give tiles names that differ")


def _settle(
    found: Found, choices: TileChoices, read: list[_Read], report: Report
) -> Geometry | None:
    """Return the geometry; each distance or turn that nobody knows is a problem of its own."""
    angle = found.angle_deg if choices.angle_deg == BY_LAYOUT else choices.angle_deg
    values: dict[str, Any] = {
        "pitch_um": _given(_given(choices.pitch_um, found.pitch_um), _pitch_of(read)),
        "step_um": _given(_given(choices.step_um, found.step_um), _shared(read, 2)),
        "rotate_90": _given(choices.rotate_90, found.rotate_90),
        "flip_ud": _given(choices.flip_ud, found.flip_ud),
        "reversed_axes": _given(choices.reversed_axes, found.reversed_axes),
    }
    missing = [key for key, value in values.items() if value is None]
    if not read:  # then headers could not tell them, and each has a problem of its own
        missing = [key for key in missing if key not in {"pitch_um", "step_um"}]
    for key in missing:
        message, hint = _UNKNOWN[key]
        report.add(Problem(GEOMETRY, found.where, key, message, hint))
    strange = set(values["reversed_axes"] or "") - set(_AXES)
    if strange:
        message = f"{choices.reversed_axes!r} names other axes than x, y and z"
        report.add(Problem(GEOMETRY, found.where, "reversed_axes", message, "write such as xy"))
    if missing or strange or not read:
        return None
    del values["reversed_axes"]
    try:
        return Geometry(angle_deg=angle, **values)
    except ValueError as error:
        report.add(Problem(GEOMETRY, found.where, "", str(error)))
        return None


_UNKNOWN = {
    "pitch_um": ("the distance of pixels is not known", "give it in µm"),
    "step_um": ("the distance of frames is not known", "give it in µm"),
    "rotate_90": ("it is not known how frames are turned", "give quarter turns: 0, 1, 2 or 3"),
    "flip_ud": (
        "it is not known whether rows of frames are reversed",
        "give true or false, or put metadata.txt of the microscope beside the folder",
    ),
    "reversed_axes": (
        "it is not known along which axes places fall while pixels rise",
        "name them, such as y, or give an empty text for none",
    ),
}
"""Message and remedy for what nobody knows, by key."""


def _shared(read: list[_Read], axis: int) -> float | None:
    """Return the distance of voxels along x, y or z, if all headers tell the same."""
    told = [each.spacing_um_xyz[axis] for each in read]
    known = [size for size in told if size is not None]
    if not known or len(known) < len(told) or not all(_is_same(known[0], n) for n in known):
        return None
    return known[0]


def _pitch_of(read: list[_Read]) -> float | None:
    """Return the distance of pixels that all headers tell, equal along x and y."""
    x, y = _shared(read, 0), _shared(read, 1)
    return x if x is not None and y is not None and _is_same(x, y) else None


def _is_same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_SAME)
