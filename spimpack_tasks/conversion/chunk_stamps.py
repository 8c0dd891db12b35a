"""Stamps of sources for work that reads all of their bytes, and may be interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spimpack_tasks.files.stamps import stamp_tree
from spimpack_tasks.volumes.formats import OME_ZARR

if TYPE_CHECKING:
    from spimpack_tasks.volumes.examine import Source


def stamp_all(source: Source) -> str:
    """Return the stamp of a source, and of an OME-Zarr that of its chunks as well.

    They may come or change between a run that was interrupted and the next.
    """
    chunks = stamp_tree(source.path) if source.format is OME_ZARR else ""
    return f"{source.stamp} {chunks}".rstrip()
