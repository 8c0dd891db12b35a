"""Reads the provenance that this program writes into an OME-Zarr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.limits import LARGEST_METADATA, allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.ome_zarr.metadata import PROVENANCE

if TYPE_CHECKING:
    from collections.abc import Iterator

STITCHING_KEY = "StitchingParameters"
"""Key of the sidecar: how a stitched volume was made, as JSON."""
EARLIER = "earlier"
"""Key of the provenance of the OME-Zarr that an image was converted from, as JSON."""


def read_provenance(path: str) -> dict[str, str]:
    """Return the provenance in an OME-Zarr, empty if this program did not make it."""
    for name, keys in (("zarr.json", ("attributes", PROVENANCE)), (".zattrs", (PROVENANCE,))):
        try:
            with open_regular(f"{path}/{name}") as file:
                data = json.loads(file.read(allowed(LARGEST_METADATA)))
        except (OSError, ValueError, RecursionError):
            continue
        for key in keys:
            data = data.get(key) if isinstance(data, dict) else None
        return data if isinstance(data, dict) else {}
    return {}


def list_generations(told: Any) -> Iterator[dict[str, Any]]:
    """Yield the provenance of an image, then that of the OME-Zarr it was made from, and so on.

    Parameters
    ----------
    told
        The provenance as the attributes have it; what is none yields nothing.
    """
    while isinstance(told, dict):
        yield told
        told = _read_object(told.get(EARLIER))


def find_stitching(told: Any) -> dict[str, str]:
    """Return how the voxels of an image were stitched, by its key of the sidecar.

    Nothing is returned of an image that was not stitched, or whose parameters are no JSON object.
    """
    for generation in list_generations(told):
        text = generation.get("parameters")
        is_told = isinstance(text, str) and _read_object(text) is not None
        if is_told and "stitched_from" in generation:
            return {STITCHING_KEY: str(text)}
    return {}


def _read_object(text: Any) -> dict[str, Any] | None:
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
