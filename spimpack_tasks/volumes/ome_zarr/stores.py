"""The forms that an OME-Zarr has on the disk: version 0.5 in shards, version 0.4 in single chunks.

Whoever converts makes an image shard by shard (see `layout`), in any order and by any number of
threads; what a form adds is which files a shard becomes, how it is known that one is there, and the
metadata. These come last, so a store that can be opened is complete, and a shard that is said to be
there is on the disk, even after a power cut.

In OME-Zarr 0.5 (Zarr v3) a shard is a file, and there when the file is. In OME-Zarr 0.4 (Zarr v2)
each of its chunks is a file, up to thousands of them. Syncing and renaming each would take as long
as all the rest, so they are written to their places, synced together, and then noted in a folder
that is gone when the image is whole. A chunk without a note counts for nothing: its shard is made
again.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol

from spimpack_tasks.files.atomic import discard, sync_disk
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.model.axes import of_axes
from spimpack_tasks.volumes.ome_zarr.metadata import array_v2, array_v3, attributes_v2, group_v3
from spimpack_tasks.volumes.ome_zarr.shards import read_shard, write_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spimpack_tasks.arrays.codecs import Codec, Parts
    from spimpack_tasks.arrays.grid import Level, Shape
    from spimpack_tasks.volumes.ome_zarr.metadata import Image
    from spimpack_tasks.volumes.request import Job

_NOTES = ".finished"
"""Folder with an empty file for each shard that is on the disk."""


class Store(Protocol):
    """An OME-Zarr that is being made. All methods but `finish` are for several threads at once."""

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
            The encoded bytes of each chunk in the order of `Level.chunks_of`, in parts; `None` for
            one that is all zero, or beyond the edge.
        """

    def read(self, level: int, shard: Shape) -> Iterator[bytes | None]:
        """Yield the encoded bytes of the chunks of a shard that is there, `None` for zeros."""

    def finish(self, image: Image, codec: Codec) -> None:
        """Write what makes an OME-Zarr of the shards, when all are there."""


def open_store(job: Job, image: Image) -> Store:
    """Return the store that a job asks for, or that an earlier attempt has begun at its path."""
    is_old = job.request.ngff == "0.4"
    voxels = f"{job.path}/0" if is_old else f"{job.path}/0/c"
    if not job.has_voxels and _count_folders(voxels) >= len(image.axes):
        for name in os.listdir(job.path):  # begun by a version that wrote all five axes
            if name != "labels":
                discard(f"{job.path}/{name}")
    os.makedirs(job.path, exist_ok=True)
    return (_ChunkFiles if is_old else _ShardFiles)(job.path, image.levels, image.axes)


def write_labels_group(job: Job, names: list[str]) -> None:
    """Write the metadata of the folder of labels, which names them."""
    folder = f"{job.path}/labels"
    if job.request.ngff == "0.4":
        _write_json(f"{folder}/.zgroup", {"zarr_format": 2})
        _write_json(f"{folder}/.zattrs", {"labels": names})
        return
    attributes = {"ome": {"version": "0.5", "labels": names}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    _write_json(f"{folder}/zarr.json", group)


def _count_folders(folder: str) -> int:
    """Return how many folders lie in one another where the first file of voxels is."""
    count = 0
    with suppress(FileNotFoundError, NotADirectoryError):
        while names := [name for name in os.listdir(folder) if name.isdecimal()]:
            folder = os.path.join(folder, min(names, key=int))
            count += os.path.isdir(folder)
    return count


@dataclass(frozen=True, slots=True)
class _ShardFiles:
    """OME-Zarr 0.5. A shard of zeros alone has no file, and is made again by who goes on."""

    path: str
    levels: tuple[Level, ...]
    axes: str

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether there is the file."""
        return os.path.exists(self._file(level, shard))

    def write(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write the file."""
        write_shard(self._file(level, shard), chunks)

    def read(self, level: int, shard: Shape) -> Iterator[bytes | None]:
        """Yield the chunks of the file."""
        count = math.prod(self.levels[level].shard)
        if self.has(level, shard):
            yield from read_shard(self._file(level, shard), count)
        else:
            yield from repeat(None, count)

    def finish(self, image: Image, codec: Codec) -> None:
        """Write the metadata, those of the whole last."""
        for number, level in enumerate(image.levels):
            metadata = array_v3(level, image.dtype, codec, image.axes)
            _write_json(f"{self.path}/{number}/zarr.json", metadata)
        _write_json(f"{self.path}/zarr.json", group_v3(image))

    def _file(self, level: int, shard: Shape) -> str:
        return f"{self.path}/{level}/c/{'/'.join(map(str, of_axes(self.axes, shard)))}"


@dataclass(frozen=True, slots=True)
class _ChunkFiles:
    """OME-Zarr 0.4. A chunk of zeros alone has no file, unless it is the very first.

    With that, no image consists of nothing but hidden files, which is empty to the BIDS validator.
    """

    path: str
    levels: tuple[Level, ...]
    axes: str

    def has(self, level: int, shard: Shape) -> bool:
        """Tell whether there is a note, or the image is whole and needs none."""
        return os.path.exists(self._note(level, shard)) or os.path.exists(f"{self.path}/.zattrs")

    def write(self, level: int, shard: Shape, chunks: Iterable[Parts | None]) -> None:
        """Write the files of the chunks, and note it when they are on the disk."""
        for place, parts in zip(self.levels[level].chunks_of(shard), chunks, strict=True):
            if place is not None:
                _write_file(self._file(level, place), parts)
        sync_disk(self.path)
        note = self._note(level, shard)
        os.makedirs(os.path.dirname(note), exist_ok=True)
        with open(note, "wb"):
            pass

    def read(self, level: int, shard: Shape) -> Iterator[bytes | None]:
        """Yield what is in the files of the chunks."""
        for place in self.levels[level].chunks_of(shard):
            yield _read_file(self._file(level, place)) if place is not None else None

    def finish(self, image: Image, codec: Codec) -> None:
        """Write the metadata, those of the whole last, and take the notes away."""
        first = self._file(0, (0,) * len(self.levels[0].grid))
        if not os.path.exists(first):
            zeros = bytes(self.levels[0].chunk_voxels * image.dtype.itemsize)
            _write_file(f"{first}.part", codec.encode(zeros))
            os.rename(f"{first}.part", first)
        for number, level in enumerate(image.levels):
            metadata = array_v2(level, image.dtype, codec, image.axes)
            _write_json(f"{self.path}/{number}/.zarray", metadata)
        _write_json(f"{self.path}/.zgroup", {"zarr_format": 2})
        _write_json(f"{self.path}/.zattrs", attributes_v2(image))
        shutil.rmtree(f"{self.path}/{_NOTES}", ignore_errors=True)

    def _file(self, level: int, place: Shape) -> str:
        return f"{self.path}/{level}/{'/'.join(map(str, of_axes(self.axes, place)))}"

    def _note(self, level: int, shard: Shape) -> str:
        return f"{self.path}/{_NOTES}/{level}/{'.'.join(map(str, shard))}"


def _write_file(path: str, parts: Parts | None) -> None:
    """Write a chunk anew: a file that is there may be another image's as well."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    if parts is not None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.writelines(parts)


def _read_file(path: str) -> bytes | None:
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write_json(path: str, data: dict[str, Any]) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    aside = f"{path}.part"
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2, sort_keys=True)
    os.rename(aside, path)
