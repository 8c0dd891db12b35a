"""Keeps decoded frames of a tile, in bounded memory, while windows of them are compared.

It opens no file: frames come from `stitching.frames`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.arrays.grid import Voxels
    from spimpack_tasks.stitching.frames import Frames

    Region = tuple[slice, slice, slice]

SLOW_ROWS = 64
"""Rows that are stored together at most in frames of which parts are read again and again: raw
frames, or flat chunks. Of others each part costs a whole frame, such as of compressed TIFF."""
KEPT_BYTES = 96 * 2**20
"""Bytes of the samples of a tile that are kept while windows are compared, for each of two."""


def keep(frames: Frames, rows: slice, columns: slice) -> Frames:
    """Return frames of which parts may be read again and again; kept where that would be slow."""
    return KeptFrames(frames, rows, columns) if frames.stored_rows > SLOW_ROWS else frames


class KeptFrames:
    """Frames of which those that were read last are kept, for windows that share them.

    Parameters
    ----------
    frames
        The tile.
    rows, columns
        Of each frame that are kept; windows that reach beyond are read as they are.
    """

    stored_rows = 1

    def __init__(self, frames: Frames, rows: slice, columns: slice) -> None:
        self.shape_frc, self.dtype = frames.shape_frc, frames.dtype
        self._frames, self._rows, self._columns = frames, rows, columns
        self._kept: dict[int, Voxels] = {}
        size = (rows.stop - rows.start) * (columns.stop - columns.start) * self.dtype.itemsize
        self._most = max(KEPT_BYTES // size, 1)

    def read(self, region_frc: Region) -> Voxels:
        """Return the samples of a region."""
        import numpy as np

        numbers, rows, columns = region_frc
        if not (_is_within(rows, self._rows) and _is_within(columns, self._columns)):
            return self._frames.read(region_frc)
        for run in _runs(n for n in range(numbers.start, numbers.stop) if n not in self._kept):
            part = slice(run[0], run[-1] + 1)
            read = self._frames.read((part, self._rows, self._columns))
            self._kept.update((n, each.copy()) for n, each in zip(run, read, strict=True))
        inner = _moved(rows, self._rows), _moved(columns, self._columns)
        found = []
        for number in range(numbers.start, numbers.stop):
            frame = self._kept[number] = self._kept.pop(number)  # the one that is dropped last
            found.append(frame[inner])
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return np.stack(found)

    def keeping(self, rows: slice, columns: slice) -> Frames:
        """Return the same for other rows and columns."""
        return self._frames.keeping(rows, columns)


def _is_within(part: slice, whole: slice) -> bool:
    return bool(whole.start <= part.start and part.stop <= whole.stop)


def _moved(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _runs(numbers: Iterable[int]) -> list[list[int]]:
    """Return numbers in runs of those that follow each other."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
