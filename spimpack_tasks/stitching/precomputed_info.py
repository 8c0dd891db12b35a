"""Writes the `info` of a precomputed volume of Neuroglancer beside a stitched volume, on request.

It tells programs of that format the sizes, distances and places of all levels, in nanometres. It
holds no voxels: those stay in the OME-Zarr, which Neuroglancer reads by itself. Facts: the
description of the precomputed format in Neuroglancer's documentation.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.held_folders import TargetTakenError
from spimpack_tasks.files.limits import LARGEST_METADATA, allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.stitching.tile_files import write_json
from spimpack_tasks.stitching.volume import plan_volume
from spimpack_tasks.volumes.ome_zarr.metadata import spacings_zyx

if TYPE_CHECKING:
    from spimpack_tasks.stitching.volume import Stitching

_NM = 1000.0
"""Nanometres of a micrometre."""
_KIND = "neuroglancer_multiscale_volume"


def info_path(image: str) -> str:
    """Return where the `info` of an image is written."""
    return f"{image}.precomputed/info"


def check_info(image: str) -> None:
    """Refuse an `info` that something else has written, before any work.

    Raises
    ------
    TargetTakenError
        There is such a file.
    """
    path = info_path(image)
    if not os.path.lexists(os.path.dirname(path)):
        return
    try:
        with open_regular(path) as file:
            data = json.loads(file.read(allowed(LARGEST_METADATA)))
        is_alone = os.listdir(os.path.dirname(path)) == ["info"]
    except (OSError, ValueError, RecursionError):
        data, is_alone = None, False
    if not (is_alone and isinstance(data, dict) and data.get("@type") == _KIND):
        message = f"{os.path.dirname(path)} is there already, and holds more than an info"
        raise TargetTakenError(f"{message} of this program; move it away")


def write_info(work: Stitching, image: str) -> str:
    """Write the `info` of a stitched volume; return its path.

    Raises
    ------
    TargetTakenError
        Something else is there.
    OSError
        The disk does not take it.
    """
    check_info(image)
    path = info_path(image)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_json(path, compose_info(work))
    return path


def compose_info(work: Stitching) -> dict[str, Any]:
    """Return the `info` of a stitched volume: axes are x, y and z, distances in nanometres.

    Places are whole voxels of each level, as the format has them.
    """
    spec, levels = plan_volume(work)
    origin = [um or 0.0 for um in spec.origin_um_zyx]
    scales = []
    for level, spacing in zip(levels, spacings_zyx(spec, levels), strict=True):
        places = [round(place / um) for place, um in zip(origin, spacing, strict=True)]
        resolution = [um * _NM for um in reversed(spacing)]
        scales.append(
            {
                "key": "_".join(f"{nm:.6g}" for nm in resolution),
                "size": [int(n) for n in reversed(level.shape[2:])],
                "resolution": resolution,
                "voxel_offset": places[::-1],
                "chunk_sizes": [[int(n) for n in reversed(level.chunk[2:])]],
                "encoding": "raw",
            }
        )
    return {
        "@type": _KIND,
        "type": "image",
        "data_type": spec.dtype.name,
        "num_channels": 1,
        "scales": scales,
    }
