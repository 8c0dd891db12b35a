"""The forms that an OME-Zarr has on the disk: version 0.5 in shards, version 0.4 in single chunks.

A writer makes an image shard by shard (see `arrays.grid`), in any order and by any number of
threads. A form adds which objects a shard becomes, how it is known that one is there, and the
metadata. These come last, so a store that can be opened is complete. A shard that is said to be
there is on the disk, even after a power cut.

In OME-Zarr 0.5 (Zarr v3) a shard is an object, and there when the object is. In OME-Zarr 0.4
(Zarr v2) each of its chunks is one, up to thousands of them. Syncing and renaming each would take
as long as all the rest, so they are written to their places, synced together, and then noted in a
folder that is gone when the image is whole. A chunk without a note counts for nothing: its shard
is made again.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Protocol

from spimpack_tasks.arrays.codecs import BLOSC_HEAD, Gzip, begins_bare, has_checksum_behind
from spimpack_tasks.files.atomic import PART, Durability
from spimpack_tasks.files.places import put_json
from spimpack_tasks.model.axes import in_all_axes, of_axes
from spimpack_tasks.volumes.ome_zarr.metadata import array_v2, array_v3, attributes_v2, group_v3
from spimpack_tasks.volumes.ome_zarr.shards import read_shard, shard_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import LevelGrid, Shape
    from spimpack_tasks.files.places import Parts, Place
    from spimpack_tasks.volumes.spec import VolumeSpec

_NOTES = ".finished"
"""Folder with an empty object for each shard that is on the disk."""
_LABELS = "labels"
_LAYOUT = {
    "0.4": ("shape", "chunks", "dtype", "dimension_separator"),
    "0.5": ("shape", "chunk_grid", "data_type", "dimension_names"),
}
"""Keys of the metadata of a level that fix the place of each voxel, and its type."""


class Store(Protocol):
    """An OME-Zarr that is being made. All methods but `finish` are for several threads at once."""

    @property
    def levels(self) -> tuple[LevelGrid, ...]:
        """The levels, the full one first."""

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether a shard is there, as far as is known; it may be made once more."""

    def write(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write a shard.

        Parameters
        ----------
        level
            Number of the level.
        shard
            Place in the grid of shards.
        chunks
            The encoded bytes of each chunk in the order of `LevelGrid.chunks_of`, in parts; `None`
            for one that is all zero, or beyond the edge.
        """

    def read(self, level: int, shard: Shape) -> Iterator[bytes | None]:
        """Yield the encoded bytes of the chunks of a shard that is there, `None` for zeros."""

    def finish(self, spec: VolumeSpec, codec: Codec) -> None:
        """Write what makes an OME-Zarr of the shards, when all are there."""


class ListedStore(Store, Protocol):
    """An OME-Zarr whose objects can be listed."""

    def objects(self, level: int) -> Iterator[tuple[str, Shape | None]]:
        """Yield the key of each object of voxels of a level that is there, with its shard.

        The shard is `None` for an object that a killed process has left under another name.
        """


def open_store(
    place: Place,
    ngff: str,
    axes: str,
    levels: Sequence[LevelGrid],
    durability: Durability = Durability.SAFE,
) -> Store:
    """Return the store of a version of OME-Zarr at a place, new or of an interrupted writer.

    Files of a version that wrote all five axes are deleted.

    Parameters
    ----------
    place
        Where the image is written.
    ngff
        Version of OME-Zarr.
    axes
        Axes of the image.
    levels
        Levels of the image, the full one first.
    durability
        `SAFE` if a shard is on the disk when it is written; `WHOLE` if the caller notes which
        shards are written, and syncs them.
    """
    voxels = "0" if ngff == "0.4" else "0/c"
    if _count_folders(place, voxels) >= len(axes):
        for name in place.names(""):
            if name != _LABELS:
                place.remove(name)
    return read_store(place, ngff, axes, levels, durability)


def read_store(
    place: Place,
    ngff: str,
    axes: str,
    levels: Sequence[LevelGrid],
    durability: Durability = Durability.SAFE,
) -> ListedStore:
    """Return the store of a version of OME-Zarr at a place as it is; see `open_store`."""
    return (_ChunkFiles if ngff == "0.4" else _ShardFiles)(place, tuple(levels), axes, durability)


def holds_another(place: Place, ngff: str, full: LevelGrid, spec: VolumeSpec) -> bool:
    """Tell whether a whole image lies at a place that is not of a version, level, type and axes."""
    is_old = ngff == "0.4"
    if place.has("zarr.json" if is_old else ".zattrs"):
        return True
    if not place.has(".zattrs" if is_old else "zarr.json"):
        return False
    array = array_v2 if is_old else array_v3
    wanted = array(full, spec.dtype, Gzip(), spec.axes)
    try:
        found = json.loads(place.read("0/.zarray" if is_old else "0/zarr.json") or b"")
    except ValueError:
        return True
    return not isinstance(found, dict) or any(
        found.get(key) != wanted[key] for key in _LAYOUT[ngff]
    )


def write_labels_group(place: Place, ngff: str, names: Sequence[str]) -> None:
    """Write the metadata of the folder of labels, which names them."""
    if ngff == "0.4":
        put_json(place, f"{_LABELS}/.zgroup", {"zarr_format": 2})
        put_json(place, f"{_LABELS}/.zattrs", {"labels": [*names]})
        return
    attributes = {"ome": {"version": "0.5", "labels": [*names]}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    put_json(place, f"{_LABELS}/zarr.json", group)


def _count_folders(place: Place, folder: str) -> int:
    """Return how many folders lie in one another where the first object of voxels is."""
    count = 0
    while names := [name for name in place.names(folder) if name.isdecimal()]:
        folder = f"{folder}/{min(names, key=int)}"
        count += bool(place.names(folder))
    return count


def _objects(place: Place, folder: str, axes: str) -> Iterator[tuple[str, Shape | None]]:
    """Yield the key of each object below a folder of voxels, with its place along five axes."""
    pending: list[tuple[str, tuple[int, ...]]] = [(folder, ())]
    while pending:
        key, before = pending.pop()
        for name in place.names(key):
            at = (*before, int(name)) if name.isdecimal() else ()
            if len(before) < len(axes) - 1:
                # Others than numbers, such as `.zarray`, are no voxels.
                pending += [(f"{key}/{name}", at)] if at else []
            else:
                yield f"{key}/{name}", in_all_axes(axes, at) if at else None


def has_bare_blosc(place: Place) -> bool:
    """Tell whether chunks of Blosc in the shards of an image have no checksums behind them.

    Earlier versions wrote none, and their interrupted images are resumed without.
    """
    key = _first_shard(place)
    if not key:
        return False
    shard = place.read(key) or b""
    length = begins_bare(shard[:BLOSC_HEAD], len(shard))
    return length > 0 and not has_checksum_behind(shard[:length], shard[length:])


def _first_shard(place: Place) -> str:
    """Return the key of a shard of any level, nothing where there is none."""
    pending = [f"{level}/c" for level in place.names("") if level.isdecimal()]
    while pending:
        key = pending.pop()
        names = [name for name in place.names(key) if not name.endswith(PART)]
        if not names and place.has(key):
            return key
        pending += [f"{key}/{name}" for name in names]
    return ""


@dataclass(frozen=True, slots=True)
class _ShardFiles:
    """OME-Zarr 0.5. A shard of zeros alone has no object, and is made again when it is resumed."""

    place: Place
    levels: tuple[LevelGrid, ...]
    axes: str
    durability: Durability

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether there is the object."""
        return self.place.has(self._key(level, shard))

    def write(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write the object; without a chunk there is none."""
        self.place.put(self._key(level, shard), shard_pieces(chunks), self.durability)

    def read(self, level: int, shard: Shape) -> Iterator[bytes | None]:
        """Yield the chunks of the object."""
        count = math.prod(self.levels[level].shard)
        if self.has(level, shard):
            yield from read_shard(self.place, self._key(level, shard), count)
        else:
            yield from repeat(None, count)

    def objects(self, level: int) -> Iterator[tuple[str, Shape | None]]:
        """Yield the objects of shards."""
        yield from _objects(self.place, f"{level}/c", self.axes)

    def finish(self, spec: VolumeSpec, codec: Codec) -> None:
        """Write the metadata, those of the whole last."""
        for number, level in enumerate(self.levels):
            metadata = array_v3(level, spec.dtype, codec, spec.axes)
            put_json(self.place, f"{number}/zarr.json", metadata)
        put_json(self.place, "zarr.json", group_v3(spec, self.levels))

    def _key(self, level: int, shard: Shape) -> str:
        return f"{level}/c/{'/'.join(map(str, of_axes(self.axes, shard)))}"


@dataclass(frozen=True, slots=True)
class _ChunkFiles:
    """OME-Zarr 0.4. A chunk of zeros alone has no object, unless it is the very first.

    With that, no image consists of nothing but hidden files, which is empty to the BIDS validator.
    """

    place: Place
    levels: tuple[LevelGrid, ...]
    axes: str
    durability: Durability

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether there is a note, or the image is whole and needs none."""
        return self.place.has(self._note(level, shard)) or self.place.has(".zattrs")

    def write(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write the objects of the chunks, and note the shard when they are on the disk.

        A caller that syncs objects by itself notes shards by itself as well.
        """
        for chunk, parts in zip(self.levels[level].chunks_of(shard), chunks, strict=True):
            if chunk is not None and parts is not None:
                self.place.put(self._key(level, chunk), (parts,), Durability.PLAIN)
            elif chunk is not None:
                self.place.remove(self._key(level, chunk))
        if self.durability is Durability.SAFE:
            self.place.sync()
            self.place.put(self._note(level, shard), ((b"",),), Durability.PLAIN)

    def read(self, level: int, shard: Shape) -> Iterator[bytes | None]:
        """Yield what is in the objects of the chunks."""
        for chunk in self.levels[level].chunks_of(shard):
            yield self.place.read(self._key(level, chunk)) if chunk is not None else None

    def objects(self, level: int) -> Iterator[tuple[str, Shape | None]]:
        """Yield the objects of chunks."""
        for key, chunk in _objects(self.place, str(level), self.axes):
            sides = self.levels[level].shard
            yield key, tuple(at // n for at, n in zip(chunk, sides, strict=True)) if chunk else None

    def finish(self, spec: VolumeSpec, codec: Codec) -> None:
        """Write the metadata, those of the whole last, and take the notes away."""
        first = self._key(0, (0,) * len(self.levels[0].grid))
        if not self.place.has(first):
            zeros = bytes(self.levels[0].chunk_voxels * spec.dtype.itemsize)
            self.place.put(first, (codec.encode(zeros),), Durability.WHOLE)
        for number, level in enumerate(self.levels):
            metadata = array_v2(level, spec.dtype, codec, spec.axes)
            put_json(self.place, f"{number}/.zarray", metadata)
        put_json(self.place, ".zgroup", {"zarr_format": 2})
        put_json(self.place, ".zattrs", attributes_v2(spec, self.levels))
        self.place.remove(_NOTES)

    def _key(self, level: int, chunk: Shape) -> str:
        return f"{level}/{'/'.join(map(str, of_axes(self.axes, chunk)))}"

    def _note(self, level: int, shard: Shape) -> str:
        return f"{_NOTES}/{level}/{'.'.join(map(str, shard))}"
