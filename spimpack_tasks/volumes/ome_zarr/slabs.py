"""Writes an OME-Zarr with a pyramid in one pass over the planes of an image.

Planes come in slabs, as many as a chunk is high. A slab is encoded by threads while the next one is
read, and its halves go into the slab of the next level, so that a few slabs are in memory, however
many planes there are. Shards are one chunk high, and written when their slab is there.

Who goes on after a kill does not make again what is there: a finished slab is read, from the shards
and not from the source, only if a slab of the next level that is made of it is not there. A shard
of zeros alone has no file, and is made again.
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Self, TypeAlias

from spimpack_tasks.arrays.codecs import choose_codec
from spimpack_tasks.arrays.pyramid import halve
from spimpack_tasks.volumes.ome_zarr.labels import convert_labels
from spimpack_tasks.volumes.ome_zarr.stores import open_store
from spimpack_tasks.volumes.plane_levels import describe
from spimpack_tasks.volumes.planes import Planes, open_planes
from spimpack_tasks.volumes.source_errors import source_trouble_told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.codecs import Codec, Parts
    from spimpack_tasks.arrays.grid import Level, Shape
    from spimpack_tasks.volumes.levels import Voxels
    from spimpack_tasks.volumes.ome_zarr.metadata import Image
    from spimpack_tasks.volumes.ome_zarr.stores import Store
    from spimpack_tasks.volumes.request import Job

    Encoded: TypeAlias = Future[Parts | None]

_UNWRITTEN = 2
"""Slabs that may wait to be written when the next one is read."""
_SHOWN = (1, 99.8)
"""Per cent of the voxels that are darker than what is shown as black, and as full colour."""


def convert(job: Job, advance: Callable[[int], None]) -> None:
    """Convert an image whose planes can be read one after the other.

    Raises
    ------
    OSError
        The source cannot be read, or is damaged: the plane is named.
    """
    with source_trouble_told(), open_planes(job.source) as planes:
        codec = choose_codec(job, planes.dtype.itemsize)
        image = describe(planes, job)
        convert_labels(job, image, planes.label_names, codec)
        write_planes(job, image, planes, codec, advance)


def write_planes(
    job: Job, image: Image, planes: Planes, codec: Codec, advance: Callable[[int], None]
) -> None:
    """Write an OME-Zarr of planes for a job, or go on with what lies at its path.

    Parameters
    ----------
    job
        Where to write, and by how many threads; what is written does not depend on these.
    image
        What to write; its levels are those of `plane_levels`. How bright a channel is shown is
        found out where it is not told.
    planes
        The voxels.
    codec
        How chunks are encoded.
    advance
        Told the number of bytes of the source's voxels after each piece, `planes.size` in all.

    Raises
    ------
    DamagedChunkError
        A plane cannot be read; the message names it.
    """
    store = open_store(job, image)
    with _Threads(job.threads) as threads:
        work = _Work(store, image.levels, planes, codec, advance, threads)
        last = len(image.levels) - 1
        places = () if job.has_voxels else product(*map(range, image.levels[last].grid[:3]))
        for place in places:
            work.make(last, place, is_wanted=False)
        threads.settle(0)
        if not job.has_voxels:
            planes.finish()
        channels = tuple(
            channel if channel.window else replace(channel, window=work.find_window(number))
            for number, channel in enumerate(image.channels)
        )
    store.finish(replace(image, channels=channels), codec)


class _Threads:
    """Threads that decode and encode, and one that writes what was encoded."""

    def __init__(self, threads: int) -> None:
        self.workers = ThreadPoolExecutor(threads)
        self._writer = ThreadPoolExecutor(1)
        self._slabs: list[list[Future[None]]] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Wait for what is being done, and begin nothing else."""
        self.workers.shutdown(cancel_futures=True)
        self._writer.shutdown(cancel_futures=True)

    def write(
        self, store: Store, level: int, shards: Iterator[tuple[Shape, list[Encoded | None]]]
    ) -> None:
        """Write the shards of a slab when their chunks are encoded."""
        self._slabs.append(
            [
                self._writer.submit(
                    store.write, level, shard, (each.result() if each else None for each in chunks)
                )
                for shard, chunks in shards
            ]
        )

    def settle(self, most: int) -> None:
        """Wait until no more than some slabs are still to be written."""
        while len(self._slabs) > most:
            for each in self._slabs.pop(0):
                each.result()


