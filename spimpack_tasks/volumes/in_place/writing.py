"""Writes an OME-Zarr whose full level is a copy of its source with an index behind it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.codecs import choose_codec
from spimpack_tasks.arrays.pyramid import halve, plan_levels
from spimpack_tasks.files.atomic import PART, sync_disk
from spimpack_tasks.files.copying import copy_file
from spimpack_tasks.files.places import put_json
from spimpack_tasks.model.axes import of_axes
from spimpack_tasks.volumes.copy import copy_volume
from spimpack_tasks.volumes.in_place.blocks import NotInPlaceError
from spimpack_tasks.volumes.ome_zarr.metadata import array_v3, group_v3
from spimpack_tasks.volumes.ome_zarr.stores import open_store
from spimpack_tasks.volumes.ome_zarr.writer import OmeZarrWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import LevelGrid, Region, Shape, Voxels
    from spimpack_tasks.arrays.parallel import WorkPool
    from spimpack_tasks.files.places import LocalPlace, Parts
    from spimpack_tasks.volumes.in_place.blocks import StoredBlocks
    from spimpack_tasks.volumes.ome_zarr.stores import Store
    from spimpack_tasks.volumes.spec import VolumeSpec
    from spimpack_tasks.volumes.volume import Level, Volume

    Advance = Callable[[int], None]


_CODECS: Mapping[str, list[dict[str, Any]]] = MappingProxyType(
    {
        "none": [],
        "zstd": [{"name": "zstd", "configuration": {"level": 0, "checksum": False}}],
        "zlib": [{"name": "numcodecs.zlib", "configuration": {"level": 1}}],
    }
)
"""The codecs of Zarr v3 by those of blocks. Their levels are not used to decode."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """The codec of the blocks of a source, which are never encoded here."""

    name: str

    def v3(self) -> list[dict[str, Any]]:
        """Return the codecs of Zarr v3."""
        return _CODECS[self.name]


def plan_in_place(blocks: StoredBlocks, spec: VolumeSpec) -> tuple[LevelGrid, ...]:
    """Return the levels of an image whose full level is that of its source.

    Raises
    ------
    NotInPlaceError
        The image is so small that it has no other level, or the blocks are of another image.
    """
    if tuple(spec.shape_tczyx) != blocks.shape or spec.dtype.newbyteorder("=") != (
        blocks.dtype.newbyteorder("=")
    ):
        message = "its planes are not those of the image"
        raise NotInPlaceError(message)
    planned = plan_levels(blocks.shape, int(blocks.dtype.itemsize))
    if len(planned) == 1:
        message = "it is so small that it has one level only"
        raise NotInPlaceError(message)
    return (blocks.level, *planned[1:])


class InPlaceImage:
    """An OME-Zarr whose full level is made of the files of its source.

    Parameters
    ----------
    blocks
        Where the voxels of the source lie.
    spec
        What is known of the image.
    place
        Where it is written.
    codec
        Name of the codec of the smaller levels.

    Raises
    ------
    NotInPlaceError
        As of `plan_in_place`.
    """

    def __init__(
        self, blocks: StoredBlocks, spec: VolumeSpec, place: LocalPlace, codec: str
    ) -> None:
        self._blocks, self._spec, self._place = blocks, spec, place
        self._levels = plan_in_place(blocks, spec)
        self._codec = choose_codec(codec, int(spec.dtype.itemsize), has_checksum=True)

    @property
    def size(self) -> int:
        """Bytes of the voxels of the full level, which `write` reports."""
        return self._spec.size

    def _writer(self, pool: WorkPool) -> OmeZarrWriter:
        """Return the writer of the smaller levels, for which the second one is the full one."""
        store = open_store(self._place, "0.5", self._spec.axes, self._levels)
        upper = _Upper(store, self._spec, self._place, self._blocks)
        half = replace(self._spec, shape_tczyx=self._levels[1].shape)
        return OmeZarrWriter(upper, half, self._codec, pool)

    def write(self, volume: Volume, advance: Advance, pool: WorkPool) -> None:
        """Write the image, or resume that.

        Parameters
        ----------
        volume
            The source, whose voxels are read for the smaller levels.
        advance
            Told the number of bytes of voxels after each piece, those of the full level in all.
        pool
            The threads that encode and write.

        Raises
        ------
        NotInPlaceError
            A block does not lie in its file.
        OSError
            The source cannot be read, or the disk does not take the image.
        """
        writer = self._writer(pool)
        full, half = self._levels[:2]
        for shard in full.shards():
            key = f"0/c/{'/'.join(map(str, of_axes(self._spec.axes, shard)))}"
            _place_shard(self._blocks, shard, self._place, key)
        sync_disk(self._place.root)
        advance(self._spec.size - writer.spec.size)
        sizes = zip(full.shape[2:], half.shape[2:], strict=True)
        steps = tuple(2 if larger > smaller else 1 for larger, smaller in sizes)
        level = _halve_level(volume.levels[0], half.shape, steps)
        copy_volume(replace(volume, levels=(level,)), writer, advance, pool)
        writer.finish()

    def finish_with_voxels(self, pool: WorkPool) -> None:
        """Write the metadata of an image whose voxels are there already, such as linked files."""
        self._writer(pool).finish_with_voxels()


def _place_shard(blocks: StoredBlocks, shard: Shape, place: LocalPlace, key: str) -> None:
    """Copy a file to the place of a shard, with the index behind it."""
    if place.has(key):
        return
    source, path = blocks.file_of(shard), place.path(key)
    size, index = blocks.index_of(shard)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    aside = f"{path}{PART}"
    if os.path.exists(aside):  # of an interrupted run, perhaps with a part of the index
        os.truncate(aside, min(os.stat(aside).st_size, size))
    copy_file(source, aside, lambda _: None)
    with open(aside, "ab") as file:
        if file.tell() != size:
            message = f"{source} changed while it was copied"
            raise OSError(message)
        file.write(index)
        file.flush()
        os.fdatasync(file.fileno())
    os.rename(aside, path)


def _halve_level(level: Level, shape: Shape, steps: tuple[int, ...]) -> Level:
    """Return the next level of one, whose voxels are made when they are read."""

    def read(region: Region) -> Voxels:
        inner = tuple(
            slice(part.start * step, part.stop * step)
            for part, step in zip(region[2:], steps, strict=True)
        )
        voxels = level.read((*region[:2], *inner))
        found: Voxels = halve(voxels[0, 0], steps)[None, None]
        return found

    pairs = zip(level.chunk[2:], steps, shape[2:], strict=True)
    chunk = (1, 1, *(min(-(-side // step), n) for side, step, n in pairs))
    return replace(level, shape=shape, chunk=chunk, read=read, stored_shape=shape)


@dataclass(frozen=True, slots=True)
class _Upper:
    """The levels of a store above the full one, which is there already."""

    store: Store
    spec: VolumeSpec
    place: LocalPlace
    blocks: StoredBlocks

    @property
    def levels(self) -> tuple[LevelGrid, ...]:
        """All levels but the full one."""
        return self.store.levels[1:]

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether a shard is there."""
        return self.store.has(level + 1, shard)

    def write(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write a shard."""
        self.store.write(level + 1, shard, chunks)

    def read(self, level: int, shard: Shape) -> Iterator[bytes | None]:
        """Yield the encoded bytes of the chunks of a shard."""
        return self.store.read(level + 1, shard)

    def finish(self, spec: VolumeSpec, codec: Codec) -> None:
        """Write the metadata of all levels, those of the whole last."""
        whole = replace(spec, shape_tczyx=self.spec.shape_tczyx)
        own: Any = _Stored(self.blocks.codec)
        full, *smaller = self.store.levels
        put_json(self.place, "0/zarr.json", array_v3(full, self.blocks.dtype, own, whole.axes))
        for number, level in enumerate(smaller, 1):
            metadata = array_v3(level, whole.dtype, codec, whole.axes)
            put_json(self.place, f"{number}/zarr.json", metadata)
        put_json(self.place, "zarr.json", group_v3(whole, self.store.levels))
