"""A merged image in a second way, to compare with what was made of the first.

Nothing of what lays out and reads merged files for a conversion takes part: along the axis each
index is listed with the file and the index in it, and planes are put together one file at a time.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from spimpack_tasks.model.axes import ALL_AXES
from spimpack_tasks.volumes.formats import format_named
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.volume import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spimpack_tasks.arrays.grid import Region, Shape, Voxels
    from spimpack_tasks.model.selection import Selection
    from spimpack_tasks.volumes.formats import Format
    from spimpack_tasks.volumes.merged.request import Merge

    Plane = tuple[int, int, int, int]
    """The number of a file, and time point, channel and z in it."""
    OpenLevel = Callable[[ExitStack, str, Format, Selection], Level]


@contextmanager
def open_second(merge: Merge, open_level: OpenLevel) -> Iterator[Level]:
    """Open the full level of a merged image.

    Parameters
    ----------
    merge
        The files.
    open_level
        Opens the full level of one file for as long as a stack of contexts lasts.
    """
    with ExitStack() as stack:
        yield _Reader(merge, open_level, stack).level()


def _runs(places: list[Plane | None]) -> Iterator[tuple[int, Plane, int]]:
    """Yield planes that follow one another in a file: the first one's place, and their number."""
    start = 0
    while start < len(places):
        first, count = places[start], 1
        if first is not None:
            *leading, z = first
            while places[start + count : start + count + 1] == [(*leading, z + count)]:
                count += 1
            yield start, first, count
        start += count


class _Reader:
    """Reads planes; only the file of the last ones is open."""

    def __init__(self, merge: Merge, open_level: OpenLevel, stack: ExitStack) -> None:
        self.merge, self.open_level = merge, open_level
        self.axis = ALL_AXES.index(merge.axis.lower())
        self.stack = stack.enter_context(ExitStack())
        self.number = -1
        levels = [self._member(number) for number in range(len(merge.members))]
        self.sizes: list[Shape] = [level.shape for level in levels]
        self.depth = max(level.chunk[2] for level in levels)
        self.dtype = load_library("numpy").result_type(*(level.dtype for level in levels))
        # Along the axis: the number of the file, and the index in it.
        self.along = [(m, n) for m, size in enumerate(self.sizes) for n in range(size[self.axis])]

    def _member(self, number: int) -> Level:
        if number != self.number:
            self.stack.close()
            self.number = -1
            path, form = self.merge.members[number]
            opened = self.stack, path, format_named(form), self.merge.selection
            self.current = self.open_level(*opened)
            self.number = number
        return self.current

    def level(self) -> Level:
        """Return the full level."""
        sides = [max(along) for along in zip(*self.sizes, strict=True)]
        sides[self.axis] = len(self.along)
        shape = tuple(sides)
        chunk = (1, 1, min(self.depth, shape[2]), *shape[3:])
        dtype = self.dtype.newbyteorder("=")
        return Level(shape, dtype, chunk, self.read, stored_shape=shape, finish=self.finish)

    def read(self, region: Region) -> Voxels:
        """Return whole planes of a time point and a channel, along t, c, z, y, x."""
        numpy = load_library("numpy")
        time, channel = region[0].start, region[1].start
        wanted = [self._place((time, channel, z)) for z in range(region[2].start, region[2].stop)]
        rows, columns = (part.stop for part in region[3:])
        found: Voxels = numpy.zeros((1, 1, len(wanted), rows, columns), self.dtype)
        for start, (member, t, c, z), count in _runs(wanted):
            height, width = self.sizes[member][3:]
            part = slice(z, z + count), slice(0, height), slice(0, width)
            voxels = self._member(member).read((slice(t, t + 1), slice(c, c + 1), *part))
            found[:, :, start : start + count, :height, :width] = voxels
        return found

    def _place(self, at: Shape) -> Plane | None:
        """Return the number of a file and the place of a plane in it; `None` for added zeros."""
        place = [*at]
        member, place[self.axis] = self.along[place[self.axis]]
        if any(n >= size for n, size in zip(place, self.sizes[member][:3], strict=True)):
            return None
        time, channel, z = place
        return member, time, channel, z

    def finish(self) -> None:
        """Have each file checked to its very end."""
        for number in range(len(self.sizes)):
            self._member(number).finish()
