"""Identities: digests of all that an output depends on. And the pace at which it is made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.files.digests import digest_values as digest
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance

__all__ = ["CORRECTED_KEY", "Pace", "digest", "identify_tile"]

CORRECTED_KEY = "corrected_from"
"""Key of the provenance of corrected frames."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from spimpack_tasks.stitching.tiles import Tile


@dataclass(frozen=True, slots=True)
class Pace:
    """How a volume is made."""

    threads: int
    """How many work side by side."""
    advance: Callable[[int], None]
    """Told the bytes of voxels that are made."""


def identify_tile(tile: Tile) -> str:
    """Return the text that a tile is known by: its file with size and time, and its part of it.

    Folders are not in it, so tiles that were moved as they are make no volume again. Corrected
    frames are known by what they were made from. So a volume of them has equal bytes however often
    they were made again.
    """
    told = read_provenance(tile.path) if os.path.isdir(tile.path) else {}
    is_corrected = CORRECTED_KEY in told and "made_from" in told
    file = (os.path.basename(tile.path), stamp_text(tile.path))
    known = ("", told["made_from"]) if is_corrected else file
    parts = [tile.name, *known, *tile.shape_frc, tile.dtype, tile.form]
    return "\0".join(map(str, [*parts, tile.time_index, tile.channel_index]))
