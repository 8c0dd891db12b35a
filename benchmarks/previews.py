"""CPU, time and memory of `spimpack qc` on large images, and how much of each is read.

    python benchmarks/previews.py [MB]

Makes its own images of two channels, with and without small levels, one after another.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import nibabel
import numpy as np
import tifffile
import zarr
from measuring import BIN, describe_machine, measure

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNELS = 2
LEVELS = 4
CHUNK = (16, 128, 128)


def planes(shape: tuple[int, ...], channel: int) -> Iterator[np.ndarray]:
    """Yield the planes of a channel: a body with a gradient, and noise."""
    depth, height, width = shape
    noise = np.random.default_rng(channel).integers(0, 200, (height, width), "uint16")
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    for z in np.linspace(-1, 1, depth):
        body = 2000 * np.clip(1 - (x * x + y * y + z * z), 0, 1) * (2 + x)
        yield body.astype("uint16") + np.roll(noise, int(z * 1000), 1)


def pyramid(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [tuple(max(1, n >> level) for n in shape) for level in range(LEVELS)]


def slabs(shape: tuple[int, ...], channel: int, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first plane and the voxels of as many planes as a chunk has."""
    stack: list[np.ndarray] = []
    for z, plane in enumerate(planes(shape, channel), start=1):
        stack.append(plane)
        if len(stack) == size or z == shape[0]:
            yield z - len(stack), np.stack(stack)
            stack = []


def write_ome_zarr(path: Path, shape: tuple[int, ...], levels: int = LEVELS) -> None:
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    datasets = []
    for level in range(levels):
        scale = {"type": "scale", "scale": [1, *[float(1 << level)] * 3]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    multiscale = {"version": "0.4", "axes": axes, "datasets": datasets}
    root = zarr.create_group(path, zarr_format=2, attributes={"multiscales": [multiscale]})
    keys = {"name": "v2", "separator": "/"}
    for level, size in enumerate(pyramid(shape)[:levels]):
        chunks = (1, *(min(n, most) for n, most in zip(size, CHUNK, strict=True)))
        array = root.create_array(
            str(level),
            shape=(CHANNELS, *size),
            chunks=chunks,
            dtype="uint16",
            chunk_key_encoding=keys,
        )
        for channel in range(CHANNELS):
            for z, slab in slabs(size, channel, chunks[1]):
                array[channel, z : z + len(slab)] = slab


def set_text(group: h5py.Group, name: str, text: str) -> None:
    group.attrs.create(name, np.frombuffer(text.encode(), "S1"))


def write_imaris(path: Path, shape: tuple[int, ...]) -> None:
    with h5py.File(path, "w") as file:
        image = file.create_group("DataSetInfo/Image")
        set_text(image, "Unit", "um")
        for axis, n in enumerate(shape[::-1]):
            set_text(image, f"ExtMin{axis}", "0")
            set_text(image, f"ExtMax{axis}", str(n))
        for level, size in enumerate(pyramid(shape)):
            for channel in range(CHANNELS):
                name = f"DataSet/ResolutionLevel {level}/TimePoint 0/Channel {channel}"
                group = file.create_group(name)
                for axis, n in zip("ZYX", size, strict=True):
                    set_text(group, f"ImageSize{axis}", str(n))
                chunks = tuple(min(n, most) for n, most in zip(size, CHUNK, strict=True))
                options = {"chunks": chunks, "compression": "gzip", "compression_opts": 2}
                data = group.create_dataset("Data", size, "uint16", **options)
                for z, slab in slabs(size, channel, chunks[0]):
                    data[z : z + len(slab)] = slab


def write_ome_tiff(path: Path, shape: tuple[int, ...], **options: str) -> None:
    tifffile.imwrite(
        path,
        (plane for channel in range(CHANNELS) for plane in planes(shape, channel)),
        shape=(CHANNELS, *shape),
        dtype="uint16",
        bigtiff=True,
        photometric="minisblack",
        metadata={"axes": "CZYX"},
        **options,
    )


def write_nifti(path: Path, shape: tuple[int, ...]) -> None:
    header = nibabel.Nifti1Header()
    header["vox_offset"] = 352
    header.set_data_shape((*shape[::-1], 1, CHANNELS))
    header.set_data_dtype("uint16")
    with path.open("wb") as file:
        file.write(header.binaryblock + bytes(4))
        for channel in range(CHANNELS):
            for plane in planes(shape, channel):
                file.write(plane.tobytes())


WRITERS = {
    "Imaris, 4 levels": ("a.ims", write_imaris),
    "OME-Zarr, 4 levels": ("a.ome.zarr", write_ome_zarr),
    "OME-Zarr, 1 level": ("b.ome.zarr", lambda path, shape: write_ome_zarr(path, shape, levels=1)),
    "OME-TIFF, 1 level": ("a.ome.tif", write_ome_tiff),
    "OME-TIFF, 1 level, zlib": (
        "b.ome.tif",
        lambda path, shape: write_ome_tiff(path, shape, compression="zlib"),
    ),
    "NIfTI": ("a.nii", write_nifti),
}


def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 1074
    side = max(16, round((megabytes * 1e6 / 2 / CHANNELS * 4) ** (1 / 3) / 16) * 16)
    shape = (max(4, side // 4), side, side)
    size = math.prod(shape) * 2 * CHANNELS / 1e6
    with tempfile.TemporaryDirectory() as folder:
        print(f"{describe_machine(folder)}\n")
        print(f"{CHANNELS} channels of {' x '.join(map(str, shape))} voxels, {size:,.0f} MB\n")
        print("| image | read | CPU s | wall s | peak MiB | page MB |")
        print("| --- | --- | ---: | ---: | ---: | ---: |")
        for title, (name, write) in WRITERS.items():
            source, page = Path(folder, name), Path(folder, "page.html")
            write(source, shape)
            used = measure([BIN / "spimpack", "qc", source, "--output", page])
            read = next(line for line in used.output.splitlines() if line.startswith("read: "))
            print(
                f"| {title} | {read.removeprefix('read: ')} | {used.cpu_s:.2f} | {used.wall_s:.2f} "
                f"| {used.peak_mib:.0f} | {page.stat().st_size / 1e6:.1f} |",
                flush=True,
            )
            shutil.rmtree(source) if source.is_dir() else source.unlink()


if __name__ == "__main__":
    main()
