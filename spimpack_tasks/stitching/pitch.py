"""Measures the distance of pixels by tiles that lie side by side along the rows of frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spimpack_tasks.stitching.tiles import um_of_sample

if TYPE_CHECKING:
    from spimpack_tasks.stitching.tiles import TileSet

MOST_PITCH_ERROR = 0.002
"""Relative standard error of the measured distance of pixels up to which it is used."""
_LEAST_SLOPE_PX = 16
"""Rows by which tiles that tell the distance of pixels differ at least."""
_LEAST_PLACE_ERROR = 0.01
"""Samples by which the measured place of a tile errs at least."""


@dataclass(frozen=True, slots=True)
class PitchEstimate:
    """The distance of pixels, measured by tiles that lie side by side along the rows."""

    pitch_um: float
    error_um: float
    """Standard error; infinite where it cannot be told."""
    tiles: int
    """How many tiles tell it."""
    is_used: bool


def estimate_pitch(
    tiles: TileSet, places_frc: Any, groups: list[list[int]]
) -> PitchEstimate | None:
    """Return the distance of pixels: the slope of the stage over the measured rows of tiles.

    The stage errs as well, for each tile by itself. By how much is told by what is left over along
    all axes; the standard error is widened for the few tiles that tell it, as Student's t is.

    Parameters
    ----------
    tiles
        The tiles on the stage.
    places_frc
        Measured places in samples: tiles x 3.
    groups
        Numbers of tiles that measured pairs connect.

    Returns
    -------
    PitchEstimate or None
        `None` where no two connected tiles lie side by side along the rows.
    """
    import numpy as np

    geometry = tiles.geometry
    stage = np.array([tile.position_um_zyx for tile in tiles.tiles])
    products, squares, rest, freedom, count = 0.0, 0.0, [], -1, 0
    for group in groups:
        places = places_frc[group] - places_frc[group].mean(0)
        told = stage[group] - stage[group].mean(0)
        if np.ptp(places[:, 1]) < _LEAST_SLOPE_PX:
            continue
        products += float(places[:, 1] @ told[:, 1])
        squares += float(places[:, 1] @ places[:, 1])
        count += len(group)
        freedom += len(group) - 1
        if np.ptp(places[:, 2]) < _LEAST_SLOPE_PX:  # deeper, x and z depend on the pitch as well
            measured = np.array(
                [um_of_sample(geometry, (place[0], place[1], place[2])) for place in places]
            )
            rest.append((told - measured)[:, [0, 2]])
            freedom += 2 * (len(group) - 1)
    if not squares:
        return None
    pitch = products / squares
    total = sum(float(np.square(each).sum()) for each in rest)
    for group in groups:
        rows = places_frc[group, 1] - places_frc[group, 1].mean()
        if np.ptp(rows) >= _LEAST_SLOPE_PX:
            told = stage[group, 1] - stage[group, 1].mean()
            total += float(np.square(told - pitch * rows).sum())
    if freedom < 1:
        return PitchEstimate(pitch, math.inf, count, is_used=False)
    widened = 1 + 1.5 / freedom + 4 / freedom**4
    variance = total / freedom + (_LEAST_PLACE_ERROR * geometry.pitch_um) ** 2
    error = widened * math.sqrt(variance / squares)
    is_used = pitch > 0 and error / pitch < MOST_PITCH_ERROR
    return PitchEstimate(pitch, error, count, is_used)
