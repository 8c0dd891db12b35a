"""Reads one small volume of a source, once: a level of its pyramid, or every n-th voxel of one.

The level is chosen by its size, not by its number. Where even the smallest one is large, voxels are
taken at a stride, block by block, so memory does not grow with the image; where that would read too
much, the stride grows as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.errors import HintedError, count_of
from spimpack_tasks.model.selection import WHOLE
from spimpack_tasks.volumes.errors import SourceRefusedError
from spimpack_tasks.volumes.examine import Source, examine_selected
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.header import Header
    from spimpack_tasks.volumes.volume import Level

LARGEST_SIDE = 256
"""Voxels along z, y or x; more are not seen on a screen."""
LARGEST_BYTES = 32 * 2**20
"""Of a volume with all its channels."""
MOST_BYTES_READ = 4 * 2**30
"""Beyond that a larger stride is taken, down to `SMALLEST_SIDE`."""
SMALLEST_SIDE = 32
"""A smaller picture cannot show an orientation."""
MOST_CHANNELS = 8
"""More channels than fluorescence has at once; each adds to the size of a page."""


class SourceUnreadableError(HintedError):
    """A source cannot be shown; the message names the reason."""


@dataclass(frozen=True, slots=True)
class SmallVolume:
    """A small volume of an image."""

    source: str
    voxels: Voxels
    """In the order c, z, y, x, with the values of the source."""
    spacing_um_xyz: tuple[float, float, float]
    """Distance of two voxels of this volume; where a header has none, the unit is that of x."""
    is_spacing_known: bool
    header: Header
    level: int
    """0 is the full resolution."""
    level_count: int
    steps_zyx: tuple[int, int, int]
    """Sampling stride of the level along z, y and x."""
    bytes_read: int
    """Of voxels, as they are in memory."""

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One for each channel that is shown; where the file has none, by number."""
        count = len(self.voxels)
        names = [*self.header.channel_names, *[""] * count][:count]
        return tuple(name or f"channel {n}" for n, name in enumerate(names, start=1))

    def lines(self) -> list[str]:
        """Return a description of the volume for users."""
        shape = " x ".join(map(str, self.header.shapes[0]))
        axes = ", ".join(self.header.axes)
        channels, *sizes = self.voxels.shape
        shown = " x ".join(map(str, sizes))
        steps = " x ".join(map(str, self.steps_zyx))
        taken = "whole" if max(self.steps_zyx) == 1 else f"one voxel in {steps}"
        last = self.level_count - 1
        level = f"level {self.level} of 0 to {last}" if last else "the only level"
        return [
            f"image: {shape} ({axes}), {self.header.dtype}",
            f"read: {level}, {taken}; {self.bytes_read / 1e6:,.1f} MB",
            f"shown: {count_of(channels, 'channel')} of {shown} voxels (z, y, x)",
        ]


def read_volume(
    path: str, name: str = "", form: Format | None = None, selection: Selection = WHOLE
) -> SmallVolume:
    """Read a small volume of a source, at its first time point.

    Parameters
    ----------
    path
        The file or directory.
    name
        The name whose ending tells the format, if it is not that of `path`.
    form
        The format, if the caller knows it; the source is examined all the same.
    selection
        Which image of the file, and the names of its axes where the file does not say them. Pages
        of which nobody says what they are are shown as planes.

    Raises
    ------
    SpimpackError
        The source is missing, damaged, or of no known format, or a library is not installed.
    """
    if form is not None and form.key:
        return _read(Source(path, form, "", 0, ""))  # files that are merged
    if form is not None:
        name = f"image{next(iter(form.endings), '')}"
    try:
        return _read(examine_selected(path, name, selection))
    except SourceRefusedError as error:
        raise SourceUnreadableError(error.message, error.hint) from error


def _read(source: Source) -> SmallVolume:
    path, form = source.path, source.format
    with open_volume(path, form, source.selection, accept_unclear=True) as volume:
        levels, header = volume.levels, volume.header
        number = choose_level(levels)
        level = levels[number]
        steps = choose_steps(level)
        voxels, bytes_read = _sample(level, steps)
    sizes = zip(levels[0].shape[2:], steps, level.shape[2:], strict=True)
    ratios = [size * step / smaller for size, step, smaller in sizes]
    spacing, is_known = _spacing(header, ratios[::-1])
    return SmallVolume(
        path, voxels, spacing, is_known, header, number, len(levels), steps, bytes_read
    )


