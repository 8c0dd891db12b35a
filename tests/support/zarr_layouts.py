"""One small OME-Zarr in each layout that chunks can have, written by zarr."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr

SHAPE = (2, 8, 16, 16)
"""Along c, z, y, x."""
VOXELS = np.arange(1, 1 + np.prod(SHAPE), dtype="uint16").reshape(SHAPE)
LAYOUTS = {
    "v2": ({"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}}, "0/1/1/1/1"),
    "v2-flat": (
        {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "."}},
        "0/1.1.1.1",
    ),
    "v3": ({}, "0/c/1/1/1/1"),
    "v3-sharded": ({"shards": (1, 8, 16, 16)}, "0/c/1/0/0/0"),
    "v3-plain": ({"compressors": None}, "0/c/1/1/1/1"),
}
"""How an image is kept, and one of its files of voxels."""
LARGEST = {"chunks": (1, 4, 8, 8)}


def write_store(path: Path, layout: str = "v3", voxels: np.ndarray = VOXELS) -> Path:
    """Write an OME-Zarr of one level."""
    options = LAYOUTS[layout][0]
    form = options.get("zarr_format", 3)
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = {"type": "scale", "scale": [1, 4, 1.8, 1.8]}
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    multiscale = {"version": "0.4", "axes": axes, "datasets": datasets}
    told = {"multiscales": [multiscale]}
    if form == 3:
        told = {"ome": {"version": "0.5", **told}}
    group = zarr.create_group(path, zarr_format=form, attributes=told)
    given = {key: value for key, value in options.items() if key != "zarr_format"}
    array = group.create_array("0", shape=SHAPE, dtype="uint16", **{**LARGEST, **given})
    array[:] = voxels
    return path
