"""The values that settings of streams are made of: dimensions, channels, positions, plates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from spimpack_tasks.streams.plain_values import as_items, as_whole, make_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def __post_init__(self) -> None:
        """Make numbers of numpy plain ones."""
        make_plain(self)


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

    def __post_init__(self) -> None:
        """Make numbers of numpy plain ones."""
        make_plain(self)
        for key in ("grid_row", "grid_column"):
            object.__setattr__(self, key, as_whole(getattr(self, key)))

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
        for key in ("row_names", "column_names"):
            object.__setattr__(self, key, as_items(getattr(self, key)))

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
        make_plain(self)
        for key in ("count", "chunk_size", "shard_size_chunks"):
            object.__setattr__(self, key, as_whole(getattr(self, key)))
        # Values of other types are left as they are: the rules name them.
        name: Any = self.name
        kind = self.type or (TYPES.get(name, "") if isinstance(name, str) else "")
        object.__setattr__(self, "type", kind)
        coords = as_items(self.coords)
        if isinstance(coords, tuple):
            coords = tuple(_coordinate(each, kind) for each in coords)
        object.__setattr__(self, "coords", coords)
        if self.count is None and coords and isinstance(coords, tuple):
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
    is_name = isinstance(given, str | int | float) and not isinstance(given, bool)
    return wanted(str(given)) if is_name else given


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
        An axis has another name, or the sizes are no mapping.
    """
    given: Any = sizes
    if not isinstance(given, Mapping):
        message = f"sizes are a mapping, such as {{'z': 3, 'y': 64, 'x': 64}}, not {sizes!r}"
        raise ValueError(message)  # noqa: TRY004 - as for the names of axes
    chunks, shards = chunk_shapes or {}, shard_shapes or {}
    unknown = sorted({*sizes, *chunks, *shards} - TYPES.keys())
    if unknown:
        message = f"axes are named {', '.join(TYPES)}, not {', '.join(unknown)}"
        raise ValueError(message)
    named = {name: hasattr(size, "__len__") for name, size in sizes.items()}
    return [
        Dimension(
            name,
            count=None if named[name] else size,
            coords=size if named[name] else (),
            chunk_size=chunks.get(name),
            shard_size_chunks=shards.get(name),
        )
        for name, size in given.items()
    ]
