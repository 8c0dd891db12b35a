"""Files that hold tiles and alignments, between the steps of stitching and for users to edit.

A file of tiles, `tiles.json`, has the geometry and one entry for each tile; paths in it are
absolute, or relative to its folder. All that is wrong with a file is told at once.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import ExitCode, SpimpackError, joined, suggestion
from spimpack_tasks.files.atomic import write_at
from spimpack_tasks.files.limits import allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.stitching.align import AlignedPair, AlignedTile, Alignment
from spimpack_tasks.stitching.pitch import PitchEstimate
from spimpack_tasks.stitching.tiles import Geometry, Tile, TileSet
from spimpack_tasks.volumes.formats import format_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORM = 1
"""Raised when files get another form."""
_LARGEST = 256 * 2**20
"""Bytes of a file of tiles: a million of them."""
_VECTORS = {"position_um_zyx": float, "shape_frc": int}
_GEOMETRY = frozenset(field.name for field in fields(Geometry))
_TILE = frozenset(field.name for field in fields(Tile))
_USUAL = {"name": "a", "path": "a", "dtype": "uint16", "form": ""}
"""Texts that stand for those that are missing, which is told elsewhere."""
_DTYPE = re.compile("u?int(8|16|32|64)|float(32|64)")
_NEEDED = ("name", "path", "position_um_zyx", "shape_frc", "dtype")


class TilesRefusedError(SpimpackError):
    """A file of tiles or of an alignment is wrong; the message has a line for each mistake."""

    exit_code = ExitCode.BAD_INPUT


def write_tiles(path: str, tiles: TileSet) -> None:
    """Write tiles to a file in one step.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    content = {
        "form": FORM,
        "geometry": asdict(tiles.geometry),
        "tiles": [asdict(tile) for tile in tiles.tiles],
    }
    write_json(path, content)


def write_json(path: str, content: Any) -> None:
    """Write a value as text that is equal for equal values."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_at(path, f"{text}\n".encode())


def read_tiles(path: str) -> TileSet:
    """Return the tiles of a file; their paths are absolute.

    Raises
    ------
    TilesRefusedError
        The file cannot be read, or something in it is wrong: all of it is told.
    """
    data = _read(path)
    problems: list[str] = []
    geometry = _geometry(data.get("geometry"), problems)
    entries = data.get("tiles")
    if not isinstance(entries, list) or not entries:
        problems.append("tiles: must be a list of one tile at least")
        entries = []
    tiles = [_tile(entry, f"tiles[{n}]", path, problems) for n, entry in enumerate(entries)]
    whole = tuple(tile for tile in tiles if tile is not None)
    problems += _repeated(tiles)
    if not problems and geometry is not None:
        try:
            return TileSet(geometry, whole)
        except ValueError as error:
            problems.append(str(error))
    raise TilesRefusedError("\n".join(f"{path}: {problem}" for problem in problems))


def _repeated(tiles: Sequence[Tile | None]) -> Iterator[str]:
    """Yield the tiles whose voxels an earlier one has already."""
    seen: dict[tuple[str, int, int], int] = {}
    for number, tile in enumerate(tiles):
        if tile is not None:
            first = seen.setdefault((tile.path, tile.time_index, tile.channel_index), number)
            if first != number:
                yield f"tiles[{number}].path: {tile.path!r} is tiles[{first}] already"


def require_files(path: str, tiles: TileSet) -> None:
    """Refuse tiles of which nothing is on the disk, all at once.

    Raises
    ------
    TilesRefusedError
        A line for each.
    """
    problems = [
        f"{path}: {tile.name}: path {tile.path!r} does not exist"
        for tile in tiles.tiles
        if not os.path.exists(tile.path)
    ]
    if problems:
        raise TilesRefusedError("\n".join(problems))


def _read(path: str) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            data = json.loads(file.read(allowed(_LARGEST)))
    except OSError as error:
        raise TilesRefusedError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TilesRefusedError(f"{path}: is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise TilesRefusedError(f"{path}: must be an object with geometry and tiles")
    if data.get("form", FORM) != FORM:
        message = f"{path}: form is {data['form']!r}, but this version reads {FORM}"
        raise TilesRefusedError(message)
    return data


def _geometry(data: Any, problems: list[str]) -> Geometry | None:
    if not isinstance(data, dict):
        problems.append("geometry: must be an object with pitch_um and step_um")
        return None
    before = len(problems)
    _check_keys(data, _GEOMETRY, ("pitch_um", "step_um"), "geometry", problems)
    problems += [
        f"geometry.{key}: {data[key]!r} is not a number"
        for key in ("pitch_um", "step_um", "angle_deg")
        if key in data and not (_is_number(data[key]) or (key, data[key]) == ("angle_deg", None))
    ]
    if isinstance(data.get("rotate_90"), bool):
        problems.append(f"geometry.rotate_90: {data['rotate_90']!r} is not 0, 1, 2 or 3")
    if not isinstance(data.get("flip_ud", False), bool):
        problems.append(f"geometry.flip_ud: {data['flip_ud']!r} is not true or false")
    if len(problems) > before:
        return None
    try:
        return Geometry(**data)
    except (ValueError, TypeError) as error:
        problems.append(f"geometry: {error}")
        return None


def _tile(data: Any, where: str, path: str, problems: list[str]) -> Tile | None:
    if not isinstance(data, dict):
        problems.append(f"{where}: must be an object with {', '.join(_NEEDED)}")
        return None
    before = len(problems)
    _check_keys(data, _TILE, _NEEDED, where, problems)
    problems += [f"{where}.{key}: {wrong}" for key, wrong in _wrong_values(data)]
    if len(problems) > before:
        return None
    chosen = dict(data)
    for key, kind in _VECTORS.items():
        chosen[key] = tuple(map(kind, data[key]))
    folder = os.path.dirname(os.path.abspath(path))
    chosen["path"] = os.path.normpath(os.path.join(folder, data["path"]))
    return Tile(**chosen)


def _wrong_values(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a tile whose values have another form, and what is wrong with them."""
    for key, is_right, form in (
        ("position_um_zyx", _is_number, "three numbers"),
        ("shape_frc", _is_count, "three whole numbers from 1 on"),
    ):
        value = data.get(key)
        is_vector = isinstance(value, list) and len(value) == 3
        if key in data and not (is_vector and all(map(is_right, value or ()))):
            yield key, f"{value!r} is not {form}"
    for key in ("name", "path", "dtype", "form"):
        text = data.get(key, _USUAL.get(key))
        wrong = _wrong_text(key, text) if isinstance(text, str) else f"{text!r} is not a text"
        if wrong:
            yield key, wrong
    for key in ("time_index", "channel_index"):
        value = data.get(key, 0)
        if not (_is_count(value) or value == 0):
            yield key, f"{value!r} is not a whole number from 0 on"


