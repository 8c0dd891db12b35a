"""Trees of SmartSPIM: planes `<channel>/<x>/<x>_<y>/<z>.tif`, in tenths of a micrometre.

A file `metadata*.json` or `metadata.txt` beside the channels tells pixels and step. Planes are
numbered by their place along z.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from spimpack_tasks.acquisition.facts import AcquisitionFileError
from spimpack_tasks.acquisition.names import list_metadata
from spimpack_tasks.acquisition.smartspim import find_file, read
from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.files.plane_names import list_planes
from spimpack_tasks.stitching.discovery.found import GEOMETRY, Found, FoundTile
from spimpack_tasks.stitching.discovery.stage_tree import (
    choose_channel,
    columns_below,
    in_order,
    place_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.errors import Report
    from spimpack_tasks.stitching.discovery.found import TileChoices

_NUMBER = re.compile(r"(?:.*[^0-9-])?(-?[0-9]+)")
_TENTHS = 10
"""Numbers are of tenths of a micrometre."""


def fits(path: str) -> bool:
    """Tell whether a folder holds places of a stage with planes in them."""
    return any(_planes_in(column) for column in columns_below(path))


def _planes_in(column: str) -> list[str]:
    try:
        return list_planes(column)
    except (OSError, ValueError):
        return []


def find(path: str, choices: TileChoices, report: Report) -> Found | None:
    """Return the tiles of a channel."""
    channel = choose_channel(path, choices.channel, report)
    if channel is None:
        return None
    tiles = tuple(sorted(_tiles_of(channel, report), key=in_order))
    pitch = step = None
    file = find_file(tiles[0].path, list_metadata) if tiles else ""
    if file:
        try:
            pitch, _, step = read(file, tiles[0].path).spacing_um_xyz
        except AcquisitionFileError as error:
            hint = "correct it, or give the distances of pixels and of frames"
            report.add(Problem(GEOMETRY, Place(file), "", str(error), hint))
    return Found(tiles, Place(file or path), pitch_um=pitch, step_um=step)


def _tiles_of(channel: str, report: Report) -> Iterator[FoundTile]:
    for column in columns_below(channel):
        numbers = [_NUMBER.fullmatch(name.partition(".")[0]) for name in _planes_in(column)]
        places = [int(number[1]) for number in numbers if number]
        xy = place_of(column, report) if places else None
        if xy is not None:
            position = (min(places) / _TENTHS, xy[1], xy[0])
            yield FoundTile(os.path.relpath(column, channel), column, position, Place(column))
