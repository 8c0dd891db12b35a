"""How the brain of the demo study lies under the microscope, and how tiles are taken of it.

The microscope has x to the right, y to the back and z downwards of the brain (`RPI`), and a light
sheet at 45 degrees: a sample at frame f, row r and column c of a tile shows the place
x = f * step + c * pitch / sqrt(2), y = r * pitch, z = c * pitch / sqrt(2), from the first sample of
the tile. With this step, voxels of the stitched volume are samples of a tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.demo.brain import CENTRE_MM, STAINS, find_brightness, place_cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spimpack_tasks.demo.brain import Places

ANGLE_DEG = 45
"""Between the light sheet and the x axis, as most oblique microscopes have it."""
ORIENTATION_XYZ = "RPI"
PITCH_UM = 80.0
"""Coarse, so that a whole brain takes seconds."""
STEP_UM = PITCH_UM / math.sqrt(2)
SPACING_UM_XYZ = (STEP_UM, PITCH_UM, STEP_UM)
"""Of the voxels of the stitched volume."""
SHAPE_FRC = (212, 88, 124)
"""Frames, rows and columns of a tile: two of them show the brain with a margin."""
_SIGMA_UM = 70.0
"""Radius of a cell: one voxel, so that overlaps have fine structure, by which they are measured."""
_REACH = 3.5 * _SIGMA_UM
"""Distance at which a cell adds 2 counts of 1,000."""
_TURN_DEG, _TILT_DEG = 7.0, -4.0
_SWELLING = (1.02, 0.99, 1.01)
"""The specimen is turned about DV, tilted about ML, and has swollen along ML, AP and DV."""


@dataclass(frozen=True, slots=True)
class DemoTile:
    """A tile: where the stage says that it lies, and where it does."""

    stage_um_xyz: tuple[float, float, float]
    place_um_xyz: tuple[float, float, float]


_ROWS_APART = 64
"""Rows from tile to tile as the stage counts, which leaves 24 for the overlap."""
_FRAMES, _ROWS, _COLUMNS = 1.3, 1.4, 1.1
"""Frames, rows and columns by which the stage is wrong: the second tile lies further along each, so
the stitched volume begins with the first sample of the first tile."""
TILES = (
    DemoTile((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    DemoTile(
        (0.0, _ROWS_APART * PITCH_UM, 0.0),
        ((_FRAMES + _COLUMNS) * STEP_UM, (_ROWS_APART + _ROWS) * PITCH_UM, _COLUMNS * STEP_UM),
    ),
)


def turn_matrix() -> NDArray[np.float64]:
    """Return the map of directions from the atlas to the microscope, 3 x 3."""
    import numpy as np

    turn, tilt = math.radians(_TURN_DEG), math.radians(_TILT_DEG)
    about_dv = [
        [math.cos(turn), -math.sin(turn), 0],
        [math.sin(turn), math.cos(turn), 0],
        [0, 0, 1],
    ]
    about_ml = [
        [1, 0, 0],
        [0, math.cos(tilt), -math.sin(tilt)],
        [0, math.sin(tilt), math.cos(tilt)],
    ]
    matrix: NDArray[np.float64] = np.array(about_dv) @ np.array(about_ml) @ np.diag(_SWELLING)
    return matrix


def middle_mm() -> NDArray[np.float64]:
    """Return the place of the centre of the brain under the microscope: x, y and z."""
    import numpy as np

    frames, rows, columns = SHAPE_FRC
    middle_xyz = (frames + columns - 2, _ROWS_APART + rows - 1, columns - 1)
    middle: NDArray[np.float64] = np.array(middle_xyz) / 2 * np.array(SPACING_UM_XYZ) / 1000
    return middle


def to_microscope(places_mm: Places) -> Places:
    """Return where places of the atlas lie under the microscope, in mm along x, y and z."""
    return (places_mm - CENTRE_MM) @ turn_matrix().T + middle_mm()


def to_atlas(places_mm_xyz: Places) -> Places:
    """Return where places under the microscope lie in the atlas."""
    import numpy as np

    back: Places = (places_mm_xyz - middle_mm()) @ np.linalg.inv(turn_matrix()).T + CENTRE_MM
    return back


def record_tile(tile: DemoTile, name: str) -> NDArray[np.uint16]:
    """Return the frames of a tile in a stain: frames, rows, columns."""
    import numpy as np

    stain = STAINS[name]
    frames, rows, columns = SHAPE_FRC
    x, y, z = tile.place_um_xyz
    deep = np.arange(columns) * STEP_UM
    places = np.empty((rows, columns, 3))
    places[..., 1] = (y + np.arange(rows) * PITCH_UM)[:, None]
    places[..., 2] = z + deep
    light = np.empty(SHAPE_FRC, np.float32)
    for frame in range(frames):
        places[..., 0] = x + frame * STEP_UM + deep
        light[frame] = find_brightness(to_atlas(places / 1000), stain)
    for centre_xyz in 1000 * to_microscope(place_cells(stain)):
        _add_cell(light, centre_xyz - tile.place_um_xyz, stain.cell)
    return np.rint(light).astype(np.uint16)


def _add_cell(light: NDArray[np.float32], centre_um_xyz: Places, counts: float) -> None:
    """Add a cell to the frames of a tile, at a place from the first sample of the tile."""
    import numpy as np

    frames, rows, columns = light.shape
    x, y, z = map(float, centre_um_xyz)
    c = _near(z / STEP_UM, _REACH / STEP_UM, columns)
    r = _near(y / PITCH_UM, _REACH / PITCH_UM, rows)
    # Each column lies one step further along x than the one before.
    f = _near((x - z) / STEP_UM, 2 * _REACH / STEP_UM, frames)
    if not (c.size and r.size and f.size):
        return
    across = f[:, None] * STEP_UM + c * STEP_UM - x
    flat = np.square(across) + np.square(c * STEP_UM - z)
    away = flat[:, None, :] + np.square(r * PITCH_UM - y)[:, None]
    box = np.s_[f[0] : f[-1] + 1, r[0] : r[-1] + 1, c[0] : c[-1] + 1]
    light[box] += counts * np.exp(-away / (2 * _SIGMA_UM**2))


def _near(middle: float, reach: float, count: int) -> NDArray[np.int64]:
    """Return the indices of an axis that lie within reach."""
    import numpy as np

    return np.arange(max(math.ceil(middle - reach), 0), min(math.floor(middle + reach) + 1, count))
