"""Reads the provenance that this program writes into an OME-Zarr."""

from __future__ import annotations

import json

from spimpack_tasks.files.limits import LARGEST_METADATA, allowed
from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.ome_zarr.header_extras import PROVENANCE


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
