"""Composes the table of the volumes of regions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.atlas import acronym_of
from spimpack_tasks.files.tsv import compose_tsv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spimpack_tasks.alignment.atlas import Structure

_COLUMNS = ("region_id", "acronym", "hemisphere", "voxels", "volume_mm3")


def compose_volumes(
    counts: Mapping[int, int], spacing_mm: Sequence[float], structures: Mapping[int, Structure]
) -> str:
    """Return the table of the volumes of regions in the space of the image, in order of ids.

    Parameters
    ----------
    counts
        Voxels of each label. 0 is no region.
    spacing_mm
        Of the voxels.
    structures
        Regions by id.

    Notes
    -----
    An atlas whose labels of the left side are negative tells the hemisphere; for others it is
    `n/a`.
    """
    voxel = math.prod(spacing_mm)
    has_sides = any(label < 0 for label in counts)
    rows = [
        (
            str(label),
            acronym_of(label, structures),
            ("left" if label < 0 else "right") if has_sides else "n/a",
            str(counts[label]),
            f"{counts[label] * voxel:.6f}",
        )
        for label in sorted(counts)
        if label
    ]
    return compose_tsv([_COLUMNS, *rows])
