"""Makes large Imaris files as ImarisWriter does: deflate 2, chunks of 1 MiB, padded, 5 levels.

And one of very many chunks, which are tiny, to be made quickly; and planes and an OME-TIFF of the
same voxels.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING

import deflate
import h5py
import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = (32, 128, 128)
TINY = (2, 2, 4)
SPACING_UM = (4.0, 1.8, 1.8)
LEVELS = 5


def compose_voxels(shape: tuple[int, int, int], channel: int) -> np.ndarray:
    """Return a smooth body with noise, which deflates to about half, like a brain does."""
    random = np.random.default_rng(channel)
    z, y, x = (np.linspace(-1, 1, n, dtype="float32") for n in shape)
    noise = random.integers(0, 120, shape, "uint16")
    body = np.clip(1.2 - z[:, None, None] ** 2 - y[:, None] ** 2 - x**2, 0, 1) * 3000
    return np.where(body > 0, body.astype("uint16") + noise, noise >> 3)


def halve(voxels: np.ndarray) -> np.ndarray:
    """Return the floor of the mean of two voxels along each axis, odd rests dropped."""
    even = voxels[tuple(slice(n // 2 * 2) for n in voxels.shape)].astype("uint32")
    z, y, x = even.shape
    return (even.reshape(z // 2, 2, y // 2, 2, x // 2, 2).sum((1, 3, 5)) // 8).astype("uint16")


def set_texts(group: h5py.Group, **texts: object) -> None:
    for name, text in texts.items():
        group.attrs[name] = np.frombuffer(str(text).encode(), "S1")


def write_imaris(path: Path, shape: tuple[int, int, int], channels: int = 2) -> int:
    """Write the file, and return the number of bytes of its voxels in all levels."""
    total = 0
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        _describe(file, shape, channels)
        for channel in range(channels):
            voxels = compose_voxels(shape, channel)
            for level in range(LEVELS):
                _write_data(_create_group(file, level, channel, voxels.shape), voxels)
                total += voxels.nbytes
                voxels = halve(voxels)
    return total


def write_many_chunks(path: Path, grid: tuple[int, int, int]) -> None:
    """Write a file of tiny chunks, which lie in it in no order; each is full of its number."""
    shape = tuple(n * size for n, size in zip(grid, TINY, strict=True))
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        _describe(file, shape, 1)
        group = _create_group(file, 0, 0, shape)
        options = {"chunks": TINY, "compression": "gzip", "compression_opts": 2}
        data = group.create_dataset("Data", shape, "uint32", **options)
        for number in np.random.default_rng(1).permutation(np.prod(grid)):
            place = np.unravel_index(number, grid)
            start = tuple(int(at) * size for at, size in zip(place, TINY, strict=True))
            chunk = np.full(TINY, number, "uint32")
            data.id.write_direct_chunk(start, deflate.zlib_compress(chunk.tobytes(), 2))


def write_planes(path: Path, shape: tuple[int, int, int]) -> int:
    """Write a folder of numbered planes, not compressed, and return the bytes of its voxels."""
    path.mkdir()
    voxels = compose_voxels(shape, 0)
    for number, plane in enumerate(voxels):
        tifffile.imwrite(path / f"plane_{number:04}.tif", plane)
    return voxels.nbytes


def write_ome_tiff(path: Path, shape: tuple[int, int, int]) -> int:
    """Write an OME-TIFF of one level, deflated in tiles, and return the bytes of its voxels."""
    voxels = compose_voxels(shape, 0)
    size = dict(zip(("PhysicalSizeZ", "PhysicalSizeY", "PhysicalSizeX"), SPACING_UM, strict=True))
    about = {"axes": "ZYX", **size}
    tifffile.imwrite(path, voxels, tile=(256, 256), compression="zlib", metadata=about)
    return voxels.nbytes


def _describe(file: h5py.File, shape: tuple[int, ...], channels: int) -> None:
    about = {f"ExtMin{axis}": 0 for axis in range(3)}
    ends = zip(shape[::-1], SPACING_UM[::-1], strict=True)
    about |= {f"ExtMax{axis}": n * step for axis, (n, step) in enumerate(ends)}
    about |= dict(zip("XYZ", shape[::-1], strict=True))
    set_texts(file.create_group("DataSetInfo/Image"), Unit="um", **about)
    set_texts(file.create_group("DataSetInfo/ImarisDataSet"), Creator="Imaris", Version="9.8")
    times = {"DatasetTimePoints": 1, "FileTimePoints": 1, "TimePoint1": "2026-01-01 12:00:00"}
    set_texts(file.create_group("DataSetInfo/TimeInfo"), **times)
    for channel in range(channels):
        names = {"Name": f"stain {channel}", "Color": "0 1 0", "ColorRange": "0 3000"}
        set_texts(file.create_group(f"DataSetInfo/Channel {channel}"), **names)


def _create_group(file: h5py.File, level: int, channel: int, shape: tuple[int, ...]) -> h5py.Group:
    group = file.create_group(f"DataSet/ResolutionLevel {level}/TimePoint 0/Channel {channel}")
    set_texts(group, **{f"ImageSize{axis}": n for axis, n in zip("ZYX", shape, strict=True)})
    return group


def _write_data(group: h5py.Group, voxels: np.ndarray) -> None:
    padded = [-(-n // size) * size for n, size in zip(voxels.shape, CHUNK, strict=True)]
    options = {"chunks": CHUNK, "compression": "gzip", "compression_opts": 2}
    data = group.create_dataset("Data", padded, "uint16", **options)
    starts = list(product(*(range(0, n, s) for n, s in zip(padded, CHUNK, strict=True))))

    def encode(start: tuple[int, ...]) -> bytes:
        chunk = np.zeros(CHUNK, "uint16")
        part = voxels[tuple(slice(s, s + n) for s, n in zip(start, CHUNK, strict=True))]
        chunk[tuple(slice(n) for n in part.shape)] = part
        return deflate.zlib_compress(chunk.tobytes(), 2)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start, chunk in zip(starts, pool.map(encode, starts), strict=True):
            data.id.write_direct_chunk(start, chunk)
