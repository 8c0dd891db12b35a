"""Settles objects of voxels that the journal of a killed process does not name, or names too early.

A shard gets its name a moment before the journal names its planes. A process that dies in between
leaves planes in the image that count as missing. So each shard that is not recorded is either taken
up, where it is surely whole, or deleted: frames are named as missing only where the image has
zeros. A shard of a smaller level counts only where all planes are recorded that it is made of.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from spimpack_tasks.streams.missing_levels import sources_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.files.places import Place
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.slabs import SlabKey
    from spimpack_tasks.streams.zarr_level import LevelWriter
    from spimpack_tasks.volumes.ome_zarr.stores import ListedStore


def settle_unrecorded(
    place: Place,
    store: ListedStore,
    levels: Sequence[LevelWriter],
    skipped: set[PlaneAt],
    *,
    are_whole: bool,
) -> None:
    """Take up or delete what is not recorded of an image.

    Parameters
    ----------
    place
        Where the image is.
    store
        The form that it has there.
    levels
        All levels, the full one first, which have taken up what is recorded.
    skipped
        Planes that never came.
    are_whole
        Whether each object that has its name is whole.
    """
    for below, level in pairwise(levels):
        for key in [key for key in level.done if not _has_all_sources(level, key, below)]:
            level.forget(key)
    for name in place.names(""):
        if name.isdecimal() and int(name) >= len(levels):  # made when the process died at the end
            place.remove(name)
    for number, level in enumerate(levels):
        for key, objects in _find_unrecorded(place, store, level).items():
            is_kept = are_whole and not number and level.take_up(key, {*objects.values()}, skipped)
            for name in () if is_kept else objects:
                place.remove(name)


def _find_unrecorded(
    place: Place, store: ListedStore, level: LevelWriter
) -> dict[SlabKey, dict[str, Shape]]:
    """Return the objects of slabs that are not recorded, with their places along y and x.

    Objects that are no shards are deleted.
    """
    found: dict[SlabKey, dict[str, Shape]] = {}
    for name, shard in store.objects(level.level):
        if shard is None:
            place.remove(name)
        elif (key := (shard[0], shard[1], shard[2])) not in level.done:
            found.setdefault(key, {})[name] = shard[3:]
    return found


def _has_all_sources(level: LevelWriter, key: SlabKey, below: LevelWriter) -> bool:
    """Tell whether all planes are recorded that a slab is made of."""
    planes = (at for _, at in level.grid.planes_of(key))
    return all(
        below.grid.key_of(source) in below.done
        for at in planes
        for source in sources_of(at, level, below)
    )
