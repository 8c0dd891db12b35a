"""Compares the levels of an image with the voxels that they should have, chunk by chunk."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

from spimpack_tasks.arrays.pyramid import halve
from spimpack_tasks.errors import count_of
from spimpack_tasks.volumes.copy import PlaneReader
from spimpack_tasks.volumes.errors import UnreadableVoxelsError
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spimpack_tasks.arrays.grid import Region, Shape, Voxels
    from spimpack_tasks.volumes.volume import Level

    Wanted = Callable[[Region], Voxels]
    """Returns the voxels that belong into a region of z, y, x."""


class LevelsCheck:
    """Compares levels with what they should be."""

    def __init__(self, levels: Sequence[Level], shapes: Sequence[Shape], dtype: Any) -> None:
        self.levels = levels
        self.shapes = shapes
        """Sizes along t, c, z, y, x, one for each level that should be there."""
        self.dtype = dtype.newbyteorder("=")

    def faults_of_shapes(self) -> Iterator[str]:
        """Yield what is wrong with the number, the sizes and the type of the levels."""
        if len(self.levels) != len(self.shapes):
            yield f"it has {count_of(len(self.levels), 'level')} instead of {len(self.shapes)}"
        for number in range(len(self.shapes)):
            if fault := self._fault_of_shape(number):
                yield f"level {number} {fault}"

    def _fault_of_shape(self, number: int) -> str:
        if number >= len(self.levels):
            return "is missing"
        level, wanted = self.levels[number], self.shapes[number]
        if level.shape != wanted or math.prod(level.stored_shape) != math.prod(wanted):
            return f"has {_times(level.stored_shape)} instead of {_times(wanted)} voxels"
        if level.dtype.newbyteorder("=") != self.dtype:
            return f"has voxels of the type {level.dtype} instead of {self.dtype}"
        return ""

    def faults(self, number: int, image: Shape, planes: slice, wanted: Wanted) -> Iterator[str]:
        """Yield what is wrong in some planes of a level.

        Parameters
        ----------
        number
            Of the level. One of a wrong shape is passed over, since that has been told.
        image
            Time point and channel.
        planes
            Bounds along z.
        wanted
            Asked for each chunk once, in a thread of its own.
        """
        if self._fault_of_shape(number):
            return
        level = self.levels[number]
        with ThreadPoolExecutor(1) as beside:  # image and source are decoded at the same time
            for place, region in self._chunks(number, planes):
                coming = beside.submit(wanted, region)
                try:
                    found = read_region(level, image, region)
                except UnreadableVoxelsError as error:
                    what = str(error)
                else:
                    what = _describe_difference(found, coming.result(), region)
                if what:
                    time, channel = image
                    chunk = "/".join(map(str, place))
                    where = f"level {number}, time point {time}, channel {channel}, chunk {chunk}"
                    yield f"{where} (z/y/x): {what}"

    def _chunks(self, number: int, planes: slice) -> Iterator[tuple[Shape, Region]]:
        """Yield the place of each chunk that lies in some planes, and its region in the level."""
        sides = self.block_zyx(number)
        bounds = [(planes.start, planes.stop), *((0, n) for n in self.shapes[number][3:])]
        parts = [list(_cut(*bound, side)) for bound, side in zip(bounds, sides, strict=True)]
        for chunk in product(*parts):
            yield tuple(place for place, _ in chunk), tuple(region for _, region in chunk)

    def block_zyx(self, number: int) -> Shape:
        """Return the sizes of the chunks of a level along z, y and x."""
        level = self.levels[number] if number < len(self.levels) else self.levels[0]
        return level.chunk[2:]


def _cut(start: int, stop: int, side: int) -> Iterator[tuple[int, slice]]:
    """Yield the number of each chunk between two bounds, and what of it lies between them."""
    for place in range(start // side, -(-stop // side)):
        yield place, slice(max(place * side, start), min((place + 1) * side, stop))


class SlabsCheck:
    """Makes levels of slabs of planes, as they come, and has each level compared with them."""

    def __init__(self, check: LevelsCheck) -> None:
        self.check = check
        # An even number of planes can be halved without those that follow.
        self._heights = [-(-check.block_zyx(n)[0] // 2) * 2 for n in range(len(check.shapes))]

    def faults(self, source: Level, advance: Callable[[int], None]) -> Iterator[str]:
        """Yield what is wrong with the voxels of all levels, made of the full level of a source."""
        reader = PlaneReader(source)
        times, channels, depth, *_ = self.check.shapes[0]
        for image in product(range(times), range(channels)):
            waiting: list[list[Voxels]] = [[] for _ in self.check.shapes]
            for start in range(0, depth, self._heights[0]):
                planes = slice(start, min(start + self._heights[0], depth))
                at = (slice(n, n + 1) for n in image)
                whole = (*at, planes, *(slice(0, n) for n in self.check.shapes[0][3:]))
                slab = reader.read_planes(whole)[0, 0].astype(self.check.dtype, copy=False)
                yield from self._take(0, image, planes, slab, waiting)
                advance(slab.nbytes)

    def _take(
        self, number: int, image: Shape, planes: slice, slab: Voxels, waiting: list[list[Voxels]]
    ) -> Iterator[str]:
        """Have a slab compared, and make what it can of the next level."""
        first = planes.start
        yield from self.check.faults(
            number,
            image,
            planes,
            lambda at: slab[at[0].start - first : at[0].stop - first, at[1], at[2]],
        )
        if number + 1 == len(self.check.shapes):
            return
        before, after = (self.check.shapes[n][2:] for n in (number, number + 1))
        steps = tuple(2 if n > m else 1 for n, m in zip(before, after, strict=True))
        ready = waiting[number + 1]
        ready.append(halve(slab, steps))
        count, start = sum(map(len, ready)), first // steps[0]
        start -= count - len(ready[-1])
        is_last = start + count >= after[0]
        if count and (is_last or count >= self._heights[number + 1]):
            joined = load_library("numpy").concatenate(ready)
            ready.clear()
            planes = slice(start, start + count)
            yield from self._take(number + 1, image, planes, joined, waiting)


def read_region(level: Level, image: Shape, region: Region) -> Voxels:
    """Return a region of z, y, x of a time point and a channel of a level, along z, y, x."""
    time, channel = (slice(n, n + 1) for n in image)
    voxels: Voxels = level.read((time, channel, *region))[0, 0]
    return voxels


def _describe_difference(found: Voxels, wanted: Voxels, region: Region) -> str:
    """Say in which voxels two blocks differ, bit by bit; nothing if they are the same."""
    numpy = load_library("numpy")
    bits = f"u{wanted.itemsize}"
    native = [numpy.ascontiguousarray(a, a.dtype.newbyteorder("=")) for a in (found, wanted)]
    differing = native[0].view(bits) != native[1].view(bits)
    if not differing.any():
        return ""
    number = int(differing.sum())
    count = count_of(number, "voxel")
    if not native[0].view(bits).any():
        return f"it is missing, or all zero, and {count} should not be"
    at = numpy.unravel_index(int(differing.argmax()), differing.shape)
    place = "/".join(str(part.start + int(n)) for part, n in zip(region, at, strict=True))
    differ = "differs" if number == 1 else "differ"
    found_there, wanted_there = (voxels[at] for voxels in native)
    return f"{count} {differ}, the first at {place} is {found_there!s} instead of {wanted_there!s}"


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape))
