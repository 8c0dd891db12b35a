"""Reads the frames of tiles, turned, region by region; tiles are opened when they are needed.

Turning costs nothing: the region of the stored frames is read, and its axes are walked along in
another order. Nothing here keeps voxels, so memory does not grow with a stack.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, Self

from spimpack_tasks.stitching.kept_frames import keep
from spimpack_tasks.stitching.tiles import turned_shape
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.stitching.tiles import Geometry, Sizes, Tile, TileSet
    from spimpack_tasks.volumes.volume import Level

    Region = tuple[slice, slice, slice]


class Frames(Protocol):
    """Turned frames of one tile, of which any region can be read by several threads."""

    @property
    def shape_frc(self) -> Sizes:
        """Numbers of frames, rows and columns after frames were turned."""

    @property
    def dtype(self) -> Any:
        """Data type of numpy."""

    @property
    def stored_rows(self) -> int:
        """Turned rows that are stored together, so that reading one costs as much as all."""

    def read(self, region_frc: Region) -> Voxels:
        """Return the samples of a region, along frames, rows and columns; a view may be strided."""

    def keeping(self, rows: slice, columns: slice) -> Frames:
        """Return the same for many small regions of rows and columns, read by one thread."""


class ArrayFrames:
    """Frames that are in memory already.

    Parameters
    ----------
    samples_frc
        Along frames, rows and columns.
    """

    stored_rows = 1

    def __init__(self, samples_frc: Voxels) -> None:
        self.samples_frc = samples_frc
        frames, rows, columns = samples_frc.shape
        self.shape_frc = (frames, rows, columns)
        self.dtype = samples_frc.dtype

    def read(self, region_frc: Region) -> Voxels:
        """Return a view."""
        return self.samples_frc[region_frc]

    def keeping(self, rows: slice, columns: slice) -> Frames:
        """Return frames for many small regions; those that are slow to read are kept."""
        return keep(self, rows, columns)


class ReadFrames:
    """A box of frames that was read at once; only samples of it are asked for.

    Parameters
    ----------
    frames
        The tile.
    region_frc
        The box.
    before
        An earlier box of the tile; frames that are in both are taken from there, where rows and
        columns are the same.
    """

    stored_rows = 1

    def __init__(
        self, frames: Frames, region_frc: Region, before: ReadFrames | None = None
    ) -> None:
        self.shape_frc, self.dtype = frames.shape_frc, frames.dtype
        self.region_frc = region_frc
        self._first = [part.start for part in region_frc]
        self._samples = self._gather(frames, before)

    def _gather(self, frames: Frames, before: ReadFrames | None) -> Voxels:
        import numpy as np

        wanted, rows, columns = self.region_frc
        if before is None or before.region_frc[1:] != (rows, columns):
            return frames.read(self.region_frc)
        low = max(wanted.start, before.region_frc[0].start)
        high = min(wanted.stop, before.region_frc[0].stop)
        if low >= high:
            return frames.read(self.region_frc)
        parts = [before.read((slice(low, high), rows, columns))]
        if wanted.start < low:
            parts.insert(0, frames.read((slice(wanted.start, low), rows, columns)))
        if high < wanted.stop:
            parts.append(frames.read((slice(high, wanted.stop), rows, columns)))
        return np.concatenate(parts)

    def read(self, region_frc: Region) -> Voxels:
        """Return a view."""
        parts = zip(region_frc, self._first, strict=True)
        return self._samples[tuple(slice(p.start - n, p.stop - n) for p, n in parts)]

    def keeping(self, rows: slice, columns: slice) -> Frames:
        """Return frames for many small regions; those that are slow to read are kept."""
        return keep(self, rows, columns)


class StoredFrames:
    """Frames of an open file.

    Parameters
    ----------
    level
        The full level of the file; its z axis is the frames.
    tile
        Which time point and channel of it.
    geometry
        How frames are turned.
    """

    def __init__(self, level: Level, tile: Tile, geometry: Geometry) -> None:
        self._level, self._tile = level, tile
        self._turns, self._is_flipped = geometry.rotate_90, geometry.flip_ud
        self.shape_frc = turned_shape(tile.shape_frc, geometry)
        self.dtype = level.dtype.newbyteorder("=")
        self._lock: Lock | nullcontext[None] = Lock() if level.sequential else nullcontext()

    @property
    def stored_rows(self) -> int:
        """Turned rows that are stored together, so that reading one costs as much as all."""
        return self._level.chunk[4 if self._turns % 2 else 3]

    def read(self, region_frc: Region) -> Voxels:
        """Return the samples of a region as a view of what was read.

        Raises
        ------
        UnreadableVoxelsError
            The file is damaged; the error names it.
        """
        import numpy as np

        frames, rows, columns = region_frc
        stored = stored_region(rows, columns, self.shape_frc, self._turns, flip=self._is_flipped)
        time, channel = self._tile.time_index, self._tile.channel_index
        with self._lock:
            box = self._level.read(
                (slice(time, time + 1), slice(channel, channel + 1), frames, *stored)
            )
        turned: Voxels = np.rot90(
            box[0, 0].astype(self.dtype, copy=False), self._turns, axes=(1, 2)
        )
        if self._is_flipped:
            turned = turned[:, ::-1]
        return turned

    def keeping(self, rows: slice, columns: slice) -> Frames:
        """Return frames for many small regions; those that are slow to read are kept."""
        return keep(self, rows, columns)


def stored_region(
    rows: slice, columns: slice, shape_frc: Sizes, turns: int, *, flip: bool
) -> tuple[slice, slice]:
    """Return rows and columns of the stored frames that hold a region of the turned ones.

    Parameters
    ----------
    rows, columns
        Of the turned frames.
    shape_frc
        Sizes of the turned frames.
    turns
        Quarter turns as `numpy.rot90` makes them.
    flip
        Whether rows were reversed after the turn.
    """
    _, row_count, column_count = shape_frc
    if flip:
        rows = _reverse(rows, row_count)
    if turns == 0:
        return rows, columns
    if turns == 1:
        return columns, _reverse(rows, row_count)
    if turns == 2:
        return _reverse(rows, row_count), _reverse(columns, column_count)
    return _reverse(columns, column_count), rows


def _reverse(part: slice, count: int) -> slice:
    return slice(count - part.stop, count - part.start)


MOST_OPEN = 32
"""Tiles that stay open though a piece of work does not need them: opening a long TIFF is slow."""


class OpenTiles:
    """The frames of a set of tiles, which are opened when a piece of work needs them.

    Parameters
    ----------
    tiles
        The set.
    """

    def __init__(self, tiles: TileSet) -> None:
        self._tiles = tiles
        self._open: dict[int, tuple[StoredFrames, ExitStack]] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Close all."""
        self._close(0)

    def need(self, numbers: Iterable[int]) -> dict[int, StoredFrames]:
        """Open tiles by their numbers in the set, and close others; nobody may read meanwhile.

        Raises
        ------
        SourceRefusedError
            A file is no image, or has other sizes or another type than its tile.
        """
        wanted = set(numbers)
        for number in wanted & self._open.keys():
            self._open[number] = self._open.pop(number)  # the one that is closed last
        self._close(MOST_OPEN)
        for number in sorted(wanted - self._open.keys()):
            self._open[number] = self._open_one(self._tiles.tiles[number])
        return {number: self._open[number][0] for number in sorted(wanted)}

    def _close(self, most: int) -> None:
        while len(self._open) > most:
            self._open.pop(next(iter(self._open)))[1].close()

    def _open_one(self, tile: Tile) -> tuple[StoredFrames, ExitStack]:
        with ExitStack() as stack:
            volume = stack.enter_context(open_volume(tile.path, tile.form or None))
            level = volume.levels[0]
            _check(tile, level)
            frames = StoredFrames(level, tile, self._tiles.geometry)
            return frames, stack.pop_all()


def _check(tile: Tile, level: Level) -> None:
    """Refuse a file that is not as its tile says.

    Raises
    ------
    HeaderError
        Sizes or type are others.
    """
    times, channels, *sizes = level.shape
    if tuple(sizes) != tuple(tile.shape_frc):
        what = f"has {_in_words(sizes)}, but its tile was found with {_in_words(tile.shape_frc)}"
    elif level.dtype.newbyteorder("=").name != tile.dtype:
        what = f"has voxels of type {level.dtype.name}, but its tile was found with {tile.dtype}"
    elif tile.time_index >= times or tile.channel_index >= channels:
        what = (
            f"has {times} time points and {channels} channels, so not time point "
            f"{tile.time_index} of channel {tile.channel_index}"
        )
    else:
        return
    raise HeaderError(tile.path, what, "find the tiles again")


def _in_words(sizes: Iterable[int]) -> str:
    frames, rows, columns = sizes
    return f"{frames} frames of {rows} x {columns} pixels"
