"""Frames of a DCIMG file in a second way, to compare with what was made of the first.

Nothing of what finds frames for a conversion takes part: headers and frames are records of numpy,
each frame is read whole with its footer, and the pixels of the footer are put back as bytes. A file
that does not add up has been refused before, by its header.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.regular import open_regular
from spimpack_tasks.volumes.errors import reading
from spimpack_tasks.volumes.header import load_library
from spimpack_tasks.volumes.volume import Level

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from spimpack_tasks.arrays.grid import Region, Voxels

_FILE = {"version": ("<u4", 8), "session": ("<u4", 40)}
_NEW = {
    "frames": ("<u4", 60),
    "depth": ("<u4", 64),
    "width": ("<u4", 72),
    "height": ("<u4", 76),
    "row": ("<u4", 80),
    "image": ("<u4", 84),
    "start": ("<u8", 96),
    "footer": ("<u4", 124),
    "line": ("<u2", 716),
    "lines": ("<u2", 718),
}
_OLD = {
    "frames": ("<u4", 32),
    "depth": ("<u4", 36),
    "width": ("<u4", 44),
    "row": ("<u4", 48),
    "height": ("<u4", 52),
    "image": ("<u4", 56),
    "start": ("<u4", 68),
    "end": ("<u8", 72),
}
"""Type and place of fields."""


@contextmanager
def open_second(path: str) -> Iterator[Level]:
    """Open the frames of a DCIMG file as planes.

    Raises
    ------
    HeaderError
        They cannot be found in this way.
    """
    with reading(path), open_regular(path) as file:
        frames = _Frames(file)
        shape = (1, 1, frames.count, frames.height, frames.width)
        chunk = (1, 1, 1, *shape[3:])
        yield Level(shape, frames.dtype.newbyteorder("="), chunk, frames.read, stored_shape=shape)


class _Frames:
    """Reads whole frames of an open file."""

    def __init__(self, file: BinaryIO) -> None:
        numpy = load_library("numpy")
        self.file = file
        head = self._record(_FILE, 0)
        session = int(head["session"])
        told = self._record(_OLD if head["version"] == 7 else _NEW, session)
        self.count, self.height = int(told["frames"]), int(told["height"])
        self.width, self.row = int(told["width"]), int(told["row"])
        self.dtype = numpy.dtype(f"<u{told['depth']}")
        self.start = session + int(told["start"])
        self.image, self.footer, self.line = int(told["image"]), 0, -1
        self.kept: Any = None
        if head["version"] == 7:
            self._find_kept(session + int(told["end"]))
        else:
            self.footer = int(told["footer"])
            self.line = self._line_of(int(head["version"]), told)

    def _record(self, fields: dict[str, tuple[str, int]], offset: int) -> Any:
        numpy = load_library("numpy")
        types, places = zip(*fields.values(), strict=True)
        form = numpy.dtype({"names": [*fields], "formats": types, "offsets": places})
        self.file.seek(offset)
        return numpy.frombuffer(self.file.read(form.itemsize), form)[0]

    def _line_of(self, version: int, told: Any) -> int:
        """Return the line with pixels from the footer, which sees line 1023 of the sensor."""
        if self.footer == 16:
            return -1
        if version == 0x2000000:
            return 0
        lines_of_each = max(int(told["lines"]) // self.height, 1)
        for line in range(self.height):
            first = int(told["line"]) + line * lines_of_each
            if first <= 1023 < first + lines_of_each:
                return line
        return -1

    def _find_kept(self, footer: int) -> None:
        """Read the pixels that lie behind all frames of version 0x7."""
        numpy = load_library("numpy")
        head = self._record({"second": ("<u8", 8), "size": ("<u4", 40)}, footer)
        fields = {"place": ("<u8", 88), "at": ("<u4", 100)}
        second = self._record(fields, footer + int(head["second"]))
        if int(head["size"]) - int(second["place"]) == 8 * self.count:
            self.file.seek(footer + int(second["place"]))
            data = self.file.read(8 * self.count)
            self.kept = numpy.frombuffer(data, "u1").reshape(self.count, 8)
            self.line = int(second["at"]) // self.row

    def read(self, region: Region) -> Voxels:
        """Return whole planes along t, c, z, y, x."""
        planes = [self._frame(z) for z in range(region[2].start, region[2].stop)]
        found: Voxels = load_library("numpy").stack(planes)[None, None]
        return found

    def _frame(self, number: int) -> Any:
        numpy = load_library("numpy")
        self.file.seek(self.start + number * (self.image + self.footer))
        record = numpy.frombuffer(self.file.read(self.image + self.footer), "u1")
        rows = record[: self.image].reshape(self.height, self.row)
        rows = rows[:, : self.width * self.dtype.itemsize].copy()
        if self.line >= 0:
            footer = record[self.image + 12 : self.image + 20]
            kept = footer if self.kept is None else self.kept[number]
            rows[self.line, :8] = kept[: rows.shape[1]]
        return rows.view(self.dtype)
