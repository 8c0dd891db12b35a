"""The values that settings of streams are made of: dimensions, channels, positions, plates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TYPES = {
    "t": "time",
    "c": "channel",
    "z": "space",
    "y": "space",
    "x": "space",
    "p": "position",
}
"""Kinds of axes by the names that need none."""
_PLATES = {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24)}
"""Rows and columns of plates by their number of wells (ANSI/SLAS)."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of an acquisition."""

    name: str
    excitation_wavelength_nm: float | None = None
    emission_wavelength_nm: float | None = None
    fluorophore: str = ""
    color: str = ""
    """Six hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place of the stage. Its frames become an image of their own."""

    name: str
    plate_row: str = ""
    plate_column: str = ""
    grid_row: int | None = None
    grid_column: int | None = None
    x_coord: float | None = None
    """Micrometres, like the other coordinates."""
    y_coord: float | None = None
    z_coord: float | None = None

    @property
    def well(self) -> tuple[str, str]:
        """Row and column of the well, empty texts without a plate."""
        return self.plate_row, self.plate_column


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate of wells."""

    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    name: str = ""

    def __post_init__(self) -> None:
        """Make the names tuples."""
        object.__setattr__(self, "row_names", tuple(self.row_names))
        object.__setattr__(self, "column_names", tuple(self.column_names))

    @classmethod
    def of_shape(cls, rows: int, columns: int, name: str = "") -> Plate:
        """Return a plate of so many rows (A, B, …) and columns (1, 2, …).

        Raises
        ------
        ValueError
            There are fewer than 1 or more than 26 rows, or no columns.
        """
        if not 1 <= rows <= len(ascii_uppercase) or columns < 1:
            message = f"a plate has 1 to 26 rows and at least 1 column, not {rows} x {columns}"
            raise ValueError(message)
        return cls(tuple(ascii_uppercase[:rows]), tuple(map(str, range(1, columns + 1))), name)

    @classmethod
    def of_wells(cls, wells: int, name: str = "") -> Plate:
        """Return a standard plate, such as that of 96 wells.

        Raises
        ------
        ValueError
            There is no standard plate with so many wells.
        """
        if wells not in _PLATES:
            message = f"a standard plate has {', '.join(map(str, _PLATES))} wells, not {wells}"
            raise ValueError(message)
        return cls.of_shape(*_PLATES[wells], name)


@dataclass(frozen=True, slots=True)
class Dimension:
    """An axis of an acquisition."""

    name: str
    count: int | None = None
    """Number of steps, that of `coords` if these are given; `None` is a first axis without end."""
    type: str = ""
    """`time`, `channel`, `space` or `position`; it follows from the names t, c, z, y, x and p."""
    coords: tuple[Any, ...] = ()
    """A `Channel`, a `Position`, a name or a number for each step."""
    chunk_size: int | None = None
    """Voxels along a chunk; chosen if not given."""
    shard_size_chunks: int | None = None
    """Chunks along a shard; chosen if not given."""
    unit: str = ""
    """A name of OME-Zarr, such as `micrometer`, which is also the default of space, or `second`."""
    scale: float | None = None
    """Distance of two steps; `None` where it is not known."""
    translation: float = 0.0
    """Where the first step lies."""

    def __post_init__(self) -> None:
        """Fill in what follows from other values."""
        kind = self.type or TYPES.get(self.name, "")
        coords = tuple(_coordinate(each, kind) for each in self.coords)
        object.__setattr__(self, "type", kind)
        object.__setattr__(self, "coords", coords)
        if self.count is None and coords:
            object.__setattr__(self, "count", len(coords))

    @property
    def axis(self) -> str:
        """The letter of the axis: t, c, z, y, x or p, empty for an axis that has none."""
        letters = {"time": "t", "channel": "c", "position": "p"}
        return letters.get(self.type, self.name if self.name in ("z", "y", "x") else "")


def _coordinate(given: Any, kind: str) -> Any:
    """Return a coordinate of channels or positions as a value of its class."""
    wanted = {"channel": Channel, "position": Position}.get(kind)
    if wanted is None or isinstance(given, Channel | Position):
        return given
    if isinstance(given, dict):
        known = {field.name for field in fields(wanted)}
        return wanted(**given) if given.keys() <= known and "name" in given else given
    return wanted(str(given))


def dims_from_standard_axes(
    sizes: Mapping[str, int | Sequence[Any] | None],
    chunk_shapes: Mapping[str, int] | None = None,
    shard_shapes: Mapping[str, int] | None = None,
) -> list[Dimension]:
    """Return dimensions by the names t, c, z, y, x and p.

    Parameters
    ----------
    sizes
        Number of steps, or names, by axis, the slowest first; `None` for one without an end.
    chunk_shapes
        Voxels along a chunk, by axis.
    shard_shapes
        Chunks along a shard, by axis.

    Raises
    ------
    ValueError
        An axis has another name.
    """
    chunks, shards = chunk_shapes or {}, shard_shapes or {}
    unknown = sorted({*sizes, *chunks, *shards} - TYPES.keys())
    if unknown:
        message = f"axes are named {', '.join(TYPES)}, not {', '.join(unknown)}"
        raise ValueError(message)
    return [
        Dimension(
            name,
            count=size if size is None or isinstance(size, int) else len(size),
            coords=() if size is None or isinstance(size, int) else tuple(size),
            chunk_size=chunks.get(name),
            shard_size_chunks=shards.get(name),
        )
        for name, size in sizes.items()
    ]
