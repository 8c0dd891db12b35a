"""Sound images of the smallest size, whose headers say what the tables of the tests say."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from spimpack_tasks.demo.images import DemoImage, write_imaris, write_ome_tiff, write_ozx

IMAGE = DemoImage(("Abeta", "YoPro"), (2, 8, 8), (4.0, 1.8, 1.8), levels=1)
"""Pixel size [1.8, 1.8, 4] um; two channels."""

WRITERS = {
    ".ome.btf": lambda path, image: write_ome_tiff(path, image, bigtiff=True),
    ".tif": write_ome_tiff,
    ".tiff": write_ome_tiff,
    ".ozx": write_ozx,
    ".zip": write_ozx,
    ".ims": write_imaris,
}


def write_tiny_image(path: Path, channels: tuple[str, ...] = IMAGE.channels) -> Path:
    """Write an image of the format that its name tells; no two files have the same bytes."""
    image = replace(IMAGE, channels=channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = next((ending for ending in WRITERS if path.name.endswith(ending)), ".ims")
    if path.name.endswith(".zarr"):
        _write_ome_zarr(path, image)
    elif ending == ".ims" or ".tif" in ending:
        # HDF5 and TIFF know where they end.
        path.write_bytes(_content(ending, image) + path.name.encode())
    else:
        path.write_bytes(_content(ending, image))
    return path


def write_silent_image(path: Path) -> Path:
    """Write a plain TIFF that says nothing of its pixels' size, nor of channels."""
    import numpy as np
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.zeros((2, 8, 8), "uint16"), metadata=None, photometric="minisblack")
    return path


@cache
def _content(ending: str, image: DemoImage) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"image{ending}")
        WRITERS[ending](path, image)
        return path.read_bytes()


def _write_ome_zarr(path: Path, image: DemoImage) -> None:
    """Write an OME-Zarr 0.5 by hand, which takes no time, with one chunk of raw zeros."""
    shape = [len(image.channels), *image.shape_zyx]
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = {"type": "scale", "scale": [1.0, *image.spacing_um_zyx]}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}
    array = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    chunk = path / "0" / "c" / "0" / "0" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    (path / "zarr.json").write_text(json.dumps(group))
    (path / "0" / "zarr.json").write_text(json.dumps(array))
    chunk.write_bytes(bytes(2 * 2 * 2 * 8 * 8))