@dataclass(frozen=True, slots=True)
class _Work:
    """Makes slabs, each from those of the level before."""

    store: Store
    levels: tuple[Level, ...]
    planes: Planes
    codec: Codec
    advance: Callable[[int], None]
    threads: _Threads

    def make(self, level: int, place: Shape, *, is_wanted: bool) -> Voxels | None:
        """Make a slab, and all that it is made of, as far as they are not there.

        Parameters
        ----------
        level
            Number of the level.
        place
            Of the slab along t, c and z.
        is_wanted
            Whether to return its voxels, along z, y, x.
        """
        form = self.levels[level]
        shards = _shards(form, place)
        missing = [shard for shard in shards if not self.store.has(level, shard)]
        voxels = self._compose(level, place, is_wanted=bool(missing))
        if voxels is not None:
            encoded = (
                (shard, [self._encode(form, voxels, at) for at in form.chunks_of(shard)])
                for shard in missing
            )
            self.threads.write(self.store, level, encoded)
            return voxels if is_wanted else None
        return self._read_back(level, place) if is_wanted else None

    def find_window(self, channel: int) -> tuple[float, float]:
        """Return the values that a channel is shown between, by the smallest level as it is there.

        All but the darkest and the brightest voxels of the first time point lie between them.
        """
        import numpy as np

        last = len(self.levels) - 1
        form = self.levels[last]
        places = [(0, channel, slab) for slab in range(form.grid[2])]
        slabs = [self._read_back(last, place) for place in places]
        values = np.concatenate(slabs)
        numbers = values[np.isfinite(values)]
        low, high = np.percentile(numbers, _SHOWN) if numbers.size else (0, 0)
        return float(low), float(high if high > low else low + 1)

    def _compose(self, level: int, place: Shape, *, is_wanted: bool) -> Voxels | None:
        """Return the voxels of a slab that is to be made; what it is made of is made as well."""
        if level == 0:
            return self._read(place, is_wanted=is_wanted)
        import numpy as np

        form, before = self.levels[level], self.levels[level - 1]
        sizes = zip(before.shape[2:], form.shape[2:], strict=True)
        steps = tuple(2 if larger > smaller else 1 for larger, smaller in sizes)
        voxels = np.empty(_size(form, place), self.planes.dtype) if is_wanted else None
        for number, child in enumerate(_children(before, form, place, steps[0])):
            part = self.make(level - 1, child, is_wanted=is_wanted)
            if part is not None and voxels is not None:
                small = halve(part, steps)
                start = number * before.chunk[2] // steps[0]
                voxels[start : start + len(small)] = small
                del part  # before the next one is read
        return voxels

    def _read(self, place: Shape, *, is_wanted: bool) -> Voxels | None:
        """Return a slab of the source, or pass it over."""
        import numpy as np

        size = _size(self.levels[0], place)
        if not is_wanted:
            self.advance(math.prod(size) * int(self.planes.dtype.itemsize))
            return None
        self.threads.settle(_UNWRITTEN)
        voxels = np.empty(size, self.planes.dtype)
        first = place[2] * self.levels[0].chunk[2]

        def read(start: int, stop: int) -> int:
            part = voxels[start - first : stop - first]
            part[:] = self.planes.read(place[0], place[1], slice(start, stop))
            return int(part.nbytes)

        bounds = _pieces(first, first + size[0], self.planes.together)
        if self.planes.in_order:
            for start, stop in bounds:
                self.advance(read(start, stop))
        else:
            for each in [self.threads.workers.submit(read, *bound) for bound in bounds]:
                self.advance(each.result())
        return voxels

    def _encode(self, form: Level, voxels: Voxels, place: Shape | None) -> Encoded | None:
        if place is None:
            return None
        return self.threads.workers.submit(_encode_chunk, self.codec, form, voxels, place)

    def _read_back(self, level: int, place: Shape) -> Voxels:
        """Return a slab that is there."""
        import numpy as np

        form = self.levels[level]
        voxels = np.zeros(_size(form, place), self.planes.dtype)
        size = form.chunk_voxels * voxels.itemsize
        for shard in _shards(form, place):
            chunks = self.store.read(level, shard)
            for at, chunk in zip(form.chunks_of(shard), chunks, strict=True):
                if at is not None and chunk is not None:
                    data = np.frombuffer(self.codec.decode(chunk, size), voxels.dtype)
                    part = voxels[_region(form, at)]
                    inside = tuple(slice(n) for n in part.shape)
                    part[:] = data.reshape(form.chunk[2:])[inside]
        return voxels


def _shards(form: Level, place: Shape) -> list[Shape]:
    """Return the shards of a slab."""
    return [(*place, *at) for at in product(*map(range, form.shard_grid[3:]))]


def _size(form: Level, place: Shape) -> Shape:
    """Return the sizes of a slab along z, y and x; the last one may be lower."""
    height = form.chunk[2]
    return min(height, form.shape[2] - place[2] * height), *form.shape[3:]


def _pieces(first: int, last: int, together: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of planes that are read at once: those that are stored together."""
    starts = [first, *range((first // together + 1) * together, last, together)]
    yield from zip(starts, [*starts[1:], last], strict=True)


def _children(before: Level, form: Level, place: Shape, step: int) -> Iterator[Shape]:
    """Yield the places of the slabs that one of the next level is made of.

    To the last one belongs what is left over, of which nothing is made.
    """
    is_last = place[2] == form.grid[2] - 1
    end = before.grid[2] if is_last else (place[2] + 1) * step
    for slab in range(place[2] * step, end):
        yield *place[:2], slab


def _region(form: Level, place: Shape) -> tuple[slice, ...]:
    """Return where in its slab a chunk lies."""
    inner = zip(place[3:], form.chunk[3:], strict=True)
    return slice(None), *(slice(at * n, (at + 1) * n) for at, n in inner)


def _encode_chunk(codec: Codec, form: Level, voxels: Voxels, place: Shape) -> Parts | None:
    """Return a chunk of a slab, filled up with zeros, in parts; `None` if all of it is zero."""
    import numpy as np

    part = voxels[_region(form, place)]
    if part.shape == form.chunk[2:]:
        chunk = np.ascontiguousarray(part)
    else:
        chunk = np.zeros(form.chunk[2:], voxels.dtype)
        chunk[tuple(slice(n) for n in part.shape)] = part
    # Bits count: a negative zero is none.
    if not chunk.view(f"u{chunk.itemsize}").any():
        return None
    return codec.encode(chunk.data.cast("B"))
