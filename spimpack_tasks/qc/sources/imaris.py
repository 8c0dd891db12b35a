"""Levels of Imaris files, by h5py.

`Data` is padded to whole chunks; `ImageSize` is the true size, and nothing beyond it is read.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spimpack_tasks.qc.sources.base import Index, Level
from spimpack_tasks.readers.base import load_library
from spimpack_tasks.readers.imaris import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.qc.sources.base import Voxels


@contextmanager
def open_levels(path: str) -> Iterator[Sequence[Level]]:
    """Open the levels of an Imaris file, at its first time point."""
    header = read_header(path)
    h5py = load_library("h5py")
    with h5py.File(path, "r", swmr=False, locking="best-effort") as file:
        yield [_open_level(file, number, shape) for number, shape in enumerate(header.shapes)]


def _open_level(file: Any, number: int, shape: tuple[int, ...]) -> Level:
    _, channels, *size = shape
    folder = file[f"DataSet/ResolutionLevel {number}/TimePoint 0"]
    datasets = [folder[f"Channel {channel}/Data"] for channel in range(channels)]

    def read(index: Index) -> Voxels:
        numpy = load_library("numpy")
        chosen, *inner = index
        blocks: Voxels = numpy.stack([dataset[tuple(inner)] for dataset in datasets[chosen]])
        return blocks

    return Level(
        axes=("c", "z", "y", "x"),
        shape=(channels, *size),
        dtype=datasets[0].dtype,
        block=(1, *(datasets[0].chunks or (1, *size[1:]))),
        read=read,
    )
