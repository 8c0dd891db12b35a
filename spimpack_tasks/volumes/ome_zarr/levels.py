"""Levels of OME-Zarr, as a directory or in a zip file, by zarr: which chunks lie where is its part.

zarrnii is not asked: it makes a dask graph of the whole level first. A chunk of a shard is read by
itself.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.store_files import StoreFiles
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.levels import StoredLevel, level_of_array
from spimpack_tasks.volumes.ome_zarr.header import find_level_paths, open_directory, read_store
from spimpack_tasks.volumes.ome_zarr.zip_header import open_archive, open_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def open_directory_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the levels of an OME-Zarr directory."""
    zarr = load_library("zarr")
    from spimpack_tasks.volumes.ome_zarr.chunk_files import ZarrFiles  # noqa: PLC0415 - it needs zarr

    store = open_directory(path)
    axes = read_store(store).axes
    voxels = ZarrFiles(StoreFiles(path).open)
    yield [_open_level(zarr, voxels, name, axes) for name in find_level_paths(store)]


@contextmanager
def open_zip_levels(path: str) -> Iterator[Sequence[StoredLevel]]:
    """Open the levels of a zipped OME-Zarr."""
    zarr = load_library("zarr")
    from spimpack_tasks.volumes.ome_zarr.chunk_files import (  # noqa: PLC0415 - it needs zarr
        ZarrFiles,
        read_to_end,
    )

    with open_archive(path) as (store, root, archive):
        axes = read_store(store, root).axes
        names = find_level_paths(store, root)
        voxels = ZarrFiles(partial(open_entry, archive), in_turn=True)

        def finish() -> None:
            while voxels.unfinished:
                with archive.open(voxels.unfinished.pop()) as entry:
                    read_to_end(entry)

        levels = [_open_level(zarr, voxels, name, axes) for name in names]
        yield [replace(level, finish=finish) for level in levels]


def _open_level(zarr: Any, store: Any, name: str, axes: tuple[str, ...]) -> StoredLevel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that zarr finds unusual
        array = zarr.open_array(store, path=name, mode="r")
    return level_of_array(array, axes)
