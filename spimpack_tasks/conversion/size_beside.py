"""Finds the size of voxels that an acquisition program wrote beside an image."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.manifest.beside import told_beside
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.source_errors import UNCONVERTIBLE

if TYPE_CHECKING:
    from spimpack_tasks.volumes.conversion import Request
    from spimpack_tasks.volumes.examine import Source
    from spimpack_tasks.volumes.header import Header


def with_size_beside(request: Request, path: str | Source, source: Source) -> Request:
    """Return a request with the size that an acquisition program wrote beside the image.

    It counts where neither the user nor the image tells a size.
    """
    if request.spacing_um_xyz or not isinstance(path, str):
        return request
    try:
        header = read_header(source.path, source.format, source.selection)
    except (SpimpackError, *UNCONVERTIBLE):
        return request  # told when it is converted
    size, _ = find_size_beside(request, path, header)
    return replace(request, spacing_um_xyz=size) if size else request


def find_size_beside(
    request: Request, path: str | Source, header: Header
) -> tuple[tuple[float | None, ...], str]:
    """Return a size along x, y and z, and the name of the file that tells it."""
    if request.spacing_um_xyz or not isinstance(path, str) or header.is_size_known:
        return (), ""
    beside = told_beside(path, header)
    if beside is None or "PixelSize" not in beside.keys:
        return (), ""
    return (*beside.facts.pixel_size_um, None)[:3], os.path.basename(beside.path)
