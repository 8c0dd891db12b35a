"""Threads read compressed chunks of one HDF5 file at the same time."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

from spimpack_tasks.volumes.imaris.hdf5_chunks import ChunkedDataset

VOXELS = np.arange(16**3, dtype="uint16").reshape(16, 16, 16)


def read_each_chunk_with_four_threads(path):
    with h5py.File(path) as file, ThreadPoolExecutor(4) as pool:
        dataset = file["data"]

        def is_right(start):
            region = tuple(slice(at, at + 4) for at in start)
            return (ChunkedDataset(dataset)[region] == VOXELS[region]).all()

        starts = itertools.product(range(0, 16, 4), repeat=3)
        sys.exit(0 if all(pool.map(is_right, list(starts) * 30)) else "wrong voxels")


def test_each_chunk_is_right_and_the_process_survives(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=VOXELS, chunks=(4, 4, 4), compression="lzf")
    # In a process of its own, which h5py before 3.16 ended: it left one function without a guard.
    reader = multiprocessing.get_context("fork").Process(
        target=read_each_chunk_with_four_threads, args=(path,)
    )
    reader.start()
    reader.join()
    assert reader.exitcode == 0
