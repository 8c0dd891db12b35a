"""Affine matrices of views, and the geometry of tiles that they stand for.

A matrix has three rows of four numbers, for x, y and z of a pixel at column, row and frame of a
file, as BigDataViewer has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from spimpack_tasks.stitching.tiles import affine_um_zyx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.stitching.tiles import Geometry, Sizes, Vector

Affine: TypeAlias = tuple[tuple[float, ...], ...]
"""Three rows of four numbers."""
IDENTITY: Affine = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
_SAME = 1e-3
"""Relative difference up to which two lengths count as one."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """The geometry that a matrix stands for, and the place of the first sample."""

    position_um_zyx: Vector
    pitch_um: float
    step_um: float
    angle_deg: float | None
    rotate_90: int
    flip_ud: bool

    def is_like(self, other: Recognised, tolerance: float) -> bool:
        """Tell whether another one has the same geometry."""
        pairs = [(self.pitch_um, other.pitch_um), (self.step_um, other.step_um)]
        if (self.angle_deg is None) != (other.angle_deg is None):
            return False
        pairs.append((self.angle_deg or 0.0, other.angle_deg or 0.0))
        turns = (self.rotate_90, self.flip_ud) == (other.rotate_90, other.flip_ud)
        return turns and all(math.isclose(a, b, rel_tol=tolerance) for a, b in pairs)


def multiply(matrices: Sequence[Affine]) -> Affine:
    """Return the product of matrices: the last is applied first."""
    whole = IDENTITY
    for matrix in matrices:
        square = (*matrix, (0.0, 0.0, 0.0, 1.0))
        whole = tuple(
            tuple(math.fsum(row[k] * square[k][n] for k in range(4)) for n in range(4))
            for row in whole
        )
    return whole


def calibration_unit(
    matrices: Sequence[tuple[str, Affine]], voxel_um_xyz: tuple[float, ...]
) -> float:
    """Return how many micrometres the unit of the world has.

    The matrix `calibration` leads from pixels to the world. Where there is none, the product of all
    has to have the proportions of voxels.

    Raises
    ------
    ValueError
        The size of voxels and the matrix contradict one another.
    """
    named = [matrix for name, matrix in matrices if "calibration" in name]
    matrix = named[-1] if named else multiply([each for _, each in matrices])
    steps = [math.hypot(*(matrix[row][axis] for row in range(3))) for axis in range(3)]
    if min(steps) <= 0:
        message = "the calibration has an axis of no length"
        raise ValueError(message)
    units = [size / step for size, step in zip(voxel_um_xyz, steps, strict=True)]
    if max(units) - min(units) > _SAME * max(units) or min(units) <= 0:
        shown = " x ".join(f"{size:g}" for size in voxel_um_xyz)
        told = " x ".join(f"{step:g}" for step in steps)
        message = f"voxels of {shown} µm contradict the calibration {told}"
        raise ValueError(message)
    return units[0]


def turn(rotate_90: int, rows: int, columns: int, *, flip_ud: bool) -> Affine:
    """Return the matrix from column, row and frame of the turned frames to those of the file.

    Parameters
    ----------
    rotate_90, flip_ud
        As of `Geometry`.
    rows, columns
        Of a frame in the file.
    """
    turned_rows = columns if rotate_90 % 2 else rows
    # Column and row of the file, each by: factor of turned column, of turned row, and a constant.
    column, row = {
        0: ((1, 0, 0), (0, 1, 0)),
        1: ((0, -1, columns - 1), (1, 0, 0)),
        2: ((-1, 0, columns - 1), (0, -1, rows - 1)),
        3: ((0, 1, 0), (-1, 0, rows - 1)),
    }[rotate_90]
    if flip_ud:
        column, row = ((c, -r, n + r * (turned_rows - 1)) for c, r, n in (column, row))
    rows_of_xy = [(float(c), float(r), 0.0, float(n)) for c, r, n in (column, row)]
    return (*rows_of_xy, (0.0, 0.0, 1.0, 0.0))


def inverse_of_turn(matrix: Affine) -> Affine:
    """Return the inverse of a matrix that only exchanges and reverses axes."""
    columns = [[matrix[row][axis] for row in range(3)] for axis in range(3)]
    shift = [-math.fsum(c * matrix[row][3] for row, c in enumerate(column)) for column in columns]
    return tuple((*column, shift[axis] + 0.0) for axis, column in enumerate(columns))


def matrix_um(geometry: Geometry, position_um_zyx: Vector, shape_frc: Sizes) -> Affine:
    """Return the matrix from column, row and frame of a file to x, y and z in micrometres."""
    by_sample = affine_um_zyx(geometry, position_um_zyx)
    turned = tuple(
        (by_sample[row][2], by_sample[row][1], by_sample[row][0], by_sample[row][3])
        for row in (2, 1, 0)
    )
    _, rows, columns = shape_frc
    back = turn(geometry.rotate_90, rows, columns, flip_ud=geometry.flip_ud)
    return multiply([turned, inverse_of_turn(back)])


def recognise(matrix: Affine, unit_um: float, size_xyz: tuple[int, int, int]) -> Recognised:
    """Return the geometry that a matrix stands for.

    Parameters
    ----------
    matrix
        From column, row and frame of a file to the world.
    unit_um
        Micrometres of the unit of the world.
    size_xyz
        Columns, rows and frames of the file.

    Raises
    ------
    ValueError
        It does more than to shift, to turn by right angles, or to shear as an oblique sheet does.
    """
    um = tuple(tuple(number * unit_um for number in row) for row in matrix)
    columns, rows, _ = size_xyz
    for rotate_90, flip_ud in product(range(4), (False, True)):
        turned = multiply([um, turn(rotate_90, rows, columns, flip_ud=flip_ud)])
        found = _planes(turned) or _oblique(turned)
        if found is not None:
            pitch, step, angle = found
            position = (turned[2][3], turned[1][3], turned[0][3])
            return Recognised(position, pitch, step, angle, rotate_90, flip_ud)
    message = (
        "the transformation does more than to shift, to turn by right angles, or to shear as an "
        "oblique light sheet does"
    )
    raise ValueError(message)


def _near(a: float, b: float, size: float) -> bool:
    return abs(a - b) <= _SAME * size


def _planes(um: Affine) -> tuple[float, float, None] | None:
    """Return pixels and step of planes across z."""
    (xx, xy, xz, _), (yx, yy, yz, _), (zx, zy, zz, _) = um
    size = min(abs(xx), abs(yy), abs(zz))
    are_others_zero = all(_near(n, 0, size) for n in (xy, xz, yx, yz, zx, zy))
    if not are_others_zero or min(xx, yy, zz) <= 0 or not _near(xx, yy, xx):
        return None
    return xx, zz, None


def _oblique(um: Affine) -> tuple[float, float, float] | None:
    """Return pixels, step and angle of frames of a tilted sheet."""
    (xc, xr, xf, _), (yc, yr, yf, _), (zc, zr, zf, _) = um
    pitch = math.hypot(xc, zc)
    size = min(pitch, abs(yr), abs(xf))
    are_others_zero = all(_near(n, 0, size) for n in (xr, yc, yf, zr, zf))
    if not are_others_zero or min(zc, yr, xf) <= 0 or not _near(pitch, yr, pitch):
        return None
    return yr, xf, math.degrees(math.atan2(zc, xc))
