"""Writes an image of a stream into an OME-TIFF: each plane with its smaller versions."""

from __future__ import annotations

from collections import deque
from math import prod
from typing import TYPE_CHECKING

from spimpack_tasks.arrays.pyramid import halve
from spimpack_tasks.streams.errors import StreamBehindError
from spimpack_tasks.streams.tiff_planes import read_plane
from spimpack_tasks.volumes.tiff.bigtiff import StoredPlane
from spimpack_tasks.volumes.tiff.layout import TILE, plane_sizes
from spimpack_tasks.volumes.tiff.ome_writer import TileCodec, encode_levels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from spimpack_tasks.arrays.grid import Shape, Voxels
    from spimpack_tasks.streams.journal import Recorded
    from spimpack_tasks.streams.router import PlaneAt
    from spimpack_tasks.streams.settings import AcquisitionSettings
    from spimpack_tasks.streams.tiff_file import TiffFile
    from spimpack_tasks.streams.work import Work

_MOST_AHEAD = 4
"""Planes whose smaller versions are still to be written: some, so that no thread waits."""


class TiffImage:
    """An image that is being written.

    Parameters
    ----------
    number
        Number of the image in its stream.
    file
        Where planes are written, perhaps among those of other images.
    settings
        The settings.
    work
        The common means of the images.
    """

    def __init__(
        self, number: int, file: TiffFile, settings: AcquisitionSettings, work: Work
    ) -> None:
        import numpy as np

        self._number, self._file, self._work = number, file, work
        self._dtype = np.dtype(settings.dtype)
        y, x = (each.count or 1 for each in settings.dimensions[-2:])
        self.sizes = plane_sizes((y, x)) if settings.pyramid else [(y, x)]
        """Sizes of a plane and of its smaller versions."""
        self._codec = TileCodec(settings.compression)
        self._bytes = prod((y, x)) * self._dtype.itemsize
        self.planes: dict[PlaneAt, list[StoredPlane]] = {}
        """The planes that are there, with their smaller versions."""
        self._ahead: deque[Future[None]] = deque()

    def write(self, at: PlaneAt, frame: Voxels) -> None:
        """Take a plane over: when this returns, the caller may change its memory.

        Raises
        ------
        StreamBehindError
            The memory is full, and waiting is not wanted; nothing was taken.
        OSError
            The disk does not take it.
        """
        if self._codec.is_packed:
            self._encode(at, frame)
        else:
            self._write_plain(at, frame)

    def _write_plain(self, at: PlaneAt, frame: Voxels) -> None:
        """Write a plane from the memory of the caller, while another thread halves it."""
        import numpy as np

        executor = self._work.halving
        taken = executor.submit(_half, frame, self.sizes[1]) if len(self.sizes) > 1 else None
        try:
            offset = self._file.append((np.ascontiguousarray(frame).data.cast("B"),))
        finally:
            half = taken.result() if taken else None
        full = StoredPlane(self.sizes[0], offset)
        if half is None:
            self._note(at, [full])
            return
        write = self._work.watched(self._write_smaller)
        self._ahead.append(self._work.upper.submit(write, at, full, half))
        self._settle(_MOST_AHEAD)

    def _write_smaller(self, at: PlaneAt, full: StoredPlane, half: Voxels) -> None:
        planes = [half]
        for size in self.sizes[2:]:
            planes.append(_half(planes[-1], size))
        offset = self._file.append([plane.data.cast("B") for plane in planes])
        levels = [full]
        for plane in planes:
            levels.append(StoredPlane(plane.shape, offset))
            offset += plane.nbytes
        self._note(at, levels)

    def _encode(self, at: PlaneAt, frame: Voxels) -> None:
        """Copy a plane, and have it encoded and written."""
        memory = self._work.full
        while not memory.take(self._bytes):
            if not self._work.is_blocking:
                raise StreamBehindError(memory.leaving)
            memory.wait()
        buffer = memory.buffer(frame.shape, self._dtype)
        buffer[...] = frame
        memory.leave(self._bytes)
        tiles = self._work.pool.submit(encode_levels, buffer, self._codec, len(self.sizes))
        self._work.write(self._bytes, self._write_encoded, at, tiles, buffer)

    def _write_encoded(
        self, at: PlaneAt, encoded: Future[list[list[bytes]]], buffer: Voxels
    ) -> None:
        levels = []
        for size, tiles in zip(self.sizes, encoded.result(), strict=True):
            offset = self._file.append((b"".join(tiles),))
            levels.append(StoredPlane(size, offset, tuple(map(len, tiles))))
        self._work.full.give_buffer(buffer, self._bytes, has_left=True)
        self._note(at, levels)

    def _note(self, at: PlaneAt, levels: list[StoredPlane]) -> None:
        stored = [[level.offset, *level.tiles] for level in levels]
        self._work.journal.note({"plane": [self._number, *at], "levels": stored})
        self.planes[at] = levels

    def _settle(self, most: int = 0) -> None:
        while len(self._ahead) > most:
            self._ahead.popleft().result()

    def skip(self, at: PlaneAt) -> None:
        """Pass a plane over: it becomes zeros when the file is finished."""

    def flush(self) -> None:
        """Wait until all planes are written; the caller syncs them."""
        self._settle()
        self._work.pool.settle()

    def read(self, at: PlaneAt) -> Voxels | None:
        """Return a plane that was written, `None` where there is none."""
        if at not in self.planes:
            self.flush()
        levels = self.planes.get(at)
        if levels is None:
            return None
        return read_plane(self._file, levels[0], self._dtype, self._codec.compression)

    def restore(self, recorded: Recorded, skipped: set[PlaneAt]) -> None:  # noqa: ARG002
        """Take up what an earlier process has written; others than noted planes are in no file."""
        for entry in recorded.planes:
            image, t, c, z = entry["plane"]
            if image == self._number:
                levels = zip(self.sizes, entry["levels"], strict=True)
                self.planes[t, c, z] = [
                    StoredPlane(size, offset, tuple(tiles)) for size, (offset, *tiles) in levels
                ]

    def recorded(self) -> Iterator[PlaneAt]:
        """Yield the planes that are there."""
        yield from self.planes

    def zeros(self) -> list[StoredPlane]:
        """Write a plane of zeros, which stands for all that are not there."""
        import numpy as np

        levels = []
        for size in self.sizes:
            if self._codec.is_packed:
                tile = np.zeros((TILE, TILE), self._dtype)
                ((data,),) = encode_levels(tile, self._codec, 1)
                count = prod(-(-n // TILE) for n in size)
                offset = self._file.append((data,))
                levels.append(StoredPlane(size, offset, (len(data),) * count, is_one_tile=True))
            else:
                offset = self._file.append_zeros(prod(size) * self._dtype.itemsize)
                levels.append(StoredPlane(size, offset))
        return levels


def _half(plane: Voxels, size: Shape) -> Voxels:
    """Return a smaller version of a plane."""
    sides = zip(plane.shape, size, strict=True)
    half: Voxels = halve(plane[None], (1, *(2 if n > m else 1 for n, m in sides)))[0]
    return half