def choose_level(levels: Sequence[Level]) -> int:
    """Return the number of the largest level that is small enough, or of the smallest one."""
    for number, level in enumerate(levels):
        if _fits(level, (1, 1, 1)):
            return number
    return min(range(len(levels)), key=lambda number: _sampled_bytes(levels[number], (1, 1, 1)))


def choose_steps(level: Level) -> tuple[int, int, int]:
    """Return the sampling stride along z, y and x with which little enough is read."""
    side = LARGEST_SIDE
    while True:
        z, y, x = (-(-size // side) for size in level.shape[2:])
        steps = (z, y, x)
        cheap = _bytes_to_read(level, steps) <= MOST_BYTES_READ
        if side <= SMALLEST_SIDE or (cheap and _fits(level, steps)):
            return steps
        side = side * 4 // 5


def _channels(level: Level) -> int:
    return min(level.shape[1], MOST_CHANNELS)


def _fits(level: Level, steps: tuple[int, int, int]) -> bool:
    sides = (-(-size // step) for size, step in zip(level.shape[2:], steps, strict=True))
    return max(sides) <= LARGEST_SIDE and _sampled_bytes(level, steps) <= LARGEST_BYTES


def _sampled_bytes(level: Level, steps: tuple[int, int, int]) -> int:
    sides = (-(-size // step) for size, step in zip(level.shape[2:], steps, strict=True))
    return math.prod(sides) * _channels(level) * int(level.dtype.itemsize)


def _bytes_to_read(level: Level, steps: tuple[int, int, int]) -> int:
    parts = (len(runs) for runs in _runs(level, steps))
    return math.prod(parts) * math.prod(level.chunk) * int(level.dtype.itemsize)


@dataclass(frozen=True, slots=True)
class _Run:
    """Positions of one block along one axis that are wanted."""

    wanted: slice
    """In the level, from the first to the last."""
    target: slice
    """Where they go in the volume."""


def _runs(level: Level, steps: tuple[int, int, int]) -> list[list[_Run]]:
    """Return for each axis the runs in the blocks that hold a wanted position."""
    is_whole = _fits(level, (1, 1, 1))
    # Small volumes are read at once.
    stored = level.shape[2:] if is_whole else level.chunk[2:]
    inner = zip(level.shape[2:], steps, stored, strict=True)
    return [
        list(_split(1, 1, level.chunk[0])),
        list(_split(_channels(level), 1, level.chunk[1])),
        *(list(_split(size, step, block)) for size, step, block in inner),
    ]


def _split(size: int, step: int, block: int) -> Iterator[_Run]:
    """Yield the runs of every `step`-th position, from the middle of the first step on."""
    first, done = min(step // 2, size - 1), 0
    while first < size:
        end = min((first // block + 1) * block, size)
        count = -(-(end - first) // step)
        yield _Run(slice(first, first + (count - 1) * step + 1), slice(done, done + count))
        first, done = first + count * step, done + count


def _sample(level: Level, steps: tuple[int, int, int]) -> tuple[Voxels, int]:
    """Return the wanted voxels in the order c, z, y, x, and how many bytes were read for them."""
    numpy = load_library("numpy")
    thinned = (slice(None), slice(None), *(slice(None, None, step) for step in steps))
    runs = _runs(level, steps)
    volume: Any = None
    bytes_read = 0
    for parts in product(*runs):
        block = level.read(tuple(part.wanted for part in parts))
        bytes_read += block.nbytes
        if volume is None:
            volume = numpy.zeros([part[-1].target.stop for part in runs], block.dtype)
        volume[tuple(part.target for part in parts)] = block[thinned]
    return volume[0], bytes_read


def _spacing(header: Header, ratios_xyz: list[float]) -> tuple[tuple[float, float, float], bool]:
    """Return the spacing, and whether it is that of the header along each axis with several."""
    sizes = dict(zip(header.axes, header.shapes[0], strict=True))
    known = [s for s in header.spacing_um_xyz if s]
    spacing = [s or (known[0] if known else 1.0) for s in header.spacing_um_xyz]
    is_known = all(
        s or sizes.get(axis, 1) == 1 for axis, s in zip("xyz", header.spacing_um_xyz, strict=True)
    )
    x, y, z = (s * ratio for s, ratio in zip(spacing, ratios_xyz, strict=True))
    return (x, y, z), is_known and sizes.get("page", 1) == 1
