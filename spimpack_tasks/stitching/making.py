"""Makes a volume beside its target, in parts and by any processes, and renames it when it is whole.

    .<name>.unfinished/          locked by all who work in it, alone by the one who finishes
      <identity>/                the OME-Zarr
      <identity>.parts/<n>-<of>  a part that is written, locked by the one who writes it

The identity is a digest of tiles, places and choices. So a killed run is resumed, and with other
inputs it begins again. At the target there is an earlier volume, nothing, or the whole new one.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.files.atomic import discard, sync_disk
from spimpack_tasks.files.held_folders import move_to_target, place_of
from spimpack_tasks.files.noted_parts import NotedParts
from spimpack_tasks.files.places import LocalPlace
from spimpack_tasks.stitching.identity import Pace
from spimpack_tasks.stitching.tiles import count_parts
from spimpack_tasks.stitching.volume import (
    finish_volume,
    identify_stitching,
    open_stacks,
    write_part,
)
from spimpack_tasks.stitching.working import (
    check_target,
    hold_place,
    is_made,
)
from spimpack_tasks.volumes.source_errors import as_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.stitching.frames import OpenTiles
    from spimpack_tasks.stitching.volume import Stitching


def has_part(work: Stitching, target: str, part: tuple[int, int]) -> bool:
    """Tell whether a part is written, or the whole volume."""
    identity = identify_stitching(work)
    number, count = part
    parts = _parts_of(place_of(target), identity, count)
    return is_made(target, identity) or parts.has(number)


def make_part(
    work: Stitching,
    target: str,
    part: tuple[int, int],
    threads: int,
    advance: Callable[[int], None],
) -> bool:
    """Write one part of a volume, and note it; tell whether anything was to be done.

    Parameters
    ----------
    work
        The volume.
    target
        Its path.
    part
        Number of the part, from 0 on, and number of parts.
    threads
        How many work side by side.
    advance
        Told the bytes of voxels after each block.

    Raises
    ------
    SpimpackError
        The target is taken.
    OSError
        A tile is damaged or has changed, or the disk does not take the part.
    """
    with open_stacks(work) as stacks:
        return _make_part(work, target, part, stacks, Pace(threads, advance))


def _make_part(
    work: Stitching, target: str, part: tuple[int, int], stacks: OpenTiles, pace: Pace
) -> bool:
    check_target(target, [tile.path for tile in work.tiles.tiles])
    identity = identify_stitching(work)
    with hold_place(target, identity) as place:
        if place is None:  # made meanwhile
            return False
        parts = _parts_of(place, identity, part[1])
        with parts.making(part[0]) as is_missing:
            if not is_missing:
                return False
            with as_os_errors():
                made_at = LocalPlace(f"{place}/{identity}")
                write_part(work, made_at, part, stacks, pace)
            _require_same(work, identity, place)
            sync_disk(place)
            parts.note(part[0])
    return True


def finish(work: Stitching, target: str, parts: int, threads: int) -> bool:
    """Make a volume of its parts, and give it its name; tell whether anything was to be done.

    Raises
    ------
    OSError
        Parts are missing, or the disk does not take the volume.
    """
    identity = identify_stitching(work)
    with hold_place(target, identity, alone=True) as place:
        if place is None:
            return False
        noted = _parts_of(place, identity, parts)
        if missing := noted.lacking():
            message = f"{len(missing)} of {parts} parts of {target} are missing; run it again"
            raise OSError(errno.ENODATA, message)
        path = f"{place}/{identity}"
        finish_volume(work, LocalPlace(path), threads)
        _require_same(work, identity, place)
        sync_disk(place)
        check_target(target, [tile.path for tile in work.tiles.tiles])
        move_to_target(path, target)
        noted.discard()
    return True


def stitch(work: Stitching, target: str, threads: int, advance: Callable[[int], None]) -> bool:
    """Make a whole volume in this process, or find that it is there.

    Raises
    ------
    SpimpackError, OSError
        As of `make_part` and `finish`.
    """
    check_target(target, [tile.path for tile in work.tiles.tiles])
    if is_made(target, identify_stitching(work)):
        return False
    with open_stacks(work) as stacks:
        parts = count_parts(work.tiles)
        for number in range(parts):
            _make_part(work, target, (number, parts), stacks, Pace(threads, advance))
    return finish(work, target, parts, threads)


def _parts_of(place: str, identity: str, count: int) -> NotedParts:
    return NotedParts(f"{place}/{identity}.parts", count)


def _require_same(work: Stitching, identity: str, place: str) -> None:
    """Refuse what was made of tiles that changed meanwhile, and delete it."""
    if identify_stitching(work) != identity:
        with suppress(FileNotFoundError):
            discard(f"{place}/{identity}.parts")
        with suppress(FileNotFoundError):
            discard(f"{place}/{identity}")
        raise OSError(errno.ESTALE, "a tile changed while it was read; run it again")
