"""Writes an OME-Zarr, shard by shard, and goes on where an earlier attempt was.

A shard is made by one thread, whole, so the bytes are the same for any number of threads.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from spimpack_tasks.volumes.ome_zarr.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.codecs import Codec, Parts
    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.volumes.ome_zarr.metadata import Image
    from spimpack_tasks.volumes.request import Job

    Encode = Callable[[int, Shape], Parts | None]
    """Returns the chunk at a place of the grid of a level, in parts."""


def write_image(
    job: Job, image: Image, codec: Codec, encode: Encode, advance: Callable[[int], None]
) -> None:
    """Write an OME-Zarr for a job, or go on with what lies at its path."""
    store, itemsize = open_store(job, image), int(image.dtype.itemsize)

    def make(level: int, shard: Shape) -> int:
        form = image.levels[level]
        if not store.has(level, shard):
            places = form.chunks_of(shard)
            chunks = (encode(level, at) if at is not None else None for at in places)
            store.write(level, shard, chunks)
        return form.count_voxels(shard) * itemsize

    shards = ((n, shard) for n, level in enumerate(image.levels) for shard in level.shards())
    if not job.has_voxels:
        work_side_by_side(job.threads, ((make, each) for each in shards), advance)
    store.finish(image, codec)


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
