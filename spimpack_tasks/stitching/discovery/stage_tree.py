"""Trees `<channel>/<x>/<x>_<y>/<z>.dcimg` of oblique microscopes, in tenths of a micrometre.

Facts: spimstitch (MIT). Numbers may be negative. A tile is a file of any format that holds a stack,
or a folder of planes. `metadata.txt` lies beside the channels; it tells step and pixels, whether y
falls while rows rise, and whether rows are turned round.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from spimpack_tasks.acquisition.facts import AcquisitionFileError
from spimpack_tasks.acquisition.ospim import METADATA, read_oblique
from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.files.natural_order import natural
from spimpack_tasks.files.plane_names import list_planes
from spimpack_tasks.stitching.discovery.found import GEOMETRY, LAYOUT, PLACE, Found, FoundTile
from spimpack_tasks.stitching.tiles import OBLIQUE_ANGLE_DEG
from spimpack_tasks.volumes.formats import TIFF, format_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.stitching.discovery.found import TileChoices

_NUMBER = re.compile("-?[0-9]+")
_PAIR = re.compile("(-?[0-9]+)_(-?[0-9]+)")
_TENTHS = 10
"""Numbers are of tenths of a micrometre."""
_QUARTER_TURNS = 3
"""Of frames as the camera writes them, so that columns run down along the sheet."""


def fits(path: str) -> bool:
    """Tell whether a folder holds places of a stage with stacks in them."""
    return any(True for folder in columns_below(path) if next(_stacks_in(folder), None))


def find(path: str, choices: TileChoices, report: Report) -> Found | None:
    """Return the tiles of a channel."""
    channel = choose_channel(path, choices.channel, report)
    if channel is None:
        return None
    tiles = sorted(_tiles_of(channel, report), key=in_order)
    where = Place(
        f"{path}/{METADATA}" if channel != path else f"{os.path.dirname(path)}/{METADATA}"
    )
    told: dict[str, Any] = {}
    if not _is_all_chosen(choices):
        told = _by_metadata(where, os.path.basename(channel), choices, report)
    return Found(
        tuple(tiles),
        where,
        pitch_um=told.get("pitch_um"),
        step_um=told.get("step_um"),
        angle_deg=OBLIQUE_ANGLE_DEG,
        rotate_90=_QUARTER_TURNS,
        flip_ud=told.get("flip_ud"),
        reversed_axes=told.get("reversed_axes"),
    )


def _is_all_chosen(choices: TileChoices) -> bool:
    """Tell whether a user says all that the file of metadata would."""
    said = (choices.pitch_um, choices.step_um, choices.flip_ud, choices.reversed_axes)
    return None not in said


def _by_metadata(
    where: Place, channel: str, choices: TileChoices, report: Report
) -> dict[str, Any]:
    """Return what the file of metadata tells, nothing where there is none."""
    if not os.path.lexists(where.file):
        return {}
    try:
        told = read_oblique(where.file)
        flips = told.flips_rows(channel) if choices.flip_ud is None else None
    except AcquisitionFileError as error:
        for line in str(error).splitlines():
            number, message = _split(line.removeprefix(f"{where.file}:"))
            hint = "correct the file, or give step, pixels, reversed axes and turns yourself"
            report.add(Problem(GEOMETRY, Place(where.file, number), "", message, hint))
        # These are told already, and are not missing as well.
        return {"pitch_um": 1.0, "step_um": 1.0, "flip_ud": False, "reversed_axes": ""}
    return {
        "pitch_um": told.pitch_um,
        "step_um": told.step_um,
        "flip_ud": flips,
        "reversed_axes": "y" if told.is_y_negative else "",
    }


def _split(line: str) -> tuple[int, str]:
    number, _, rest = line.partition(":")
    return (int(number), rest.strip()) if number.isdecimal() and rest else (0, line.strip())


def choose_channel(path: str, chosen: str, report: Report) -> str | None:
    """Return the folder of a channel: the path itself, or one below it."""
    if any(True for _ in _numbered(path)):
        return path
    channels = {os.path.basename(each): each for each in channels_below(path)}
    if chosen in channels or (len(channels) == 1 and not chosen):
        return channels[chosen or next(iter(channels))]
    known = ", ".join(sorted(channels, key=natural)) or "none"
    what = f"has no channel {chosen!r}" if chosen else "holds several channels"
    report.add(Problem(LAYOUT, Place(path), "channel", what, f"choose one; there are {known}"))
    return None


def channels_below(path: str) -> Iterator[str]:
    """Yield the folders that hold folders by a number of x."""
    for entry in _folders(path):
        if any(True for _ in _numbered(entry)):
            yield entry


def columns_below(path: str) -> Iterator[str]:
    """Yield the folders `<x>_<y>` of a channel, or of all channels of a folder."""
    for channel in [path] if next(_numbered(path), None) else channels_below(path):
        for folder in _numbered(channel):
            yield from (
                each for each in _folders(folder) if _PAIR.fullmatch(os.path.basename(each))
            )


def in_order(tile: FoundTile) -> tuple[float, float, float, str]:
    """Return a key by which tiles are in the order of x, y and z."""
    z, y, x = tile.position_um_zyx
    return x, y, z, tile.name


def place_of(column: str, report: Report) -> tuple[float, float] | None:
    """Return x and y of a folder `<x>/<x>_<y>` in micrometres."""
    outer, name = os.path.basename(os.path.dirname(column)), os.path.basename(column)
    pair = _PAIR.fullmatch(name)
    if pair is None or int(pair[1]) != int(outer):
        own = pair[1] if pair else name
        what = f"lies in the folder {outer}, but its own x is {own}"
        report.add(Problem(PLACE, Place(column), "", what, "put it into the folder of its x"))
        return None
    return int(pair[1]) / _TENTHS, int(pair[2]) / _TENTHS


def _tiles_of(channel: str, report: Report) -> Iterator[FoundTile]:
    for column in columns_below(channel):
        xy = place_of(column, report)
        if xy is None:
            continue
        for stack in _stacks_in(column):
            z = os.path.basename(stack).partition(".")[0]
            name = f"{os.path.relpath(column, channel)}/{z}"
            position = (int(z) / _TENTHS, xy[1], xy[0])
            yield FoundTile(name, stack, position, Place(stack))


def _stacks_in(column: str) -> Iterator[str]:
    """Yield the stacks in a folder `<x>_<y>`, which are named by their z."""
    for entry in _entries(column):
        stem = entry.name.partition(".")[0]
        if not _NUMBER.fullmatch(stem):
            continue
        form = format_of(entry.name)
        if form not in {None, TIFF} or (entry.is_dir() and _holds_planes(entry.path)):
            yield entry.path


def _holds_planes(path: str) -> bool:
    try:
        return bool(list_planes(path))
    except OSError:
        return False


def _numbered(path: str) -> Iterator[str]:
    """Yield the folders by a number of x that hold folders of places."""
    for folder in _folders(path):
        if _NUMBER.fullmatch(os.path.basename(folder)):
            yield folder


def _folders(path: str) -> Iterator[str]:
    yield from (entry.path for entry in _entries(path) if entry.is_dir())


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []
