"""The chunks of an Imaris file, taken as they are compressed where that is possible.

Facts: Imaris file format 5.5 and ImarisWriter. Each level has a dataset for each time point and
channel; it is padded to whole chunks, and `ImageSize` of the channel has the true size. The chunks
of a dataset are looked up all at once: asking HDF5 for one after the other takes hours for a large
file. The file is only ever read.
"""

from __future__ import annotations

import operator
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.arrays.codecs import DamagedChunkError
from spimpack_tasks.arrays.grid import LevelGrid
from spimpack_tasks.files.regular import open_descriptor
from spimpack_tasks.model.axes import choose_axes
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.imaris.hdf5_chunks import ChunkedDataset, missing_filters
from spimpack_tasks.volumes.imaris.header import ImarisFile
from spimpack_tasks.volumes.levels import check_chunk_size
from spimpack_tasks.volumes.spec import VolumeSpec

if TYPE_CHECKING:
    from typing import Self

    from spimpack_tasks.arrays.codecs import Codec
    from spimpack_tasks.arrays.grid import Shape
    from spimpack_tasks.files.places import Parts
    from spimpack_tasks.volumes.header import Header

_DEFLATE = 1
"""Number of the filter in HDF5."""
_DECODED_CHUNK = (32, 128, 128)
"""Of data that HDF5 does not keep in chunks, along z, y, x."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """One dataset: its chunks, where they can be taken as they are."""

    dataset: Any
    offsets: Any
    """Place in the file of each chunk of the grid z, y, x; -1 where there is none."""
    lengths: Any
    is_deflated: bool
    """Whether the chunks are zlib streams and nothing else."""


class ChunkIndex(NamedTuple):
    """Where the chunks of a dataset lie in their file."""

    offsets: Any
    """Of each chunk of the grid z, y, x; -1 where there is none."""
    lengths: Any
    is_whole: bool
    """Whether no chunk was left without one of the filters of the dataset."""


def index_chunks(file: ImarisFile, dataset: Any, size_zyx: Shape) -> ChunkIndex:
    """Return where the chunks of a dataset lie, as far as the image goes.

    A dataset may promise more than the image has; chunks beyond the image are never read.

    Raises
    ------
    HeaderError
        The index of chunks is damaged.
    """
    import numpy as np

    grid = [-(-n // size) for n, size in zip(size_zyx, dataset.chunks, strict=True)]
    offsets, lengths = np.full(grid, -1, "int64"), np.zeros(grid, "int64")
    masks = []

    def note(place: Shape, chunk: Any) -> None:
        masks.append(chunk.filter_mask)
        if all(map(operator.lt, place, grid)):
            offsets[place], lengths[place] = chunk.byte_offset, chunk.size

    file.visit_chunks(dataset, note)
    return ChunkIndex(offsets, lengths, not any(masks))


class ImarisChunks:
    """The voxels of an Imaris file, chunk by chunk."""

    def __init__(self, path: str) -> None:
        self.path = path
        with ExitStack() as stack:
            self._file = stack.enter_context(ImarisFile(path))
            self.header: Header = self._file.header
            self._descriptor = open_descriptor(path)[0]
            stack.callback(os.close, self._descriptor)
            times, channels = self.header.shapes[0][:2]
            self._stored = {
                (level, time, channel): self._index(level, time, channel)
                for level in range(len(self.header.shapes))
                for time in range(times)
                for channel in range(channels)
            }
            self.dtype = self._stored[0, 0, 0].dataset.dtype
            self.levels = tuple(self._level(number) for number in range(len(self.header.shapes)))
            self._opened = stack.pop_all()

    @property
    def spec(self) -> VolumeSpec:
        """The image without its voxels, as its file has it."""
        return VolumeSpec(
            shape_tczyx=self.levels[0].shape,
            dtype=self.dtype,
            axes=choose_axes(self.header, "Imaris"),
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._opened.close()

    def _index(self, level: int, time: int, channel: int) -> _Stored:
        import h5py

        dataset = self._file.dataset(level, time, channel)
        if dataset.chunks is None:
            return _Stored(dataset, None, None, is_deflated=False)
        check_chunk_size(self.path, level, dataset.chunks, dataset.dtype)
        creation = dataset.id.get_create_plist()
        filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
        self._check_filters(filters)
        # HDF5 has numbers that numpy has not, such as some of 12 bits, and converts them.
        is_as_numpy = dataset.id.get_type() == h5py.h5t.py_create(dataset.dtype)
        is_plain = is_as_numpy and self._file.holds_bytes_of(dataset) and not dataset.fillvalue
        if filters != [_DEFLATE] or not is_plain:
            return _Stored(dataset, None, None, is_deflated=False)
        index = index_chunks(self._file, dataset, self.header.shapes[level][2:])
        return _Stored(dataset, index.offsets, index.lengths, is_deflated=index.is_whole)

    def _check_filters(self, filters: list[int]) -> None:
        """Refuse chunks that HDF5 cannot decode here."""
        unknown = missing_filters(filters)
        if unknown:
            what = f"is compressed by the filter {unknown[0]} of HDF5, which is not installed"
            raise HeaderError(self.path, what)

    def _level(self, number: int) -> LevelGrid:
        chunks = self._stored[number, 0, 0].dataset.chunks or _DECODED_CHUNK
        return LevelGrid(self.header.shapes[number], (1, 1, *chunks))

    def encoded(self, level: int, place: Shape, codec: Codec) -> Parts | None:
        """Return the chunk at a place of a level's grid, in parts; `None` if all of it is zero.

        Raises
        ------
        DamagedChunkError
            The source's chunk is damaged.
        """
        time, channel, *inner = place
        stored = self._stored[level, time, channel]
        form = self.levels[level]
        same_chunks = stored.dataset.chunks == form.chunk[2:]
        size = form.chunk_voxels * self.dtype.itemsize
        try:
            if stored.is_deflated and same_chunks and stored.dataset.dtype == self.dtype:
                return self._rewrapped(stored, tuple(inner), size, codec)
            return self._decoded(stored, tuple(inner), form, codec)
        except Exception as error:  # a library raises any class for a damaged chunk
            z, y, x = inner
            where = (
                f"level {level}, time point {time}, channel {channel}, chunk {z}/{y}/{x} (z/y/x)"
            )
            message = f"{self.path}: {where}: {error}"
            raise DamagedChunkError(message) from error

    def _rewrapped(self, stored: _Stored, inner: Shape, size: int, codec: Codec) -> Parts | None:
        offset, length = int(stored.offsets[inner]), int(stored.lengths[inner])
        if offset < 0:
            return None
        deflated = os.pread(self._descriptor, length, offset)
        if len(deflated) != length:
            message = "the file ends before its end"
            raise DamagedChunkError(message)
        return codec.rewrap(deflated, size)

    def _decoded(
        self, stored: _Stored, inner: Shape, form: LevelGrid, codec: Codec
    ) -> Parts | None:
        import numpy as np

        sizes = form.chunk[2:]
        starts = [at * n for at, n in zip(inner, sizes, strict=True)]
        region = tuple(slice(start, start + n) for start, n in zip(starts, sizes, strict=True))
        bounds = zip(region, stored.dataset.shape, strict=True)
        inside = tuple(slice(part.start, min(part.stop, n)) for part, n in bounds)
        values = ChunkedDataset(stored.dataset)[inside]
        chunk = np.zeros(sizes, self.dtype)
        chunk[tuple(slice(n) for n in values.shape)] = values
        data = chunk.tobytes()
        return codec.encode(data) if data.strip(b"\0") else None
