"""Identities: digests of all that an output depends on. And the pace at which it is made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.files.digests import digest_values as digest
from spimpack_tasks.files.stamps import stamp_text

__all__ = ["Pace", "digest", "identify_tile"]

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

    Folders are not in it, so tiles that were moved as they are make no volume again.
    """
    name = os.path.basename(tile.path)
    parts = [tile.name, name, stamp_text(tile.path), *tile.shape_frc, tile.dtype, tile.form]
    return "\0".join(map(str, [*parts, tile.time_index, tile.channel_index]))
