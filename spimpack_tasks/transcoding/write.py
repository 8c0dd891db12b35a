"""Writes an OME-Zarr, shard by shard, and goes on where an earlier attempt was.

A shard is one file that one thread makes, whole, and the metadata come last: so a store that can be
opened is complete, and the bytes are the same for any number of threads.
"""

from __future__ import annotations

import json
import math
import os
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from spimpack_tasks.transcoding.multiscale import array_v3, group_v3
from spimpack_tasks.transcoding.shards import write_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.transcoding.codecs import Codec, Parts
    from spimpack_tasks.transcoding.layout import Level, Shape
    from spimpack_tasks.transcoding.multiscale import Image
    from spimpack_tasks.transcoding.request import Job

    Encode = Callable[[int, Shape], Parts | None]
    """Returns the chunk at a place of the grid of a level, in parts."""


def write_image(
    job: Job, image: Image, codec: Codec, encode: Encode, advance: Callable[[int], None]
) -> None:
    """Write an OME-Zarr 0.5 for a job, or go on with what lies at its path."""
    path = job.path
    os.makedirs(path, exist_ok=True)
    shards, itemsize = _shards(path, image), int(image.dtype.itemsize)

    def make(level: int, shard: Shape, file: str) -> int:
        form = image.levels[level]
        if not os.path.exists(file):
            places = form.chunks_of(shard)
            write_shard(file, (encode(level, at) if at is not None else None for at in places))
        return _voxels(form) * itemsize

    if not job.has_voxels:
        work_side_by_side(job.threads, ((make, each) for each in shards), advance)
    write_metadata(path, image, codec)


def write_metadata(path: str, image: Image, codec: Codec) -> None:
    """Write what makes an OME-Zarr of the shards that are at `path`, that of the whole last."""
    for number, level in enumerate(image.levels):
        _write_json(f"{path}/{number}", array_v3(level, image.dtype, codec))
    _write_json(path, group_v3(image))


def _shards(path: str, image: Image) -> Iterator[tuple[int, Shape, str]]:
    for number, level in enumerate(image.levels):
        for shard in level.shards():
            yield number, shard, f"{path}/{number}/c/{'/'.join(map(str, shard))}"


def _voxels(level: Level) -> int:
    """Return the number of voxels of a whole shard."""
    return math.prod(level.shard) * level.chunk_voxels


def work_side_by_side(
    threads: int, jobs: Iterator[tuple[Callable[..., int], Any]], advance: Callable[[int], None]
) -> None:
    """Do jobs side by side; after the first that fails no other is begun."""
    with ThreadPoolExecutor(threads) as pool:
        running = set()
        try:
            for do, arguments in jobs:
                running.add(pool.submit(do, *arguments))
                if len(running) > threads:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for each in done:
                        advance(each.result())
            for each in running:
                advance(each.result())
        except BaseException:
            for each in running:
                each.cancel()
            raise


def _write_json(folder: str, data: dict[str, Any]) -> None:
    os.makedirs(folder, exist_ok=True)
    aside = f"{folder}/zarr.json.part"
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2, sort_keys=True)
    os.rename(aside, f"{folder}/zarr.json")
