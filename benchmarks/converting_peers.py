"""Converts an image as other programs do, to be measured beside ours.

python benchmarks/converting_peers.py zarrnii|dask|dask-planes SOURCE TARGET
"""

from __future__ import annotations

import sys
from pathlib import Path


def by_zarrnii(source: str, target: str) -> None:
    """Convert an image as zarrnii's documentation shows it."""
    from zarrnii import ZarrNii  # noqa: PLC0415 - its cost is part of what is measured

    ZarrNii.from_file(source).to_ome_zarr(target)


def by_dask(source: str, target: str) -> None:
    """Decode each level of an Imaris file, and encode it with zarr's own defaults."""
    import dask.array  # noqa: PLC0415
    import h5py  # noqa: PLC0415

    with h5py.File(source, "r") as file:
        for level in range(len(file["DataSet"])):
            group = file[f"DataSet/ResolutionLevel {level}/TimePoint 0"]
            data = [group[f"Channel {channel}/Data"] for channel in range(len(group))]
            arrays = [dask.array.from_array(each, chunks=each.chunks) for each in data]
            dask.array.stack(arrays).to_zarr(target, component=str(level))


def by_dask_planes(source: str, target: str) -> None:
    """Put planes together, and encode them in the chunks that ours have, without levels."""
    import dask.array  # noqa: PLC0415
    import dask.array.image  # noqa: PLC0415

    planes = dask.array.image.imread(str(Path(source) / "*.tif"))
    planes.rechunk((32, 128, 128)).to_zarr(target, component="0")


PEERS = {"zarrnii": by_zarrnii, "dask": by_dask, "dask-planes": by_dask_planes}

if __name__ == "__main__":
    PEERS[sys.argv[1]](sys.argv[2], sys.argv[3])
