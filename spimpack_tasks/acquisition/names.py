"""Names of the files that acquisition programs write beside their images."""

from __future__ import annotations

import os

NDTIFF = "NDTiffStack"
"""Part of the names of NDTiff files of Micro-Manager, which tell about themselves."""


def list_metadata(folder: str) -> frozenset[str]:
    """Return the names in a folder that may be those of files of metadata.

    Nothing is returned for a folder that cannot be listed: what tells about an image is welcome,
    and nothing that packaging needs.
    """
    try:
        return frozenset(filter(_may_tell, os.listdir(folder)))
    except (OSError, ValueError):
        return frozenset()


def _may_tell(name: str) -> bool:
    lowered = name.lower()
    return lowered.endswith((".txt", ".json")) and "meta" in lowered
