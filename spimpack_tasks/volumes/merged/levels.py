"""The one level of a merged image: a region is read from the files that it lies in."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Self

from spimpack_tasks.arrays.grid import shape_of
from spimpack_tasks.model.axes import ALL_AXES
from spimpack_tasks.volumes.errors import HeaderError, UnreadableVoxelsError
from spimpack_tasks.volumes.formats import format_named
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.levels import StoredLevel
from spimpack_tasks.volumes.merged.header import read_headers
from spimpack_tasks.volumes.merged.layout import lay_out
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spimpack_tasks.arrays.grid import Region, Shape, Voxels
    from spimpack_tasks.volumes.levels import Index
    from spimpack_tasks.volumes.merged.layout import Layout
    from spimpack_tasks.volumes.merged.request import Merge
    from spimpack_tasks.volumes.volume import Level

_MOST_OPEN = 16
"""Files that are open at the same time: a system allows a process some hundred at the least."""


@contextmanager
def open_merged(merge: Merge) -> Iterator[Sequence[StoredLevel]]:
    """Open the full level of a merged image; each file is opened once before, to be checked.

    Raises
    ------
    HeaderError, UnreadableVoxelsError
        A file cannot be read, or they cannot be merged as is asked for.
    """
    numpy = load_library("numpy")
    layout = lay_out(merge, read_headers(merge))
    dtype = numpy.dtype(layout.dtype)
    with _OpenMembers(merge, layout) as members:
        chunk, is_sequential, is_stream = members.check()

        def read(index: Index) -> Voxels:
            voxels: Voxels | None = None
            for number, inner, outer in find_parts(layout, index):
                part = members.read(number, inner).astype(dtype, copy=False)
                if part.shape == shape_of(index):
                    return part
                if voxels is None:
                    voxels = numpy.zeros(shape_of(index), dtype)
                voxels[outer] = part
            return numpy.zeros(shape_of(index), dtype) if voxels is None else voxels

        yield [
            StoredLevel(
                axes=tuple(ALL_AXES),
                shape=layout.shape,
                dtype=dtype,
                chunk=chunk,
                read=read,
                sequential=is_sequential,
                is_stream=is_stream,
                finish=members.finish,
            )
        ]


def find_parts(layout: Layout, region: Region) -> Iterator[tuple[int, Region, Region]]:
    """Yield each file that a region lies in, the region of the file, and its place in the region.

    Where no file lies, zeros are added.
    """
    for number, (start, size) in enumerate(zip(layout.starts, layout.sizes, strict=True)):
        inner, outer = [], []
        for axis, (part, n) in enumerate(zip(region, size, strict=True)):
            begin = start if axis == layout.axis else 0
            low, high = max(part.start, begin), min(part.stop, begin + n)
            inner.append(slice(low - begin, high - begin))
            outer.append(slice(low - part.start, high - part.start))
        if all(part.start < part.stop for part in inner):
            yield number, tuple(inner), tuple(outer)


class _OpenMembers:
    """The files of a merged image, of which a few are open."""

    def __init__(self, merge: Merge, layout: Layout) -> None:
        self.merge, self.layout = merge, layout
        self._open: dict[int, tuple[ExitStack, Level]] = {}
        """By number, the one that was wanted last at the end."""
        self._lock = RLock()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Close the files."""
        for number in [*self._open]:
            self._close(number)

    def _close(self, number: int) -> None:
        stack, _ = self._open.pop(number)
        stack.close()

    def _level(self, number: int) -> Level:
        """Return the full level of a file; the one that was not wanted for longest is closed."""
        if number in self._open:
            self._open[number] = self._open.pop(number)
            return self._open[number][1]
        if len(self._open) >= _MOST_OPEN:
            self._close(next(iter(self._open)))
        path, form = self.merge.members[number]
        with ExitStack() as stack:
            opening = open_volume(path, format_named(form), self.merge.selection)
            level = stack.enter_context(opening).levels[0]
            self._open[number] = stack.pop_all(), level
        return self._open[number][1]

    def check(self) -> tuple[Shape, bool, bool]:
        """Open each file, and return the largest chunk, `sequential` and `is_stream`.

        Raises
        ------
        HeaderError
            A file is not as its header has it.
        """
        chunks, is_sequential = [], len(self.merge.members) > _MOST_OPEN
        is_stream = False
        for number, (path, _) in enumerate(self.merge.members):
            level = self._level(number)
            if level.shape != self.layout.sizes[number]:
                raise HeaderError(path, "does not have the sizes that its header tells")
            chunks.append(level.chunk)
            is_sequential = is_sequential or level.sequential
            is_stream = is_stream or level.is_stream
        largest = [max(sides) for sides in zip(*chunks, strict=True)]
        sides = zip(largest, self.layout.shape, strict=True)
        return tuple(min(side, n) for side, n in sides), is_sequential, is_stream

    def read(self, number: int, region: Region) -> Voxels:
        """Return the voxels of a region of a file."""
        with self._lock:
            level = self._level(number)
        return level.read(region)

    def finish(self) -> None:
        """Have each file checked to its very end.

        Raises
        ------
        UnreadableVoxelsError
            One is damaged.
        """
        for number in range(len(self.merge.members)):
            try:
                self._level(number).finish()
            except UnreadableVoxelsError as error:
                raise UnreadableVoxelsError(f"{self.merge.names[number]!r}: {error}") from error
