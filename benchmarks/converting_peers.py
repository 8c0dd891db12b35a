"""Converts an image as other programs do, to be measured beside ours.

    python benchmarks/converting_peers.py PEER SOURCE TARGET
    python benchmarks/converting_peers.py --missing

Each is used as its documentation shows it; where it lets choose, its chunks are those that ours
have. The second call prints the peers that cannot be measured, and what they lack. They may be
installed in an environment of their own: `pip install -r benchmarks/peers.txt`.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

# Imports stand in functions: what a peer imports is part of what it takes.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    import dask.array

CHUNK = (32, 128, 128)
SPACING_UM = {"z": 4.0, "y": 1.8, "x": 1.8}


def by_zarrnii(source: str, target: str) -> None:
    """Convert an image as zarrnii's documentation shows it."""
    from zarrnii import ZarrNii

    ZarrNii.from_file(source).to_ome_zarr(target)


def by_dask_imaris(source: str, target: str) -> None:
    """Decode each level of an Imaris file, and encode it with zarr's own defaults."""
    import dask.array
    import h5py

    with h5py.File(source, "r") as file:
        for level in range(len(file["DataSet"])):
            group = file[f"DataSet/ResolutionLevel {level}/TimePoint 0"]
            data = [group[f"Channel {channel}/Data"] for channel in range(len(group))]
            arrays = [dask.array.from_array(each, chunks=each.chunks) for each in data]
            dask.array.stack(arrays).to_zarr(target, component=str(level))


def by_dask(source: str, target: str) -> None:
    """Encode the first level alone."""
    _open_by_dask(source).to_zarr(target, component="0")


def by_ome_zarr(source: str, target: str) -> None:
    """Write an image with its levels by ome-zarr-py."""
    import zarr
    from ome_zarr.writer import write_image

    write_image(_open_by_dask(source), zarr.open_group(target, mode="w"), axes="zyx")


def by_ngff_zarr(source: str, target: str) -> None:
    """Write an image with its levels by ngff-zarr; an OME-TIFF by its command."""
    if Path(source).is_file():
        command = [sys.executable, "-m", "ngff_zarr.cli", "-q", "-i", source, "-o", target]
        subprocess.run(command, check=True)
        return
    import ngff_zarr

    image = ngff_zarr.to_ngff_image(_open_by_dask(source), dims=("z", "y", "x"), scale=SPACING_UM)
    ngff_zarr.to_ngff_zarr(target, ngff_zarr.to_multiscales(image, chunks=CHUNK))


def by_ome_writers(source: str, target: str) -> None:
    """Append plane after plane by ome-writers; it writes the first level alone."""
    import ome_writers
    import tifffile

    planes = sorted(Path(source).iterdir())
    first = tifffile.imread(planes[0])
    sizes = (len(planes), *first.shape)
    dimensions = [
        ome_writers.Dimension(name=name, count=size, chunk_size=chunk, scale=step)
        for (name, step), size, chunk in zip(SPACING_UM.items(), sizes, CHUNK, strict=True)
    ]
    settings = ome_writers.AcquisitionSettings(
        root_path=target,
        dimensions=dimensions,
        dtype=first.dtype.name,
        compression="blosc-zstd",
        format=ome_writers.OmeZarrFormat(backend="tensorstore"),
    )
    with ome_writers.create_stream(settings) as stream:
        for plane in planes:
            stream.append(tifffile.imread(plane))


def _open_by_dask(source: str) -> dask.array.Array:
    """Return planes, or the first level of an OME-TIFF, in the chunks that ours have."""
    import dask.array

    if Path(source).is_dir():
        import dask.array.image

        return dask.array.image.imread(f"{source}/*.tif").rechunk(CHUNK)
    import tifffile
    import zarr

    store = tifffile.TiffFile(source).series[0].aszarr(level=0)
    return dask.array.from_zarr(zarr.open_array(store, mode="r")).rechunk(CHUNK)


PEERS = {
    "zarrnii": (by_zarrnii, ("zarrnii",)),
    "dask-imaris": (by_dask_imaris, ("dask", "h5py")),
    "dask": (by_dask, ("dask", "skimage", "tifffile", "zarr")),
    "ome-zarr-py": (by_ome_zarr, ("ome_zarr", "dask", "skimage", "tifffile")),
    "ngff-zarr": (by_ngff_zarr, ("ngff_zarr", "itkwasm_downsample", "dask", "skimage")),
    "ome-writers": (by_ome_writers, ("ome_writers", "tensorstore", "tifffile")),
}
"""Function, and the modules that it needs, by the name of the peer."""


def main() -> None:
    if sys.argv[1:] == ["--missing"]:
        for name, (_, modules) in PEERS.items():
            if absent := [module for module in modules if find_spec(module) is None]:
                print(f"{name}: {', '.join(absent)}")
    else:
        convert, _ = PEERS[sys.argv[1]]
        convert(sys.argv[2], sys.argv[3])


if __name__ == "__main__":
    main()
