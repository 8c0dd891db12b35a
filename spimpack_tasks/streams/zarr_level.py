"""Writes one level of an OME-Zarr from planes that come in any order.

Planes gather in slabs. A slab that is whole goes to the threads that encode and write. Where a
chunk is a frame that is not compressed, there is nothing to gather: it is written at once, from the
memory of the caller.
"""

from __future__ import annotations

from collections import deque
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.codecs import Plain
from spimpack_tasks.streams.errors import StreamBehindError
from spimpack_tasks.streams.slabs import (
    ABSENT,
    PRESENT,
    SKIPPED,
    Slab,
    SlabGrid,
    as_chunks,
    plane_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import Region, Shape, Voxels
    from spimpack_tasks.files.places import Parts
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.slabs import SlabKey
    from spimpack_tasks.streams.work import Work
    from spimpack_tasks.volumes.ome_zarr.stores import Store


class LevelWriter:
    """A level that is being written.

    Parameters
    ----------
    number
        Number of the image in its stream, and of the level in the image.
    store
        Where it is written.
    grid
        How its planes are divided.
    codec
        How chunks are encoded.
    work
        Threads, memory, journal and spool.
    """

    def __init__(
        self, number: tuple[int, int], store: Store, grid: SlabGrid, codec: Codec, work: Work
    ) -> None:
        self.image, self.level = number
        self.grid = grid
        self._store, self._codec, self._work = store, codec, work
        self._memory = work.smaller if self.level else work.full
        self.open: dict[SlabKey, Slab] = {}
        """Slabs of which planes are absent."""
        self.leaving: set[SlabKey] = set()
        """Slabs that are being written."""
        self.done: dict[SlabKey, list[int]] = {}
        """Slabs that are written, and the numbers of planes that they lack."""
        self._dropped: set[SlabKey] = set()
        self._padded: Any = None
        is_one_chunk = grid.padded_yx == grid.size_yx == grid.level.chunk[3:]
        self._is_direct = is_one_chunk and grid.count == 1 and isinstance(codec, Plain)

    def reserve(self, at: PlaneAt) -> None:
        """Get memory for a plane, or wait for it.

        Raises
        ------
        StreamBehindError
            The memory is full, and waiting is not wanted.
        """
        key = self.grid.key_of(at)
        if self._is_direct or key in self.open:
            return
        slab = Slab(self.grid, key)
        while not self._memory.take(self.grid.bytes):
            if not self._work.is_blocking and self._memory.leaving:
                raise StreamBehindError(self._memory.leaving)
            if not self._memory.wait():
                self.open[key] = slab  # what is held cannot leave before its planes come
                return
        slab.hold(self._memory)
        self.open[key] = slab

    def put(self, at: PlaneAt, frame: Voxels) -> None:
        """Take a plane over; its memory is reserved."""
        if self._is_direct:
            self._write_direct(at, frame)
            return
        slab = self.open[self.grid.key_of(at)]
        if slab.buffer is not None:
            padded = self._pad(frame)
            plane_in(self.grid, slab.buffer, at)[...] = as_chunks(self.grid, padded)
        else:
            self._spool(slab, at, frame)
        self._mark(slab, at, PRESENT)

    def offer(self, at: PlaneAt, plane: Voxels) -> None:
        """Take a plane of a smaller level over; without memory it is made at the end.

        The caller must not change the plane afterwards.
        """
        if self._is_direct:
            self._write_later(at, plane)
            return
        key = self.grid.key_of(at)
        if key not in self.open:
            if key in self._dropped or not self._take_later():
                self._dropped.add(key)
                return
            self.open[key] = Slab(self.grid, key)
            self.open[key].hold(self._memory)
        self.put(at, plane)

    def give_up(self, at: PlaneAt) -> None:
        """Give up the slab of a plane that never comes; it is made at the end."""
        key = self.grid.key_of(at)
        self._dropped.add(key)
        slab = self.open.pop(key, None)
        if slab is not None and slab.buffer is not None:
            self._memory.give(self.grid.bytes)

    def _take_later(self) -> bool:
        """Take memory of a slab, if it is free or becomes free."""
        return self._memory.take_later(self.grid.bytes, waits=self._work.is_blocking)

    def _write_later(self, at: PlaneAt, plane: Voxels) -> None:
        """Write a plane that is a chunk, in the thread that writes if there is memory."""
        if not self._memory.take(plane.nbytes):
            self._write_direct(at, plane)
            return
        self._memory.leave(plane.nbytes)
        self._work.write(plane.nbytes, self._write_direct, at, plane)
        self._work.write(0, self._given_back, plane.nbytes)

    def _given_back(self, size: int) -> None:
        self._memory.give(size, has_left=True)

    def skip(self, at: PlaneAt) -> None:
        """Note that a plane never comes."""
        key = self.grid.key_of(at)
        if key in self.done:
            return
        if key not in self.open:
            self.reserve(at)
            self.open.setdefault(key, Slab(self.grid, key))
        self._mark(self.open[key], at, SKIPPED)

    def restore(self, planes: set[PlaneAt], done: dict[SlabKey, list[int]]) -> None:
        """Take up what an earlier process has written.

        Parameters
        ----------
        planes
            Those in the spool.
        done
            Slabs that are written, and what they lack.
        """
        self.done.update(done)
        for at in planes:
            key = self.grid.key_of(at)
            if key not in self.done:
                slab = self.open.setdefault(key, Slab(self.grid, key))
                slab.spooled.add(self.grid.number_of(at))
                slab.mark(at, PRESENT)

    def take_up(self, key: SlabKey, places: set[Shape], skipped: set[PlaneAt]) -> bool:
        """Take up and note a slab that was written, but not noted; tell whether it is whole.

        Where planes are in the spool, others may be zeros in it.

        Parameters
        ----------
        key
            The slab.
        places
            Places along y and x of the shards that are there.
        skipped
            Planes that never came.
        """
        if key in self.open or places != {place for place, _ in self.grid.pieces}:
            return False
        lacks = [number for number, at in self.grid.planes_of(key) if at in skipped]
        self.done[key] = lacks
        self._work.journal.slab(self.image, self.level, key, lacks)
        return True

    def forget(self, key: SlabKey) -> None:
        """Count a slab as not written, also for later processes."""
        del self.done[key]
        self._work.journal.forget(self.image, self.level, key)

    def flush(self) -> None:
        """Put planes that are held in memory into the spool as well."""
        for key, slab in self.open.items():
            for number, at in self.grid.planes_of(key):
                if slab.states[number] == PRESENT and number not in slab.spooled:
                    self._spool(slab, at, slab.plane(at))

    def finish(self) -> None:
        """Write slabs of which planes are absent, with zeros for these."""
        for slab in list(self.open.values()):
            if PRESENT in slab.states:
                self._send(slab)
            elif slab.buffer is not None:
                self._memory.give(self.grid.bytes)
        self.open.clear()

    def drop(self) -> None:
        """Give up slabs that are not whole: they are made of the level below."""
        for slab in self.open.values():
            if slab.buffer is not None:
                self._memory.give(self.grid.bytes)
        self.open.clear()

    def settle(self) -> None:
        """Wait until all slabs that were sent are written."""
        self._work.pool.settle()

    def plane(self, at: PlaneAt) -> Voxels | None:
        """Return a plane that waits in memory or in the spool, `None` if it does not."""
        slab = self.open.get(self.grid.key_of(at))
        number = self.grid.number_of(at)
        if slab is None or slab.states[number] != PRESENT:
            return None
        if slab.buffer is not None and number not in slab.spooled:
            return slab.plane(at)
        return self._work.spool.get(self.image, slab.key, number, self.grid)

    def _spool(self, slab: Slab, at: PlaneAt, frame: Voxels) -> None:
        number = self.grid.number_of(at)
        self._work.spool.put(self.image, slab.key, number, frame)
        self._work.journal.spooled(self.image, at)
        slab.spooled.add(number)

    def _mark(self, slab: Slab, at: PlaneAt, state: int) -> None:
        slab.mark(at, state)
        if not slab.open:
            del self.open[slab.key]
            self._send(slab)

    def _pad(self, frame: Voxels) -> Voxels:
        """Return a plane of whole chunks, with zeros at the edge."""
        import numpy as np

        if self.grid.padded_yx == self.grid.size_yx:
            return frame
        if self._padded is None:
            self._padded = np.zeros(self.grid.padded_yx, self.grid.dtype)
        self._padded[: frame.shape[0], : frame.shape[1]] = frame
        padded: Voxels = self._padded
        return padded

    def _write_direct(self, at: PlaneAt, frame: Voxels) -> None:
        import numpy as np

        data = np.ascontiguousarray(frame).data.cast("B")
        self._store.write(self.level, (*at, 0, 0), iter([(data,)]))
        self.done[at] = []
        self._work.journal.slab(self.image, self.level, at, [])

    def _send(self, slab: Slab) -> None:
        """Have a slab written, shard by shard.

        Several shards are made side by side, each by one thread. The chunks of a single one are
        encoded side by side.
        """
        self.leaving.add(slab.key)
        size = 0
        if slab.buffer is not None:
            size = self.grid.bytes
            if slab.states.count(PRESENT) < self.grid.count:
                slab.clear_absent()
            self._memory.leave(size)
        write = self._work.watched(self._write_shard)
        shards = len(self.grid.pieces)
        if shards >= self._work.pool.threads:
            made = [self._work.pool.submit(write, slab, n, self._encoded) for n in range(shards)]
            self._work.write(size, self._note, slab, made)
        else:
            for number in range(shards):
                self._work.write(0, write, slab, number, self._encoded_ahead)
            self._work.write(size, self._note, slab, [])

    def _note(self, slab: Slab, made: list[Future[None]]) -> None:
        """Note that a slab is written, when its shards are."""
        for each in made:
            each.result()
        if slab.buffer is not None:
            self._memory.give_buffer(slab.buffer, self.grid.bytes, has_left=True)
            slab.buffer = None
        states = [(n, slab.states[n]) for n, _ in self.grid.planes_of(slab.key)]
        lacks = [number for number, state in states if state != PRESENT]
        self.done[slab.key] = lacks
        self.leaving.discard(slab.key)
        if not any(state == ABSENT for _, state in states):  # else the stream may be resumed
            self._work.journal.slab(self.image, self.level, slab.key, lacks)
            if slab.spooled:
                self._work.spool.remove(self.image, slab.key)

    def _write_shard(
        self, slab: Slab, number: int, encoded: Callable[[Shape, Voxels], Iterator[Parts | None]]
    ) -> None:
        """Encode and write a shard."""
        place, where = self.grid.pieces[number]
        piece = slab.buffer[where] if slab.buffer is not None else self._read_spool(slab, where)
        shard = (*slab.key, *place)
        self._store.write(self.level, shard, encoded(shard, piece))

    def _read_spool(self, slab: Slab, where: Region) -> Voxels:
        """Return a part of the buffer of a slab whose planes are in the spool."""
        import numpy as np

        sizes = (part.stop - part.start for part in where[3:])
        piece: Voxels = np.zeros(
            (*self.grid.shape[:3], *sizes, *self.grid.level.chunk), self.grid.dtype
        )
        padded: Voxels = np.zeros(self.grid.padded_yx, self.grid.dtype)
        y, x = self.grid.size_yx
        for plane, at in self.grid.planes_of(slab.key):
            if slab.states[plane] == PRESENT:
                padded[:y, :x] = self._work.spool.get(self.image, slab.key, plane, self.grid)
                plane_in(self.grid, piece, at)[...] = as_chunks(self.grid, padded)[where[3:]]
        return piece

    def write_piece(self, key: SlabKey, number: int, piece: Voxels) -> None:
        """Write a shard of which all voxels are there, in this thread.

        Parameters
        ----------
        key, number
            The slab, and which of its shards.
        piece
            Its part of the buffer of the slab.
        """
        shard = (*key, *self.grid.pieces[number][0])
        self._store.write(self.level, shard, self._encoded(shard, piece))

    def _encoded(self, shard: Shape, piece: Voxels) -> Iterator[Parts | None]:
        """Yield the chunks of a shard."""
        for chunk in self._chunks(shard, piece):
            yield None if chunk is None else self._codec.encode(chunk)

    def _encoded_ahead(self, shard: Shape, piece: Voxels) -> Iterator[Parts | None]:
        """Yield the chunks of a shard, a few of them encoded ahead by other threads."""
        ahead: deque[Future[Parts] | None] = deque()
        for chunk in self._chunks(shard, piece):
            submit = self._work.pool.submit
            ahead.append(None if chunk is None else submit(self._codec.encode, chunk))
            if len(ahead) > 2 * self._work.pool.threads:
                first = ahead.popleft()
                yield first.result() if first else None
        for each in ahead:
            yield each.result() if each else None

    def _chunks(self, shard: Shape, piece: Voxels) -> Iterator[memoryview | None]:
        """Yield the bytes of the chunks of a shard, `None` for one of zeros or beyond the edge."""
        limits = piece.shape[3:5]
        steps = product(*map(range, self.grid.level.shard))
        for place, inner in zip(self.grid.level.chunks_of(shard), steps, strict=True):
            if place is None or inner[3] >= limits[0] or inner[4] >= limits[1]:
                yield None
                continue
            chunk = piece[inner]
            bits = chunk.reshape(-1).view(f"u{chunk.itemsize}")
            # A look at the first voxel is mostly enough.
            yield bits.data.cast("B") if bits[0] or bits.any() else None
