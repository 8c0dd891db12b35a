"""The place of a tile as the sidecar of BIDS has it, and its names in a dataset.

BIDS: `ChunkTransformationMatrix` is an affine matrix of 4 x 4 from the voxels of a chunk to the
sample; `ChunkTransformationMatrixAxis` names the axes in its order (BIDS 1.10, microscopy). Ours is
always in micrometres, in the order of the voxels: z, y, x. spimstitch wrote it under the key
`ChunkTransformMatrix`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from spimpack_tasks.stitching.placing import place_alone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.stitching.placing import Canvas
    from spimpack_tasks.stitching.tiles import Matrix, TileSet

KEY, AXES_KEY = "ChunkTransformationMatrix", "ChunkTransformationMatrixAxis"
_OLD_KEY, _OLD_AXES_KEY = "ChunkTransformMatrix", "ChunkTransformMatrixAxis"
AXES = ("Z", "Y", "X")
_SESSION = re.compile(r"([0-9]{8})_([0-9]{2})_([0-9]{2})_([0-9]{2})(?![0-9]).*", re.DOTALL)


class TransformRefusedError(ValueError):
    """A sidecar has no matrix, or one that is none."""


def tile_matrix(tiles: TileSet, number: int) -> Matrix:
    """Return the matrix of one deskewed tile: z, y, x in µm of a voxel z, y, x of its own image.

    For tiles that were aligned, give a set with the aligned positions and geometry.
    """
    return canvas_matrix(place_alone(tiles, number))


def canvas_matrix(canvas: Canvas) -> Matrix:
    """Return the matrix of a volume: its diagonal is the scale of NGFF, its end the translation."""
    (dz, dy, dx), (z, y, x) = canvas.spacing_um_zyx, canvas.origin_um_zyx
    return (
        (dz, 0.0, 0.0, z),
        (0.0, dy, 0.0, y),
        (0.0, 0.0, dx, x),
        (0.0, 0.0, 0.0, 1.0),
    )


def compose_transform(matrix: Matrix) -> dict[str, list[list[float]] | list[str]]:
    """Return the keys of a sidecar for a matrix in the order z, y, x."""
    return {KEY: [list(row) for row in matrix], AXES_KEY: list(AXES)}


def read_transform(
    sidecar: Mapping[str, Any], old_unit: Literal["um", "voxels"] | None = None
) -> Matrix:
    """Return the matrix of a sidecar in micrometres, in the order z, y, x.

    Parameters
    ----------
    sidecar
        Keys of BIDS, or those of spimstitch.
    old_unit
        Unit of the translation in a matrix of spimstitch: voxels as its `write-sidecar` has it,
        micrometres after `rewrite-transforms`. The file does not tell.

    Raises
    ------
    TransformRefusedError
        There is no matrix of numbers, its axes are not named, or the unit is not known.
    """
    is_old = KEY not in sidecar and _OLD_KEY in sidecar
    rows = sidecar.get(_OLD_KEY if is_old else KEY)
    axes = sidecar.get(_OLD_AXES_KEY if is_old else AXES_KEY)
    if rows is None or not _is_matrix(rows):
        raise TransformRefusedError(f"{KEY} is {rows!r}, but must be four rows of four numbers")
    if not isinstance(axes, list) or sorted(map(str, axes)) != sorted(AXES):
        raise TransformRefusedError(f"{AXES_KEY} is {axes!r}, but must name X, Y and Z")
    if is_old and old_unit is None:
        message = f"{_OLD_KEY} may be in voxels or in µm: say which"
        raise TransformRefusedError(message)
    order = [axes.index(axis) for axis in AXES]
    matrix = [
        [float(rows[row][column]) for column in (*order, 3)] for row in order
    ]  # fmt: skip
    if is_old and old_unit == "voxels":
        for n, row in enumerate(matrix):
            row[3] *= row[n]
    z, y, x = ((row[0], row[1], row[2], row[3]) for row in matrix)
    return z, y, x, (0.0, 0.0, 0.0, 1.0)


def _is_matrix(rows: Any) -> bool:
    if not isinstance(rows, list) or len(rows) != 4:
        return False
    numbers = [n for row in rows if isinstance(row, list) and len(row) == 4 for n in row]
    return len(numbers) == 16 and all(
        isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e15 for n in numbers
    )


def session_of_folder(name: str) -> str:
    """Return the label of a session by the name of the folder of a recording.

    Examples
    --------
    >>> session_of_folder("20220215_17_05_59_brain_LCT")
    '20220215h17m05s59'

    Raises
    ------
    ValueError
        The name does not begin with date and time.
    """
    found = _SESSION.fullmatch(name)
    if found is None:
        message = f"{name!r} does not begin with date and time, as 20220215_17_05_59 does"
        raise ValueError(message)
    return "{}h{}m{}s{}".format(*found.groups())
