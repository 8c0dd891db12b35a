"""Tiles: stacks of frames that a stage has recorded side by side, and how they lie in the sample.

A sample of a tile has three indices: frame, row and column, of frames as they are after they were
turned (`Geometry.rotate_90`, `Geometry.flip_ud`). Of an oblique microscope the columns run down
along the tilted sheet and the stage moves along x from frame to frame, so that

    x = frame * step + column * pitch * cos(angle)
    y = row * pitch
    z = column * pitch * sin(angle)

Of others, frames are planes across z. Values and arithmetic only: nothing here opens a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

OBLIQUE_ANGLE_DEG = 45.0
"""Angle between the light sheet and the x axis in oblique microscopes."""
MOST_PARTS = 16
"""Parts of a large volume, one task each: a worker that fails loses one of them."""
SAMPLES_OF_A_PART = 2**27
"""Samples of a part, which take seconds: to open the tiles again for it takes a tenth of one, and
it reads frames again that its neighbours read as well."""

Vector: TypeAlias = tuple[float, float, float]
Sizes: TypeAlias = tuple[int, int, int]
Matrix: TypeAlias = tuple[tuple[float, float, float, float], ...]
"""Four rows of four numbers."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the samples of each tile lie to each other.

    Raises
    ------
    ValueError
        A distance is not positive, or the angle is not that of a tilted sheet.
    """

    pitch_um: float
    """Distance of neighbouring rows, and of neighbouring columns, on the camera's image."""
    step_um: float
    """Distance of neighbouring frames: along x if the sheet is tilted, along z if not."""
    angle_deg: float | None = OBLIQUE_ANGLE_DEG
    """Angle between sheet and x axis; `None` where frames are planes across z."""
    rotate_90: int = 0
    """Quarter turns of each stored frame, as `numpy.rot90` turns; before `flip_ud`."""
    flip_ud: bool = False
    """Whether the rows of each frame are reversed after the turn."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        if not (math.isfinite(self.pitch_um) and self.pitch_um > 0):
            message = f"the distance of pixels is {self.pitch_um} µm, but must be positive"
            raise ValueError(message)
        if not (math.isfinite(self.step_um) and self.step_um > 0):
            message = f"the distance of frames is {self.step_um} µm, but must be positive"
            raise ValueError(message)
        if self.angle_deg is not None and not 0 < self.angle_deg < 180:
            message = f"the angle of the sheet is {self.angle_deg}°, but must lie in 0°..180°"
            raise ValueError(message)
        if self.rotate_90 not in range(4):
            message = f"quarter turns are {self.rotate_90}, but must be 0, 1, 2 or 3"
            raise ValueError(message)

    @property
    def is_oblique(self) -> bool:
        """Whether columns run down along a tilted sheet."""
        return self.angle_deg is not None

    @property
    def shear_um(self) -> float:
        """Distance along x of neighbouring columns of a tilted frame; 0 for planes."""
        if self.angle_deg is None:
            return 0.0
        return self.pitch_um * math.cos(math.radians(self.angle_deg))

    @property
    def shear(self) -> float:
        """The same in frames a column: 1 where the step suits the pitch; 0 for planes."""
        return self.shear_um / self.step_um

    @property
    def spacing_um_zyx(self) -> Vector:
        """Distance of the voxels of a volume that is made of the frames."""
        if self.angle_deg is None:
            return self.step_um, self.pitch_um, self.pitch_um
        depth = self.pitch_um * math.sin(math.radians(self.angle_deg))
        return depth, self.pitch_um, self.step_um


@dataclass(frozen=True, slots=True)
class Tile:
    """One stack of frames at one position of the stage, in any format that voxels are read of."""

    name: str
    """Unique in its set, such as `001000/001000_002000/000000`."""
    path: str
    """The file or directory, which `volumes.volume.open_volume` opens; its z axis is the frames."""
    position_um_zyx: Vector
    """Where frame 0, row 0, column 0 of the turned frames lies."""
    shape_frc: Sizes
    """Number of frames, and rows and columns of a frame as it is stored, before it is turned."""
    dtype: str
    """Name of the data type, such as `uint16`."""
    form: str = ""
    """Name of the format in `volumes.formats`; empty to find it out from the path."""
    time_index: int = 0
    """Which time point of the file."""
    channel_index: int = 0
    """Which channel of the file."""


@dataclass(frozen=True, slots=True)
class TileSet:
    """The tiles of one channel.

    Raises
    ------
    ValueError
        There is no tile, two tiles have one name, or tiles have different data types.
    """

    geometry: Geometry
    tiles: tuple[Tile, ...]

    def __post_init__(self) -> None:
        """Refuse tiles that do not make up a set."""
        names = [tile.name for tile in self.tiles]
        twice = sorted({name for name in names if names.count(name) > 1})
        dtypes = sorted({tile.dtype for tile in self.tiles})
        if not names:
            raise ValueError("there is no tile")
        if twice:
            raise ValueError(f"tiles share a name: {', '.join(twice)}")
        if len(dtypes) > 1:
            raise ValueError(f"tiles have different data types: {', '.join(dtypes)}")


def count_parts(tiles: TileSet) -> int:
    """Return of how many parts a volume is made: fewer of small tiles, one at least."""
    samples = sum(math.prod(tile.shape_frc) for tile in tiles.tiles)
    return min(-(-samples // SAMPLES_OF_A_PART), MOST_PARTS)


def turned_shape(shape_frc: Sizes, geometry: Geometry) -> Sizes:
    """Return numbers of frames, rows and columns after frames were turned."""
    frames, rows, columns = shape_frc
    return (frames, columns, rows) if geometry.rotate_90 % 2 else (frames, rows, columns)


def affine_um_zyx(geometry: Geometry, position_um_zyx: Vector = (0.0, 0.0, 0.0)) -> Matrix:
    """Return the matrix from sample to place: (z, y, x, 1) in µm of (frame, row, column, 1)."""
    z, y, x = position_um_zyx
    dz, dy, dx = geometry.spacing_um_zyx
    last = (0.0, 0.0, 0.0, 1.0)
    if geometry.angle_deg is None:
        return (dz, 0.0, 0.0, z), (0.0, dy, 0.0, y), (0.0, 0.0, dx, x), last
    return (0.0, 0.0, dz, z), (0.0, dy, 0.0, y), (dx, 0.0, geometry.shear_um, x), last


def sample_of_um(geometry: Geometry, place_um_zyx: Vector) -> Vector:
    """Return the frame, row and column of a place that is given from sample 0, 0, 0, in µm."""
    z, y, x = place_um_zyx
    dz, dy, dx = geometry.spacing_um_zyx
    if geometry.angle_deg is None:
        return z / dz, y / dy, x / dx
    column = z / dz
    return (x - column * geometry.shear_um) / dx, y / dy, column


def um_of_sample(geometry: Geometry, sample_frc: Vector) -> Vector:
    """Return the place of a frame, row and column from sample 0, 0, 0: z, y, x in µm."""
    rows = affine_um_zyx(geometry)[:3]
    f, r, c = sample_frc
    z, y, x = (row[0] * f + row[1] * r + row[2] * c for row in rows)
    return z, y, x
