"""Points of tracks in the frames of those who read them, and the texts of their files.

Micrometres throughout: the IBL's own documents say metres, but its program divides by a million.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Points = Sequence[Sequence[float]]

BREGMA_UM = (5739.0, 5400.0, 332.0)
"""Bregma in the Allen CCF, along ML, AP and DV from its corner (IBL, `iblatlas`)."""
_SEPARATORS = frozenset(",\"'\\")
"""Characters that would split or quote a cell."""
_FCSV_HEADER = (
    "# Markups fiducial file version = 4.11\n"
    "# CoordinateSystem = LPS\n"
    "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
)


def ccf_to_bregma_um(
    points_mm_lps: Points, bregma_um: Sequence[float] = BREGMA_UM
) -> list[list[float]]:
    """Return points of the atlas, LPS in mm, from bregma: right, front and up, in micrometres."""
    ml, ap, dv = bregma_um
    return [[-1000 * x - ml, ap - 1000 * y, dv + 1000 * z] for x, y, z in points_mm_lps]


def image_to_ras_um(points_mm_lps: Points) -> list[list[float]]:
    """Return points of the image's own frame, LPS in mm, as RAS in micrometres."""
    return [[-1000 * x, -1000 * y, 1000 * z] for x, y, z in points_mm_lps]


def compose_picks(points_um: Points) -> str:
    """Return the text of `xyz_picks.json`."""
    return json.dumps({"xyz_picks": [list(point) for point in points_um]}) + "\n"


def compose_fcsv(points_mm_lps: Points, name: str) -> str:
    """Return a list of points for 3D Slicer, LPS in mm, with six decimals (1 nm)."""
    label = "".join(c for c in name if c.isprintable() and c not in _SEPARATORS).strip()
    lines = [
        f"{number},{x:.6f},{y:.6f},{z:.6f},0,0,0,1,1,1,0,{label}-{number},,vtkMRMLScalarVolumeNode1"
        for number, (x, y, z) in enumerate(points_mm_lps, 1)
    ]
    return _FCSV_HEADER + "\n".join(lines) + "\n"
