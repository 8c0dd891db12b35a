"""Alignment files as spimstitch reads and writes them, JSON.

Facts: spimstitch (MIT). `alignments` has a place `[x, y, z]` in micrometres for each place of the
stage, which is the key. The places of the stage are those of the names of files, whichever way the
stage moves; the places found are those of the pixels. Without `align-z`, z is that of the stage.

The program adds the correction of each pair with the wrong sign, unless it is told that y is
negative. The file does not tell which it was. So a reader chooses the convention: `positions` for
places as they are written, or `mirrored` for files of the program with that fault.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.limits import LARGEST_XML, allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.stitching.align import keep_stage
from spimpack_tasks.stitching.tile_files import (
    TilesRefusedError,
    match_tiles,
    read_alignment,
    write_json,
)
from spimpack_tasks.stitching.tiles import sample_of_um

if TYPE_CHECKING:
    from spimpack_tasks.stitching.align import AlignedPair, Alignment
    from spimpack_tasks.stitching.names import Signs
    from spimpack_tasks.stitching.tiles import TileSet, Vector

_LARGEST_CHANGE = 0.1
"""A measured distance of pixels is that of the camera, up to this share of it."""
_SAME_UM = 0.06
"""Distance up to which two places of the stage are one: names have tenths of a micrometre."""


def read_either(path: str, tiles: TileSet, signs: Signs, reversed_axes: str) -> Alignment:
    """Return the places of tiles, in their order, by a file of this program or of spimstitch.

    Parameters
    ----------
    path
        The file. One of spimstitch has `alignments`.
    tiles
        The tiles.
    signs, reversed_axes
        How a file of spimstitch is to be understood; ours need neither.

    Raises
    ------
    TilesRefusedError
        The file cannot be read, has no place for a tile, or needs no signs.
    """
    if "alignments" in _load(path):
        return read_align_file(path, tiles, signs, reversed_axes)
    if signs != "positions" or reversed_axes:
        message = f"{path}: is not of spimstitch, so leave align_signs and align_reversed out"
        raise TilesRefusedError(message)
    return match_tiles(read_alignment(path), tiles, path)


def read_align_file(
    path: str, tiles: TileSet, convention: Signs = "positions", reversed_axes: str = ""
) -> Alignment:
    """Return the places of tiles by a file of spimstitch.

    Its standard deviations are not known, and count as those of the stage. The places are told from
    the first tile, which stays where it is.

    Parameters
    ----------
    path
        The file.
    tiles
        The tiles.
    convention
        What the places of the file are.
    reversed_axes
        Axes along which the stage falls while pixels rise, as for the tiles.

    Raises
    ------
    TilesRefusedError
        The file cannot be read, or has no place for a tile; all of them are told.
    """
    data = _read(path)
    found = _alignments(path, data)
    signs = [-1.0 if axis in reversed_axes else 1.0 for axis in "xyz"]
    has_z = data.get("align-z", False) is True
    problems, places = [], []
    for tile in tiles.tiles:
        z, y, x = tile.position_um_zyx
        pixels = (x, y, z)
        stage = tuple(n * sign for n, sign in zip(pixels, signs, strict=True))
        told = _place_of(stage, found, has_z=has_z)
        if told is None:
            shown = ", ".join(f"{n:g}" for n in stage)
            problems.append(
                f"{path}: has no place for {tile.name}, which is at {shown} µm (x, y, z)"
            )
            continue
        if convention == "mirrored":
            told = tuple(2 * p - t for p, t in zip(pixels, told, strict=True))
        places.append((told[2] if has_z else z, told[1], told[0]))
    if problems:
        raise TilesRefusedError("\n".join(problems))
    return _aligned(_with_pitch(tiles, path, data), places, has_z=has_z)


def _with_pitch(tiles: TileSet, path: str, data: dict[str, Any]) -> TileSet:
    """Return tiles with the distance of pixels that a file has measured, if it tells one.

    Raises
    ------
    TilesRefusedError
        It is no length, or another one altogether.
    """
    told, nominal = data.get("voxel_size"), tiles.geometry.pitch_um
    if told is None:
        return tiles
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    if not (is_number and abs(told / nominal - 1) <= _LARGEST_CHANGE):
        message = f"{path}: voxel_size is {told!r}, but pixels of the tiles are {nominal:g} µm"
        raise TilesRefusedError(f"{message} apart; correct one of them")
    return replace(tiles, geometry=replace(tiles.geometry, pitch_um=float(told)))


def _aligned(tiles: TileSet, places: list[Vector], *, has_z: bool) -> Alignment:
    """Return an alignment of places that are told from the first tile."""
    anchor = tiles.tiles[0].position_um_zyx
    away = [a - p for a, p in zip(anchor, places[0], strict=True)]
    if not has_z:
        away[0] = 0.0
    stage = keep_stage(tiles)
    aligned = []
    for old, place in zip(stage.tiles, places, strict=True):
        z, y, x = (n + shift for n, shift in zip(place, away, strict=True))
        from_first = (z - anchor[0], y - anchor[1], x - anchor[2])
        sample = sample_of_um(tiles.geometry, from_first)
        f, r, c = (new - told for new, told in zip(sample, old.place_frc, strict=True))
        aligned.append(
            replace(
                old,
                position_um_zyx=(z, y, x),
                place_frc=sample,
                correction_frc=(f, r, c),
            )
        )
    return replace(stage, tiles=tuple(aligned))


def _read(path: str) -> dict[str, Any]:
    data = _load(path)
    if not isinstance(data.get("alignments"), dict):
        raise TilesRefusedError(f"{path}: has no 'alignments', so spimstitch has not written it")
    return data


def _load(path: str) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            data = json.loads(file.read(allowed(LARGEST_XML)))
    except OSError as error:
        raise TilesRefusedError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TilesRefusedError(f"{path}: is no JSON: {error}") from error
    return data if isinstance(data, dict) else {}


def _alignments(path: str, data: dict[str, Any]) -> dict[tuple[float, ...], tuple[float, ...]]:
    """Return places by places of the stage, along x, y and z."""
    found: dict[tuple[float, ...], tuple[float, ...]] = {}
    problems = []
    for key, value in data["alignments"].items():
        try:
            stage, place = tuple(map(float, json.loads(key))), tuple(map(float, value))
        except (TypeError, ValueError):
            stage, place = (), ()
        if not (len(stage) == len(place) == 3 and all(map(math.isfinite, (*stage, *place)))):
            problems.append(f"{path}: {key!r}: {value!r} is not a place of x, y and z in µm")
            continue
        found[stage] = place
    if problems:
        raise TilesRefusedError("\n".join(problems))
    return found


def _place_of(
    stage: tuple[float, ...],
    found: dict[tuple[float, ...], tuple[float, ...]],
    *,
    has_z: bool,
) -> tuple[float, ...] | None:
    """Return the place that a file has for a place of the stage."""
    count = 3 if has_z else 2
    for key, place in found.items():
        if all(abs(a - b) <= _SAME_UM for a, b in zip(stage[:count], key[:count], strict=True)):
            return place
    return None


def write_align_file(
    path: str, tiles: TileSet, alignment: Alignment, reversed_axes: str = ""
) -> None:
    """Write places as spimstitch reads them, with the right sign.

    The file has `voxel_size` besides, the measured distance of pixels, which the program's own
    description promises.

    Parameters
    ----------
    path
        The file; another one there is replaced.
    tiles, alignment
        The tiles, and where they lie, in one order.
    reversed_axes
        Axes along which the stage falls while pixels rise, as for the tiles.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    signs = [-1.0 if axis in reversed_axes else 1.0 for axis in "xyz"]
    keys, places = {}, {}
    for tile, found in zip(tiles.tiles, alignment.tiles, strict=True):
        pixels = tile.position_um_zyx[::-1]
        keys[tile.name] = [n * sign + 0.0 for n, sign in zip(pixels, signs, strict=True)]
        places[tile.name] = found.position_um_zyx[::-1]
    lows = [min(place[axis] for place in places.values()) for axis in range(3)]
    geometry = alignment.geometry
    dz, dy, dx = geometry.spacing_um_zyx
    content: dict[str, Any] = {
        "voxel_sizes": [dx, dy, dz],
        "voxel_size": geometry.pitch_um,
        "align-z": True,
        "alignments": {
            json.dumps(keys[name]): [n - low for n, low in zip(place, lows, strict=True)]
            for name, place in places.items()
        },
    }
    for pair in alignment.pairs:
        if pair.shift_frc is not None:
            key = json.dumps([keys[pair.first], keys[pair.second]])
            content[key] = [_pair(pair, tiles, (dz, dy, dx))]
    write_json(path, content)


def _pair(pair: AlignedPair, tiles: TileSet, spacing_um_zyx: Vector) -> dict[str, float]:
    """Return one measured pair: the place of a point in voxels, and where it was found."""
    by_name = {tile.name: tile for tile in tiles.tiles}
    stage = by_name[pair.second].position_um_zyx
    told: dict[str, float] = {"corr": pair.correlation}
    shift = pair.shift_frc or pair.stage_shift_frc
    away = [found - stage for found, stage in zip(shift, pair.stage_shift_frc, strict=True)]
    f, r, c = away
    geometry = tiles.geometry
    x = f + c * geometry.shear if geometry.is_oblique else c
    shifts = {"x": x, "y": r, "z": c if geometry.is_oblique else f}
    for axis, place, size in zip("zyx", stage, spacing_um_zyx, strict=True):
        told[f"{axis}a"] = place / size
        told[f"{axis}b"] = place / size + shifts[axis]
    return told
