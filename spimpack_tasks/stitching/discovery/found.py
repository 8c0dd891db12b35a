"""The facts about tiles in a layout, and the choices of a user; values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from spimpack_tasks.errors import Place
    from spimpack_tasks.stitching.tiles import Vector

LAYOUT, PLACE, IMAGE, GEOMETRY = "tiles.layout", "tiles.place", "tiles.image", "tiles.geometry"
"""Codes of problems: no layout fits; a place is wrong; a file is; distances or turns are."""

BY_LAYOUT: Literal["by layout"] = "by layout"
Angle: TypeAlias = float | Literal["by layout"] | None
"""Degrees, `None` for planes across z, or as the layout has it."""


@dataclass(frozen=True, slots=True)
class TileChoices:
    """Choices of a user. Open ones are taken from the files."""

    layout: str = ""
    """Name of a layout; empty to find it out."""
    channel: str = ""
    """Name of a channel, such as a folder, or its number from 0 on in files of several."""
    pitch_um: float | None = None
    """Distance of pixels in the sample."""
    step_um: float | None = None
    """Distance of frames."""
    angle_deg: Angle = BY_LAYOUT
    """Between light sheet and x axis."""
    rotate_90: int | None = None
    """Quarter turns of each frame, as `numpy.rot90` turns."""
    flip_ud: bool | None = None
    """Whether the rows of each frame are reversed after the turn."""
    reversed_axes: str | None = None
    """Those of x, y and z along which places fall while pixels or frames rise; empty for none."""
    z_pitch_um: float | None = None
    """Distance of neighbouring layers of tiles, in place of the z that files tell."""
    sizes_may_differ: bool = False
    """Whether tiles of different sizes are taken."""


@dataclass(frozen=True, slots=True)
class FoundTile:
    """One tile, as a layout tells it."""

    name: str
    """Unique among the tiles."""
    path: str
    """Absolute."""
    position_um_zyx: Vector
    """As it is told, before axes are reversed."""
    where: Place
    """Where that stands."""
    form: str = ""
    """Name of its format; empty to find it out."""
    time_index: int = 0
    """Which time point of the file."""
    channel_index: int | None = None
    """Which channel of the file; `None` if the layout does not say."""


@dataclass(frozen=True, slots=True)
class Found:
    """The tiles of one channel, and the facts that all of them share."""

    tiles: tuple[FoundTile, ...]
    where: Place
    """Where the geometry stands, or should."""
    pitch_um: float | None = None
    step_um: float | None = None
    angle_deg: float | None = None
    rotate_90: int | None = 0
    """`None` if nobody knows."""
    flip_ud: bool | None = False
    """`None` if nobody knows."""
    reversed_axes: str | None = ""
    """`None` if nobody knows."""
