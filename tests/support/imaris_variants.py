"""Imaris files in which one thing is as other software, or another microscope, writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

DEFLATE = {"compression": "gzip", "compression_opts": 2}


@dataclass(frozen=True)
class Variant:
    """One file, small as it can be while every axis has more than one chunk."""

    shape: tuple[int, int, int] = (11, 21, 37)
    chunks: tuple[tuple[int, int, int] | None, ...] = ((4, 8, 16), (8, 4, 8))
    dtype: str = "<u2"
    times: int = 1
    channels: int = 1
    filters: dict[str, Any] | None = None
    padded: bool = True
    missing: tuple[int, int, int] | None = None
    """Where a chunk begins that is not written."""
    mask_of: tuple[int, int, int] | None = None
    """Where a chunk begins that is stored without its filter."""
    fill: int = 0
    userblock: int = 0
    other_chunks: tuple[int, int, int] | None = None
    """Of the last channel."""


VARIANTS = {
    "as ImarisWriter has it": Variant(),
    "not padded": Variant(padded=False),
    "deflate 9": Variant(filters={"compression": "gzip", "compression_opts": 9}),
    "one byte": Variant(dtype="u1"),
    "big-endian": Variant(dtype=">u2"),
    "with a sign": Variant(dtype="<i2"),
    "numbers with a point": Variant(dtype="<f4"),
    "big-endian numbers with a point": Variant(dtype=">f4"),
    "four bytes": Variant(dtype="<u4"),
    "two channels, three times": Variant(times=3, channels=2),
    "a missing chunk": Variant(missing=(4, 8, 16)),
    "a missing chunk, filled": Variant(missing=(4, 8, 16), fill=7),
    "a chunk without its filter": Variant(mask_of=(4, 8, 0)),
    "shuffled": Variant(filters={**DEFLATE, "shuffle": True}),
    "LZF": Variant(filters={"compression": "lzf"}),
    "with checksums": Variant(filters={**DEFLATE, "fletcher32": True}),
    "not compressed": Variant(filters={}),
    "in one piece": Variant(chunks=(None, None), filters={}, padded=False),
    "a level in one piece": Variant(chunks=((4, 8, 16), None), filters={}, padded=False),
    "behind a user block": Variant(userblock=512),
    "channels of other chunks": Variant(channels=2, other_chunks=(2, 16, 8)),
    "one chunk": Variant(shape=(3, 5, 7), chunks=((8, 8, 8), (8, 8, 8))),
    "one plane": Variant(shape=(1, 21, 37), chunks=((1, 8, 16), (1, 8, 8))),
}


def with_lz4() -> dict[str, Variant]:
    """Return the variants that need a filter which HDF5 has not by itself."""
    import hdf5plugin

    lz4 = dict(hdf5plugin.LZ4())
    return {"LZ4": Variant(filters=lz4), "shuffled LZ4": Variant(filters={**lz4, "shuffle": True})}


def voxels(variant: Variant, level: int, time: int, channel: int) -> np.ndarray:
    """Return the voxels of one dataset, without padding."""
    shape = tuple(max(n >> level, 1) for n in variant.shape)
    random = np.random.default_rng([level, time, channel])
    values = random.integers(1, 120, shape).astype(variant.dtype)
    if variant.missing and level == 0:
        here = tuple(
            slice(s, s + n) for s, n in zip(variant.missing, variant.chunks[0], strict=True)
        )
        values[here] = variant.fill
    return values


def write_variant(path: Path, variant: Variant) -> None:
    """Write the file."""
    settings = {"userblock_size": variant.userblock} if variant.userblock else {}
    with h5py.File(path, "w", **settings) as file:
        image = {"Unit": "um"}
        for axis, n in enumerate(variant.shape[::-1]):
            image |= {f"ExtMin{axis}": "0", f"ExtMax{axis}": str(n * (axis + 1.5))}
        _set(file.create_group("DataSetInfo/Image"), image)
        for channel in range(variant.channels):
            about = {"Name": f"stain {channel}", "Color": "1 0.5 0", "ColorRange": "5 100"}
            _set(file.create_group(f"DataSetInfo/Channel {channel}"), about)
        for level in range(len(variant.chunks)):
            for time in range(variant.times):
                for channel in range(variant.channels):
                    name = f"ResolutionLevel {level}/TimePoint {time}/Channel {channel}"
                    group = file.create_group(f"DataSet/{name}")
                    _write(group, variant, voxels(variant, level, time, channel), level, channel)


def _write(
    group: h5py.Group, variant: Variant, values: np.ndarray, level: int, channel: int
) -> None:
    _set(group, {f"ImageSize{axis}": str(n) for axis, n in zip("ZYX", values.shape, strict=True)})
    chunks = variant.chunks[level]
    if variant.other_chunks and channel == variant.channels - 1:
        chunks = variant.other_chunks
    filters = DEFLATE if variant.filters is None else variant.filters
    if chunks is None:
        group.create_dataset("Data", data=values)
        return
    shape = values.shape
    if not variant.padded:
        chunks = tuple(map(min, chunks, shape))
    if variant.padded:
        shape = tuple(-(-n // size) * size for n, size in zip(shape, chunks, strict=True))
    data = group.create_dataset(
        "Data", shape, variant.dtype, chunks=chunks, fillvalue=variant.fill, **filters
    )
    padded = np.full(shape, 0, variant.dtype)
    padded[tuple(map(slice, values.shape))] = values
    for start in np.ndindex(*(-(-n // size) for n, size in zip(shape, chunks, strict=True))):
        begin = tuple(at * size for at, size in zip(start, chunks, strict=True))
        region = tuple(slice(s, s + n) for s, n in zip(begin, chunks, strict=True))
        if level == 0 and begin == variant.missing:
            continue
        if level == 0 and begin == variant.mask_of:
            data.id.write_direct_chunk(begin, padded[region].tobytes(), filter_mask=1)
            continue
        data[region] = padded[region]


def _set(group: h5py.Group, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        group.attrs[name] = np.frombuffer(text.encode(), "S1")
