"""Levels of Imaris files, by h5py.

`Data` is padded to whole chunks; `ImageSize` is the true size, and nothing beyond it is read.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.volumes.errors import HeaderError, UnreadableVoxelsError
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.imaris.hdf5_chunks import ChunkedDataset
from spimpack_tasks.volumes.imaris.header import ImarisFile
from spimpack_tasks.volumes.levels import Index, StoredLevel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.arrays.grid import Voxels


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the levels of an Imaris file."""
    with ImarisFile(path) as file:
        shapes = file.header.shapes
        yield [_open_level(file, number, shape) for number, shape in enumerate(shapes)]


def _open_level(file: ImarisFile, number: int, shape: tuple[int, ...]) -> StoredLevel:
    times, channels, *size = shape
    datasets = [
        [ChunkedDataset(file.dataset(number, time, channel)) for channel in range(channels)]
        for time in range(times)
    ]

    def read(index: Index) -> Voxels:
        numpy = load_library("numpy")
        *when, which, z, y, x = index
        chosen = datasets[when[0]] if when else datasets[:1]
        blocks: Voxels = numpy.array([[data[z, y, x] for data in each[which]] for each in chosen])
        return blocks if when else blocks[0]

    def finish() -> None:
        try:
            for each in (each.dataset for channels in datasets for each in channels):
                if each.chunks:
                    file.visit_chunks(each, lambda *_: None)
        except HeaderError as error:
            raise UnreadableVoxelsError(str(error)) from error

    first = datasets[0][0].dataset
    block = (1, *(first.chunks or (1, *size[1:])))
    if times == 1:
        return StoredLevel(("c", "z", "y", "x"), shape[1:], first.dtype, block, read, finish=finish)
    axes = ("t", "c", "z", "y", "x")
    return StoredLevel(axes, shape, first.dtype, (1, *block), read, finish=finish)
