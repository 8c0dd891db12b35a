"""Tells whether the image of some settings is finished."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.part import Part
from spimpack_tasks.streams.zarr_groups import image_folders

if TYPE_CHECKING:
    from spimpack_tasks.streams.settings import AcquisitionSettings

_ARRAYS = {"0.5": ("zarr.json", "data_type"), "0.4": (".zarray", "dtype")}
"""File of the metadata of a level, and its key with the type of voxels."""


def is_finished(settings: AcquisitionSettings) -> bool:
    """Tell whether the image is at its path, and no stream to it is unfinished.

    Of an OME-Zarr, size and type are compared as well: an image of other settings may be there.
    """
    part = Part(settings.root_path)
    if not os.path.exists(part.final) or os.path.lexists(part.path):
        return False
    return settings.format == "ome-tiff" or _fits(settings, part.final)


def _fits(settings: AcquisitionSettings, path: str) -> bool:
    name, key = _ARRAYS["0.4" if settings.format.endswith("0.4") else "0.5"]
    try:
        with open(f"{path}/{image_folders(settings)[-1]}/0/{name}", encoding="utf-8") as file:
            found: Any = json.load(file)
    except (OSError, ValueError):
        return False
    return _is_size(settings, found.get("shape", [])) and _is_type(settings, found.get(key, ""))


def _is_size(settings: AcquisitionSettings, shape: list[int]) -> bool:
    counts = {each.axis: each.count for each in settings.dimensions}
    counts = {"z": 1, **counts}
    wanted = [counts[axis] for axis in "tczyx" if axis in counts]
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(m in (n, None) for n, m in pairs)


def _is_type(settings: AcquisitionSettings, found: str) -> bool:
    import numpy as np

    try:
        return np.dtype(found).newbyteorder("=") == np.dtype(settings.dtype)
    except TypeError:
        return False
