"""Tiles of mesoSPIM-control: `…Tile<n>_Ch<laser>…` with a file `_meta.txt` beside each.

Facts: mesoSPIM-control 1.20. Places are those of the stage in micrometres. The program itself has
them fall along x and y while pixels rise, unless its configuration (`flip_xyz`) says otherwise.
Planes run from `z_start` to `z_end`, so z counts in that direction.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from spimpack_tasks.acquisition.facts import AcquisitionFileError
from spimpack_tasks.acquisition.mesospim import ENDING, StackPlace, read_place
from spimpack_tasks.errors import Place, Problem
from spimpack_tasks.stitching.discovery.found import GEOMETRY, LAYOUT, PLACE, Found, FoundTile
from spimpack_tasks.volumes.formats import format_of

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report
    from spimpack_tasks.stitching.discovery.found import TileChoices

_NAME = re.compile(r"(?:.*_)?Tile([0-9]+)(?:_Ch([0-9]+(?:nm)?))?(?:[_.].*)?")
_REVERSED = "xy"
"""Axes along which the stage falls, by the program's own default."""


def fits(path: str) -> bool:
    """Tell whether a folder holds images with the name of a tile, and files beside them."""
    return bool(_images_in(path))


def _images_in(path: str) -> dict[str, re.Match[str]]:
    """Return the images of a folder that have the name of a tile and a file beside them."""
    try:
        names = set(os.listdir(path))
    except OSError:
        return {}
    return {
        name: found
        for name in sorted(names)
        if f"{name}{ENDING}" in names and format_of(name) and (found := _NAME.fullmatch(name))
    }


def find(path: str, choices: TileChoices, report: Report) -> Found | None:
    """Return the tiles of a folder, of one channel."""
    images = _images_in(path)
    channels = sorted({found[2] or "" for found in images.values()})
    chosen = choices.channel.removeprefix("Ch")
    if len(channels) > 1 and chosen not in channels:
        what = f"has no channel {chosen!r}" if chosen else "holds several channels"
        hint = f"choose one; there are {', '.join(f'Ch{each}' for each in channels)}"
        report.add(Problem(LAYOUT, Place(path), "channel", what, hint))
        return None
    names = [n for n, found in images.items() if len(channels) == 1 or found[2] == chosen]
    places = {name: place for name in names if (place := _place(path, name, report))}
    _check_alike(path, places, report)
    first = next(iter(places.values()), None)
    tiles = [_tile(path, name, place) for name, place in places.items()]
    return Found(
        tuple(sorted(tiles, key=lambda tile: int(_NAME.fullmatch(tile.name)[1]))),  # type: ignore[index]
        Place(path),
        pitch_um=first.pitch_um if first else None,
        step_um=first.step_um if first else None,
        reversed_axes=_REVERSED,
    )


def _place(path: str, name: str, report: Report) -> StackPlace | None:
    file = f"{path}/{name}{ENDING}"
    try:
        return read_place(file)
    except AcquisitionFileError as error:
        report.add(Problem(PLACE, Place(file), "", str(error)))
        return None


def _tile(path: str, name: str, place: StackPlace) -> FoundTile:
    position = (place.z_start_um * place.direction, place.y_um, place.x_um)
    return FoundTile(name, f"{path}/{name}", position, Place(f"{path}/{name}{ENDING}"))


def _check_alike(path: str, places: dict[str, StackPlace], report: Report) -> None:
    """Report tiles whose pixels, steps or direction are others than those of the first."""
    alike = {name: (p.pitch_um, p.step_um, p.direction) for name, p in places.items()}
    first = next(iter(alike), "")
    for name, told in alike.items():
        if told != alike[first]:
            shown = [f"{p} µm, steps {s} µm towards {'larger' if d > 0 else 'smaller'} z"
                     for p, s, d in (told, alike[first])]  # fmt: skip
            what = f"has pixels of {shown[0]}, but {first!r} has {shown[1]}"
            where = Place(f"{path}/{name}{ENDING}")
            report.add(Problem(GEOMETRY, where, "", what, "stitch tiles of one setting"))