def _wrong_text(key: str, text: str) -> str:
    """Return what is wrong with a text of a tile, nothing where it is right."""
    if key == "dtype" and not _DTYPE.fullmatch(text):
        return f"{text!r} is no type of voxels; write one such as uint16 or float32"
    if key == "form" and text:
        try:
            format_named(text)
        except ValueError as error:
            return str(error)
    return "is empty" if key != "form" and not text else ""


def _check_keys(
    data: Mapping[str, Any],
    known: frozenset[str],
    needed: tuple[str, ...],
    where: str,
    problems: list[str],
) -> None:
    problems += [
        joined(f"{where}.{key}: is not known", suggestion(key, known))
        for key in data
        if key not in known
    ]
    problems += [f"{where}.{key}: is missing" for key in needed if key not in data]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def write_alignment(path: str, alignment: Alignment, identity: str) -> None:
    """Write an alignment to a file in one step, with the identity of what it was made from.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    content = asdict(alignment) | {"form": FORM, "made_from": identity}
    if alignment.pitch is not None and alignment.pitch.error_um == float("inf"):
        content["pitch"]["error_um"] = None
    write_json(path, content)


def read_alignment(path: str) -> Alignment:
    """Return the alignment of a file.

    Raises
    ------
    TilesRefusedError
        The file cannot be read, or holds no alignment.
    """
    data = _read(path)
    try:
        pitch = data["pitch"]
        if pitch is not None:
            error = float("inf") if pitch["error_um"] is None else pitch["error_um"]
            pitch = PitchEstimate(**pitch | {"error_um": error})
        return Alignment(
            Geometry(**data["geometry"]),
            tuple(AlignedTile(**_as_tuples(tile)) for tile in data["tiles"]),
            tuple(AlignedPair(**_as_tuples(pair)) for pair in data["pairs"]),
            pitch,
            tuple(data["warnings"]),
        )
    except (LookupError, TypeError, ValueError) as error:
        message = f"{path}: is no alignment as this program writes it: {error!r}"
        raise TilesRefusedError(message) from error


def alignment_identity(path: str) -> str:
    """Return the identity of what an alignment was made from; nothing where there is none."""
    try:
        return str(_read(path).get("made_from", ""))
    except TilesRefusedError:
        return ""


def _as_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}


def match_tiles(alignment: Alignment, tiles: TileSet, path: str) -> Alignment:
    """Return an alignment in the order of tiles, by names: it may be that of another channel.

    Raises
    ------
    TilesRefusedError
        A tile is not in the alignment.
    """
    by_name = {tile.name: tile for tile in alignment.tiles}
    missing = [tile.name for tile in tiles.tiles if tile.name not in by_name]
    if missing:
        message = f"{path}: has no place for {', '.join(missing)}; align these tiles again"
        raise TilesRefusedError(message)
    return replace(alignment, tiles=tuple(by_name[tile.name] for tile in tiles.tiles))
